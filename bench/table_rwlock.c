/* SPDX-License-Identifier: MIT */
/* rwlock: the table of open.h behind a readers-writer lock of pthread. */
#define PEER_FREES "rwlock"

#include "open.h"

#define TABLE_WATCH 1

const unsigned subject_threads = BENCH_THREADS;

static struct open table;
static BENCH_APART pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

static void table_create(void)
{
	peer_begin();
	open_init(&table, OPEN_LOG2_MIN);
}

static void table_destroy(void)
{
	open_destroy(&table);
}

static inline uint64_t table_look(table_key key)
{
	struct object *object;
	uint64_t one;

	pthread_rwlock_rdlock(&lock);
	object = open_lookup(&table, key);
	one = object ? object->one : 0;
	pthread_rwlock_unlock(&lock);
	return one;
}

static inline bool table_insert(struct object *object)
{
	bool inserted;

	pthread_rwlock_wrlock(&lock);
	inserted = open_insert(&table, object);
	pthread_rwlock_unlock(&lock);
	return inserted;
}

static inline bool table_discard(table_key key)
{
	struct object *object;

	pthread_rwlock_wrlock(&lock);
	object = open_remove(&table, key);
	pthread_rwlock_unlock(&lock);
	free(object);
	return object != NULL;
}

#include "map_peer.h"
