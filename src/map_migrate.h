/* SPDX-License-Identifier: MIT */
/* map_migrate: growing and shrinking while everything runs.  Internal. */
#ifndef FH_MAP_MIGRATE_H
#define FH_MAP_MIGRATE_H

#include "map_table.h"

/*
 * All of these are called inside a read section.
 *
 * fh_migrate: see that the word of bucket @bucket of @table is not UNINIT,
 * and when growing its sibling's neither.  0, or -ENOMEM: then the words of
 * the predecessor are not frozen.  Needs no memory once they are.
 */
int fh_migrate(struct fh_map *map, struct table *table, size_t bucket);

/* Move a few more buckets on; -ENOMEM: some of them could not. */
int fh_migrate_help(struct fh_map *map, struct table *table);

/* Start growing or shrinking if the count asks for it; -ENOMEM. */
int fh_resize_if_due(struct fh_map *map, struct table *table);

#endif
