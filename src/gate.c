/* SPDX-License-Identifier: MIT */
/*
 * gate: how many are inside and whether it is closed, in one word.
 *
 *      63                            32 31  30  29                    0
 *     +--------------------------------+---+---+-----------------------+
 *     |            waiting             | C | D |        inside         |
 *     +--------------------------------+---+---+-----------------------+
 *                                      |<- the word that they sleep on->|
 *
 *     field     written by                     may lie?
 *     inside    enter + 1, leave - 1           no
 *     C         close, open, drain             no
 *     D         destroy; stays                 no
 *     waiting   who will sleep + 1; the same   too high for a moment: who has
 *               one - 1 when it goes, in one   been woken counts until it has
 *               step with its entry if it      looked.  Never too low.
 *               enters
 *
 * Laws
 *
 *  1. Who enters does so by one compare-exchange, of a word in which the gate
 *     is open and a place is free.  So inside never exceeds the limit; and
 *     after a close no compare-exchange of an entry can succeed.
 *  2. leave is a release, enter and the end of a drain acquire, and every
 *     change between them is part of one chain: who enters or has drained
 *     sees what those did who left before.
 *  3. No lost wake-up.  Who finds no place adds itself to `waiting` by a
 *     compare-exchange of the very word that it judged, and sleeps only while
 *     the low half is what it judged.  A leave after that finds it waiting,
 *     and wakes; a leave before makes the compare-exchange fail, or the
 *     kernel refuse.  (A wake may come when the gate is gone: who was woken
 *     by another, or drained, may have destroyed it.  To the kernel its
 *     address is a name, which it does not look behind.)
 *  4. While the gate is open, those who sleep wait for a place, and one place
 *     is for one of them: leave wakes one.  Who was woken and finds the place
 *     taken sleeps again, and whoever took it wakes one in its turn.  While
 *     the gate is closed, those who sleep wait for the drain: the last one
 *     out wakes all.  close and open wake all, so that nobody sleeps for the
 *     other reason: who wakes after that finds the low half changed.
 *  5. The word holds one reference to the gate, and gives it up when D is set
 *     and nobody is inside: to whoever brings that about, by the
 *     compare-exchange that does, hence to exactly one.
 *
 * Progress: a compare-exchange fails only if another one entered, left, or
 * announced that it waits, which a thread does once for each wait.  So all
 * but the waits are lock-free.
 */
#include "gate_internal.h"

#include "gate_options.h"
#include "wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ONE ((uint64_t)1)
#define DESTROYED ((uint64_t)1 << 30)
#define CLOSED ((uint64_t)1 << 31)
#define WAITING_ONE ((uint64_t)1 << 32)

_Static_assert(FH_GATE_LIMIT < DESTROYED, "inside has thirty bits");

static size_t inside_of(uint64_t word)
{
	return (size_t)(word & (DESTROYED - 1));
}

static size_t waiting_of(uint64_t word)
{
	return (size_t)(word / WAITING_ONE);
}

static uint64_t word_of(const struct fh_gate *gate)
{
	/* pairs with: gate.word */
	return load_acquire(&gate->word);
}

static const _Atomic(uint32_t) *low_half(const struct fh_gate *gate)
{
	const char *bytes = (const char *)&gate->word;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	bytes += 4;
#endif
	return (const _Atomic(uint32_t) *)(const void *)bytes;
}

/* ---- life ---- */

int fh_gate_create(struct fh_gate **gate,
		   const struct fh_gate_options *options)
{
	struct fh_gate *made;
	int rc = fh_gate_check(options);

	if (rc < 0)
		return rc;
	made = aligned_alloc(128, sizeof(*made));
	if (made) {
		memset(made, 0, sizeof(*made));
		/* Zero bytes are seats; see fh_gate_run.c for their links. */
		made->seats = calloc(options->limit, sizeof(*made->seats));
	}
	if (!made || !made->seats) {
		free(made);
		return -ENOMEM;
	}
	made->options = *options;
	store_relaxed(&made->refs, 1);
	*gate = made;
	return 0;
}

void fh_gate_drop(struct fh_gate *gate)
{
	/* pairs with: gate.refs */
	if (sub_acq_rel(&gate->refs, 1u) != 1)
		return;
	free(gate->seats);
	free(gate);
}

void fh_gate_destroy(struct fh_gate *gate)
{
	uint64_t word;

	if (!gate)
		return;
	add_relaxed(&gate->refs, 1u);
	/* pairs with: gate.word */
	word = or_acq_rel(&gate->word, CLOSED | DESTROYED);
	if (inside_of(word) == 0)
		fh_gate_drop(gate);
	fh_gate_dismiss(gate);
	fh_gate_drop(gate);
}

/* ---- in and out ---- */

static void note_peak(struct fh_gate *gate, uint64_t inside)
{
	uint64_t peak = load_relaxed(&gate->peak);

	while (peak < inside && !cas_relaxed(&gate->peak, &peak, inside))
		;
}

/*
 * Go in, by adding @change to the word, or say why not; *word is what that is
 * about.
 */
static int try_to_enter(struct fh_gate *gate, uint64_t change, uint64_t *word)
{
	*word = word_of(gate);
	do {
		if (*word & CLOSED)
			return -ESHUTDOWN;
		if (inside_of(*word) >= gate->options.limit)
			return -EBUSY;
		/* pairs with: gate.word */
	} while (!cas_acq_rel_acquire(&gate->word, word, *word + change));
	note_peak(gate, inside_of(*word) + 1);
	return 0;
}

/* Count how an attempt ended. */
static int counted(struct fh_gate *gate, int rc)
{
	fh_counter_add(rc == 0 ? &gate->admitted :
		       rc == -ESHUTDOWN ? &gate->turned_away :
					  &gate->refused, 1);
	return rc;
}

int fh_gate_enter(struct fh_gate *gate)
{
	uint64_t word;

	return counted(gate, try_to_enter(gate, ONE, &word));
}

/* Who left finds out whom to wake from the word that it replaced. */
static void wake_after_leave(struct fh_gate *gate, uint64_t word)
{
	if (!waiting_of(word))
		return;
	if (!(word & CLOSED))
		fh_wake_one(low_half(gate));
	else if (inside_of(word) == 1)
		fh_wake_all(low_half(gate));
}

/* *word is what the word was before; false: nobody is inside. */
static bool leave(struct fh_gate *gate, uint64_t *word)
{
	*word = load_relaxed(&gate->word);
	do {
		if (inside_of(*word) == 0)
			return false;
		/* pairs with: gate.word */
	} while (!cas_acq_rel_relaxed(&gate->word, word, *word - ONE));
	fh_point("gate.left");
	if (!(*word & DESTROYED))
		wake_after_leave(gate, *word);
	else if (inside_of(*word) == 1)
		fh_gate_drop(gate);
	return true;
}

int fh_gate_leave(struct fh_gate *gate)
{
	uint64_t word;

	return leave(gate, &word) ? 0 : -EPERM;
}

bool fh_gate_give_back(struct fh_gate *gate)
{
	uint64_t word;

	return leave(gate, &word) && word & DESTROYED;
}

/* ---- waiting ---- */

/*
 * Sleep while the low half is that of *word, which was judged; *announced
 * says whether the caller is counted as waiting.
 */
static int sleep_on(struct fh_gate *gate, uint64_t word, bool *announced,
		    int64_t deadline)
{
	/* A poll announces nothing, and costs nobody a system call. */
	if (deadline != FH_FOREVER && fh_now() >= deadline)
		return -ETIMEDOUT;
	if (!*announced &&
	    !cas_relaxed(&gate->word, &word, word + WAITING_ONE))
		return 0;
	*announced = true;
	fh_point("gate.announced");
	return fh_wait_on(low_half(gate), (uint32_t)word, deadline);
}

static int wait_to_enter(struct fh_gate *gate, int64_t deadline)
{
	bool announced = false;
	int rc = 0, tried;
	uint64_t word;

	for (;;) {
		tried = try_to_enter(gate, announced ? ONE - WAITING_ONE : ONE,
				     &word);
		if (tried == 0)
			return 0;
		if (tried == -EBUSY && rc == 0) {
			rc = sleep_on(gate, word, &announced, deadline);
			continue;
		}
		if (announced)
			add_relaxed(&gate->word, -WAITING_ONE);
		return tried == -EBUSY ? rc : tried;
	}
}

int fh_gate_enter_wait(struct fh_gate *gate, int64_t deadline)
{
	return counted(gate, wait_to_enter(gate, deadline));
}

/* ---- closing ---- */

static void set_closed(struct fh_gate *gate, uint64_t closed)
{
	uint64_t word = load_relaxed(&gate->word);

	do {
		if ((word & CLOSED) == closed)
			break;
		/* pairs with: gate.word */
	} while (!cas_acq_rel_relaxed(&gate->word, &word, word ^ CLOSED));
	if ((word & CLOSED) != closed && waiting_of(word))
		fh_wake_all(low_half(gate));
}

void fh_gate_close(struct fh_gate *gate)
{
	set_closed(gate, CLOSED);
}

void fh_gate_open(struct fh_gate *gate)
{
	set_closed(gate, 0);
}

int fh_gate_drain_wait(struct fh_gate *gate, int64_t deadline, size_t *left)
{
	bool announced = false;
	uint64_t word;
	int rc = 0;

	if (fh_gate_serving(gate))
		return -EDEADLK;
	fh_gate_close(gate);
	for (;;) {
		word = word_of(gate);
		if (!(word & CLOSED))
			rc = -ECANCELED;
		else if (inside_of(word) == 0)
			rc = 0;
		else if (rc == 0) {
			rc = sleep_on(gate, word, &announced, deadline);
			continue;
		}
		break;
	}
	if (announced)
		add_relaxed(&gate->word, -WAITING_ONE);
	if (left)
		*left = inside_of(word);
	return rc;
}

/* ---- the rest ---- */

void fh_gate_get_stats(const struct fh_gate *gate,
		       struct fh_gate_stats *stats)
{
	uint64_t word = word_of(gate);

	stats->limit = gate->options.limit;
	stats->inside = inside_of(word);
	stats->waiting = waiting_of(word);
	stats->closed = (word & CLOSED) != 0;
	stats->peak = (size_t)load_relaxed(&gate->peak);
	/* pairs with: gate.refs */
	stats->threads = (size_t)load_acquire(&gate->refs) - 1;
	stats->admitted = (uint64_t)fh_counter_read(&gate->admitted);
	stats->refused = (uint64_t)fh_counter_read(&gate->refused);
	stats->turned_away = (uint64_t)fh_counter_read(&gate->turned_away);
	stats->failed = load_relaxed(&gate->failed);
	stats->died = load_relaxed(&gate->died);
}

void fh_gate_after_fork(struct fh_gate *gate)
{
	uint64_t i, used = load_relaxed(&gate->peak);

	fh_gate_forget_serving(gate);
	for (i = 0; i < used; i++)
		memset(&gate->seats[i], 0, sizeof(gate->seats[i]));
	store_relaxed(&gate->word, 0);
	store_relaxed(&gate->free, 0);
	store_relaxed(&gate->refs, 1);
	store_relaxed(&gate->peak, 0);
	store_relaxed(&gate->failed, 0);
	store_relaxed(&gate->died, 0);
	memset(&gate->admitted, 0, sizeof(gate->admitted));
	memset(&gate->refused, 0, sizeof(gate->refused));
	memset(&gate->turned_away, 0, sizeof(gate->turned_away));
}
