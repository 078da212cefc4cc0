/* SPDX-License-Identifier: MIT */
/*
 * map: the contract of each operation, one thread, for the three kinds of
 * keys.  Walks, batches and statistics are in test_map_walk.c, colliding
 * hashes and random histories in test_map_model.c.
 */
#include <freehold/map.h>

#include <errno.h>

#include "items.h"
#include "tap.h"

static const char *const kind_names[] = { "numbers", "pairs", "bytes" };

/* Keys that a careless comparison or hash would take for one another. */
static struct fh_key nth_key(enum fh_key_kind kind, unsigned n)
{
	static const uint64_t number[] = { 0, 1, UINT64_MAX,
					   UINT64_C(1) << 32 };
	static const uint64_t pair[][2] = { { 1, 2 }, { 2, 1 }, { 1, 1 },
					    { 0, 0 } };
	static const char bytes[] = "a\0b\0a";

	switch (kind) {
	case FH_KEYS_U64:
		return fh_key_u64(number[n]);
	case FH_KEYS_PAIR:
		return fh_key_pair(pair[n][0], pair[n][1]);
	default:
		return fh_key_bytes(bytes, n);
	}
}

static void test_insert(struct fh_map *map, enum fh_key_kind kind)
{
	const char *name = kind_names[kind];
	struct fh_map_entry *present;
	struct item *item;
	unsigned n, wrong = 0;

	for (n = 0; n < 4; n++)
		wrong += id_at(map, nth_key(kind, n)) != 0;
	is(wrong, 0, "%s: an empty table has no key", name);
	for (n = 0; n < 4; n++) {
		item = item_new(nth_key(kind, n), n + 1);
		present = &item->entry;
		wrong += fh_map_insert(map, &item->entry, &present) != 0;
		wrong += present != NULL;
		wrong += fh_map_count(map) != n + 1;
	}
	is(wrong, 0, "%s: insert four keys", name);
	for (n = 0; n < 4; n++)
		wrong += id_at(map, nth_key(kind, n)) != n + 1;
	is(wrong, 0, "%s: each is found", name);
	item = item_new(nth_key(kind, 2), 99);
	fh_rcu_read_lock();
	is(fh_map_insert(map, &item->entry, &present), -EEXIST,
	   "%s: the key is there", name);
	ok(present && item_of(present)->id == 3, "%s: and so is who has it",
	   name);
	fh_rcu_read_unlock();
	is(fh_map_insert(map, &item->entry, NULL), -EEXIST,
	   "%s: nobody has to ask who", name);
	is(id_at(map, nth_key(kind, 2)), 3, "%s: it stays", name);
	is(fh_map_count(map), 4, "%s: and the count", name);
	free(item);
}

static void test_remove(struct fh_map *map, enum fh_key_kind kind)
{
	const char *name = kind_names[kind];
	struct fh_map_entry *removed = NULL;
	struct item *item, *stranger;

	is(fh_map_remove(map, nth_key(kind, 1), &removed), 0, "%s: remove",
	   name);
	ok(removed && item_of(removed)->id == 2, "%s: the entry comes out",
	   name);
	is(id_at(map, nth_key(kind, 1)), 0, "%s: it is gone", name);
	is(fh_map_count(map), 3, "%s: the count knows", name);
	is(fh_map_remove_entry(map, removed), -ENOENT,
	   "%s: not in the table any more", name);
	item_retire(removed);
	is(fh_map_remove(map, nth_key(kind, 1), &removed), -ENOENT,
	   "%s: removed once", name);

	item = item_new(nth_key(kind, 1), 20);
	stranger = item_new(nth_key(kind, 1), 21);
	is(fh_map_insert(map, &item->entry, NULL), 0, "%s: insert it again",
	   name);
	stranger->entry.hash = item->entry.hash;
	is(fh_map_remove_entry(map, &stranger->entry), -ENOENT,
	   "%s: another entry of the key is not this one", name);
	is(id_at(map, nth_key(kind, 1)), 20, "%s: which stays", name);
	is(fh_map_remove_entry(map, &item->entry), 0,
	   "%s: remove this very entry", name);
	is(fh_map_remove_entry(map, &item->entry), -ENOENT, "%s: once", name);
	is(id_at(map, nth_key(kind, 1)), 0, "%s: gone", name);
	item_retire(&item->entry);
	free(stranger);
}

static void test_put(struct fh_map *map, enum fh_key_kind kind)
{
	const char *name = kind_names[kind];
	struct item *first = item_new(nth_key(kind, 1), 30);
	struct item *second = item_new(nth_key(kind, 1), 31);
	struct item *third = item_new(nth_key(kind, 1), 32);
	struct fh_map_entry *old = &first->entry;

	is(fh_map_replace(map, &first->entry, &old), -ENOENT,
	   "%s: nothing to replace", name);
	is(id_at(map, nth_key(kind, 1)), 0, "%s: nothing inserted", name);
	is(fh_map_put(map, &first->entry, &old), 0, "%s: put", name);
	ok(!old, "%s: nothing was there", name);
	is(fh_map_put(map, &second->entry, &old), 0, "%s: put again", name);
	ok(old == &first->entry, "%s: the old entry comes out", name);
	item_retire(old);
	is(id_at(map, nth_key(kind, 1)), 31, "%s: the new is there", name);
	is(fh_map_replace(map, &third->entry, &old), 0, "%s: replace", name);
	ok(old == &second->entry, "%s: the old entry comes out", name);
	item_retire(old);
	is(id_at(map, nth_key(kind, 1)), 32, "%s: the new is there", name);
	is(fh_map_count(map), 4, "%s: the count is the same", name);
}

static void test_replace_entry(struct fh_map *map, enum fh_key_kind kind)
{
	const char *name = kind_names[kind];
	struct item *next = item_new(nth_key(kind, 1), 40);
	struct item *other = item_new(nth_key(kind, 2), 41);
	struct item *last = item_new(nth_key(kind, 1), 42);
	struct fh_map_entry *old;

	fh_rcu_read_lock();
	old = fh_map_lookup(map, nth_key(kind, 1));
	is(fh_map_replace_entry(map, old, &other->entry), -EINVAL,
	   "%s: of another key", name);
	is(fh_map_replace_entry(map, old, &next->entry), 0,
	   "%s: replace this very entry", name);
	is(fh_map_replace_entry(map, old, &last->entry), -ENOENT,
	   "%s: it is not in the table any more", name);
	is(fh_map_remove_entry(map, old), -ENOENT,
	   "%s: to be removed neither", name);
	fh_rcu_read_unlock();
	item_retire(old);
	is(id_at(map, nth_key(kind, 1)), 40, "%s: the new is there", name);
	is(id_at(map, nth_key(kind, 2)), 3, "%s: the other as it was", name);
	is(fh_map_count(map), 4, "%s: the count is the same", name);
	free(other);
	free(last);
}

static void test_kind(enum fh_key_kind kind)
{
	struct fh_map_options options = { .keys = kind };
	struct fh_map *map = map_new(&options);
	size_t released = 0;

	test_insert(map, kind);
	test_remove(map, kind);
	test_put(map, kind);
	test_replace_entry(map, kind);
	fh_map_destroy(map, item_release, &released);
	is(released, 4, "%s: destroy releases what is left", kind_names[kind]);
}

/* A table that kept or compared the pointer would not find these. */
static void test_bytes(void)
{
	struct fh_map_options options = { .keys = FH_KEYS_BYTES };
	struct fh_map *map = map_new(&options);
	size_t length, wrong = 0, longest = 400;
	char *text = malloc(100000), *copy = malloc(100000);

	if (!text || !copy)
		bail_out("no memory");
	memset(text, 'x', 100000);
	memcpy(copy, text, 100000);
	for (length = 0; length < longest; length++)
		wrong += fh_map_insert(map, &item_new(fh_key_bytes(
			text, length), length + 1)->entry, NULL) != 0;
	wrong += fh_map_insert(map, &item_new(fh_key_bytes(text, 100000),
					      7777)->entry, NULL) != 0;
	for (length = 0; length < longest; length++)
		wrong += id_at(map, fh_key_bytes(copy, length)) != length + 1;
	is(wrong, 0, "prefixes of one text are different keys");
	is(id_at(map, fh_key_bytes(copy, 100000)), 7777, "a long key");
	copy[99999] = 'y';
	is(id_at(map, fh_key_bytes(copy, 100000)), 0,
	   "whose last byte counts");
	copy[3] = 0;
	is(id_at(map, fh_key_bytes(copy, 10)), 0, "a zero in the middle");
	is(id_at(map, fh_key_string(copy)), 4, "a string ends before it");
	is(id_at(map, fh_key_string("")), 1, "the empty string");
	is(id_at(map, fh_key_bytes(NULL, 0)), 1, "wherever it lies");
	memmove(copy, text, 17);
	is(id_at(map, fh_key_bytes(copy + 1, 16)), 17, "at an odd address");
	fh_map_destroy(map, item_release, NULL);
	free(text);
	free(copy);
}

static void test_options(void)
{
	struct fh_map_options options = { .keys = (enum fh_key_kind)3 };
	struct fh_map *map = NULL;

	is(fh_map_create(&map, &options), -EINVAL, "no such kind of keys");
	options.keys = FH_KEYS_U64;
	options.expected = SIZE_MAX;
	is(fh_map_create(&map, &options), -EOVERFLOW,
	   "room for too many entries");
	options.expected = 0;
	is(fh_map_create(&map, &options), 0, "zero bytes are the defaults");
	fh_map_destroy(map, NULL, NULL);
	is(fh_map_create(&map, NULL), 0, "and so is NULL");
	is(fh_map_count(map), 0, "an empty table");
	fh_map_destroy(map, NULL, NULL);
	fh_map_destroy(NULL, NULL, NULL);
	ok(1, "destroying no table does nothing");
}

/* Without tags a word holds any aligned address. */
#ifdef FH_MAP_TAGS
#define HIGH_BIT (FH_MAP_TAGS ? (uintptr_t)1 << 60 : (uintptr_t)1)
#else
#define HIGH_BIT ((uintptr_t)1 << 60)
#endif

/* The words have no room for such addresses: the table must not cut them. */
static void test_addresses(void)
{
	struct fh_map *map = map_new(NULL);
	_Alignas(16) char bytes[sizeof(struct item) + 16];
	struct fh_map_entry *old, *odd = (void *)(bytes + 4);
	struct fh_map_entry *high = (void *)((uintptr_t)bytes | HIGH_BIT);
	struct item *item = item_u64(0, 5);

	memset(bytes, 0, sizeof(bytes));
	is(fh_map_insert(map, odd, NULL), -EFAULT, "a misaligned entry");
	is(fh_map_insert(map, high, NULL), -EFAULT, "an address too high");
	is(fh_map_put(map, odd, &old), -EFAULT, "to put");
	is(fh_map_put(map, high, &old), -EFAULT, "to put");
	is(fh_map_count(map), 0, "nothing went in");
	fh_map_insert(map, &item->entry, NULL);
	is(fh_map_replace(map, odd, &old), -EFAULT, "to replace");
	is(fh_map_replace(map, high, &old), -EFAULT, "to replace");
	is(fh_map_replace_entry(map, &item->entry, odd), -EFAULT,
	   "to replace this entry");
	is(fh_map_replace_entry(map, &item->entry, high), -EFAULT,
	   "to replace this entry");
	is(id_at(map, fh_key_u64(0)), 5, "nothing was replaced");
	fh_map_destroy(map, item_release, NULL);
}

/* A fixed table keeps its buckets, and finds everything nevertheless. */
static void test_fixed(void)
{
	struct fh_map_options options = { .expected = 64, .fixed = 1 };
	struct fh_map *map = map_new(&options);
	uint64_t key, buckets = map_stats(map).buckets, wrong = 0;
	struct fh_map_entry *removed;

	for (key = 0; key < 3000; key++)
		wrong += fh_map_insert(map, &item_u64(key, key + 1)->entry,
				       NULL) != 0;
	is(fh_map_settle(map), 0, "settle");
	for (key = 0; key < 3000; key++)
		wrong += id_at(map, fh_key_u64(key)) != key + 1;
	is(wrong, 0, "3000 entries in a fixed table");
	is(map_stats(map).grown, 0, "it has not grown");
	is(map_stats(map).buckets, buckets, "its buckets are as before");
	for (key = 0; key < 3000; key++) {
		wrong += fh_map_remove(map, fh_key_u64(key), &removed) != 0;
		item_retire(removed);
	}
	is(wrong, 0, "all removed");
	is(map_stats(map).shrunk, 0, "it has not shrunk");
	fh_map_destroy(map, NULL, NULL);
}

static void test_expected(void)
{
	struct fh_map_options options = { .expected = 20000 };
	struct fh_map *map = map_new(&options);
	uint64_t key, buckets = map_stats(map).buckets, wrong = 0;
	struct fh_map_entry *removed;

	for (key = 0; key < 20000; key++)
		wrong += fh_map_insert(map, &item_u64(key, 1)->entry,
				       NULL) != 0;
	is(wrong, 0, "as many entries as expected");
	is(map_stats(map).grown, 0, "fit without growing");
	for (key = 0; key < 20000; key++) {
		wrong += fh_map_remove(map, fh_key_u64(key), &removed) != 0;
		item_retire(removed);
	}
	is(fh_map_settle(map), 0, "settle the empty table");
	is(wrong, 0, "all removed");
	is(map_stats(map).buckets, buckets, "it keeps that room");
	fh_map_destroy(map, NULL, NULL);
}

int main(void)
{
	watchdog(120);
	test_options();
	test_kind(FH_KEYS_U64);
	test_kind(FH_KEYS_PAIR);
	test_kind(FH_KEYS_BYTES);
	test_bytes();
	test_addresses();
	test_fixed();
	test_expected();
	is(drain(), 0, "drain");
	return done_testing();
}
