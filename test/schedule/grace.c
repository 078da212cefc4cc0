/* SPDX-License-Identifier: MIT */
/*
 * grace: read sections and grace periods, as mean as they may be.
 *
 * A retired object awaits the sections that are open when it is retired, and
 * is reclaimed in the very step in which the last of them ends; at once, if
 * there are none.  Its memory is never used again, so any later access by
 * anybody is an error.
 *
 * The promise to readers: a section either began before the grace period and
 * is awaited, or it sees all that came before.  A section that begins while
 * an object waits may be on either side: that is a choice, spent as an older
 * value is.
 */
#include "machine.h"

static bool waits(const struct retired *r)
{
	unsigned i;

	for (i = 0; i < THREADS; i++)
		if (r->awaits[i])
			return true;
	return false;
}

void grace_reset(void)
{
	m->retirements = 0;
	m->grace_hash = 0;
	m->past = knowledge_new();
}

size_t retired_and_not_reclaimed(void)
{
	size_t count = 0;
	unsigned i;

	for (i = 0; i < m->retirements; i++)
		count += m->retired[i].head != NULL;
	return count;
}

/* The reclaimer knows what the retiring thread and the sections knew. */
static void reclaim(struct retired *r)
{
	unsigned before = m->running;
	void *head = r->head;
	bool quiet = m->quiet;
	unsigned i;

	knowledge_join(m->past, r->then);
	knowledge_join(m->thread[RECLAIMER].now, r->then);
	m->grace_hash -= mix((uintptr_t)head, 1);
	m->grace_hash += mix((uintptr_t)head, 2);
	r->head = NULL;
	m->running = RECLAIMER;
	m->quiet = true;
	r->reclaim(head);
	m->quiet = quiet;
	m->running = before;
	for (i = 1; i < m->threads; i++)
		if (m->thread[i].state == AWAITING)
			m->thread[i].state = RUNNABLE;
}

void grace_retire(void *head, void (*reclaim_function)(void *head))
{
	struct retired *r;
	unsigned i;

	if (m->retirements == RETIRED)
		schedule_fail("more retired objects than the machine has");
	for (i = 0; i < m->retirements; i++)
		if (m->retired[i].head == head)
			schedule_fail("an object is retired twice");
	r = &m->retired[m->retirements++];
	*r = (struct retired){ .head = head, .reclaim = reclaim_function,
			       .then = knowledge_copy(self()->now) };
	self()->now->clock.at[m->running]++;
	m->grace_hash += mix((uintptr_t)head, 1);
	for (i = 1; i < m->threads; i++)
		if (m->thread[i].depth) {
			r->awaits[i] = m->thread[i].section;
			m->grace_hash += mix(mix((uintptr_t)head, i),
					     r->awaits[i]);
		}
	if (!waits(r))
		reclaim(r);
}

/* Which side of the grace periods that are running is the new section on? */
static void take_sides(void)
{
	struct thread *t = self();
	unsigned i;

	knowledge_join(t->now, m->past);
	for (i = 0; i < m->retirements; i++) {
		struct retired *r = &m->retired[i];

		if (!r->head)
			continue;
		if (!r->awaits[m->running] && choose_to(STALE)) {
			r->awaits[m->running] = t->section;
			m->grace_hash += mix(mix((uintptr_t)r->head,
						 m->running), t->section);
		} else {
			knowledge_join(t->now, r->then);
		}
		observe((uintptr_t)r->head);
	}
	observe(t->section);
}

void grace_section_begins(void)
{
	struct thread *t = self();

	point();
	if (t->depth++)
		return;
	t->section++;
	take_sides();
	trace(NULL, "enters a read section");
}

static void section_left(struct retired *r, unsigned thread, unsigned section)
{
	if (!r->head || r->awaits[thread] != section)
		return;
	r->awaits[thread] = 0;
	m->grace_hash -= mix(mix((uintptr_t)r->head, thread), section);
	if (!waits(r))
		reclaim(r);
}

void grace_section_ends(void)
{
	struct thread *t = self();
	unsigned i;

	point();
	if (!t->depth)
		schedule_fail("a read section ends that did not begin");
	if (--t->depth)
		return;
	trace(NULL, "leaves its read section");
	knowledge_join(m->thread[RECLAIMER].now, t->now);
	t->now->clock.at[m->running]++;
	m->writes++;
	for (i = 0; i < m->retirements; i++)
		section_left(&m->retired[i], m->running, t->section);
}

void grace_forget(unsigned thread)
{
	struct thread *t = &m->thread[thread];
	unsigned i;

	if (!t->depth)
		return;
	t->depth = 0;
	for (i = 0; i < m->retirements; i++)
		section_left(&m->retired[i], thread, t->section);
}

bool grace_reading(void)
{
	return self()->depth != 0;
}

static void nothing(void *head)
{
	(void)head;
}

void grace_wait(void)
{
	static char token[THREADS];
	unsigned i = m->retirements;

	point();
	if (self()->depth)
		schedule_fail("a reader waits for a grace period");
	trace(NULL, "waits for a grace period");
	grace_retire(&token[m->running], nothing);
	while (m->retired[i].head)
		block(AWAITING);
	knowledge_join(self()->now, m->thread[RECLAIMER].now);
}
