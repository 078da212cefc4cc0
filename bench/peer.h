/* SPDX-License-Identifier: MIT */
/*
 * peer: what the tables of others have in common: the same keys and the same
 * hash function as this library's, objects of the same size, and a field at
 * the same place in them.  C and C++ read this alike.
 *
 * Before it an adapter defines PEER_NODE and PEER_RETIRED: what its table
 * wants in an object, in the place of the key and its links (24 bytes,
 * with a member `key`), and of the head by which the object is retired (16
 * bytes).  If the table frees at once what is removed, so that threads need
 * neither register themselves nor wait for anything, PEER_FREES is its name.
 * If it defines TABLE_OWN_SETTLE it also brings table_settle and table_nudge.
 */
#ifndef FH_BENCH_PEER_H
#define FH_BENCH_PEER_H

#include "subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FH_BEGIN_DECLS
#include "hash.h"
FH_END_DECLS

#define OBJECT_BYTES 64

typedef uint64_t table_key;

struct object {
	PEER_NODE
	PEER_RETIRED
	uint64_t one;
};

#ifdef __cplusplus
static_assert(sizeof(struct object) == 48, "as this library's");
#else
_Static_assert(sizeof(struct object) == 48, "as this library's");
#endif

static struct fh_hash peer_seed;

static void peer_begin(void)
{
	if (fh_hash_seed(&peer_seed))
		bench_die("no randomness");
}

static inline uint64_t peer_hash(table_key key)
{
	return fh_hash_u64_inline(&peer_seed, key);
}

static inline table_key table_number(uint32_t index)
{
	return index * UINT64_C(0x9e3779b97f4a7c15);
}

static inline struct object *table_object(table_key key)
{
	struct object *object = (struct object *)bench_alloc(OBJECT_BYTES);

	object->key = key;
	object->one = 1;
	return object;
}

#ifdef PEER_FREES
const char *subject_name(void)
{
	return PEER_FREES;
}

void subject_describe(void)
{
}

void subject_enter(void)
{
}

void subject_leave(void)
{
}

void subject_drain(void)
{
}
#endif

/* All but one do at once what they do. */
#ifndef TABLE_OWN_SETTLE
static inline void table_nudge(size_t count)
{
	(void)count;
}

static void table_settle(size_t count)
{
	(void)count;
}
#endif

/* None keeps an account. */
static bool table_garbage(uint64_t *pending, uint64_t *bound, uint64_t *over)
{
	(void)pending;
	(void)bound;
	(void)over;
	return false;
}

#endif
