/* SPDX-License-Identifier: MIT */
/*
 * gate_run: requests on threads.
 *
 * Who is let in takes a seat.  If a thread is parked in it, that thread gets
 * the request; if the seat is empty, a thread is started for it.
 *
 *     free:  tag | top --> seat 3 --> seat 0 --> seat 1 --> seat 2 --> none
 *                          parked     parked     empty      empty
 *
 * Free seats lie on a stack, so that the thread that parked last, whose
 * memory is still in the cache, runs next, and the others may end.
 *
 * Laws
 *
 *  1. There are as many seats as places, a seat is taken after its place and
 *     put back before it.  So who has a place and no seat yet finds the stack
 *     not empty: the others inside have at most limit - 1 seats.  (It sees
 *     the stack as they left it, because leaving is a release and entering
 *     an acquire.)
 *  2. The stack is a word: the index of its top, and a tag that counts its
 *     changes, so that a top which went and came back is not mistaken for
 *     one that stayed.  (To be fooled, a thread would have to lie between two
 *     instructions for exactly a multiple of 2^32 changes.)  Seats live as
 *     long as the gate, so looking at one that was just taken harms nobody,
 *     and what was seen below it counts only if the tag has not changed.
 *  3. A seat with a parked thread stays a seat that anybody may take.  Its
 *     thread can leave it only by a compare-exchange from PARKED to EMPTY,
 *     and a request can be given to it only by one from PARKED to GIVEN: of
 *     both one succeeds.  So no request is given to a thread that has gone.
 *  4. Once a seat is back on the stack and EMPTY, the thread that sat there
 *     does not touch it any more: another one may sit there.
 *  5. Starting a thread fails with the seat owned and the place held; both
 *     are given back, and nobody has seen anything.  No other request
 *     depends on that thread, because there is no queue.
 *  6. A request that was given away may destroy the gate before its giver
 *     has returned.  So the giver does not look at the gate any more, nor
 *     does anything that it has called.
 *  7. A thread that dies in its request runs what pthread_cleanup_push left
 *     for it, and that gives back seat and place as a return does.
 */
#include "gate_internal.h"

#include "gate_options.h"
#include "wait.h"

#include <errno.h>

/* The gate that this thread runs a request of. */
static __thread const struct fh_gate *serving;

bool fh_gate_serving(const struct fh_gate *gate)
{
	return serving == gate;
}

void fh_gate_forget_serving(const struct fh_gate *gate)
{
	if (serving == gate)
		serving = NULL;
}

/* ---- seats ---- */

/*
 * What a seat holds in `below` is how far the next one on the stack is from
 * its neighbour: zero bytes are a stack of all seats in their order.
 */
static struct seat *take_seat(struct fh_gate *gate)
{
	uint64_t top = load_relaxed(&gate->free), then;
	struct seat *seat;

	do {
		seat = &gate->seats[(uint32_t)top];
		then = (uint32_t)top + 1u + load_relaxed(&seat->below);
		then = (uint32_t)then | ((top >> 32) + 1) << 32;
		fh_point("gate.taking");
		/* pairs with: gate.free */
	} while (!cas_acq_rel_relaxed(&gate->free, &top, then));
	return seat;
}

static void put_seat(struct fh_gate *gate, struct seat *seat)
{
	uint32_t index = (uint32_t)(seat - gate->seats);
	uint64_t top = load_relaxed(&gate->free), then;

	do {
		store_relaxed(&seat->below, (uint32_t)top - (index + 1u));
		then = index | ((top >> 32) + 1) << 32;
		/* pairs with: gate.free */
	} while (!cas_release_relaxed(&gate->free, &top, then));
}

/* ---- a thread ---- */

/* The thread that died gives back what it had. */
static void died(void *arg)
{
	struct seat *seat = arg;
	struct fh_gate *gate = seat->gate;

	if (!serving)
		return;
	serving = NULL;
	add_relaxed(&gate->died, 1u);
	store_relaxed(&seat->state, SEAT_EMPTY);
	put_seat(gate, seat);
	fh_gate_give_back(gate);
	fh_gate_drop(gate);
}

/* false: this is a child that has forgotten the gate's threads. */
static bool serve(struct seat *seat)
{
	bool still;

	serving = seat->gate;
	pthread_cleanup_push(died, seat);
	fh_gate_call(seat->request, seat->arg);
	pthread_cleanup_pop(0);
	still = serving != NULL;
	serving = NULL;
	return still;
}

/* Wait for a request; false: none came, and the seat is left. */
static bool park(struct seat *seat, int64_t deadline)
{
	uint32_t state;
	int rc = 0;

	for (;;) {
		/* pairs with: gate.seat */
		state = load_acquire(&seat->state);
		if (state != SEAT_PARKED)
			return state == SEAT_GIVEN;
		if (rc < 0 && cas_relaxed(&seat->state, &state, SEAT_EMPTY))
			return false;
		if (rc == 0)
			rc = fh_wait_on(&seat->state, SEAT_PARKED, deadline);
	}
}

/* The request has returned: give back what it had, and get another one. */
static bool next_request(struct seat *seat)
{
	struct fh_gate *gate = seat->gate;
	int64_t idle = gate->options.idle;
	bool destroyed;

	store_relaxed(&seat->state, idle ? SEAT_PARKED : SEAT_EMPTY);
	put_seat(gate, seat);
	destroyed = fh_gate_give_back(gate);
	if (!idle)
		return false;
	return park(seat, destroyed ? 0 : fh_deadline_in(idle));
}

static void *thread_main(void *arg)
{
	struct seat *seat = arg;
	struct fh_gate *gate = seat->gate;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	fh_point("gate.seated");
	do
		if (!serve(seat))
			return NULL;
	while (next_request(seat));
	fh_gate_drop(gate);
	return NULL;
}

void fh_gate_dismiss(struct fh_gate *gate)
{
	/* Seats were taken from the first on: no more than were inside. */
	uint64_t i, used = load_relaxed(&gate->peak);

	for (i = 0; i < used; i++) {
		_Atomic(uint32_t) *state = &gate->seats[i].state;
		uint32_t parked = SEAT_PARKED;

		if (cas_relaxed(state, &parked, SEAT_QUIT))
			fh_wake_one(state);
	}
}

/* ---- giving a request to one ---- */

static int start_thread(struct fh_gate *gate, struct seat *seat)
{
	struct fh_gate_options options = gate->options;

	seat->gate = gate;
	add_relaxed(&gate->refs, 1u);
	if (fh_gate_start(&options, thread_main, seat) == 0)
		return 0;	/* law 6: the gate may be gone */
	fh_gate_drop(gate);
	add_relaxed(&gate->failed, 1u);
	return -EAGAIN;
}

/* The caller has a place. */
static int seat_request(struct fh_gate *gate, void (*request)(void *arg),
			void *arg)
{
	struct seat *seat = take_seat(gate);
	uint32_t parked = SEAT_PARKED;
	int rc;

	seat->request = request;
	seat->arg = arg;
	/* pairs with: gate.seat */
	if (cas_release_relaxed(&seat->state, &parked, SEAT_GIVEN)) {
		fh_wake_one(&seat->state);
		return 0;
	}
	rc = start_thread(gate, seat);
	if (rc < 0) {
		put_seat(gate, seat);
		fh_gate_give_back(gate);
	}
	return rc;
}

int fh_gate_run(struct fh_gate *gate, void (*request)(void *arg), void *arg)
{
	int rc = fh_gate_enter(gate);

	return rc < 0 ? rc : seat_request(gate, request, arg);
}

int fh_gate_run_wait(struct fh_gate *gate, void (*request)(void *arg),
		     void *arg, int64_t deadline)
{
	int rc = fh_gate_enter_wait(gate, deadline);

	return rc < 0 ? rc : seat_request(gate, request, arg);
}
