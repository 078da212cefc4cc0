/* SPDX-License-Identifier: MIT */
/*
 * history: are the calls of an execution linearizable?
 *
 * Calls that overlap may have taken effect in either order; a call that ended
 * before another began came first.  The search tries every order that this
 * allows, against the sequential specification.
 *
 * Came first: in an execution whose loads all returned the last value, that
 * is a matter of time.  In the others time is nothing that a thread could
 * know; there a call came first if its end happened before the beginning.
 *
 * Which calls had ended when one began is part of the explored state: two
 * executions that differ in nothing else are told apart.
 */
#include "machine.h"

#include <string.h>

#define STATE_MOST 256

static unsigned calls_of(unsigned thread)
{
	unsigned i, count = 0;

	for (i = 0; i < m->calls; i++)
		count += m->call[i].thread == thread;
	return count;
}

struct call *call_begin(int operation, uint64_t argument)
{
	struct call *call;
	uint64_t id;
	unsigned i;

	point();
	if (m->calls == CALLS_MOST)
		schedule_fail("more calls than the machine records");
	id = mix(m->running, calls_of(m->running));
	call = &m->call[m->calls];
	*call = (struct call){ .operation = operation, .argument = argument,
			       .thread = m->running, .id = id };
	for (i = 0; i < m->calls; i++) {
		const struct call *other = &m->call[i];

		if (!other->ended)
			continue;
		m->calls_hash += mix(id, other->id);
		call->after |= 1u << i;
		if (other->ended <= self()->now->clock.at[other->thread])
			call->known_after |= 1u << i;
	}
	m->calls++;
	trace(__builtin_return_address(0), "begins operation %d (%#jx)",
	      operation, (uintmax_t)argument);
	return call;
}

void call_end(struct call *call, uint64_t result)
{
	call->result = result;
	call->ended = self()->now->clock.at[m->running]++;
	trace(__builtin_return_address(0), "ends operation %d: %jd",
	      call->operation, (intmax_t)result);
}

/* May the call come next: is none left that came before it? */
static bool may_be_next(unsigned i, unsigned left)
{
	const struct call *call = &m->call[i];

	return !(left & (m->spent[STALE] ? call->known_after : call->after));
}

static bool search(bool (*step)(void *, const struct call *),
		   const void *state, size_t size, unsigned left)
{
	char next[STATE_MOST] __attribute__((aligned(16)));
	unsigned i;

	if (!left)
		return true;
	for (i = 0; i < m->calls; i++) {
		if (!(left >> i & 1) || !may_be_next(i, left))
			continue;
		memcpy(next, state, size);
		if (step(next, &m->call[i]) &&
		    search(step, next, size, left & ~(1u << i)))
			return true;
	}
	return false;
}

bool linearizable(bool (*step)(void *state, const struct call *call),
		  const void *initial, size_t state_size)
{
	if (state_size > STATE_MOST)
		schedule_fail("the specification's state is too large");
	return search(step, initial, state_size, (1u << m->calls) - 1);
}
