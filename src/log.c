/* SPDX-License-Identifier: MIT */
/*
 * log: a ring of pointers to immutable messages, and the next number.
 *
 *     slots   +-------+-------+-------+-------+      capacity 4
 *             |   5   |   6   |   3   |   4   |      kept: 3 to 6
 *             +-------+-------+-------+-------+
 *                                 ^
 *     tail    | next number = 7 | sealed | W |       7 belongs into the slot
 *                                                    of 3, and replaces it
 *
 * A message with the number n lies in slot n mod capacity.  Each message
 * holds its number, and the address of the one that it replaced (`before`,
 * whose number is less by the capacity).
 *
 *     field    written by                       may lie?
 *     slot     append: by the one compare-      no
 *              exchange; C, its lowest bit,
 *              by close
 *     next     who published its number, or     by one: the message `next`
 *              anybody who finds it published   may be in its slot already
 *     sealed   who closed, or anybody who       may be clear although a slot
 *              finds the slot of `next` closed  is closed: see law 5
 *     W        set by who will sleep, cleared   may be set although nobody
 *              with each change of the rest     sleeps any more
 *
 * Laws
 *
 *  1. A number is given and its message published by one compare-exchange,
 *     that of a slot.  There is no state in which a number is claimed and
 *     its message is not there: a writer that stops, stops before it or
 *     after.
 *  2. Message n is published only by who has read next = n, and next becomes
 *     n + 1 only after n was published.  So numbers come in their order,
 *     without gap; and none twice, because the slot of n is changed from
 *     exactly the message n - capacity.  (Its address does not come back
 *     meanwhile: the writer found it inside its read section.)
 *  3. Moving `next` on is anybody's: a writer that finds n published does it
 *     and goes on.  So next is behind by one at most, and only until the next
 *     append.  Who looks for the end looks into the slot of next, too.
 *  4. A message is written before the compare-exchange that publishes it
 *     (release), and found through an acquire load; next is moved by a
 *     release, after the slot was seen, and read with acquire.  Hence who
 *     reads next = n finds message n - 1, or what replaced it, in its slot,
 *     and finds all that its writer had seen.
 *  5. Closing changes the slot of next to "what was there, and C": no
 *     message can replace it any more.  It drops nothing.  Whoever finds the
 *     C, appending or closing, seals the tail before it returns; readers
 *     look at the seal alone.  So that is the moment in which the log is
 *     closed.
 *  6. A reader that wants n looks into one slot.  It holds n; or less, and n
 *     is not there yet; or more, and n is gone.  In that case it reads next
 *     inside its read section, and looks into the slot which holds the oldest
 *     as long as that is the next number.  If the slot was taken meanwhile,
 *     the oldest of a moment before is `before` of what it finds there: it
 *     was dropped after the reader had read next, so after its section had
 *     begun, and is not reclaimed.  No retry: four loads, and one pointer.
 *  7. No lost wake-up.  A waiter reads the tail, looks for its message, and
 *     announces itself by a compare-exchange of the very tail that it read.
 *     The message that it waits for is published after it has looked; so
 *     next moves after the announcement, finds W, and wakes.  If it moved
 *     before, the announcement fails; if between announcement and sleep, the
 *     kernel refuses to sleep: the low half of the tail holds 30 bits of
 *     next.
 *
 * Progress: reads do not loop.  An append starts over only if a slot or the
 * tail has changed: by another append, or by a waiter, which changes the tail
 * once for each number.  So appends are lock-free.  Memory: capacity messages
 * and what awaits reclamation; a message to come is allocated, and room for
 * what it will replace is made, before anything changes.  A writer is inside
 * its read section only from reading the tail to the compare-exchange: where
 * there are more threads than processors many are stopped at any time, and
 * those who are stopped inside hold back what all others drop.
 */
#include "log_message.h"

#include "rcu_internal.h"
#include "wait.h"

#include <errno.h>
#include <stdlib.h>

/* Of a slot */
#define CLOSED ((uintptr_t)1)

/* Of the tail */
#define WAITERS ((uint64_t)1)
#define SEALED ((uint64_t)2)
#define NEXT_SHIFT 2
#define NEXT_ONE ((uint64_t)1 << NEXT_SHIFT)

typedef _Atomic(uintptr_t) slot;

/* What never changes lies apart from what each append changes. */
struct fh_log {
	struct fh_rcu_head rcu;
	slot *slots;
	size_t capacity;
	size_t mask;		/* capacity - 1 if that is a power of two */
	size_t max_size;
	_Alignas(128) _Atomic(uint64_t) tail;
	char apart[120];
};

static slot *slot_of(const struct fh_log *log, uint64_t number)
{
	return &log->slots[log->mask ? number & log->mask :
				       number % log->capacity];
}

static struct message *message_of(uintptr_t word)
{
	return (struct message *)(word & ~CLOSED);
}

static struct message *look_at(const struct fh_log *log, uint64_t number)
{
	/* pairs with: log.slot */
	return message_of(load_acquire(slot_of(log, number)));
}

static uint64_t number_of(const struct message *message)
{
	return message ? message->number : 0;
}

static uint64_t tail_of(const struct fh_log *log)
{
	/* pairs with: log.tail */
	return load_acquire(&log->tail);
}

/* ---- life ---- */

int fh_log_create(struct fh_log **log, const struct fh_log_options *options)
{
	struct fh_log_options wanted = fh_log_complete(options);
	struct fh_log *made = aligned_alloc(128, sizeof(*made));
	slot *slots = calloc(wanted.capacity, sizeof(*slots));

	if (!made || !slots) {
		free(made);
		free(slots);
		return -ENOMEM;
	}
	made->slots = slots;
	made->capacity = wanted.capacity;
	made->mask = wanted.capacity & (wanted.capacity - 1) ?
			     0 : wanted.capacity - 1;
	made->max_size = wanted.max_size;
	store_relaxed(&made->tail, NEXT_ONE);
	*log = made;
	return 0;
}

static void log_reclaim(struct fh_rcu_head *head)
{
	struct fh_log *log = (void *)((char *)head -
				      offsetof(struct fh_log, rcu));
	size_t i;

	for (i = 0; i < log->capacity; i++)
		free(message_of(load_relaxed(&log->slots[i])));
	free(log->slots);
	free(log);
}

void fh_log_destroy(struct fh_log *log)
{
	if (log)
		fh_rcu_retire_later(&log->rcu, log_reclaim);
}

/* ---- the tail ---- */

static const _Atomic(uint32_t) *low_half(const struct fh_log *log)
{
	const char *bytes = (const char *)&log->tail;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	bytes += 4;
#endif
	return (const _Atomic(uint32_t) *)(const void *)bytes;
}

/*
 * Change the tail from "next, open" to @then and wake who waits, unless
 * somebody has done so.
 */
static void move_tail(struct fh_log *log, uint64_t next, uint64_t then)
{
	uint64_t tail = load_relaxed(&log->tail);

	while ((tail & ~WAITERS) == next << NEXT_SHIFT) {
		/* pairs with: log.tail */
		if (!cas_release_relaxed(&log->tail, &tail, then))
			continue;
		if (tail & WAITERS)
			fh_wake_all(low_half(log));
		return;
	}
}

static void advance(struct fh_log *log, uint64_t next)
{
	move_tail(log, next, (next + 1) << NEXT_SHIFT);
}

static void seal(struct fh_log *log, uint64_t next)
{
	move_tail(log, next, next << NEXT_SHIFT | SEALED);
}

/*
 * The slot where the next message belongs, what it holds, and that message's
 * number, or false: another one is there, look again.
 */
static bool find_end(struct fh_log *log, uint64_t *next, slot **end,
		     uintptr_t *seen)
{
	*next = tail_of(log) >> NEXT_SHIFT;
	*end = slot_of(log, *next);
	/* pairs with: log.slot */
	*seen = load_acquire(*end);
	if (number_of(message_of(*seen)) < *next)
		return true;
	advance(log, *next);
	return false;
}

/* ---- writers ---- */

/* In a read section; from then on the message is everybody's. */
static int publish(struct fh_log *log, struct message *message,
		   uint64_t *number)
{
	uintptr_t seen;
	slot *end;

	for (;;) {
		if (!find_end(log, number, &end, &seen))
			continue;
		if (seen & CLOSED) {
			seal(log, *number);
			return -ESHUTDOWN;
		}
		message->number = *number;
		message->before = message_of(seen);
		fh_point("log.numbered");
		/* pairs with: log.slot */
		if (cas_release_relaxed(end, &seen, (uintptr_t)message))
			return 0;
	}
}

/*
 * The message that is going to be dropped was written long ago, and not on
 * this processor: have it fetched, while the new one is being made, instead
 * of within the read section, where time holds back reclamation.
 */
static void fetch_oldest(const struct fh_log *log)
{
	uint64_t next = load_relaxed(&log->tail) >> NEXT_SHIFT;

	__builtin_prefetch(message_of(load_relaxed(slot_of(log, next))), 1);
}

/* With room for what is dropped. */
static int add(struct fh_log *log, struct message *message, uint64_t *number)
{
	struct message *before = NULL;
	int rc;

	fh_rcu_read_lock();
	rc = publish(log, message, number);
	if (rc == 0)
		before = message->before;
	fh_rcu_read_unlock();
	if (rc < 0)
		return rc;
	fh_point("log.published");
	advance(log, *number);
	if (before)
		fh_rcu_retire(&before->rcu, fh_message_reclaim);
	return 0;
}

int fh_log_append(struct fh_log *log, const void *data, size_t size,
		  uint64_t *number)
{
	struct message *message;
	struct fh_room room;
	uint64_t mine;
	int rc;

	if (size > log->max_size)
		return -EMSGSIZE;
	fetch_oldest(log);
	message = fh_message_new(data, size);
	if (!message)
		return -ENOMEM;
	rc = fh_room_take(&room, 1);
	if (rc == 0)
		rc = add(log, message, &mine);
	fh_room_leave(&room, 0);
	if (rc < 0)
		free(message);
	else if (number)
		*number = mine;
	return rc;
}

static bool try_to_close(struct fh_log *log)
{
	uintptr_t seen;
	uint64_t next;
	slot *end;

	if (!find_end(log, &next, &end, &seen))
		return false;
	/* pairs with: log.slot */
	if (!(seen & CLOSED) && !cas_release_relaxed(end, &seen, seen | CLOSED))
		return false;
	fh_point("log.closed");
	seal(log, next);
	return true;
}

void fh_log_close(struct fh_log *log)
{
	fh_rcu_read_lock();
	while (!try_to_close(log))
		;
	fh_rcu_read_unlock();
}

/* ---- readers ---- */

/* When there is nothing after the cursor: will there be? */
static int nothing_after(const struct fh_log *log, uint64_t cursor)
{
	uint64_t tail = tail_of(log);

	/* Sealed with more than the cursor: that came since the look. */
	return tail & SEALED && cursor >= (tail >> NEXT_SHIFT) - 1 ?
		       -ESHUTDOWN : -ENODATA;
}

/* Law 6; called only when the log has gone round at least once. */
static const struct message *oldest(const struct fh_log *log)
{
	uint64_t next = tail_of(log) >> NEXT_SHIFT;
	const struct message *found = look_at(log, next);

	fh_point("log.behind");
	if (found->number == next)
		found = look_at(log, ++next);
	return found->number < next ? found : found->before;
}

int fh_log_get(const struct fh_log *log, uint64_t *cursor,
	       struct fh_log_message *message)
{
	uint64_t seen = *cursor;
	const struct message *found = look_at(log, seen + 1);

	/* Not "less than seen + 1", which may be 0. */
	if (number_of(found) <= seen)
		return nothing_after(log, seen);
	if (unlikely(found->number != seen + 1))
		found = oldest(log);
	fh_message_tell(found, cursor, message);
	return 0;
}

void fh_log_get_range(const struct fh_log *log, struct fh_log_range *range)
{
	uint64_t tail = tail_of(log), last = (tail >> NEXT_SHIFT) - 1;

	fh_rcu_read_lock();
	if (number_of(look_at(log, last + 1)) > last)
		last++;
	fh_rcu_read_unlock();
	range->first = last > log->capacity ? last - log->capacity + 1 : 1;
	range->last = last;
	range->closed = (tail & SEALED) != 0;
}

/* ---- waiting ---- */

/* Is there a message after the cursor? */
static int look_for(const struct fh_log *log, uint64_t cursor)
{
	bool there;

	fh_rcu_read_lock();
	there = number_of(look_at(log, cursor + 1)) > cursor;
	fh_rcu_read_unlock();
	return there ? 0 : nothing_after(log, cursor);
}

/* Sleep until the tail is no longer @tail; 0: look again. */
static int sleep_on(struct fh_log *log, uint64_t tail, int64_t deadline)
{
	/* A poll announces nothing, and costs nobody a system call. */
	if (deadline != FH_FOREVER && fh_now() >= deadline)
		return -ETIMEDOUT;
	if (!(tail & WAITERS) &&
	    !cas_relaxed(&log->tail, &tail, tail | WAITERS))
		return 0;
	fh_point("log.announced");
	return fh_wait_on(low_half(log), (uint32_t)(tail | WAITERS), deadline);
}

int fh_log_wait(struct fh_log *log, uint64_t cursor, int64_t deadline)
{
	int rc = 0, there;

	for (;;) {
		uint64_t tail = tail_of(log);

		there = look_for(log, cursor);
		if (there != -ENODATA)
			return there;
		if (rc < 0)
			return rc;
		rc = sleep_on(log, tail, deadline);
	}
}
