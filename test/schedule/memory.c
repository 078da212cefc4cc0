/* SPDX-License-Identifier: MIT */
/*
 * memory: atomic accesses under a weak memory model.
 *
 * The model is the one of C11 without what compilers and machines do with
 * loads that run ahead: each location has an order of messages; each thread
 * has a view, for each location the oldest message that it may still read.
 *
 *  - A load takes any message from there on, and moves the view.
 *  - A store, and an update, comes last in the order.  Updates read the last.
 *  - A release hands the thread's knowledge to the message; an acquire that
 *    reads the message takes it over.  An update continues the message's
 *    release.  A releasing fence counts for the relaxed stores after it, an
 *    acquiring one for the relaxed loads before it.
 *  - seq_cst: accesses and fences are in one order, and each knows the view
 *    of those before it.
 *
 * A store buffer that is drained late shows as a load that reads an older
 * message than the last; so does a load that was satisfied early.
 *
 * A clock for each thread, handed over with the view, tells which accesses
 * are ordered: see races.c.
 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGES (64u << 20)
#define INDEX (LOCATIONS * 4u)
#define NEAR (1u << 16)
struct memory {
	char *pool;
	size_t used;
	unsigned generation;
	struct { unsigned generation, index; } index[INDEX];
	unsigned near[NEAR];	/* the generation that has locations there */
};
static struct memory *memory;

/* ---- knowledge ---- */

static void *take(size_t size)
{
	void *p = memory->pool + memory->used;

	memory->used += (size + 15) & ~(size_t)15;
	if (memory->used > MESSAGES)
		schedule_fail("the machine's pool of messages is empty");
	return p;
}

struct knowledge *knowledge_new(void)
{
	struct knowledge *k = take(sizeof(*k) + LOCATIONS * sizeof(*k->view));

	memset(&k->clock, 0, sizeof(k->clock));
	k->locations = 0;
	return k;
}

const struct knowledge *knowledge_copy(const struct knowledge *from)
{
	size_t size = sizeof(*from) + from->locations * sizeof(*from->view);

	return memcpy(take(size), from, size);
}

static void view_reach(struct knowledge *k, unsigned locations)
{
	if (k->locations >= locations)
		return;
	memset(&k->view[k->locations], 0,
	       (locations - k->locations) * sizeof(*k->view));
	k->locations = locations;
}

static void join_views(struct knowledge *into, const struct knowledge *from)
{
	unsigned i, n = from->locations;

	view_reach(into, n);
	for (i = 0; i < n; i++)
		if (into->view[i] < from->view[i])
			into->view[i] = from->view[i];
}

void knowledge_join(struct knowledge *into, const struct knowledge *from)
{
	unsigned i;

	for (i = 0; i < THREADS; i++)
		if (into->clock.at[i] < from->clock.at[i])
			into->clock.at[i] = from->clock.at[i];
	join_views(into, from);
}

void memory_reset(void)
{
	if (!memory) {
		memory = calloc(1, sizeof(*memory));
		memory->pool = malloc(MESSAGES);
	}
	memory->used = 0;
	memory->generation++;
	m->locations = 0;
	m->memory_hash = 0;
	m->sequential_chain = 0;
	m->sequential = knowledge_new();
}

/* ---- locations and messages ---- */

/* Most plain writes are to where there never was a location. */
static unsigned *near(uintptr_t address)
{
	return &memory->near[(address >> 3) % NEAR];
}

static struct location *find(uintptr_t address, unsigned *slot)
{
	unsigned i = (unsigned)mix(address, 1) % INDEX;

	while (memory->index[i].generation == memory->generation) {
		struct location *l = &m->location[memory->index[i].index];

		if (l->address == address)
			return l;
		i = (i + 1) % INDEX;
	}
	*slot = i;
	return NULL;
}

uint64_t memory_peek(uintptr_t address, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, (const void *)address, size);
	return value;
}

static void link_message(struct location *l, uint64_t value,
			 const struct knowledge *released, uint64_t hash)
{
	struct message *message = take(sizeof(*message));

	message->older = l->newest;
	message->stamp = l->newest ? l->newest->stamp + 1 : 0;
	message->value = value;
	message->released = released;
	message->hash = hash;
	m->memory_hash -= mix(l->address, l->chain);
	l->chain = mix(l->chain, hash);
	m->memory_hash += mix(l->address, l->chain);
	l->newest = message;
	memcpy((void *)l->address, &value, l->size);
}

static struct location *location_at(uintptr_t address, unsigned size)
{
	unsigned slot;
	struct location *l = find(address, &slot);

	if (l) {
		if (l->size != size)
			schedule_fail("atomic accesses of two sizes");
		return l;
	}
	if (m->locations == LOCATIONS)
		schedule_fail("more atomic locations than the machine has");
	memory->index[slot].generation = memory->generation;
	memory->index[slot].index = m->locations;
	*near(address) = memory->generation;
	l = &m->location[m->locations];
	*l = (struct location){ .address = address, .size = size,
				.index = m->locations++ };
	link_message(l, memory_peek(address, size), NULL, 0);
	return l;
}

/*
 * A plain write where atomic accesses were: all that was written there is
 * over.  That the write is ordered after it is checked as any other race.
 */
void overwrite(uintptr_t address, size_t size)
{
	uintptr_t at;
	unsigned slot;

	for (at = address; at < address + size; at++) {
		struct location *l;

		if (*near(at) != memory->generation) {
			at |= 7; /* none in these eight bytes */
			continue;
		}
		l = find(at, &slot);
		if (l)
			l->address = 0;
	}
}

/* ---- orders ---- */

static bool acquires(int order)
{
	return order == __ATOMIC_ACQUIRE || order == __ATOMIC_CONSUME ||
	       order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static bool releases(int order)
{
	return order == __ATOMIC_RELEASE ||
	       order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static void agree(int order)
{
	if (order != __ATOMIC_SEQ_CST)
		return;
	join_views(self()->now, m->sequential);
	join_views(m->sequential, self()->now);
	m->sequential_chain = mix(m->sequential_chain, self()->hash);
	observe(m->sequential_chain);
}

/* The oldest message of the location that the thread may still read. */
static uint16_t *seen(const struct location *l)
{
	view_reach(self()->now, m->locations);
	return &self()->now->view[l->index];
}

static void read_message(struct location *l, const struct message *message,
			 int order)
{
	struct thread *t = self();
	uint16_t *stamp = seen(l);

	if (*stamp < message->stamp)
		*stamp = (uint16_t)message->stamp;
	if (message->released)
		knowledge_join(acquires(order) ? t->now : t->unfenced,
			       message->released);
	observe(mix(message->hash, message->stamp));
}

/*
 * The message that a load takes: the last one, or an older at a price.  A
 * compare-exchange that fails takes none that would have let it succeed.
 */
static struct message *pick(struct location *l, const uint64_t *unwanted)
{
	struct message *message, *candidate[64];
	unsigned oldest = *seen(l), n = 0;

	for (message = l->newest->older;
	     message && message->stamp >= oldest && n < 64;
	     message = message->older)
		if (!unwanted || message->value != *unwanted)
			candidate[n++] = message;
	if (n == 0 || !choose_to(STALE))
		return l->newest;
	return candidate[choose(n)];
}

static const struct knowledge *released_by(int order,
					   const struct knowledge *continued)
{
	struct thread *t = self();
	const struct knowledge *own = NULL;

	if (releases(order))
		own = t->now;
	else if (t->fenced)
		own = t->fenced;
	if (own && continued) {
		struct knowledge *both = knowledge_new();

		knowledge_join(both, own);
		knowledge_join(both, continued);
		return both;
	}
	return own == t->now && own ? knowledge_copy(own) :
	       own ? own : continued;
}

static void write_message(struct location *l, uint64_t value, int order,
			  const struct knowledge *continued, const void *pc)
{
	struct thread *t = self();

	check_race(l->address, l->size, true, true, pc);
	*seen(l) = (uint16_t)(l->newest->stamp + 1);
	t->hash = mix(t->hash, value);
	link_message(l, value, released_by(order, continued),
		     mix(t->hash, value));
	t->now->clock.at[m->running]++;
	m->writes++;
}

/* ---- accesses ---- */

/*
 * Others may run before this access, if any of them ever conflicts with it.
 */
static struct location *step(uintptr_t address, unsigned size, bool write,
			     const void *pc)
{
	struct location *l;

	if (++m->accesses > ACCESSES)
		schedule_fail("no end after %u accesses", ACCESSES);
	if (is_contended(address))
		point();
	heap_check(address, size, write, pc);
	check_race(address, size, false, true, pc);
	l = location_at(address, size);
	if (m->quiet)
		return l;
	l->users |= 1u << m->running;
	l->written |= write;
	if (l->written && l->users & (l->users - 1))
		contended(address);
	return l;
}

static const char *order_name(int order)
{
	static const char *const names[] = { "relaxed", "consume", "acquire",
					     "release", "acq_rel", "seq_cst" };

	return names[order];
}

static const char *where(uintptr_t address)
{
	static char text[128];

	return m->tracing ? heap_describe(address, text, sizeof(text)) : "";
}

uint64_t atomic_load_at(uintptr_t address, unsigned size, int order,
			const void *pc)
{
	struct location *l = step(address, size, false, pc);
	struct message *message;

	agree(order);
	message = pick(l, NULL);
	read_message(l, message, order);
	trace(pc, "load %s %s: %#jx%s", order_name(order), where(address),
	      (uintmax_t)message->value,
	      message == l->newest ? "" : " (an older value)");
	return message->value;
}

void atomic_store_at(uintptr_t address, unsigned size, uint64_t value,
		     int order, const void *pc)
{
	struct location *l = step(address, size, true, pc);

	trace(pc, "store %s %s: %#jx", order_name(order), where(address),
	      (uintmax_t)value);
	write_message(l, value, order, NULL, pc);
	agree(order);
}

static uint64_t truncate_to(unsigned size, uint64_t value)
{
	return size == 8 ? value : value & ((UINT64_C(1) << size * 8) - 1);
}

uint64_t atomic_update_at(uintptr_t address, unsigned size, updater update,
			  uint64_t operand, int order, const void *pc)
{
	struct location *l = step(address, size, true, pc);
	uint64_t old = l->newest->value, new;
	const struct knowledge *continued = l->newest->released;

	agree(order);
	read_message(l, l->newest, order);
	new = truncate_to(size, update(old, operand));
	trace(pc, "update %s %s: %#jx becomes %#jx", order_name(order),
	      where(address), (uintmax_t)old, (uintmax_t)new);
	write_message(l, new, order, continued, pc);
	agree(order);
	return old;
}

/* Success reads the last message; failure may have read an older one. */
uint64_t atomic_cas_at(uintptr_t address, unsigned size, uint64_t expected,
		       uint64_t value, int order, int failure, const void *pc)
{
	struct location *l = step(address, size, true, pc);
	const struct knowledge *continued = l->newest->released;
	struct message *message = pick(l, &expected);
	uint64_t old = message->value;
	bool done = message == l->newest && old == expected;

	agree(done ? order : failure);
	read_message(l, message, done ? order : failure);
	trace(pc, "compare-exchange %s %s: %#jx, %s %#jx", order_name(order),
	      where(address), (uintmax_t)old,
	      done ? "becomes" : "and so not",
	      (uintmax_t)(done ? value : expected));
	if (done) {
		write_message(l, truncate_to(size, value), order, continued,
			      pc);
		agree(order);
	}
	return old;
}

void atomic_fence(int order, const void *pc)
{
	struct thread *t = self();

	point();
	trace(pc, "fence %s", order_name(order));
	agree(order);
	if (acquires(order))
		knowledge_join(t->now, t->unfenced);
	if (releases(order)) {
		t->fenced = knowledge_copy(t->now);
		t->now->clock.at[m->running]++;
	}
}
