/* SPDX-License-Identifier: MIT */
/* open: the limit, see open.h; one thread, and nothing to wait for. */
#define PEER_FREES "open"

#include "open.h"

#define TABLE_WATCH 0

const unsigned subject_threads = 1;

static struct open table;

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
	struct object *object = open_lookup(&table, key);

	return object ? object->one : 0;
}

static inline bool table_insert(struct object *object)
{
	return open_insert(&table, object);
}

static inline bool table_discard(table_key key)
{
	struct object *object = open_remove(&table, key);

	free(object);
	return object != NULL;
}

#include "map_peer.h"
