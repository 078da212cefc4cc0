/* SPDX-License-Identifier: MIT */
/*
 * map: a bucket with as many entries as it can hold, 32767 of one hash.
 *
 * What would be seen if the library were wrong: an entry too many makes the
 * word's count of removals run over its 15 bits, into the bit that says what
 * kind of block it is; what is left of that bucket is then read as something
 * else.  A refusal that is not one has changed the count, or keeps the entry.
 *
 * Each insertion copies the bucket, so that this takes ten seconds and cannot
 * be made smaller: brief runs leave it out.
 */
#include <freehold/freehold.h>

#include "items.h"
#include "tap.h"

#include <errno.h>

#define FULL UINT64_C(32767)	/* as map.h promises */
#define ELSEWHERE (UINT64_C(1) << 40)

static uint64_t hash_two(struct fh_key key)
{
	return key.word[0] & ELSEWHERE ? ~hash_equal(key) : hash_equal(key);
}

/* Copies of the block are as large as all the rest: not many at a time. */
static void drain_often(uint64_t i)
{
	if (i % 64 == 0)
		drain();
}

static uint64_t fill(struct fh_map *map)
{
	uint64_t key, failed = 0;

	for (key = 1; key <= FULL; key++) {
		failed += fh_map_insert(map, &item_u64(key, key)->entry,
					NULL) != 0;
		drain_often(key);
	}
	return failed;
}

static uint64_t not_found(struct fh_map *map)
{
	uint64_t key, missing = 0;

	for (key = 1; key <= FULL; key++)
		missing += id_at(map, fh_key_u64(key)) != key;
	return missing;
}

static void test_refusal(struct fh_map *map)
{
	struct item *extra = item_u64(FULL + 1, FULL + 1);
	struct fh_map_entry *there = &extra->entry;

	is(fh_map_insert(map, &extra->entry, &there), -E2BIG,
	   "one more is refused");
	ok(!there, "not because of another");
	there = &extra->entry;
	is(fh_map_put(map, &extra->entry, &there), -E2BIG, "put does the same");
	ok(!there, "and replaces nothing");
	is(fh_map_count(map), FULL, "the count stands");
	is(id_at(map, fh_key_u64(FULL + 1)), 0, "it is not there");
	is(not_found(map), 0, "the others are");
	free(extra);
}

static void test_room(struct fh_map *map)
{
	struct item *aside = item_u64(ELSEWHERE, 1);
	struct fh_map_entry *out;

	is(fh_map_insert(map, &aside->entry, NULL), 0,
	   "there is room in other buckets");
	is(fh_map_remove(map, fh_key_u64(ELSEWHERE), &out), 0, "as there was");
	item_retire(out);
	is(fh_map_put(map, &item_u64(7, 7)->entry, &out), 0,
	   "one of them is replaced");
	is(item_of(out)->id, 7, "by its like");
	item_retire(out);
	is(fh_map_remove(map, fh_key_u64(7), &out), 0, "one is taken out");
	item_retire(out);
	is(fh_map_insert(map, &item_u64(7, 7)->entry, NULL), 0,
	   "and there is room for one");
}

/* The count of removals comes to the last that it can hold. */
static void test_removals(struct fh_map *map)
{
	struct fh_map_entry *out;
	uint64_t key, wrong = 0;

	for (key = 1; key <= FULL; key++) {
		if (fh_map_remove(map, fh_key_u64(key), &out) ||
		    item_of(out)->id != key ||
		    item_of(out)->alive != ITEM_ALIVE)
			wrong++;
		else
			item_retire(out);
	}
	is(wrong, 0, "each comes out once");
	is(fh_map_count(map), 0, "none is left");
	is(fh_map_insert(map, &item_u64(7, 7)->entry, NULL), 0,
	   "another goes in where all have died");
	is(id_at(map, fh_key_u64(7)), 7, "and is found");
	is(id_at(map, fh_key_u64(8)), 0, "alone");
}

int main(void)
{
	const struct fh_map_options options = { .hash = hash_two };
	struct fh_map *map = map_new(&options);

	watchdog(240);
	if (RACES_ONLY || scale_percent() < 30) {
		skip("32767 entries of one hash: takes long");
		fh_map_destroy(map, NULL, NULL);
		return done_testing();
	}
	is(fill(map), 0, "%" PRIu64 " entries of one hash", FULL);
	is(map_stats(map).longest, FULL, "in one bucket");
	test_refusal(map);
	test_room(map);
	test_refusal(map);
	test_removals(map);
	is(drain(), 0, "drain");
	fh_map_destroy(map, item_release, NULL);
	return done_testing();
}
