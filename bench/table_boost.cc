/* SPDX-License-Identifier: MIT */
/*
 * boost: concurrent_flat_map, which Boost has from its version 1.83 on.
 *
 * A lookup hands the element to a function that runs under the lock of its
 * group; there the object's field is read.  So is it removed, and can be
 * freed at once.
 */
#include <boost/unordered/concurrent_flat_map.hpp>

#define PEER_FREES "boost"
#define PEER_NODE table_key key; uint64_t unused_node[2];
#define PEER_RETIRED uint64_t unused_head[2];

#include "peer.h"

#define TABLE_WATCH 1

const unsigned subject_threads = BENCH_THREADS;

namespace {

/* All bits of the hash are good: Boost need not mix them again. */
struct hasher {
	using is_avalanching = void;

	std::size_t operator()(const table_key &key) const
	{
		return peer_hash(key);
	}
};

using map = boost::concurrent_flat_map<table_key, struct object *, hasher>;

map *table;

}

static void table_create(void)
{
	peer_begin();
	table = new map;
}

static void table_destroy(void)
{
	table->visit_all([](auto &element) { free(element.second); });
	delete table;
}

static inline uint64_t table_look(table_key key)
{
	uint64_t one = 0;

	table->cvisit(key, [&one](const auto &element) {
		one = element.second->one;
	});
	return one;
}

static inline bool table_insert(struct object *object)
{
	return table->emplace(object->key, object);
}

static inline bool table_discard(table_key key)
{
	struct object *object = nullptr;

	table->erase_if(key, [&object](auto &element) {
		object = element.second;
		return true;
	});
	free(object);
	return object != nullptr;
}

#include "map_peer.h"
