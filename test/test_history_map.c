/* SPDX-License-Identifier: MIT */
/*
 * map, as histories of each key: what threads do to it has one order, in
 * which the key is there or not, with the entry that was put there last.
 *
 * Other keys come and go meanwhile, so that the table grows and shrinks
 * beneath; in some forms all keys share one hash, so that they share a block,
 * which in some is so long that removals go through its log.
 *
 * If the table were wrong: an insert that is not one step has two winners; a
 * replacement that is a removal and an insertion lets a reader see the hole;
 * a bucket that moves wrongly loses a change, or brings a removed entry back;
 * a reader of the wrong table finds what had been replaced before it began.
 */
#include <errno.h>

#include "items.h"
#include "history.h"

enum { INSERT, PUT, REPLACE, REPLACE_ENTRY, REMOVE, REMOVE_ENTRY, LOOKUP,
       WALK, KINDS };

/* The forms: which hash, and how many other keys. */
#define EQUAL 1			/* all keys have one hash */
#define MANY 2			/* other keys stay: blocks are long */
#define CHANGING 4		/* other keys come and go, all together */

#define KEYS 3
#define FILLERS 12		/* other keys, of each thread */

static struct fh_map *map[HISTORY_OBJECTS];

/* What a thread knows of its other keys, for each table. */
static struct share {
	struct item *filler[HISTORY_OBJECTS][FILLERS];
	unsigned fillers[HISTORY_OBJECTS], acts[HISTORY_OBJECTS];
	uint64_t ids;
} share[HISTORY_THREADS];

/* ---- the sequential table: word 0 is the id at the key, or 0 ---- */

static bool becomes(struct linear_state *state, uint64_t id)
{
	state->word[0] = id;
	return true;
}

/* in[0]: the new id, in[1]: the very entry; out[0]: what was found */
static bool step(struct linear_state *state, const struct operation *op)
{
	uint64_t is = state->word[0];

	switch (op->kind) {
	case INSERT:
		if (op->rc)
			return op->rc == -EEXIST && is && op->out[0] == is;
		return !is && becomes(state, op->in[0]);
	case PUT:
		return !op->rc && op->out[0] == is &&
		       becomes(state, op->in[0]);
	case REPLACE:
	case REMOVE:
		if (op->rc)
			return op->rc == -ENOENT && !is;
		return is && op->out[0] == is && becomes(state, op->in[0]);
	case REPLACE_ENTRY:
	case REMOVE_ENTRY:
		if (op->rc)
			return op->rc == -ENOENT && op->in[1] != is;
		return op->in[1] == is && becomes(state, op->in[0]);
	case LOOKUP:
		return op->out[0] == is;
	default: /* out[1]: it was visited twice */
		return !op->out[1] && (!op->out[0] || op->out[0] == is);
	}
}

static void print(const struct operation *op, char *text, size_t size)
{
	static const char *const names[KINDS] = {
		"insert", "put", "replace", "replace_entry", "remove",
		"remove_entry", "lookup", "walk",
	};

	snprintf(text, size, "%s(%#" PRIx64 ") this %#" PRIx64 ": %d, found %#"
		 PRIx64, names[op->kind], op->in[0], op->in[1], op->rc,
		 op->out[0]);
}

/* ---- the real one ---- */

static struct fh_key key_of(unsigned key)
{
	return fh_key_u64(1 + key);
}

static struct fh_map *map_of(const struct history_thread *self)
{
	return map[self->object];
}

static struct item *fresh_item(struct history_thread *self, unsigned key)
{
	uint64_t id = ++share[self->index].ids << 4 | (self->index + 1);

	return item_new(key_of(key), id);
}

static uint64_t id_of(struct fh_map_entry *entry)
{
	return entry ? item_of(entry)->id : 0;
}

/* In a read section: what was found may be looked at until its end. */
static void do_bring(struct history_thread *self, unsigned kind, unsigned key)
{
	struct item *item = fresh_item(self, key);
	struct operation *op = history_call(self, kind, key, item->id, 0);
	struct fh_map_entry *found;
	int rc;

	if (kind == INSERT)
		rc = fh_map_insert(map_of(self), &item->entry, &found);
	else if (kind == PUT)
		rc = fh_map_put(map_of(self), &item->entry, &found);
	else
		rc = fh_map_replace(map_of(self), &item->entry, &found);
	history_return(self, op, rc);
	op->out[0] = id_of(found);
	if (rc)
		free(item);
	else if (found)
		item_retire(found);
}

static void do_remove(struct history_thread *self, unsigned key)
{
	struct operation *op = history_call(self, REMOVE, key, 0, 0);
	struct fh_map_entry *found;

	history_return(self, op, fh_map_remove(map_of(self), key_of(key),
					       &found));
	op->out[0] = id_of(found);
	if (found)
		item_retire(found);
}

static struct fh_map_entry *do_lookup(struct history_thread *self,
				      unsigned key)
{
	struct operation *op = history_call(self, LOOKUP, key, 0, 0);
	struct fh_map_entry *found = fh_map_lookup(map_of(self), key_of(key));

	history_return(self, op, 0);
	op->out[0] = id_of(found);
	return found;
}

/* Find it, wait a little, then act on this very entry. */
static void do_exact(struct history_thread *self, unsigned kind, unsigned key)
{
	struct fh_map_entry *found = do_lookup(self, key);
	struct item *item = NULL;
	struct operation *op;
	int rc;

	if (!found)
		return;
	history_pause(self);
	if (kind == REPLACE_ENTRY)
		item = fresh_item(self, key);
	op = history_call(self, kind, key, item ? item->id : 0, id_of(found));
	if (item)
		rc = fh_map_replace_entry(map_of(self), found, &item->entry);
	else
		rc = fh_map_remove_entry(map_of(self), found);
	history_return(self, op, rc);
	if (rc == 0)
		item_retire(found);
	else
		free(item);
}

static void do_batch(struct history_thread *self)
{
	struct operation *op = history_call(self, LOOKUP, 0, 0, 0);
	struct fh_key keys[KEYS] = { key_of(0), key_of(1), key_of(2) };
	struct fh_map_entry *found[KEYS];
	unsigned key;

	fh_map_lookup_batch(map_of(self), keys, KEYS, found);
	history_return(self, op, 0);
	op->out[0] = id_of(found[0]);
	for (key = 1; key < KEYS; key++)
		history_beside(self, LOOKUP, key, op)->out[0] =
			id_of(found[key]);
}

/* For each key the id that was seen last, and whether one came twice. */
static int note_visit(struct fh_map_entry *entry, void *arg)
{
	uint64_t (*seen)[2] = arg, key = entry->key.word[0] - 1;

	if (key < KEYS) {
		seen[key][1] |= seen[key][0] == id_of(entry);
		seen[key][0] = id_of(entry);
	}
	return 0;
}

static void do_walk(struct history_thread *self)
{
	struct operation *op = history_call(self, WALK, 0, 0, 0), *beside;
	struct fh_map_cursor cursor = { 0 };
	uint64_t seen[KEYS][2] = { { 0 } };
	unsigned key;

	fh_map_walk(map_of(self), &cursor, 0, note_visit, seen);
	history_return(self, op, 0);
	memcpy(op->out, seen[0], sizeof(seen[0]));
	for (key = 1; key < KEYS; key++) {
		beside = history_beside(self, WALK, key, op);
		memcpy(beside->out, seen[key], sizeof(seen[key]));
	}
}

/* ---- the other keys ---- */

static void add_filler(struct history_thread *self)
{
	struct share *mine = &share[self->index];
	unsigned n = mine->fillers[self->object]++;
	struct item *item = item_u64(100 * (self->index + 1) + n, 0);

	mine->filler[self->object][n] = item;
	if (fh_map_insert(map_of(self), &item->entry, NULL))
		bail_out("a key of one thread alone cannot be inserted");
}

static void remove_filler(struct history_thread *self)
{
	struct share *mine = &share[self->index];
	unsigned n = --mine->fillers[self->object];
	struct item *item = mine->filler[self->object][n];

	if (fh_map_remove_entry(map_of(self), &item->entry))
		bail_out("a key of one thread alone is lost");
	item_retire(&item->entry);
}

/* All threads grow in one round, and shrink in the next but one. */
static void change_fillers(struct history_thread *self)
{
	struct share *mine = &share[self->index];
	int how = self->history->form->how, steps = 4;
	unsigned goal = 0;

	if ((how & MANY) || ((how & CHANGING) &&
			     mine->acts[self->object] / 2 % 2))
		goal = FILLERS;
	for (; steps && mine->fillers[self->object] < goal; steps--)
		add_filler(self);
	for (; steps && mine->fillers[self->object] > goal; steps--)
		remove_filler(self);
}

/* ---- a round ---- */

static void act_once(struct history_thread *self)
{
	unsigned key = (unsigned)random_below(&self->random, KEYS);
	uint64_t choice = random_below(&self->random, 32);

	if (choice < 7)
		do_lookup(self, key);
	else if (choice < 9)
		do_batch(self);
	else if (choice < 10)
		do_walk(self);
	else if (choice < 16)
		do_bring(self, INSERT, key);
	else if (choice < 18)
		do_bring(self, PUT, key);
	else if (choice < 21)
		do_bring(self, REPLACE, key);
	else if (choice < 26)
		do_remove(self, key);
	else if (choice < 29)
		do_exact(self, REMOVE_ENTRY, key);
	else
		do_exact(self, REPLACE_ENTRY, key);
}

static void act(struct history_thread *self)
{
	unsigned calls = 3 + (unsigned)random_below(&self->random, 5);

	while (calls--) {
		fh_rcu_read_lock();
		act_once(self);
		fh_rcu_read_unlock();
		change_fillers(self);
		history_pause(self);
	}
	share[self->index].acts[self->object]++;
}

static void look(struct history_thread *self)
{
	unsigned key;

	fh_rcu_read_lock();
	for (key = 0; key < KEYS; key++)
		do_lookup(self, key);
	fh_rcu_read_unlock();
}

static const struct history_room room = {
	.specification = { step, print }, .keys = KEYS, .act = act,
	.look = look,
};

static void run(const struct history_form *form)
{
	const struct fh_map_options options = {
		.hash = form->how & EQUAL ? hash_equal : NULL,
	};
	const struct linear_state fresh = { { 0 } };
	uint64_t grown = 0, shrunk = 0;
	unsigned i;

	memset(share, 0, sizeof(share));
	for (i = 0; i < HISTORY_OBJECTS; i++)
		map[i] = map_new(&options);
	history_run(&room, form, 30000, &fresh);
	for (i = 0; i < HISTORY_OBJECTS; i++) {
		grown += map_stats(map[i]).grown;
		shrunk += map_stats(map[i]).shrunk;
		fh_map_destroy(map[i], item_release, NULL);
	}
	diag("the tables grew %" PRIu64 " times and shrank %" PRIu64, grown,
	     shrunk);
	if (form->how & CHANGING)
		ok(grown > HISTORY_OBJECTS && shrunk > HISTORY_OBJECTS,
		   "%s: the tables grew and shrank beneath", form->name);
}

int main(void)
{
	static const struct history_form forms[] = {
		{ "plain", 2, 20, 0 },
		{ "plain", 3, 10, 0 },
		{ "plain", 5, 10, 0 },
		{ "growing and shrinking", 2, 20, CHANGING },
		{ "growing and shrinking", 4, 10, CHANGING },
		{ "equal hashes", 3, 10, EQUAL },
		{ "equal hashes in long blocks", 3, 10, EQUAL | MANY },
		{ "equal hashes, changing", 2, 10, EQUAL | CHANGING },
	};
	size_t i;

	history_watchdog();
	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		run(&forms[i]);
	is(drain(), 0, "all garbage is reclaimed");
	return done_testing();
}
