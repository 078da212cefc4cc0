/* SPDX-License-Identifier: MIT */
/*
 * rcu_model: the rcu room's interface on the machine's own grace periods,
 * for scenarios of the rooms above it.  The room itself is explored in
 * schedule_rcu.c, on a model of liburcu.
 *
 * Making room under a hard bound is an operation that can fail: where a
 * scenario lets allocations fail, it does so too.
 */
#include "machine.h"

#include <freehold/rcu.h>

#include <errno.h>
#include <string.h>

struct fh_room;
struct fh_rcu_link;
void schedule_free(void *address);

void fh_rcu_retire_later(struct fh_rcu_head *head,
			 void (*reclaim)(struct fh_rcu_head *head));
void fh_rcu_retire_free(struct fh_rcu_link *link);
int fh_room_take(struct fh_room *room, size_t objects);
void fh_room_leave(const struct fh_room *room, size_t keep);

void fh_rcu_enter_(void)
{
	grace_section_begins();
}

void fh_rcu_leave_(void)
{
	grace_section_ends();
}

int fh_rcu_reading(void)
{
	return grace_reading();
}

void fh_rcu_retire(struct fh_rcu_head *head,
		   void (*reclaim)(struct fh_rcu_head *head))
{
	point();
	heap_check((uintptr_t)head, sizeof(*head), true, NULL);
	trace(__builtin_return_address(0), "retires %#zx", (size_t)head);
	grace_retire(head, (void (*)(void *))reclaim);
}

void fh_rcu_retire_later(struct fh_rcu_head *head,
			 void (*reclaim)(struct fh_rcu_head *head))
{
	fh_rcu_retire(head, reclaim);
}

void fh_rcu_retire_free(struct fh_rcu_link *link)
{
	point();
	heap_check((uintptr_t)link, sizeof(void *), true, NULL);
	trace(__builtin_return_address(0), "retires %#zx", (size_t)link);
	grace_retire(link, schedule_free);
}

int fh_rcu_admit(size_t objects)
{
	return objects && choose_to(FAILURES) ? -EAGAIN : 0;
}

int fh_room_take(struct fh_room *room, size_t objects)
{
	(void)room;
	return fh_rcu_admit(objects);
}

void fh_room_leave(const struct fh_room *room, size_t keep)
{
	(void)room;
	(void)keep;
}

void fh_rcu_get_stats(struct fh_rcu_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->pending = retired_and_not_reclaimed();
}
