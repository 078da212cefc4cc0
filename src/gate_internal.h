/* SPDX-License-Identifier: MIT */
/*
 * gate_internal: what the files of the gate share.
 *
 *     gate.c        who is inside: entering, leaving, closing, draining
 *     gate_run.c    the threads that run requests
 */
#ifndef FH_GATE_INTERNAL_H
#define FH_GATE_INTERNAL_H

#include <freehold/counter.h>
#include <freehold/gate.h>

#include "atomic.h"

#include <pthread.h>

/*
 * A seat is where a thread sits, or could.  Whoever has taken a seat off the
 * stack owns it; its fields but for state and below are the owner's.
 *
 *     state    there is                     changes to
 *     EMPTY    no thread                    EMPTY (whoever owns it starts one)
 *     PARKED   a thread that looks for a    GIVEN by the owner, EMPTY by the
 *              request, or sleeps           thread, QUIT by destroy
 *     GIVEN    a thread with a request      PARKED or EMPTY by the thread
 *     QUIT     a thread that shall end      nothing
 */
enum { SEAT_EMPTY, SEAT_PARKED, SEAT_GIVEN, SEAT_QUIT };

struct seat {
	_Atomic(uint32_t) state; /* a futex */
	_Atomic(uint32_t) below; /* on the stack: see gate_run.c */
	struct fh_gate *gate;
	void (*request)(void *arg);
	void *arg;
	char pad[32];
};

_Static_assert(sizeof(struct seat) == 64, "one cache line for each");

struct fh_gate {
	struct fh_gate_options options;
	struct seat *seats;	/* limit of them */

	/* Changes with each request */
	_Atomic(uint64_t) word __attribute__((aligned(128)));
	_Atomic(uint64_t) free;	/* the stack of seats that nobody owns */

	/* One for the word, one for each thread; the last one frees. */
	_Atomic(uint64_t) refs __attribute__((aligned(128)));
	_Atomic(uint64_t) peak;
	_Atomic(uint64_t) failed, died;
	struct fh_counter admitted, refused, turned_away;
};

/* ---- gate.c ---- */

/* Give a place back; true: the gate is no longer its owner's. */
bool fh_gate_give_back(struct fh_gate *gate);

/* Give up a reference. */
void fh_gate_drop(struct fh_gate *gate);

/* ---- gate_run.c ---- */

/* Is this a thread of the gate's, serving a request? */
bool fh_gate_serving(const struct fh_gate *gate);

/* In a forked child: no such thread is. */
void fh_gate_forget_serving(const struct fh_gate *gate);

/* Have all threads end that are without a request. */
void fh_gate_dismiss(struct fh_gate *gate);

#endif
