/* SPDX-License-Identifier: MIT */
/*
 * map: random histories, each step compared with a plain array, for good
 * and for bad hash functions; and tables whose keys all have one hash.
 */
#include <freehold/map.h>

#include <errno.h>

#include "items.h"
#include "tap.h"

#define KEYS 8192

struct model {
	struct fh_map *map;
	struct item *present[KEYS];
	size_t count, wrong;
	uint64_t next_id, random;
	unsigned char visited[KEYS];
};

static void expect(struct model *model, int holds)
{
	model->wrong += !holds;
}

static struct item *fresh(struct model *model, uint64_t key)
{
	return item_u64(key, ++model->next_id);
}

static void try_insert(struct model *model, uint64_t key)
{
	struct item *item = fresh(model, key), *there = model->present[key];
	struct fh_map_entry *present = NULL;
	int rc;

	fh_rcu_read_lock();
	rc = fh_map_insert(model->map, &item->entry, &present);
	fh_rcu_read_unlock();
	expect(model, rc == (there ? -EEXIST : 0));
	expect(model, present == (there ? &there->entry : NULL));
	if (rc) {
		free(item);
	} else {
		model->present[key] = item;
		model->count++;
	}
}

static void try_remove(struct model *model, uint64_t key)
{
	struct item *there = model->present[key];
	struct fh_map_entry *removed = NULL;
	int rc = fh_map_remove(model->map, fh_key_u64(key), &removed);

	expect(model, rc == (there ? 0 : -ENOENT));
	if (rc)
		return;
	expect(model, removed == &there->entry);
	item_retire(removed);
	model->present[key] = NULL;
	model->count--;
}

static void try_remove_entry(struct model *model, uint64_t key)
{
	struct item *there = model->present[key];

	if (!there)
		return;
	expect(model, fh_map_remove_entry(model->map, &there->entry) == 0);
	expect(model, fh_map_remove_entry(model->map, &there->entry) ==
			      -ENOENT);
	item_retire(&there->entry);
	model->present[key] = NULL;
	model->count--;
}

static void try_put(struct model *model, uint64_t key)
{
	struct item *item = fresh(model, key), *there = model->present[key];
	struct fh_map_entry *old = &item->entry;

	expect(model, fh_map_put(model->map, &item->entry, &old) == 0);
	expect(model, old == (there ? &there->entry : NULL));
	if (there)
		item_retire(old);
	else
		model->count++;
	model->present[key] = item;
}

static void try_replace(struct model *model, uint64_t key, int this_entry)
{
	struct item *item = fresh(model, key), *there = model->present[key];
	struct fh_map_entry *old = NULL;
	int rc;

	if (!there)
		rc = fh_map_replace(model->map, &item->entry, &old);
	else if (this_entry)
		rc = fh_map_replace_entry(model->map, old = &there->entry,
					  &item->entry);
	else
		rc = fh_map_replace(model->map, &item->entry, &old);
	expect(model, rc == (there ? 0 : -ENOENT));
	if (rc) {
		free(item);
		return;
	}
	expect(model, old == &there->entry);
	item_retire(old);
	model->present[key] = item;
}

static void try_lookups(struct model *model)
{
	struct fh_map_entry *found[8];
	struct fh_key keys[8];
	struct item *there;
	unsigned i;

	for (i = 0; i < 8; i++)
		keys[i] = fh_key_u64(random_below(&model->random, KEYS));
	fh_rcu_read_lock();
	fh_map_lookup_batch(model->map, keys, 8, found);
	for (i = 0; i < 8; i++) {
		there = model->present[keys[i].word[0]];
		expect(model, found[i] == (there ? &there->entry : NULL));
		expect(model, fh_map_lookup(model->map, keys[i]) == found[i]);
	}
	fh_rcu_read_unlock();
}

static int mark(struct fh_map_entry *entry, void *arg)
{
	struct model *model = arg;
	uint64_t key = entry->key.word[0];

	expect(model, key < KEYS && model->present[key] == item_of(entry));
	model->visited[key % KEYS]++;
	return 0;
}

static void compare_all(struct model *model)
{
	struct fh_map_cursor cursor = { 0 };
	struct item *there;
	uint64_t key;
	size_t budget = random_below(&model->random, 50), visited = 0;

	memset(model->visited, 0, sizeof(model->visited));
	while (!cursor.done)
		visited += fh_map_walk(model->map, &cursor, budget, mark,
				       model);
	expect(model, visited == model->count);
	expect(model, fh_map_count(model->map) == model->count);
	for (key = 0; key < KEYS; key++) {
		there = model->present[key];
		expect(model, model->visited[key] == (there != NULL));
		expect(model, id_at(model->map, fh_key_u64(key)) ==
				      (there ? there->id : 0));
	}
}

/* One random step; the more @bias, the more it adds. */
static void step(struct model *model, unsigned bias)
{
	uint64_t key = random_below(&model->random, KEYS);

	if (random_below(&model->random, 100) < bias) {
		if (random_below(&model->random, 4))
			try_insert(model, key);
		else
			try_put(model, key);
	} else if (random_below(&model->random, 4)) {
		if (random_below(&model->random, 2))
			try_remove(model, key);
		else
			try_remove_entry(model, key);
	} else {
		try_replace(model, key, (int)random_below(&model->random, 2));
	}
}

/* Grows beyond @most entries and shrinks to none, again and again. */
static void test_history(uint64_t (*hash)(struct fh_key), size_t most,
			 const char *name)
{
	struct fh_map_options options = { .hash = hash };
	struct model *model = calloc(1, sizeof(*model));
	size_t i, steps = scaled(200000, 8000), released = 0;
	unsigned bias = 80;

	if (!model)
		bail_out("no memory");
	model->map = map_new(&options);
	model->random = random_seed(7);
	for (i = 0; i < steps; i++) {
		if (model->count > most)
			bias = 8;
		else if (model->count < 20)
			bias = 80;
		step(model, bias);
		if (i % 16 == 0)
			try_lookups(model);
		if (i % 4999 == 0)
			compare_all(model);
		if (i % 9973 == 0)
			expect(model, fh_map_settle(model->map) == 0);
	}
	compare_all(model);
	is(model->wrong, 0, "%s: %zu random steps", name, steps);
	fh_map_destroy(model->map, item_release, &released);
	is(released, model->count, "%s: all entries come back", name);
	free(model);
}

/* ---- all keys of one hash ---- */

static void shuffle(uint64_t *keys, size_t count)
{
	uint64_t random = random_seed(3), key;
	size_t i, j;

	for (i = count - 1; i; i--) {
		j = random_below(&random, i + 1);
		key = keys[i];
		keys[i] = keys[j];
		keys[j] = key;
	}
}

/* Each key must be found by itself, whoever shares its bucket. */
static void test_colliding(uint64_t (*hash)(struct fh_key), const char *name)
{
	struct fh_map_options options = { .hash = hash };
	struct fh_map *map = map_new(&options);
	size_t i, wrong = 0, count = scaled(1000, 200), released = 0;
	uint64_t *keys = malloc(count * sizeof(*keys));
	struct fh_map_entry *old;

	if (!keys)
		bail_out("no memory");
	for (i = 0; i < count; i++) {
		keys[i] = i;
		wrong += fh_map_insert(map, &item_u64(i, i + 1)->entry,
				       NULL) != 0;
	}
	for (i = 0; i < count; i++)
		wrong += id_at(map, fh_key_u64(i)) != i + 1;
	wrong += id_at(map, fh_key_u64(count)) != 0;
	is(wrong, 0, "%s: %zu entries found", name, count);
	shuffle(keys, count);
	for (i = 0; i < count / 2; i++) {
		wrong += fh_map_remove(map, fh_key_u64(keys[i]), &old) != 0;
		wrong += item_of(old)->id != keys[i] + 1;
		item_retire(old);
	}
	for (i = count / 2; i < count; i++) {
		wrong += fh_map_replace(map, &item_u64(keys[i], keys[i] +
			2000)->entry, &old) != 0;
		wrong += item_of(old)->id != keys[i] + 1;
		item_retire(old);
	}
	for (i = 0; i < count; i++)
		wrong += id_at(map, fh_key_u64(keys[i])) !=
			 (i < count / 2 ? 0 : keys[i] + 2000);
	is(wrong, 0, "%s: half removed, half replaced", name);
	is(fh_map_count(map), count - count / 2, "%s: count", name);
	/* Colliding keys must not grow the table for ever. */
	ok(map_stats(map).buckets <= 16 * count, "%s: %" PRIu64 " buckets",
	   name, map_stats(map).buckets);
	fh_map_destroy(map, item_release, &released);
	is(released, count - count / 2, "%s: the rest comes back", name);
	free(keys);
}

int main(void)
{
	watchdog(120);
	test_history(NULL, 5000, "seeded hash");
	test_history(hash_few, 5000, "61 hashes");
	test_history(hash_plain, 500, "hashes that no bucket divides");
	test_colliding(hash_equal, "one hash");
	test_colliding(hash_ones, "the last hash");
	test_colliding(hash_low, "equal upper bits");
	is(drain(), 0, "drain");
	return done_testing();
}
