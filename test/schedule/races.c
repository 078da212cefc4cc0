/* SPDX-License-Identifier: MIT */
/*
 * races: which accesses to the same bytes are not ordered.
 *
 * Each thread counts its releases; the counts that it knows of others are its
 * clock.  An access is ordered after another if its thread knows a later
 * count of the other's thread.  Two that are not ordered, one of them a
 * write, one of them plain, are a data race.
 *
 * For each eight bytes the last accesses are kept, as the thread sanitizer
 * does; one that is ordered before a new one and lies within it says nothing
 * that the new one does not, and goes.
 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

#define GRANULES (1u << 16)
#define RECORDS 8

/* One access to a part of eight bytes. */
struct record {
	uint32_t clock;
	uint8_t thread, offset, size;
	bool write, atomic;
};

struct granule {
	uintptr_t at;
	unsigned generation, count;
	struct record record[RECORDS];
};

struct races {
	unsigned generation, used;
	struct granule granule[GRANULES];
};
static struct races *races;

void races_reset(void)
{
	if (!races)
		races = calloc(1, sizeof(*races));
	races->generation++;
	races->used = 0;
}

static struct granule *granule_of(uintptr_t address)
{
	uintptr_t at = address & ~(uintptr_t)7;
	unsigned i = (unsigned)mix(at, 0) % GRANULES;

	while (races->granule[i].generation == races->generation &&
	       races->granule[i].at != at)
		i = (i + 1) % GRANULES;
	if (races->granule[i].generation != races->generation) {
		if (++races->used == GRANULES)
			schedule_fail("more memory than the machine has");
		races->granule[i].generation = races->generation;
		races->granule[i].at = at;
		races->granule[i].count = 0;
	}
	return &races->granule[i];
}

static bool ordered(const struct record *record)
{
	return record->thread == m->running ||
	       record->clock <= self()->now->clock.at[record->thread];
}

static bool overlap(const struct record *a, const struct record *b)
{
	return a->offset < b->offset + b->size &&
	       b->offset < a->offset + a->size;
}

static void report_race(uintptr_t address, const struct record *new,
			const struct record *old, const void *pc)
{
	char where[128];

	trace(pc, "the second access");
	schedule_fail("data race: %s%s of %s is not ordered after thread "
		      "%u's %s%s", new->atomic ? "atomic " : "",
		      new->write ? "write" : "read",
		      heap_describe(address, where, sizeof(where)),
		      old->thread, old->atomic ? "atomic " : "",
		      old->write ? "write" : "read");
}

/* What is ordered before the new one, and inside it, tells nothing more. */
static bool covered(const struct record *old, const struct record *new)
{
	return new->offset <= old->offset &&
	       old->offset + old->size <= new->offset + new->size &&
	       (new->write || (!old->write && old->thread == new->thread)) &&
	       (!new->atomic || old->atomic);
}

static void note(struct granule *granule, const struct record *new,
		 const void *pc)
{
	unsigned i, kept = 0;

	for (i = 0; i < granule->count; i++) {
		struct record *old = &granule->record[i];
		bool is_ordered = ordered(old);

		if (!is_ordered && overlap(old, new) &&
		    (old->write || new->write) && !(old->atomic && new->atomic))
			report_race(granule->at + new->offset, new, old, pc);
		if (!(is_ordered && covered(old, new)))
			granule->record[kept++] = *old;
	}
	if (kept == RECORDS) /* the oldest goes */
		memmove(granule->record, granule->record + 1,
			--kept * sizeof(*new));
	granule->record[kept++] = *new;
	granule->count = kept;
}

void check_race(uintptr_t address, size_t size, bool write, bool atomic,
		       const void *pc)
{
	uintptr_t end = address + size;

	if (m->running == 0)
		return; /* setup and finish are ordered with everything */
	while (address < end) {
		uintptr_t next = (address & ~(uintptr_t)7) + 8;
		size_t part = (next < end ? next : end) - address;
		struct record record = {
			.clock = self()->now->clock.at[m->running],
			.thread = (uint8_t)m->running,
			.offset = address & 7, .size = (uint8_t)part,
			.write = write, .atomic = atomic,
		};

		note(granule_of(address), &record, pc);
		address = next;
	}
}

void plain_access(uintptr_t address, size_t size, bool write, const void *pc)
{
	if (++m->plain > ACCESSES)
		schedule_fail("no end after %u plain accesses without a step",
			      ACCESSES);
	heap_check(address, size, write, pc);
	check_race(address, size, write, false, pc);
	if (write && size <= 16)
		overwrite(address, size);
}
