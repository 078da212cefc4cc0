/* SPDX-License-Identifier: MIT */
/*
 * tbb: oneTBB's concurrent_hash_map.
 *
 * An accessor locks the element that it finds; the object's field is read
 * under it.  Whoever has removed an element frees its object at once: nobody
 * can have an accessor to it any more.
 */
#include <tbb/concurrent_hash_map.h>

#define PEER_FREES "tbb"
#define PEER_NODE table_key key; uint64_t unused_node[2];
#define PEER_RETIRED uint64_t unused_head[2];

#include "peer.h"

#define TABLE_WATCH 1

const unsigned subject_threads = BENCH_THREADS;

namespace {

struct hash_compare {
	std::size_t hash(const table_key &key) const
	{
		return peer_hash(key);
	}

	bool equal(const table_key &a, const table_key &b) const
	{
		return a == b;
	}
};

using map = tbb::concurrent_hash_map<table_key, struct object *, hash_compare>;

map *table;

}

static void table_create(void)
{
	peer_begin();
	table = new map;
}

static void table_destroy(void)
{
	for (const auto &element : *table)
		free(element.second);
	delete table;
}

static inline uint64_t table_look(table_key key)
{
	map::const_accessor found;

	return table->find(found, key) ? found->second->one : 0;
}

static inline bool table_insert(struct object *object)
{
	return table->insert(map::value_type(object->key, object));
}

static inline bool table_discard(table_key key)
{
	struct object *object;
	map::accessor found;

	if (!table->find(found, key))
		return false;
	object = found->second;
	if (!table->erase(found))
		return false;
	free(object);
	return true;
}

#include "map_peer.h"
