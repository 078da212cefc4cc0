/* SPDX-License-Identifier: MIT */
/* map_internal: what the files of the map's mutex twin share.  Internal. */
#ifndef FH_MUTEX_MAP_INTERNAL_H
#define FH_MUTEX_MAP_INTERNAL_H

#include <freehold/map.h>

#include <pthread.h>

#include "../hash.h"
#include "table.h"

/* The lock has a cache line apart from what is read without it. */
struct fh_map {
	enum fh_key_kind keys;
	uint64_t (*custom)(struct fh_key key);
	struct fh_hash hash;
	pthread_mutex_t lock __attribute__((aligned(64)));
	struct fh_table table;
};

/* Even for a reader: the public interface says const, the lock is inside. */
static inline struct fh_map *fh_map_lock(const struct fh_map *map)
{
	struct fh_map *held = (struct fh_map *)(uintptr_t)map;

	pthread_mutex_lock(&held->lock);
	return held;
}

static inline void fh_map_unlock(struct fh_map *map)
{
	pthread_mutex_unlock(&map->lock);
}

#endif
