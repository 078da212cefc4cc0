/* SPDX-License-Identifier: MIT */
/*
 * search: every choice in turn.
 *
 * An execution makes choices; the next one repeats all but the last that has
 * an untried option, and takes that: a depth-first search that saves no
 * state but the list of choices, the trail.
 *
 * Another thread gets its turn only before steps that matter to others: an
 * atomic access counts if two threads use the location and one writes it.
 * Which locations those are is found on the way: an exploration that finds
 * one more starts over.  At the end none is missing: what happens before the
 * first conflict on a missing one needs no switch there, so that both its
 * users are seen in one execution.
 *
 * A state (see machine.h) that was reached before with no more switches spent
 * is not explored again.  States are told apart by 64 bits of hash: two out
 * of a billion states may fall together, and one of them is then left out.
 */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRAIL (STEPS * 4u)
#define KNOWN_LOG2 22
#define CONTENDED 4096u

struct choice {
	uint16_t count, taken;
};

struct known {
	uint64_t key;
	uint32_t round;		/* of the search: others are forgotten */
	uint32_t preemptions;
};

/* What outlives an execution. */
struct search {
	struct choice trail[TRAIL];
	unsigned depth, length;
	unsigned recorded;	/* choices to replay */
	bool replaying;
	struct known *known;
	uint32_t round;
	size_t states;
	struct { uintptr_t address; unsigned since; } contended[CONTENDED];
	unsigned contentions, exploration;
	bool more_contended;
};
static struct search *s;

/* ---- choices ---- */

__attribute__((noreturn)) static void refuse_replay(void)
{
	fprintf(stderr, "schedule: after %u of %u choices: these are not the "
		"choices of such an execution\n", s->depth, s->recorded);
	exit(99);
}

/* Did the execution ask for the recorded choices, and for no more? */
void search_check_replay(void)
{
	if (s->depth != s->recorded)
		refuse_replay();
}

unsigned choose(unsigned count)
{
	struct choice *c = &s->trail[s->depth];

	if (count < 2)
		return 0;
	if (s->depth == TRAIL)
		schedule_fail("more choices than the machine has");
	if (s->depth++ == s->length) {
		*c = (struct choice){ .count = (uint16_t)count };
		s->length++;
	}
	if (s->replaying) {
		c->count = (uint16_t)count;
		if (c->taken >= count || s->depth > s->recorded)
			refuse_replay();
	}
	if (c->count != count || c->taken >= count) {
		fprintf(stderr, "schedule: choice %u has %u options where it "
			"had %u: the scenario is not deterministic\n",
			s->depth, count, c->count);
		exit(99);
	}
	return c->taken;
}

bool choose_to(enum limit what)
{
	if (m->quiet || m->spent[what] >= m->limit[what] || !choose(2))
		return false;
	m->spent[what]++;
	return true;
}

bool search_advance(void)
{
	while (s->length) {
		struct choice *last = &s->trail[s->length - 1];

		if (++last->taken < last->count)
			return true;
		s->length--;
	}
	return false;
}

/* The choices as text: 0 where nothing special happened, *N for a run. */
void trail_print(FILE *out)
{
	unsigned i, n;

	for (i = 0; i < s->length; i += n) {
		for (n = 1; i + n < s->length &&
		     s->trail[i + n].taken == s->trail[i].taken; n++)
			;
		fprintf(out, n > 1 ? "%s%u*%u" : "%s%u", i ? "." : "",
			s->trail[i].taken, n);
	}
}

bool trail_read(const char *text)
{
	char *end;

	s->length = 0;
	while (*text) {
		unsigned long taken = strtoul(text, &end, 10), n = 1;

		if (end == text)
			return false;
		if (*end == '*')
			n = strtoul(end + 1, &end, 10);
		if (n == 0 || n > TRAIL - s->length || taken >= THREADS * 8)
			return false;
		while (n--)
			s->trail[s->length++].taken = (uint16_t)taken;
		text = *end == '.' ? end + 1 : end;
		if (*end && *end != '.')
			return false;
	}
	return true;
}

/* ---- contended locations ---- */

static unsigned contended_slot(uintptr_t address)
{
	unsigned i = (unsigned)mix(address, 7) % CONTENDED;

	while (s->contended[i].address && s->contended[i].address != address)
		i = (i + 1) % CONTENDED;
	return i;
}

/* What an exploration finds out counts from the next one on. */
bool is_contended(uintptr_t address)
{
	unsigned i = contended_slot(address);

	return s->contended[i].address &&
	       s->contended[i].since < s->exploration;
}

void contended(uintptr_t address)
{
	unsigned i = contended_slot(address);

	if (s->contended[i].address)
		return;
	if (++s->contentions > CONTENDED / 2)
		schedule_fail("more contended locations than expected");
	s->contended[i].address = address;
	s->contended[i].since = s->exploration;
	s->more_contended = true;
}

/* ---- states ---- */

static uint64_t state_key(void)
{
	uint64_t key = m->memory_hash ^ mix(m->grace_hash, 3) ^
		       mix(m->calls_hash, 4) ^ mix(m->sequential_chain, 5);
	unsigned i;

	for (i = 1; i < m->threads; i++) {
		struct thread *t = &m->thread[i];

		key += mix(mix(t->hash, i), (uint64_t)t->state * 2 +
					    (t->saw_writes == m->writes));
	}
	key = mix(key, m->running);
	key = mix(key, (uint64_t)m->time);
	for (i = PREEMPTIONS + 1; i < LIMITS; i++)
		key = mix(key, (uint64_t)m->spent[i]);
	return key;
}

void prune_if_known(void)
{
	uint64_t key;
	size_t i;

	if (s->depth != s->length || s->replaying)
		return;
	key = state_key();
	for (i = key >> (64 - KNOWN_LOG2); s->known[i].round == s->round;
	     i = (i + 1) % ((size_t)1 << KNOWN_LOG2)) {
		if (s->known[i].key != key)
			continue;
		if (s->known[i].preemptions <=
		    (uint32_t)m->spent[PREEMPTIONS])
			end_execution(PRUNED);
		s->known[i].preemptions = (uint32_t)m->spent[PREEMPTIONS];
		return;
	}
	if (s->states >= (size_t)3 << (KNOWN_LOG2 - 2))
		return; /* full: from here on without */
	s->known[i] = (struct known){ .key = key, .round = s->round,
		.preemptions = (uint32_t)m->spent[PREEMPTIONS] };
	s->states++;
}

/* ---- from one execution to the next ---- */

void search_init(void)
{
	s = calloc(1, sizeof(*s));
	s->known = calloc((size_t)1 << KNOWN_LOG2, sizeof(*s->known));
	if (!s || !s->known) {
		perror("the machine's states");
		exit(99);
	}
}

void search_new_scenario(void)
{
	s->contentions = s->exploration = 0;
	memset(s->contended, 0, sizeof(s->contended));
}

void search_new_round(void)
{
	s->round++;
	s->states = 0;
	s->length = 0;
	s->more_contended = false;
	s->exploration++;
}

void search_rewind(bool replaying)
{
	s->depth = 0;
	s->recorded = s->length;
	s->replaying = replaying;
}

bool search_found_more(void)
{
	return s->more_contended;
}

size_t search_states(void)
{
	return s->states;
}
