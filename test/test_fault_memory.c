/* SPDX-License-Identifier: MIT */
/*
 * faults: large pieces of memory cannot be had, while small ones can: that is
 * how mmap fails.  First allocations beyond some size fail, for all threads
 * at once; then address space really ends, in a child.  (test_oom.c and its
 * kin let each single allocation fail.)
 *
 * What would be seen if the library were wrong: an entry that was put in
 * before the growth that failed is lost, or one whose insertion failed is
 * there; a removal fails; the table does not go on when there is memory
 * again, or has not counted what it put off.
 */
#include <sys/resource.h>

#include "allocator.h"
#include "faults.h"
#include "house.h"

static tally largest = SIZE_MAX, refused;

static int allocation_fails(enum allocation how, size_t size)
{
	(void)how;
	/* What the test itself puts in is always there to be had. */
	if (size <= load_seq_cst(&largest) || size == sizeof(struct item))
		return 0;
	add_seq_cst(&refused, 1);
	return 1;
}

/* ---- one thread: each entry is in or out ---- */

/* Insert up to @count numbers; returns how many were refused. */
static uint64_t insert_many(struct fh_map *map, uint64_t count, char *in)
{
	uint64_t key, missing = 0;
	struct item *item;
	int rc;

	for (key = 0; key < count; key++) {
		if (in[key])
			continue;
		item = item_u64(key, key + 1);
		rc = fh_map_insert(map, &item->entry, NULL);
		in[key] = rc == 0;
		if (rc == 0)
			continue;
		missing += rc == -ENOMEM ? 1 : 1000000;
		free(item);
	}
	return missing;
}

static uint64_t strays(const struct fh_map *map, uint64_t count,
		       const char *in)
{
	uint64_t key, wrong = 0;

	for (key = 0; key < count; key++)
		wrong += id_at(map, fh_key_u64(key)) != (in[key] ? key + 1 : 0);
	return wrong;
}

static uint64_t remove_many(struct fh_map *map, uint64_t count, char *in)
{
	struct fh_map_entry *out;
	uint64_t key, wrong = 0;

	for (key = 0; key < count; key++) {
		if (!in[key])
			continue;
		if (fh_map_remove(map, fh_key_u64(key), &out))
			wrong++;
		else
			item_retire(out);
		in[key] = 0;
	}
	return wrong;
}

#define MANY 20000

static void test_no_growth(uint64_t bytes)
{
	char *in = calloc(1, MANY);
	struct fh_map *map = map_new(NULL);
	struct fh_map_stats stats;
	uint64_t missing;

	is(insert_many(map, 1000, in), 0, "1000 numbers; then no more than %"
	   PRIu64 " bytes at once", bytes);
	store_seq_cst(&largest, bytes);
	missing = insert_many(map, MANY, in);
	stats = map_stats(map);
	ok(missing < MANY, "%d more, of which %" PRIu64 " were refused", MANY -
	   1000, missing);
	ok(refused > 0 && stats.deferred > 0, "growth was put off %" PRIu64
	   " times", stats.deferred);
	is(strays(map, MANY, in), 0, "each is in or out, as was said");
	is(fh_map_count(map), MANY - missing, "so says the count");
	ok(fh_map_settle(map) == 0 || fh_map_settle(map) == -ENOMEM,
	   "settling succeeds or says why not");
	is(remove_many(map, 500, in), 0, "no removal fails");
	is(strays(map, MANY, in), 0, "and all the others are there");
	store_seq_cst(&largest, SIZE_MAX);
	is(insert_many(map, MANY, in), 0, "with memory all go in");
	is(fh_map_settle(map), 0, "it settles");
	ok(map_stats(map).buckets > stats.buckets, "and has grown from %"
	   PRIu64 " to %" PRIu64, stats.buckets, map_stats(map).buckets);
	is(strays(map, MANY, in), 0, "nothing is lost");
	is(remove_many(map, MANY, in), 0, "all come out");
	fh_map_destroy(map, NULL, NULL);
	is(drain(), 0, "drain");
	free(in);
}

/* ---- all rooms, while memory comes and goes ---- */

static void ebb_and_flow(struct house *house)
{
	static const size_t size[] = { 4096, SIZE_MAX, 1024, SIZE_MAX, 0,
				       SIZE_MAX };
	int64_t until = fh_deadline_in(20 * SECONDS);
	size_t i, tides = scaled(100, 20);

	for (i = 0; i < tides || (!refused && fh_now() < until); i++) {
		store_seq_cst(&largest, size[i % 6]);
		sleep_ns(MS);
	}
	store_seq_cst(&largest, SIZE_MAX);
	store_seq_cst(&house->stop, 1);
}

static void test_tides(void)
{
	struct house house;
	struct crew crew;

	house_open(&house, 500, 0);
	house.scarce = 1;
	refused = 0;
	crew_start(&crew, 4, house_live, &house);
	ebb_and_flow(&house);
	crew_join(&crew);
	ok(refused > 0, "%" PRIu64 " times there was no memory", (uint64_t)
	   refused);
	is(house_wrong(&house), 0, "the books balance, %" PRIu64
	   " operations, %" PRIu64 " refused", (uint64_t)house.done,
	   (uint64_t)house.refused);
	house_close(&house);
	is(drain(), 0, "drain");
}

/* ---- really: the end of the address space ---- */

#define MOST 100000

static uint64_t space_in_use(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (file && fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t take_out(struct fh_map *map, uint64_t count, char *in)
{
	struct fh_map_entry *out;
	uint64_t key, wrong = 0;

	for (key = 0; key < count; key++) {
		if (in[key] && fh_map_remove(map, fh_key_u64(key), &out))
			wrong++;
		in[key] = 0;
	}
	return wrong;
}

/* The entries are there before, so that only the table wants more. */
static int no_space(void)
{
	static struct item items[MOST];
	static char in[MOST];
	struct fh_map *map = map_new(NULL);
	uint64_t key, missing = 0;
	struct rlimit limit;
	int rc;

	if (getrlimit(RLIMIT_AS, &limit))
		return 9;
	/* Enough for most of them: the mutex build crawls when it is full. */
	limit.rlim_cur = space_in_use() + ((uint64_t)(LOCK_FREE ? 3 : 5) << 20);
	if (setrlimit(RLIMIT_AS, &limit))
		return 9;
	for (key = 0; key < MOST; key++) {
		items[key].entry.key = fh_key_u64(key);
		items[key].id = key + 1;
		rc = fh_map_insert(map, &items[key].entry, NULL);
		if (rc && rc != -ENOMEM)
			return 1;
		in[key] = rc == 0;
		missing += rc != 0;
	}
	if (!missing && !map_stats(map).deferred)
		return 2;	/* the limit did not bite */
	if (strays(map, MOST, in) || fh_map_count(map) != MOST - missing)
		return 3;	/* something is lost, or half there */
	if (take_out(map, MOST / 2, in) || strays(map, MOST, in))
		return 4;	/* a removal failed */
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_AS, &limit))
		return 9;
	for (; key-- > MOST / 2; in[key] = 1)
		if (!in[key] && fh_map_insert(map, &items[key].entry, NULL))
			return 5;	/* it does not go on */
	if (fh_map_settle(map) || strays(map, MOST, in))
		return 6;
	return map_stats(map).buckets < MOST / 2;
}

int main(void)
{
	watchdog(120);
	/* First, because malloc sets space aside for each thread. */
	if (SANITIZED)
		skip("a sanitizer needs all the address space there is");
	else
		is(in_child(no_space), 0, "the end of the address space");
	test_no_growth(32768);
	test_no_growth(200000); /* a table of its own map */
	test_tides();
	return done_testing();
}
