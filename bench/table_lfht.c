/* SPDX-License-Identifier: MIT */
/*
 * lfht: liburcu's lock-free table, cds_lfht, with its memb flavour.
 *
 * As its manual wants it: threads register themselves, liburcu's small
 * functions are inlined, and what is removed is freed by call_rcu.
 *
 * It grows by a thread of its own, and up to liburcu 0.14 at least it may
 * stop growing for good: the flag that growth was asked for is set after the
 * request was queued, and if that thread has done the work and cleared the
 * flag before, it stays set, and nobody asks again.  Lookups then walk ever
 * longer chains.  On two processors that are both busy it happens about once
 * in ten fillings.  table_nudge and table_settle ask for the size that it
 * would have given itself, which costs nothing where it has.
 */
#define _LGPL_SOURCE
#include <urcu/urcu-memb.h>
#include <urcu/rculfhash.h>

#define TABLE_OWN_SETTLE
#define PEER_NODE struct cds_lfht_node node; table_key key;
#define PEER_RETIRED struct rcu_head rcu;

#include "peer.h"

#define TABLE_WATCH 1

/* With a limit it keeps its buckets in one array, which is faster. */
#define MOST_BUCKETS (1ul << 30)

/* From so many entries on, their number alone decides on its size. */
#define COUNTED_FROM 4096

const unsigned subject_threads = BENCH_THREADS;

static struct cds_lfht *table;

const char *subject_name(void)
{
	return "lfht";
}

void subject_describe(void)
{
	printf("\"flavour\": \"memb\", \"expedited\": %s, ",
	       urcu_memb_has_sys_membarrier ? "true" : "false");
}

void subject_enter(void)
{
	urcu_memb_register_thread();
}

void subject_leave(void)
{
	urcu_memb_unregister_thread();
}

void subject_drain(void)
{
	urcu_memb_barrier();
}

static inline struct object *object_of(struct cds_lfht_node *node)
{
	return caa_container_of(node, struct object, node);
}

static void reclaim(struct rcu_head *head)
{
	free(caa_container_of(head, struct object, rcu));
}

static int match(struct cds_lfht_node *node, const void *key)
{
	return object_of(node)->key == *(const table_key *)key;
}

static void table_create(void)
{
	peer_begin();
	table = cds_lfht_new_flavor(1, 1, MOST_BUCKETS,
				    CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING,
				    &urcu_memb_flavor, NULL);
	if (!table)
		bench_die("no table");
}

static void table_destroy(void)
{
	struct cds_lfht_iter iter;
	struct object *object;

	urcu_memb_read_lock();
	cds_lfht_for_each_entry(table, &iter, object, node)
		if (cds_lfht_del(table, &object->node) == 0)
			urcu_memb_call_rcu(&object->rcu, reclaim);
	urcu_memb_read_unlock();
	urcu_memb_barrier();
	if (cds_lfht_destroy(table, NULL))
		bench_die("the table is not empty");
}

static inline struct cds_lfht_node *find(table_key key)
{
	struct cds_lfht_iter iter;

	cds_lfht_lookup(table, peer_hash(key), match, &key, &iter);
	return cds_lfht_iter_get_node(&iter);
}

static inline uint64_t table_look(table_key key)
{
	struct cds_lfht_node *node;
	uint64_t one = 0;

	urcu_memb_read_lock();
	node = find(key);
	if (node)
		one = object_of(node)->one;
	urcu_memb_read_unlock();
	return one;
}

static inline bool table_insert(struct object *object)
{
	struct cds_lfht_node *node;

	cds_lfht_node_init(&object->node);
	urcu_memb_read_lock();
	node = cds_lfht_add_unique(table, peer_hash(object->key), match,
				   &object->key, &object->node);
	urcu_memb_read_unlock();
	return node == &object->node;
}

static inline bool table_discard(table_key key)
{
	struct cds_lfht_node *node;
	bool removed;

	urcu_memb_read_lock();
	node = find(key);
	removed = node && cds_lfht_del(table, node) == 0;
	if (removed)
		urcu_memb_call_rcu(&object_of(node)->rcu, reclaim);
	urcu_memb_read_unlock();
	return removed;
}

/* Small tables grow by the length of chains, up to twice their entries. */
static void table_nudge(size_t count)
{
	unsigned long size = 1ul << (63 - __builtin_clzl(count));

	cds_lfht_resize(table, count < COUNTED_FROM ? 4 * size : size);
}

static void table_settle(size_t count)
{
	table_nudge(count);
}

#include "map_peer.h"
