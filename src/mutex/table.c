/* SPDX-License-Identifier: MIT */
/* table: see table.h for the layout and its invariants. */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_BITS 3
#define MOST_BITS 40

/* Slots that a page looks at before it lets others have the lock. */
#define PAGE_SLOTS 4096

static size_t homes(unsigned bits)
{
	return (size_t)1 << bits;
}

/* How many items 2^bits homes are good for: five eighths. */
static size_t room(unsigned bits)
{
	return homes(bits) / 8 * 5;
}

/* Displacement grows with the logarithm: this margin is rarely used up. */
static int allocate(struct fh_table *table, unsigned bits)
{
	table->length = homes(bits) + 2 * bits + 2;
	table->slots = calloc(table->length, sizeof(*table->slots));
	table->bits = bits;
	return table->slots ? 0 : -ENOMEM;
}

int fh_table_init(struct fh_table *table, size_t expected, bool fixed)
{
	unsigned bits = LEAST_BITS;

	while (bits < MOST_BITS && room(bits) < expected)
		bits++;
	if (room(bits) < expected)
		return -EOVERFLOW;
	memset(table, 0, sizeof(*table));
	table->least_bits = bits;
	table->fixed = fixed;
	return allocate(table, bits);
}

void fh_table_free(struct fh_table *table)
{
	free(table->slots);
}

/* Geometric, so that even a margin that holds everything stays linear. */
static int widen_margin(struct fh_table *table)
{
	size_t length = table->length + table->length / 2 + 16;
	struct fh_slot *slots = calloc(length, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	memcpy(slots, table->slots, table->length * sizeof(*slots));
	free(table->slots);
	table->slots = slots;
	table->length = length;
	return 0;
}

static size_t index_of(const struct fh_table *table,
		       const struct fh_slot *slot)
{
	return (size_t)(slot - table->slots);
}

static bool is_last(const struct fh_table *table, size_t index)
{
	return index + 1 == table->length;
}

/* Items that come in order, behind those that came before. */
static int append(struct fh_table *table, size_t *next, struct fh_slot slot)
{
	size_t home = index_of(table, fh_table_home(table, slot.hash));
	size_t at = home > *next ? home : *next;

	if (is_last(table, at) && widen_margin(table))
		return -ENOMEM;
	table->slots[at] = slot;
	*next = at + 1;
	return 0;
}

static int resize(struct fh_table *table, unsigned bits)
{
	struct fh_table fresh;
	size_t next = 0;
	int rc = allocate(&fresh, bits);

	for (size_t i = 0; !rc && i < table->length; i++)
		if (table->slots[i].item)
			rc = append(&fresh, &next, table->slots[i]);
	if (rc) {
		free(fresh.slots);
		return rc;
	}
	table->grown += bits > table->bits;
	table->shrunk += bits < table->bits;
	free(table->slots);
	table->slots = fresh.slots;
	table->length = fresh.length;
	table->bits = bits;
	return 0;
}

static bool is_before(const struct fh_slot *slot, uint64_t hash,
		      uintptr_t address)
{
	if (slot->hash != hash)
		return slot->hash < hash;
	return (uintptr_t)slot->item < address;
}

static struct fh_slot *place_for(const struct fh_table *table, uint64_t hash,
				 const void *item)
{
	struct fh_slot *slot = fh_table_home(table, hash);

	while (slot->item && is_before(slot, hash, (uintptr_t)item))
		slot++;
	return slot;
}

static struct fh_slot *first_empty(struct fh_slot *slot)
{
	while (slot->item)
		slot++;
	return slot;
}

/* Needs an empty slot behind its place that is not the last one. */
static void put(struct fh_table *table, uint64_t hash, void *item)
{
	struct fh_slot *slot = place_for(table, hash, item);
	struct fh_slot *end = first_empty(slot);

	memmove(slot + 1, slot, (size_t)(end - slot) * sizeof(*slot));
	slot->hash = hash;
	slot->item = item;
}

/*
 * Growth that finds no memory is put off; the table works as long as there is
 * one free slot behind the place.
 */
int fh_table_insert(struct fh_table *table, uint64_t hash, void *item)
{
	struct fh_slot *end;

	if (table->count >= room(table->bits) && !table->fixed &&
	    table->bits < MOST_BITS && resize(table, table->bits + 1))
		table->deferred++;
	end = first_empty(fh_table_home(table, hash));
	if (is_last(table, index_of(table, end)) && widen_margin(table))
		return -ENOMEM;
	put(table, hash, item);
	table->count++;
	return 0;
}

/* Move back what was displaced, up to a gap or an item in its home. */
static void close_gap(const struct fh_table *table, struct fh_slot *slot)
{
	struct fh_slot *end = slot + 1;

	while (end->item && fh_table_home(table, end->hash) != end)
		end++;
	memmove(slot, slot + 1, (size_t)(end - slot - 1) * sizeof(*slot));
	end[-1].item = NULL;
}

/* One eighth full: well below what the halved table would grow at. */
static bool is_sparse(const struct fh_table *table)
{
	return !table->fixed && table->bits > table->least_bits &&
	       table->count < homes(table->bits) / 8;
}

void fh_table_remove(struct fh_table *table, struct fh_slot *slot)
{
	close_gap(table, slot);
	table->count--;
	if (is_sparse(table))
		resize(table, table->bits - 1);
}

/*
 * Whoever asks wants the memory back: keep room for a quarter more, and not
 * for five times as much.
 */
int fh_table_settle(struct fh_table *table)
{
	size_t wanted = table->count + table->count / 4;
	unsigned bits = table->bits;

	while (!table->fixed && bits > table->least_bits &&
	       room(bits - 1) >= wanted)
		bits--;
	return bits == table->bits ? 0 : resize(table, bits);
}

static bool has_twin(const struct fh_table *table, const struct fh_slot *slot)
{
	if (slot[1].item && slot[1].hash == slot->hash)
		return true;
	return slot > table->slots && slot[-1].item &&
	       slot[-1].hash == slot->hash;
}

/* Among equal hashes another address may have another place. */
void fh_table_replace(struct fh_table *table, struct fh_slot *slot,
		      void *item)
{
	uint64_t hash = slot->hash;

	if (!has_twin(table, slot)) {
		slot->item = item;
		return;
	}
	close_gap(table, slot);
	put(table, hash, item);
}

/*
 * Everything with a home up to that of an empty slot stands before the slot,
 * so a page may end there without a last item to remember.
 */
static void pause_at(const struct fh_table *table, size_t empty,
		     struct fh_table_place *place)
{
	place->end = empty + 1 >= homes(table->bits);
	if (!place->end)
		place->hash = (uint64_t)(empty + 1) << (64 - table->bits);
	place->after = 0;
}

size_t fh_table_page(const struct fh_table *table,
		     struct fh_table_place *place, uint64_t last,
		     void **items, size_t most)
{
	const struct fh_slot *slot = fh_table_home(table, place->hash);
	size_t i = index_of(table, slot), limit = i + PAGE_SLOTS, n = 0;

	for (; i < table->length && n < most; i++, slot++) {
		if (!slot->item && i < limit)
			continue;
		if (!slot->item) {
			pause_at(table, i, place);
			return n;
		}
		if (slot->hash > last)
			break;
		if (is_before(slot, place->hash, place->after + 1))
			continue;
		items[n++] = slot->item;
		place->hash = slot->hash;
		place->after = (uintptr_t)slot->item;
	}
	place->end = n < most;
	return n;
}
