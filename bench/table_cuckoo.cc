/* SPDX-License-Identifier: MIT */
/*
 * cuckoo: libcuckoo's cuckoohash_map.
 *
 * A lookup hands the value to a function that runs under the locks of the
 * two buckets; there the object's field is read.  So is it removed, and can
 * be freed at once.
 */
#include <libcuckoo/cuckoohash_map.hh>

#define PEER_FREES "cuckoo"
#define PEER_NODE table_key key; uint64_t unused_node[2];
#define PEER_RETIRED uint64_t unused_head[2];

#include "peer.h"

#define TABLE_WATCH 1

const unsigned subject_threads = BENCH_THREADS;

namespace {

struct hasher {
	std::size_t operator()(const table_key &key) const
	{
		return peer_hash(key);
	}
};

using map = libcuckoo::cuckoohash_map<table_key, struct object *, hasher>;

map *table;

}

static void table_create(void)
{
	peer_begin();
	table = new map;
}

static void table_destroy(void)
{
	for (const auto &element : table->lock_table())
		free(element.second);
	delete table;
}

static inline uint64_t table_look(table_key key)
{
	uint64_t one = 0;

	table->find_fn(key, [&one](struct object *const &object) {
		one = object->one;
	});
	return one;
}

static inline bool table_insert(struct object *object)
{
	return table->insert(object->key, object);
}

static inline bool table_discard(table_key key)
{
	struct object *object = nullptr;

	table->erase_fn(key, [&object](struct object *&found) {
		object = found;
		return true;
	});
	free(object);
	return object != nullptr;
}

#include "map_peer.h"
