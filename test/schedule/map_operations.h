/* SPDX-License-Identifier: MIT */
/*
 * What the threads of a scenario of the table do, and what must hold when all
 * of them have: see map_scenes.h.
 */
#ifndef FH_MAP_OPERATIONS_H
#define FH_MAP_OPERATIONS_H

#include "map_scenes.h"

/* ---- the operations ---- */

/* The entry that thread @me inserts; NULL: it is over. */
static struct item *take_fresh(unsigned me, unsigned which)
{
	struct item *mine = item_fill(fresh[me], key(which), 10 + me);

	fresh[me] = NULL;
	return mine;
}

static void insert(unsigned me, enum operation operation)
{
	struct item *mine = take_fresh(me, operation == INSERT_B);
	struct fh_map_entry *present;
	struct call *call;
	int rc;

	fh_rcu_read_lock();
	call = call_begin(operation, mine->id);
	rc = fh_map_insert(map, &mine->entry, &present);
	call_end(call, rc == -EEXIST ? id_of(present) : (uint64_t)rc);
	fh_rcu_read_unlock();
	if (rc < 0)
		free(mine);
}

static void removal(enum operation operation)
{
	struct call *call = call_begin(operation, 0);
	struct fh_map_entry *entry = NULL;
	int rc = fh_map_remove(map, key(operation == REMOVE_B), &entry);

	call_end(call, rc == 0 ? id_of(entry) : rc == -ENOENT ? 0 :
		       (uint64_t)rc);
	if (rc == 0)
		retire(entry);
}

static void replace(unsigned me, enum operation operation)
{
	struct item *mine = take_fresh(me, A);
	struct call *call = call_begin(operation, mine->id);
	struct fh_map_entry *old = NULL;
	int rc;

	if (operation == REPLACE_A)
		rc = fh_map_replace(map, &mine->entry, &old);
	else
		rc = fh_map_put(map, &mine->entry, &old);
	call_end(call, rc == 0 ? id_of(old) : rc == -ENOENT ? 0 :
		       (uint64_t)rc);
	if (rc < 0)
		free(mine);
	else if (old)
		retire(old);
}

/* The entry that setup inserted, held by a section while it is used. */
static void this_one(unsigned me, enum operation operation)
{
	struct fh_map_entry *old;
	struct item *mine;
	struct call *call;
	int rc;

	fh_rcu_read_lock();
	old = fh_map_lookup(map, key(A));
	if (!old || id_of(old) != 1) {
		fh_rcu_read_unlock();
		return;
	}
	mine = operation == REPLACE_THIS_A ? take_fresh(me, A) : NULL;
	call = call_begin(operation, 10 + me);
	rc = mine ? fh_map_replace_entry(map, old, &mine->entry) :
		    fh_map_remove_entry(map, old);
	call_end(call, (uint64_t)rc);
	if (rc == 0)
		retire(old);
	else
		free(mine);
	fh_rcu_read_unlock();
}

static void lookup(enum operation operation)
{
	struct call *call;

	fh_rcu_read_lock();
	call = call_begin(operation, 0);
	call_end(call, id_of(fh_map_lookup(map, key(operation == LOOKUP_B))));
	fh_rcu_read_unlock();
}

static void batch(void)
{
	struct fh_key keys[2] = { key(A), key(B) };
	struct fh_map_entry *found[2];
	struct call *a, *b;

	fh_rcu_read_lock();
	a = call_begin(LOOKUP_A, 0);
	b = call_begin(LOOKUP_B, 0);
	fh_map_lookup_batch(map, keys, 2, found);
	call_end(a, id_of(found[0]));
	call_end(b, id_of(found[1]));
	fh_rcu_read_unlock();
}

struct visits {
	unsigned of[KEYS], others;
};

static int visit(struct fh_map_entry *entry, void *arg)
{
	struct visits *visits = arg;
	unsigned which = entry->hash & 0xff;

	expect(id_of(entry) != 0, "an entry without an id");
	if (which < KEYS)
		visits->of[which]++;
	else
		visits->others++;
	return 0;
}

/* Nobody touches C, D and the others: each exactly once. */
static void walk(void)
{
	struct fh_map_cursor cursor = { 0 };
	struct visits visits = { { 0 }, 0 };

	while (!cursor.done)
		fh_map_walk(map, &cursor, 1, visit, &visits);
	expect(visits.of[C] == (initial.id[C] != 0) &&
	       visits.of[D] == (initial.id[D] != 0),
	       "the walk visited c %u times, d %u times", visits.of[C],
	       visits.of[D]);
	expect(visits.others == others, "the walk visited %u of %u",
	       visits.others, others);
	expect(visits.of[A] <= 1 && visits.of[B] <= 1,
	       "the walk visited a %u times, b %u times", visits.of[A],
	       visits.of[B]);
}

/* Of a moment, or of several, when others write. */
static void statistics(void)
{
	struct fh_map_stats stats;

	fh_map_get_stats(map, &stats);
	expect(stats.buckets, "a map without buckets");
}

static void migrate(void)
{
	struct table *table;
	int rc = 0;

	fh_rcu_read_lock();
	table = root();
	if (table_migrating(table))
		rc = fh_migrate(map, table, table->log2 > table->prev->log2 ?
				2 * BUCKET : BUCKET);
	expect(rc == 0 || rc == -ENOMEM, "migration says %d", rc);
	fh_rcu_read_unlock();
}

/* What it finds is not of interest, but that the migration goes on. */
static void remove_other(void)
{
	struct fh_map_entry *entry;

	if (fh_map_remove(map, key_elsewhere(0), &entry) == 0) {
		others_removed++;
		retire(entry);
	}
}

/* What a half that is closed may gain, its union has no room for. */
static void watch(void)
{
	struct table *table;
	word before, after;

	fh_rcu_read_lock();
	table = root();
	if (table_migrating(table)) {
		before = load_acquire(&table->prev->word[2 * BUCKET + 1]);
		after = load_acquire(&table->prev->word[2 * BUCKET + 1]);
		expect(!(before & (CLOSED | FROZEN)) ||
		       after & (CLOSED | FROZEN), "a closed half is open");
	}
	fh_rcu_read_unlock();
}

/* In a long block: an entry in the log, and then the block is left. */
static void renew_b(unsigned me)
{
	removal(REMOVE_B);
	insert(me, INSERT_B);
}

void act(unsigned me)
{
	const struct setting *setting = scenario_now()->data;
	enum operation operation = setting->operation[me] & ~BEGIN_AND;

	if (setting->operation[me] & BEGIN_AND)
		store_release(&map->root, successor);
	if (operation == INSERT_A || operation == INSERT_B)
		insert(me, operation);
	else if (operation == REMOVE_A || operation == REMOVE_B)
		removal(operation);
	else if (operation == REPLACE_A || operation == PUT_A)
		replace(me, operation);
	else if (operation == REMOVE_THIS_A || operation == REPLACE_THIS_A)
		this_one(me, operation);
	else if (operation == LOOKUP_A || operation == LOOKUP_B)
		lookup(operation);
	else if (operation == BATCH)
		batch();
	else if (operation == WALK)
		walk();
	else if (operation == STATS)
		statistics();
	else if (operation == MIGRATE)
		migrate();
	else if (operation == REMOVE_OTHER)
		remove_other();
	else if (operation == RENEW_B)
		renew_b(me);
	else if (operation == WATCH)
		watch();
	else
		fh_map_settle(map);
}

/* ---- the end ---- */

static void count_and_free(struct fh_map_entry *entry, void *arg)
{
	++*(size_t *)arg;
	free(entry);
}

/* Calls that must agree with the history, as the last ones of it. */
static size_t look_up_all(void)
{
	size_t held = others - others_removed;
	unsigned which;

	fh_rcu_read_lock();
	for (which = A; which < KEYS; which++)
		held += fh_map_lookup(map, key(which)) != NULL;
	fh_rcu_read_unlock();
	lookup(LOOKUP_A);
	lookup(LOOKUP_B);
	return held;
}

/*
 * What a word says of how many it holds decides what is allocated; and when
 * all have been installed, all have been counted.
 */
static void check_words(struct table *table)
{
	size_t i, installed = 0;

	for (i = 0; i < table_buckets(table); i++) {
		word w = load_relaxed(&table->word[i]);
		struct live live = live_begin(w);
		unsigned count = 0;

		while (w != UNINIT && live_next(&live))
			count++;
		expect(w == UNINIT || count == live_count(w),
		       "word %zu counts %u entries, and has %u", i,
		       live_count(w), count);
		installed += w != UNINIT;
	}
	expect(installed < table_buckets(table) || table_complete(table),
	       "all words are installed, and the migration never ends");
}

static void finish(void)
{
	size_t held = look_up_all(), released = 0;
	unsigned i;

	expect(linearizable(step, &initial, sizeof(initial)),
	       "the history is not linearizable");
	expect(fh_map_count(map) == held, "the count is %zu, not %zu",
	       fh_map_count(map), held);
	check_words(root());
	fh_map_destroy(map, count_and_free, &released);
	expect(released == held, "%zu entries were left, not %zu", released,
	       held);
	for (i = 0; i < ACTORS; i++)
		free(fresh[i]);
}

#endif
