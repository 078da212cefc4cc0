/* SPDX-License-Identifier: MIT */
/*
 * ck: Concurrency Kit's ck_ht with numbers as keys.
 *
 * It is made for readers beside one writer.  So that cases with several
 * writers run at all, a mutex makes one of them; lookups take no lock.  Its
 * other mode, for many removals, is on: without it tombstones pile up.  What
 * is removed, and every array that is outgrown, is freed by ck_epoch.
 *
 * 0 and the largest number mean something else to it.  All keys therefore
 * have their uppermost bit turned, which makes neither of any that we use.
 */
#include <ck_epoch.h>
#include <ck_ht.h>
#include <ck_malloc.h>

#define PEER_NODE table_key key; uint64_t unused_node[2];
#define PEER_RETIRED ck_epoch_entry_t retired;

#include "peer.h"

#define TABLE_WATCH 1

/* The least that it takes; it grows from there. */
#define FIRST_CAPACITY 8

/* How often a thread asks whether what it retired can be freed. */
#define POLL_EACH 64

const unsigned subject_threads = BENCH_THREADS;

static ck_epoch_t epoch;
static __thread ck_epoch_record_t *record;
static __thread unsigned retirements;

static ck_ht_t table;
static BENCH_APART pthread_mutex_t writer = PTHREAD_MUTEX_INITIALIZER;

/* In front of each array, so that readers may finish with an old one. */
struct array {
	ck_epoch_entry_t retired;
	uint64_t words[];
};

const char *subject_name(void)
{
	return "ck";
}

void subject_describe(void)
{
}

static void begin_epoch(void)
{
	ck_epoch_init(&epoch);
}

/* Records are never given back; threads that end leave theirs for others. */
void subject_enter(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, begin_epoch);
	record = ck_epoch_recycle(&epoch, NULL);
	if (record)
		return;
	record = aligned_alloc(CK_MD_CACHELINE, sizeof(*record));
	if (!record)
		bench_die("no memory for a thread's record");
	ck_epoch_register(&epoch, record, NULL);
}

void subject_leave(void)
{
	ck_epoch_barrier(record);
	ck_epoch_unregister(record);
}

/* Every thread that has left has waited for its own. */
void subject_drain(void)
{
	ck_epoch_barrier(record);
}

static void free_array(ck_epoch_entry_t *entry)
{
	free((char *)entry - offsetof(struct array, retired));
}

static void *array_malloc(size_t bytes)
{
	struct array *array = bench_alloc(sizeof(*array) + bytes);

	return array->words;
}

static void array_free(void *words, size_t bytes, bool defer)
{
	struct array *array = (struct array *)((char *)words -
					       offsetof(struct array, words));

	(void)bytes;
	if (defer)
		ck_epoch_call(record, &array->retired, free_array);
	else
		free(array);
}

static struct ck_malloc allocator = {
	.malloc = array_malloc, .free = array_free,
};

static void hash(ck_ht_hash_t *to, const void *key, size_t length,
		 uint64_t seed)
{
	(void)length;
	(void)seed;
	to->value = peer_hash(*(const table_key *)key);
}

static inline uintptr_t own_key_of(table_key key)
{
	return key ^ UINT64_C(1) << 63;
}

static void table_create(void)
{
	peer_begin();
	if (!ck_ht_init(&table, CK_HT_MODE_DIRECT | CK_HT_WORKLOAD_DELETE,
			hash, &allocator, FIRST_CAPACITY, 0))
		bench_die("no table");
}

static void table_destroy(void)
{
	ck_ht_iterator_t iterator = CK_HT_ITERATOR_INITIALIZER;
	ck_ht_entry_t *entry;

	while (ck_ht_next(&table, &iterator, &entry))
		free((void *)ck_ht_entry_value_direct(entry));
	ck_ht_destroy(&table);
}

static inline uint64_t table_look(table_key key)
{
	uintptr_t own_key = own_key_of(key);
	ck_ht_entry_t entry;
	uint64_t one = 0;
	ck_ht_hash_t h;

	ck_ht_hash_direct(&h, &table, own_key);
	ck_ht_entry_key_set_direct(&entry, own_key);
	ck_epoch_begin(record, NULL);
	if (ck_ht_get_spmc(&table, h, &entry))
		one = ((struct object *)ck_ht_entry_value_direct(&entry))->one;
	ck_epoch_end(record, NULL);
	return one;
}

static inline bool table_insert(struct object *object)
{
	uintptr_t own_key = own_key_of(object->key);
	ck_ht_entry_t entry;
	ck_ht_hash_t h;
	bool inserted;

	ck_ht_hash_direct(&h, &table, own_key);
	ck_ht_entry_set_direct(&entry, h, own_key, (uintptr_t)object);
	pthread_mutex_lock(&writer);
	inserted = ck_ht_put_spmc(&table, h, &entry);
	pthread_mutex_unlock(&writer);
	return inserted;
}

static void reclaim(ck_epoch_entry_t *entry)
{
	free((char *)entry - offsetof(struct object, retired));
}

static void retire(struct object *object)
{
	ck_epoch_call(record, &object->retired, reclaim);
	if (++retirements % POLL_EACH == 0)
		ck_epoch_poll(record);
}

static inline bool table_discard(table_key key)
{
	uintptr_t own_key = own_key_of(key);
	ck_ht_entry_t entry;
	ck_ht_hash_t h;
	bool removed;

	ck_ht_hash_direct(&h, &table, own_key);
	ck_ht_entry_key_set_direct(&entry, own_key);
	pthread_mutex_lock(&writer);
	removed = ck_ht_remove_spmc(&table, h, &entry);
	pthread_mutex_unlock(&writer);
	if (removed)
		retire((struct object *)ck_ht_entry_value_direct(&entry));
	return removed;
}

#include "map_peer.h"
