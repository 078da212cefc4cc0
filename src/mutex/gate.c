/* SPDX-License-Identifier: MIT */
/*
 * gate, the mutex twin: counts, closing and the list of idle threads under
 * one mutex.
 *
 * Each thread has a condition variable of its own, so that a request wakes
 * the one that it is for; who waits for a place sleeps on `places`, who waits
 * for the drain on `drained`.  Callers' requests run without the lock.
 *
 * A gate is freed by who brings it to "destroyed, nobody inside, no threads".
 *
 * What a lock cannot promise: a thread that is stopped while it holds the
 * mutex stops everybody at the gate, and no call may be made in a signal
 * handler.
 */
#include <freehold/gate.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../gate_options.h"
#include "lock.h"

/* Where a thread sits; the lock guards it. */
struct seat {
	struct fh_gate *gate;
	struct seat *next;	/* free, or idle */
	void (*request)(void *arg);	/* NULL: it waits for one */
	void *arg;
	pthread_cond_t called;	/* a request is there, or the end */
	bool made;		/* the condition variable */
};

struct fh_gate {
	struct fh_gate_options options;
	struct seat *seats;
	pthread_mutex_t lock;
	pthread_cond_t places, drained;
	size_t place_waiters, drain_waiters;
	struct seat *idle;	/* with a thread, the last one first */
	struct seat *empty;	/* without */
	size_t used;		/* seats ever used; the others are empty too */
	bool destroyed;
	struct fh_gate_stats stats;
};

/* The gate that this thread runs a request of. */
static __thread struct fh_gate *serving;

/* ---- life ---- */

static void set_up(struct fh_gate *gate)
{
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->places, NULL);
	pthread_cond_init(&gate->drained, NULL);
	gate->stats.limit = gate->options.limit;
}

int fh_gate_create(struct fh_gate **gate,
		   const struct fh_gate_options *options)
{
	struct fh_gate *made;
	int rc = fh_gate_check(options);

	if (rc < 0)
		return rc;
	made = calloc(1, sizeof(*made));
	if (made)
		made->seats = calloc(options->limit, sizeof(*made->seats));
	if (!made || !made->seats) {
		free(made);
		return -ENOMEM;
	}
	made->options = *options;
	set_up(made);
	*gate = made;
	return 0;
}

static void gate_free(struct fh_gate *gate)
{
	size_t i;

	for (i = 0; i < gate->used; i++)
		if (gate->seats[i].made)
			pthread_cond_destroy(&gate->seats[i].called);
	pthread_cond_destroy(&gate->drained);
	pthread_cond_destroy(&gate->places);
	pthread_mutex_destroy(&gate->lock);
	free(gate->seats);
	free(gate);
}

/* Unlock; free the gate if that was the last of it. */
static void leave_lock(struct fh_gate *gate)
{
	bool last = gate->destroyed && gate->stats.inside == 0 &&
		    gate->stats.threads == 0;

	pthread_mutex_unlock(&gate->lock);
	if (last)
		gate_free(gate);
}

void fh_gate_destroy(struct fh_gate *gate)
{
	struct seat *seat;

	if (!gate)
		return;
	pthread_mutex_lock(&gate->lock);
	gate->destroyed = true;
	gate->stats.closed = 1;
	for (seat = gate->idle; seat; seat = seat->next)
		pthread_cond_signal(&seat->called);
	leave_lock(gate);
}

/* ---- in and out, with the lock held ---- */

static int try_to_enter(struct fh_gate *gate)
{
	struct fh_gate_stats *stats = &gate->stats;

	if (stats->closed)
		return -ESHUTDOWN;
	if (stats->inside == stats->limit)
		return -EBUSY;
	if (++stats->inside > stats->peak)
		stats->peak = stats->inside;
	return 0;
}

static int wait_to_enter(struct fh_gate *gate, int64_t deadline)
{
	int rc = 0, tried;

	while (tried = try_to_enter(gate), tried == -EBUSY && rc == 0) {
		gate->place_waiters++;
		rc = fh_cond_wait_until(&gate->places, &gate->lock, deadline);
		gate->place_waiters--;
	}
	return tried == -EBUSY ? rc : tried;
}

static int counted(struct fh_gate *gate, int rc)
{
	struct fh_gate_stats *stats = &gate->stats;

	++*(rc == 0 ? &stats->admitted :
	    rc == -ESHUTDOWN ? &stats->turned_away : &stats->refused);
	return rc;
}

static void give_back(struct fh_gate *gate)
{
	gate->stats.inside--;
	if (gate->place_waiters)
		pthread_cond_signal(&gate->places);
	if (gate->drain_waiters && gate->stats.inside == 0)
		pthread_cond_broadcast(&gate->drained);
}

/* ---- in and out ---- */

int fh_gate_enter(struct fh_gate *gate)
{
	int rc;

	pthread_mutex_lock(&gate->lock);
	rc = counted(gate, try_to_enter(gate));
	pthread_mutex_unlock(&gate->lock);
	return rc;
}

int fh_gate_enter_wait(struct fh_gate *gate, int64_t deadline)
{
	int rc;

	pthread_mutex_lock(&gate->lock);
	rc = counted(gate, wait_to_enter(gate, deadline));
	pthread_mutex_unlock(&gate->lock);
	return rc;
}

int fh_gate_leave(struct fh_gate *gate)
{
	int rc = 0;

	pthread_mutex_lock(&gate->lock);
	if (gate->stats.inside)
		give_back(gate);
	else
		rc = -EPERM;
	leave_lock(gate);
	return rc;
}

/* ---- a thread, with the lock held around its requests ---- */

static void push(struct seat **list, struct seat *seat)
{
	seat->next = *list;
	*list = seat;
}

static struct seat *pop(struct seat **list)
{
	struct seat *seat = *list;

	if (seat)
		*list = seat->next;
	return seat;
}

static void remove_idle(struct fh_gate *gate, struct seat *seat)
{
	struct seat **at = &gate->idle;

	while (*at != seat)
		at = &(*at)->next;
	*at = seat->next;
}

/* Wait for a request; false: none came, and the seat is empty. */
static bool park(struct fh_gate *gate, struct seat *seat)
{
	int64_t deadline = gate->options.idle ?
				   fh_deadline_in(gate->options.idle) : 0;
	int rc = 0;

	seat->request = NULL;
	push(&gate->idle, seat);
	while (!seat->request && rc == 0 && !gate->destroyed)
		rc = fh_cond_wait_until(&seat->called, &gate->lock, deadline);
	if (seat->request)
		return true;
	remove_idle(gate, seat);
	push(&gate->empty, seat);
	return false;
}

static void died(void *arg)
{
	struct seat *seat = arg;
	struct fh_gate *gate = serving;

	if (!gate)
		return;
	serving = NULL;
	pthread_mutex_lock(&gate->lock);
	gate->stats.died++;
	gate->stats.threads--;
	push(&gate->empty, seat);
	give_back(gate);
	leave_lock(gate);
}

/* false: this is a child that has forgotten the gate's threads. */
static bool serve(struct fh_gate *gate, struct seat *seat)
{
	bool still;

	serving = gate;
	pthread_cleanup_push(died, seat);
	fh_gate_call(seat->request, seat->arg);
	pthread_cleanup_pop(0);
	still = serving != NULL;
	serving = NULL;
	return still;
}

static void *thread_main(void *arg)
{
	struct seat *seat = arg;
	struct fh_gate *gate = seat->gate;
	bool more = true;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	while (more) {
		if (!serve(gate, seat))
			return NULL;
		pthread_mutex_lock(&gate->lock);
		give_back(gate);
		more = park(gate, seat);
		if (more)
			pthread_mutex_unlock(&gate->lock);
	}
	gate->stats.threads--;
	leave_lock(gate);
	return NULL;
}

/* ---- giving a request to one ---- */

/* With the lock held, and a place: a seat without a thread. */
static struct seat *empty_seat(struct fh_gate *gate)
{
	struct seat *seat = pop(&gate->empty);

	if (!seat)
		seat = &gate->seats[gate->used++];
	if (!seat->made)
		pthread_cond_init(&seat->called, NULL);
	seat->made = true;
	return seat;
}

static void fill(struct seat *seat, void (*request)(void *arg), void *arg)
{
	seat->request = request;
	seat->arg = arg;
}

/* Without the lock: a thread takes long to start. */
static int start_thread(struct fh_gate *gate, struct seat *seat)
{
	struct fh_gate_options options = gate->options;

	seat->gate = gate;
	if (fh_gate_start(&options, thread_main, seat) == 0)
		return 0;	/* the request may have destroyed the gate */
	pthread_mutex_lock(&gate->lock);
	gate->stats.failed++;
	gate->stats.threads--;
	push(&gate->empty, seat);
	give_back(gate);
	leave_lock(gate);
	return -EAGAIN;
}

/* With the lock held, and a place; releases the lock. */
static int seat_request(struct fh_gate *gate, void (*request)(void *arg),
			void *arg)
{
	struct seat *seat = pop(&gate->idle);

	if (seat) {
		fill(seat, request, arg);
		pthread_cond_signal(&seat->called);
		pthread_mutex_unlock(&gate->lock);
		return 0;
	}
	seat = empty_seat(gate);
	gate->stats.threads++;
	pthread_mutex_unlock(&gate->lock);
	fill(seat, request, arg);
	return start_thread(gate, seat);
}

int fh_gate_run_wait(struct fh_gate *gate, void (*request)(void *arg),
		     void *arg, int64_t deadline)
{
	int rc;

	pthread_mutex_lock(&gate->lock);
	rc = counted(gate, wait_to_enter(gate, deadline));
	if (rc == 0)
		return seat_request(gate, request, arg);
	pthread_mutex_unlock(&gate->lock);
	return rc;
}

int fh_gate_run(struct fh_gate *gate, void (*request)(void *arg), void *arg)
{
	int rc;

	pthread_mutex_lock(&gate->lock);
	rc = counted(gate, try_to_enter(gate));
	if (rc == 0)
		return seat_request(gate, request, arg);
	pthread_mutex_unlock(&gate->lock);
	return rc;
}

/* ---- closing ---- */

static void close_locked(struct fh_gate *gate)
{
	gate->stats.closed = 1;
	if (gate->place_waiters)
		pthread_cond_broadcast(&gate->places);
}

void fh_gate_close(struct fh_gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	close_locked(gate);
	pthread_mutex_unlock(&gate->lock);
}

void fh_gate_open(struct fh_gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->stats.closed = 0;
	if (gate->drain_waiters)
		pthread_cond_broadcast(&gate->drained);
	pthread_mutex_unlock(&gate->lock);
}

int fh_gate_drain_wait(struct fh_gate *gate, int64_t deadline, size_t *left)
{
	struct fh_gate_stats *stats = &gate->stats;
	int rc = 0;

	if (serving == gate)
		return -EDEADLK;
	pthread_mutex_lock(&gate->lock);
	close_locked(gate);
	while (stats->closed && stats->inside && rc == 0) {
		gate->drain_waiters++;
		rc = fh_cond_wait_until(&gate->drained, &gate->lock, deadline);
		gate->drain_waiters--;
	}
	if (!stats->closed)
		rc = -ECANCELED;
	else if (!stats->inside)
		rc = 0;
	if (left)
		*left = stats->inside;
	pthread_mutex_unlock(&gate->lock);
	return rc;
}

/* ---- the rest ---- */

void fh_gate_get_stats(const struct fh_gate *gate,
		       struct fh_gate_stats *stats)
{
	struct fh_gate *locked = (struct fh_gate *)(uintptr_t)gate;

	pthread_mutex_lock(&locked->lock);
	*stats = locked->stats;
	stats->waiting = locked->place_waiters + locked->drain_waiters;
	pthread_mutex_unlock(&locked->lock);
}

/* Locks and condition variables may be in use by threads that are gone. */
void fh_gate_after_fork(struct fh_gate *gate)
{
	if (serving == gate)
		serving = NULL;
	memset(gate->seats, 0, gate->used * sizeof(*gate->seats));
	memset(&gate->stats, 0, sizeof(gate->stats));
	gate->place_waiters = gate->drain_waiters = gate->used = 0;
	gate->idle = gate->empty = NULL;
	gate->destroyed = false;
	set_up(gate);
}
