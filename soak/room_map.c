/* SPDX-License-Identifier: MIT */
/*
 * map: four tables under all operations.
 *
 *   cycle   grows to many keys and shrinks to few, again and again
 *   tight   few keys that everybody fights for
 *   equal   all keys have one hash
 *   bytes   strings, some dozens of hashes for all
 *
 * In each, some keys are fixed: always found, the even ones as the very
 * entry, the odd ones replaced now and then.  Each place has keys of its own,
 * which it alone changes: there every result is known beforehand.  For all
 * others successful inserts less removes must be 1 or 0 at rest, and just
 * that many entries live.
 */
#include "soak.h"

#define FIXED 64
#define OWN 4
#define MOST_KEYS 40000
#define BATCH 32

enum { LOOKUP, FIND_FIXED, FIND_BATCH, INSERT, PUT, REPLACE, REPLACE_ENTRY,
       REMOVE, REMOVE_ENTRY, OWN_KEY, WALK, SETTLE };
static const char *const operations[] = {
	"lookup", "lookup of fixed keys", "batch lookup", "insert", "put",
	"replace", "replace_entry", "remove", "remove_entry",
	"change of an own key", "walk by cursor", "settle", NULL,
};

struct table {
	const char *name;
	struct fh_map_options options;
	uint64_t keys;		/* fixed ones first; the own ones lie behind */
	size_t high;		/* not 0: where growing turns into shrinking */
	struct fh_map *map;
	_Atomic(bool) shrinking;
	tally turned, refused;
	_Atomic(int32_t) present[MOST_KEYS];
	uint64_t own[SOAK_THREADS][OWN];	/* version, 0: not there */
};

struct item {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
	uint64_t alive, number, version, check;
	char text[16];
};

static uint64_t hash_equal(struct fh_key key)
{
	(void)key;
	return UINT64_C(0x123456789abcdef0);
}

static uint64_t hash_few(struct fh_key key)
{
	const char *text = (const char *)(uintptr_t)key.word[0];

	return (uint64_t)(text[key.word[1] - 1] % 8 +
			  8 * (text[key.word[1] - 2] % 8)) *
	       UINT64_C(0x0433333333333333);
}

static struct table tables[] = {
	{ .name = "cycle", .keys = SANITIZED ? 6000 : MOST_KEYS,
	  .high = SANITIZED ? 4000 : 30000 },
	{ .name = "tight", .keys = FIXED + 24 },
	{ .name = "equal", .keys = FIXED + 100,
	  .options = { .hash = hash_equal } },
	{ .name = "bytes", .keys = FIXED + 400,
	  .options = { .keys = FH_KEYS_BYTES, .hash = hash_few } },
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

static tally born, died, versions;

/* ---- items ---- */

static struct item *item_of(struct fh_map_entry *entry)
{
	return (struct item *)entry;
}

/* @text is where the bytes of the key lie, if it has any. */
static struct fh_key key_of(const struct table *table, uint64_t number,
			    char *text)
{
	if (table->options.keys != FH_KEYS_BYTES)
		return fh_key_u64(number);
	snprintf(text, 16, "key-%llu", (unsigned long long)number % 1000000);
	return fh_key_string(text);
}

static struct item *item_new(const struct table *table, uint64_t number)
{
	struct item *item = soak_alloc(sizeof(*item));

	item->entry.key = key_of(table, number, item->text);
	item->alive = SOAK_ALIVE;
	item->number = number;
	item->version = 1 + add_relaxed(&versions, 1);
	item->check = soak_mix(number, item->version);
	add_relaxed(&born, 1);
	return item;
}

static void item_free(struct item *item)
{
	soak_expect(item->alive == SOAK_ALIVE, "an entry was freed twice");
	item->alive = 0;
	add_relaxed(&died, 1);
	free(item);
}

static void reclaim(struct fh_rcu_head *head)
{
	item_free((struct item *)((char *)head - offsetof(struct item, rcu)));
}

static void look_at(struct fh_map_entry *entry, uint64_t number)
{
	const struct item *item = item_of(entry);

	soak_expect(item->alive == SOAK_ALIVE && item->number == number &&
		    item->check == soak_mix(number, item->version),
		    "key %llu: an entry that is reclaimed, torn or another's",
		    (unsigned long long)number);
}

static void retire(struct fh_map_entry *entry, uint64_t number)
{
	look_at(entry, number);
	fh_rcu_retire(&item_of(entry)->rcu, reclaim);
}

/* ---- operations: each says how the number of entries changed ---- */

/* True if it happened; @also is the result that is no fault. */
static bool done(struct table *table, int rc, int also, const char *what)
{
	soak_expect(rc == 0 || rc == also || rc == -EAGAIN,
		    "table %s: %s gave %d", table->name, what, rc);
	if (rc == -EAGAIN)
		add_relaxed(&table->refused, 1);
	return rc == 0;
}

static int insert(struct table *table, uint64_t number)
{
	struct item *item = item_new(table, number);
	struct fh_map_entry *there = NULL;
	bool inserted;
	int rc;

	fh_rcu_read_lock();
	rc = fh_map_insert(table->map, &item->entry, &there);
	inserted = done(table, rc, -EEXIST, "an insert");
	if (rc == -EEXIST)
		look_at(there, number);
	fh_rcu_read_unlock();
	if (!inserted)
		item_free(item);
	return inserted;
}

static int put(struct table *table, uint64_t number)
{
	struct item *item = item_new(table, number);
	struct fh_map_entry *old = NULL;

	if (!done(table, fh_map_put(table->map, &item->entry, &old), 0,
		  "a put")) {
		item_free(item);
		return 0;
	}
	if (old)
		retire(old, number);
	return !old;
}

static int replace(struct table *table, uint64_t number)
{
	struct item *item = item_new(table, number);
	struct fh_map_entry *old = NULL;

	if (done(table, fh_map_replace(table->map, &item->entry, &old),
		 -ENOENT, "a replacement"))
		retire(old, number);
	else
		item_free(item);
	return 0;
}

static int replace_entry(struct table *table, uint64_t number)
{
	struct item *item = item_new(table, number);
	struct fh_map_entry *old;
	bool replaced = false;

	fh_rcu_read_lock();
	old = fh_map_lookup(table->map, item->entry.key);
	if (old)
		replaced = done(table,
				fh_map_replace_entry(table->map, old,
						     &item->entry),
				-ENOENT, "a replacement of an entry");
	fh_rcu_read_unlock();
	if (replaced)
		retire(old, number);
	else
		item_free(item);
	return 0;
}

static int take(struct table *table, uint64_t number)
{
	struct fh_map_entry *removed = NULL;
	char text[16];

	if (!done(table, fh_map_remove(table->map,
				       key_of(table, number, text), &removed),
		  -ENOENT, "a removal"))
		return 0;
	retire(removed, number);
	return -1;
}

static int take_entry(struct table *table, uint64_t number)
{
	struct fh_map_entry *entry;
	bool removed = false;
	char text[16];

	fh_rcu_read_lock();
	entry = fh_map_lookup(table->map, key_of(table, number, text));
	if (entry)
		removed = done(table, fh_map_remove_entry(table->map, entry),
			       -ENOENT, "a removal of an entry");
	fh_rcu_read_unlock();
	if (removed)
		retire(entry, number);
	return removed ? -1 : 0;
}

/* The version that is there, 0 if there is none. */
static uint64_t version_at(struct table *table, uint64_t number)
{
	struct fh_map_entry *entry;
	uint64_t version = 0;
	char text[16];

	fh_rcu_read_lock();
	entry = fh_map_lookup(table->map, key_of(table, number, text));
	if (entry) {
		look_at(entry, number);
		version = item_of(entry)->version;
	}
	fh_rcu_read_unlock();
	return version;
}

static void change(struct table *table, uint64_t number, unsigned operation)
{
	static int (*const how[])(struct table *, uint64_t) = {
		[INSERT] = insert, [PUT] = put, [REPLACE] = replace,
		[REPLACE_ENTRY] = replace_entry, [REMOVE] = take,
		[REMOVE_ENTRY] = take_entry,
	};
	int by = how[operation](table, number);

	if (by)
		add_relaxed(&table->present[number], by);
}

/* ---- a place's own keys: every result is known ---- */

static void change_own(struct soak_worker *worker, struct table *table)
{
	size_t k = soak_random(worker, OWN);
	uint64_t number = table->keys + worker->index * OWN + k;
	uint64_t *own = &table->own[worker->index][k], now;
	int by = 0;

	soak_begin(worker, OWN_KEY);
	now = version_at(table, number);
	soak_expect(now == *own, "table %s: key %llu, which nobody else "
		    "changes, has version %llu and not %llu", table->name,
		    (unsigned long long)number, (unsigned long long)now,
		    (unsigned long long)*own);
	if (!*own)
		by = insert(table, number);
	else if (soak_random(worker, 2))
		by = take(table, number);
	else
		replace_entry(table, number);
	now = version_at(table, number);
	soak_expect(by == 0 ? !*own == !now : by == 1 ? now > *own : !now,
		    "table %s: key %llu has version %llu, after %llu and a "
		    "change by %d", table->name, (unsigned long long)number,
		    (unsigned long long)now, (unsigned long long)*own, by);
	*own = now;
}

/* ---- looking ---- */

static void find_fixed(struct soak_worker *worker, struct table *table)
{
	soak_begin(worker, FIND_FIXED);
	for (int i = 0; i < 8; i++) {
		uint64_t number = soak_random(worker, FIXED);

		soak_expect(version_at(table, number),
			    "table %s: the fixed key %llu is not found",
			    table->name, (unsigned long long)number);
	}
}

static void find_batch(struct soak_worker *worker, struct table *table)
{
	struct fh_map_entry *found[BATCH];
	struct fh_key keys[BATCH];
	uint64_t number[BATCH];
	char text[BATCH][16];

	soak_begin(worker, FIND_BATCH);
	for (size_t i = 0; i < BATCH; i++) {
		number[i] = soak_random(worker, i % 2 ? FIXED : table->keys);
		keys[i] = key_of(table, number[i], text[i]);
	}
	fh_rcu_read_lock();
	fh_map_lookup_batch(table->map, keys, BATCH, found);
	for (size_t i = 0; i < BATCH; i++) {
		soak_expect(found[i] || number[i] >= FIXED,
			    "table %s: a batch does not find the fixed key "
			    "%llu", table->name,
			    (unsigned long long)number[i]);
		if (found[i])
			look_at(found[i], number[i]);
	}
	fh_rcu_read_unlock();
}

struct visits {
	struct table *table;
	uint8_t fixed[FIXED];
	size_t all;
};

static int visit(struct fh_map_entry *entry, void *arg)
{
	struct visits *visits = arg;
	uint64_t number = item_of(entry)->number;

	look_at(entry, number);
	visits->all++;
	if (number < FIXED)
		visits->fixed[number]++;
	return 0;
}

/* The even fixed keys are never replaced: each is visited exactly once. */
static size_t walk(struct table *table, size_t budget)
{
	struct visits visits = { .table = table };
	struct fh_map_cursor cursor = { 0 };

	while (!cursor.done)
		fh_map_walk(table->map, &cursor, budget, visit, &visits);
	for (size_t i = 0; i < FIXED; i += 2)
		soak_expect(visits.fixed[i] == 1, "table %s: a walk visited "
			    "the fixed key %zu %u times", table->name, i,
			    visits.fixed[i]);
	return visits.all;
}

/* ---- a turn ---- */

/* While the table grows, most changes are inserts, then removals. */
static unsigned pick(struct soak_worker *worker, struct table *table)
{
	static const unsigned even[] = { INSERT, PUT, REPLACE, REPLACE_ENTRY,
					 REMOVE, REMOVE_ENTRY, REMOVE,
					 INSERT };

	if (table->high && soak_random(worker, 4))
		return load_relaxed(&table->shrinking) ? REMOVE : INSERT;
	return even[soak_random(worker, 8)];
}

static void turn_around(struct table *table)
{
	size_t count = fh_map_count(table->map);
	bool shrinking = load_relaxed(&table->shrinking);

	if (table->high && (shrinking ? count < table->high / 16 :
					count > table->high) &&
	    atomic_compare_exchange_strong(&table->shrinking, &shrinking,
					   !shrinking))
		add_relaxed(&table->turned, 1);
}

static void change_any(struct soak_worker *worker, struct table *table)
{
	unsigned operation = pick(worker, table);
	uint64_t number = FIXED + soak_random(worker, table->keys - FIXED);

	/* The odd fixed keys may be replaced. */
	if (soak_random(worker, 32) == 0) {
		operation = PUT + (unsigned)soak_random(worker, 3);
		number = soak_random(worker, FIXED) | 1;
	}
	soak_begin(worker, operation);
	change(table, number, operation);
}

static void seldom(struct soak_worker *worker, struct table *table)
{
	int rc;

	if (soak_random(worker, 8)) {
		soak_begin(worker, WALK);
		walk(table, soak_random(worker, 200));
		return;
	}
	soak_begin(worker, SETTLE);
	rc = fh_map_settle(table->map);
	soak_expect(rc == 0, "table %s: settling gave %d", table->name, rc);
}

static void work(struct soak_worker *worker)
{
	uint64_t what = soak_random(worker, 2048);
	struct table *table = &tables[soak_random(worker, 2) ? 0 :
				      soak_random(worker, TABLES)];

	if (what == 0) {
		seldom(worker, table);
	} else if (what < 200) {
		find_fixed(worker, table);
	} else if (what < 400) {
		soak_begin(worker, LOOKUP);
		version_at(table, soak_random(worker, table->keys));
	} else if (what < 450) {
		find_batch(worker, table);
	} else if (what < 800) {
		change_own(worker, table);
	} else {
		change_any(worker, table);
	}
	if (what % 64 == 1)
		turn_around(table);
}

/* ---- at rest ---- */

static size_t check_keys(struct table *table)
{
	size_t count = 0;
	int32_t present;

	for (uint64_t i = 0; i < table->keys; i++) {
		present = load_relaxed(&table->present[i]);
		soak_expect(present == (version_at(table, i) != 0),
			    "table %s: key %llu is %sthere after %d more "
			    "inserts than removals", table->name,
			    (unsigned long long)i,
			    present ? "not " : "", present);
		count += (size_t)present;
	}
	for (size_t i = 0; i < SOAK_THREADS; i++)
		for (size_t k = 0; k < OWN; k++)
			count += table->own[i][k] != 0;
	return count;
}

static size_t check_table(struct table *table)
{
	size_t expected = check_keys(table);
	size_t count = fh_map_count(table->map), walked = walk(table, 0);

	soak_expect(count == expected && walked == expected,
		    "table %s: at rest %zu entries, a count of %zu, %zu in a "
		    "walk", table->name, expected, count, walked);
	return count;
}

static void check(void)
{
	uint64_t live = load_relaxed(&born) - load_relaxed(&died);
	uint64_t expected = 0;

	for (size_t i = 0; i < TABLES; i++)
		expected += check_table(&tables[i]);
	soak_expect(live == expected, "at rest %llu entries live, and the "
		    "tables hold %llu", (unsigned long long)live,
		    (unsigned long long)expected);
}

static void empty(struct table *table)
{
	struct fh_map_stats stats;
	uint64_t own = SOAK_THREADS * OWN;

	for (uint64_t i = FIXED; i < table->keys; i++)
		change(table, i, REMOVE);
	for (uint64_t i = 0; i < own; i++)
		take(table, table->keys + i);
	memset(table->own, 0, sizeof(table->own));
	soak_expect(fh_map_settle(table->map) == 0, "settling failed");
	fh_map_get_stats(table->map, &stats);
	soak_expect(stats.count == FIXED && !stats.migrating,
		    "table %s: %llu entries after emptying, migrating %d",
		    table->name, (unsigned long long)stats.count,
		    stats.migrating);
}

static void clear(void)
{
	for (size_t i = 0; i < TABLES; i++) {
		empty(&tables[i]);
		store_relaxed(&tables[i].shrinking, false);
	}
}

static void setup(void)
{
	for (size_t t = 0; t < TABLES; t++) {
		if (fh_map_create(&tables[t].map, &tables[t].options))
			soak_fail("cannot create a table");
		for (uint64_t i = 0; i < FIXED; i++)
			change(&tables[t], i, INSERT);
	}
}

static void report(FILE *out)
{
	struct fh_map_stats stats;

	fprintf(out, "| table | turned round | grown | shrunk | refused at the "
		"hard bound |\n| --- | ---: | ---: | ---: | ---: |\n");
	for (size_t i = 0; i < TABLES; i++) {
		fh_map_get_stats(tables[i].map, &stats);
		fprintf(out, "| %s | %llu | %llu | %llu | %llu |\n",
			tables[i].name,
			(unsigned long long)load_relaxed(&tables[i].turned),
			(unsigned long long)stats.grown,
			(unsigned long long)stats.shrunk,
			(unsigned long long)load_relaxed(&tables[i].refused));
	}
}

static void release(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	item_free(item_of(entry));
}

static void teardown(void)
{
	for (size_t i = 0; i < TABLES; i++)
		fh_map_destroy(tables[i].map, release, NULL);
}

void soak_map_inherited(void)
{
	for (size_t i = 0; i < TABLES; i++)
		for (uint64_t k = 0; k < FIXED; k++)
			soak_expect(version_at(&tables[i], k),
				    "a fixed key is not in the child");
}

struct soak_room soak_map = {
	.name = "map", .operations = operations, .weight = 40,
	.setup = setup, .work = work, .check = check, .clear = clear,
	.report = report, .teardown = teardown,
};
