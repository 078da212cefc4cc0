/* SPDX-License-Identifier: MIT */
/*
 * Histories of a running library: threads act on a few objects at once, each
 * writes down what it called, what came back, and when; between the rounds
 * linear.h decides about what they wrote.
 *
 *     op = history_call(self, SET, key, 3, 0);
 *     history_return(self, op, fh_status_set(cell, 3));
 *
 * Time is a shared tick.  An invocation loads it (acquire); a return adds one
 * (acquire and release) and keeps what was there before.  Operation a is said
 * to precede b only if b's load saw a tick later than a's addition: then the
 * addition, and everything that a did, happens before the load, and all that
 * b does comes after it.  So no order is claimed that was not there.  And the
 * tick is one word that all agree on, so none is lost either but for the
 * moment between a tick and the call itself.
 *
 * The threads are the same from round to round and meet twice in each: before
 * they act, and before they check.  Objects live on; each check begins in the
 * state in which the one before ended, and every history ends with a look at
 * the object at rest, which must be explained like any other operation.
 *
 * Two cores run two threads, and a thread alone is never disturbed within an
 * operation.  So timers interrupt each thread wherever it is, and the handler
 * lets another thread run.  How much really overlapped is counted and told.
 *
 * Where nothing overlaps everything passes, so some of it must.  How much does
 * is up to the system: threads that it leaves on one core for a while meet a
 * hundred times less often than those on two.  So a form of a test goes on
 * until enough did, for so long that no busy machine is an excuse; with one
 * processor nothing is asked of it.
 */
#ifndef FH_TEST_HISTORY_H
#define FH_TEST_HISTORY_H

#include <freehold/base.h>

#include <limits.h>
#include <signal.h>

#include "linear.h"
#include "tap.h"

#define HISTORY_THREADS 5
#define HISTORY_OBJECTS 16	/* histories that one round makes */
#define HISTORY_KEYS 4
#define HISTORY_LOG 32		/* operations of one thread in one history */
#define HISTORY_NS 8000000	/* the most for a program, times the scale */
#define HISTORY_ROUNDS 5	/* and the least for a form */
#define HISTORY_SHARE 500	/* one history of so many must overlap, */
#define HISTORY_LEAST 3		/* and so many at the least, within */
#define HISTORY_PATIENCE INT64_C(20000000000)

struct history_log {
	struct operation op[HISTORY_LOG];
	unsigned count;
};

struct history;

/* One of the threads. */
struct history_thread {
	struct history *history;
	unsigned index;
	unsigned object;		/* on which it acts */
	uint64_t random;
	struct linear linear;
	struct history_log log[HISTORY_OBJECTS];
	uint64_t operations, overlapping, histories, overlapped, decisions;
} __attribute__((aligned(128)));

/* What a test is: how to act, and what would be right. */
struct history_room {
	struct specification specification;
	unsigned keys;			/* of each object, decided one by one */
	/* If not NULL: once for each thread, one after the other. */
	void (*enter)(struct history_thread *self);
	/* One thread's share of the history of self->object. */
	void (*act)(struct history_thread *self);
	/* At rest: look at each key, by operations. */
	void (*look)(struct history_thread *self);
	/* If not NULL: at rest, after the decision; sets the next state. */
	void (*reset)(unsigned object, struct linear_state *state);
};

/* One form of a test: so many of a hundred histories, by so many threads. */
struct history_form {
	const char *name;
	unsigned threads, percent;
	int how;			/* for the test's own use */
};

struct history {
	const struct history_room *room;
	const struct history_form *form;
	size_t rounds;
	struct linear_state state[HISTORY_OBJECTS][HISTORY_KEYS];
	struct history_thread thread[HISTORY_THREADS];
	_Alignas(128) tally tick;
	_Alignas(128) tally here[HISTORY_OBJECTS]; /* came to the object */
	_Alignas(128) tally arrived;
	tally phase, entered;
	tally refused, interruptions, late, hopeless;
	tally decided, overlapped;	/* histories */
	int64_t deadline, patience;
	bool parallel;			/* there are two processors */
	size_t begun;			/* rounds; the first thread's */
};

/* ---- recording ---- */

static uint64_t history_next_return(struct history_thread *self)
{
	return add_acq_rel(&self->history->tick, 1);
}

static struct operation *history_call(struct history_thread *self,
				      unsigned kind, unsigned key,
				      uint64_t in0, uint64_t in1)
{
	struct history_log *log = &self->log[self->object];
	struct operation *op = &log->op[log->count++];

	if (log->count > HISTORY_LOG)
		bail_out("a history is longer than its log");
	*op = (struct operation){
		.kind = kind, .key = key, .thread = self->index,
		.in = { in0, in1 },
	};
	op->invoked = load_acquire(&self->history->tick);
	return op;
}

static void history_return(struct history_thread *self, struct operation *op,
			   int rc)
{
	op->returned = history_next_return(self);
	op->rc = rc;
}

/* An operation that lasts as long as @whole: one call can do two things. */
__attribute__((unused)) static struct operation *
history_beside(struct history_thread *self, unsigned kind, unsigned key,
	       const struct operation *whole)
{
	struct operation *op = history_call(self, kind, key, 0, 0);

	op->invoked = whole->invoked;
	op->returned = whole->returned;
	op->rc = 0;
	return op;
}

/* Between two operations, so that threads meet at ever new places. */
static void history_pause(struct history_thread *self)
{
	uint64_t length = random_below(&self->random, 64);

	if (length == 0)
		sched_yield();
	for (; length && length < 8; length--)
		cpu_relax();
}

/* ---- interruptions ---- */

/*
 * Two threads on one core do not overlap: spread them out in the beginning.
 * To hold them there would be wrong, for somebody else may work there too.
 */
static void history_spread(unsigned index)
{
	cpu_set_t allowed, mine;
	int cpu = -1;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	for (index %= (unsigned)CPU_COUNT(&allowed); index != UINT_MAX; index--)
		do
			cpu++;
		while (!CPU_ISSET(cpu, &allowed));
	CPU_ZERO(&mine);
	CPU_SET(cpu, &mine);
	sched_setaffinity(0, sizeof(mine), &mine);
	sched_setaffinity(0, sizeof(allowed), &allowed);
}

static _Thread_local volatile uint64_t history_interrupted;

static void history_interrupt(int number)
{
	(void)number;
	history_interrupted++;
	sched_yield();
}

/*
 * Where there are no such timers, less overlaps; the count tells.  Under a
 * sanitizer everything takes longer, and so does the time between two.
 */
static bool history_shake(timer_t *timer, unsigned index)
{
	long period = (60000 + 7000 * (long)index) * (SANITIZED ? 10 : 1);
	struct itimerspec often = { { 0, period }, { 0, period } };
	struct sigaction action = {
		.sa_handler = history_interrupt, .sa_flags = SA_RESTART,
	};
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2,
	};

#ifdef sigev_notify_thread_id
	event.sigev_notify_thread_id = gettid();
#else
	event._sigev_un._tid = gettid();
#endif
	return !sigaction(SIGUSR2, &action, NULL) &&
	       !timer_create(CLOCK_MONOTONIC, &event, timer) &&
	       !timer_settime(*timer, 0, &often, NULL);
}

/* ---- deciding ---- */

static bool overlaps(const struct operation *a, const struct operation *b)
{
	return a->thread != b->thread && a->returned >= b->invoked &&
	       b->returned >= a->invoked;
}

static unsigned count_overlapping(const struct operation *op, unsigned count)
{
	unsigned i, j, n = 0;

	for (i = 0; i < count; i++) {
		for (j = 0; j < count && !overlaps(&op[i], &op[j]); j++)
			;
		n += j < count;
	}
	return n;
}

/* Everything that was done to one key of one object. */
static unsigned gather(const struct history *history, unsigned object,
		       unsigned key, struct operation *op)
{
	unsigned count = 0, t, i;

	for (t = 0; t < history->form->threads; t++) {
		const struct history_log *log =
			&history->thread[t].log[object];

		for (i = 0; i < log->count; i++) {
			if (log->op[i].key != key)
				continue;
			if (count == LINEAR_MOST)
				bail_out("a history is too long");
			op[count++] = log->op[i];
		}
	}
	return count;
}

/* The unexplained ones are marked: of the best attempt at an order. */
static void history_print(const struct linear *linear, unsigned count,
			  const struct linear_state *state, unsigned object)
{
	char text[160];
	unsigned i;

	diag("not linearizable: object %u, key %u, from the state "
	     "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, object,
	     linear->op->key, state->word[0], state->word[1], state->word[2],
	     state->word[3]);
	for (i = 0; i < count; i++) {
		const struct operation *op = &linear->op[i];

		linear->specification->print(op, text, sizeof(text));
		diag("%c %5" PRIu64 " to %5" PRIu64 "  thread %u: %s",
		     linear->furthest >> i & 1 ? ' ' : '?',
		     op->invoked - linear->op->invoked,
		     op->returned - linear->op->invoked, op->thread, text);
	}
}

static unsigned decide(struct history_thread *self, unsigned object,
		       unsigned key)
{
	struct history *history = self->history;
	struct linear_state *state = &history->state[object][key];
	struct operation op[LINEAR_MOST];
	unsigned overlapping, count = gather(history, object, key, op);

	if (!linearizable(&self->linear, &history->room->specification, op,
			  count, state) &&
	    !add_acq_rel(&history->refused, 1))
		history_print(&self->linear, count, state, object);
	overlapping = count_overlapping(op, count);
	self->operations += count;
	self->overlapping += overlapping;
	self->decisions++;
	return overlapping;
}

/* Nobody acts; this object is the calling thread's to check. */
static void decide_all(struct history_thread *self, unsigned object)
{
	struct history *history = self->history;
	const struct history_room *room = history->room;
	unsigned key, t, overlapping = 0;

	self->object = object;
	room->look(self);
	for (key = 0; key < room->keys; key++)
		overlapping += decide(self, object, key);
	self->histories++;
	self->overlapped += overlapping != 0;
	add_acq_rel(&history->decided, 1);
	add_acq_rel(&history->overlapped, overlapping != 0);
	for (t = 0; t < history->form->threads; t++)
		history->thread[t].log[object].count = 0;
	if (room->reset)
		room->reset(object, history->state[object]);
}

/* ---- the rounds ---- */

static void history_meet(struct history *history)
{
	uint64_t phase = load_acquire(&history->phase);
	unsigned spins = history->form->threads > 2 ? 20 : 2000;

	if (add_acq_rel(&history->arrived, 1) + 1 == history->form->threads) {
		store_relaxed(&history->arrived, 0);
		store_release(&history->phase, phase + 1);
		return;
	}
	while (load_acquire(&history->phase) == phase) {
		if (spins && spins--)
			cpu_relax();
		else
			sched_yield();
	}
}

/* They act in pairs at least, where the cores allow it: wait for one more. */
static void history_pair_up(struct history_thread *self)
{
	struct history *history = self->history;
	tally *here = &history->here[self->object];
	unsigned threads = history->form->threads, spins = 400;
	uint64_t before = add_acq_rel(here, 1), wanted = before + 1;

	if (before % threads % 2 == 0 && before % threads + 1 < threads)
		wanted++;
	while (load_acquire(here) < wanted && spins--)
		cpu_relax();
}

/* The first thread's, between two meetings: all see it at the second. */
static void history_look_at_clock(struct history *history)
{
	int64_t now = fh_now();

	if (++history->begun > HISTORY_ROUNDS && now > history->deadline)
		store_relaxed(&history->late, 1);
	if (now > history->patience)
		store_relaxed(&history->hopeless, 1);
}

static void history_round(struct history_thread *self)
{
	struct history *history = self->history;
	unsigned object;

	for (object = 0; object < HISTORY_OBJECTS; object++) {
		self->object = object;
		history_pair_up(self);
		history->room->act(self);
	}
	history_meet(history);
	if (self->index == 0)
		history_look_at_clock(history);
	for (object = self->index; object < HISTORY_OBJECTS;
	     object += history->form->threads)
		decide_all(self, object);
	history_meet(history);
}

static void history_enter(struct history_thread *self)
{
	struct history *history = self->history;

	while (load_acquire(&history->entered) != self->index)
		sched_yield();
	if (history->room->enter)
		history->room->enter(self);
	add_acq_rel(&history->entered, 1);
	history_meet(history);
}

static bool history_overlaps(struct history *history)
{
	uint64_t overlapped = load_acquire(&history->overlapped);

	return overlapped >= HISTORY_LEAST &&
	       overlapped * HISTORY_SHARE >= load_acquire(&history->decided);
}

static bool history_over(struct history *history, size_t round)
{
	if (load_acquire(&history->refused))
		return true;
	if (round < history->rounds && !load_acquire(&history->late))
		return false;
	return !history->parallel || history_overlaps(history) ||
	       load_acquire(&history->hopeless);
}

static void history_work(unsigned index, void *arg)
{
	struct history *history = arg;
	struct history_thread *self = &history->thread[index];
	timer_t timer;
	bool shaken;
	size_t round;

	self->history = history;
	self->index = index;
	self->random = random_seed(index);
	history_enter(self);
	history_spread(index);
	shaken = history_shake(&timer, index);
	/* All leave together: it is decided between two meetings. */
	for (round = 0; !history_over(history, round); round++)
		history_round(self);
	if (shaken)
		timer_delete(timer);
	add_acq_rel(&history->interruptions, history_interrupted);
	free(self->linear.dead);
}

static void history_tell(const struct history *history, int64_t took)
{
	uint64_t histories = 0, overlapped = 0, operations = 0;
	uint64_t overlapping = 0, steps = 0, decisions = 0;
	unsigned t;

	for (t = 0; t < history->form->threads; t++) {
		const struct history_thread *thread = &history->thread[t];

		histories += thread->histories;
		overlapped += thread->overlapped;
		operations += thread->operations;
		overlapping += thread->overlapping;
		decisions += thread->decisions;
		steps += thread->linear.steps;
	}
	diag("%s, %u threads: %" PRIu64 " histories in %" PRIu64 " decisions, "
	     "%" PRIu64 " operations; %.1f %% of the histories and %.1f %% of "
	     "the operations overlapped; %.2f steps an operation; %" PRIu64
	     " interruptions; %.1f s",
	     history->form->name, history->form->threads, histories, decisions,
	     operations, 100.0 * (double)overlapped / (double)histories,
	     100.0 * (double)overlapping / (double)operations,
	     (double)steps / (double)operations,
	     load_relaxed(&history->interruptions), (double)took / 1e9);
}

/*
 * How many histories a program makes in all its forms together.  If that is
 * not asked for, a busy machine makes fewer, for a second or so in all.
 */
static size_t history_total(size_t full, unsigned percent, int64_t *deadline)
{
	const char *text = getenv("FH_HISTORIES");
	long count = text ? strtol(text, NULL, 10) : 0;

	*deadline = FH_FOREVER;
	if (count > 0)
		return (size_t)count;
	*deadline = fh_deadline_in(HISTORY_NS * scale_percent() / 100 *
				   percent);
	return scaled(full, 400);
}

static bool history_in_parallel(void)
{
	cpu_set_t allowed;

	return !sched_getaffinity(0, sizeof(allowed), &allowed) &&
	       CPU_COUNT(&allowed) > 1;
}

/* @state: that of every key in the beginning. */
static void history_run(const struct history_room *room,
			const struct history_form *form, size_t full,
			const struct linear_state *state)
{
	static struct history history;
	int64_t begun = fh_now();
	unsigned object, key;

	memset(&history, 0, sizeof(history));
	history.room = room;
	history.form = form;
	history.parallel = history_in_parallel();
	history.patience = fh_deadline_in(HISTORY_PATIENCE);
	history.rounds = history_total(full, form->percent,
				       &history.deadline) *
				 form->percent / 100 / HISTORY_OBJECTS + 1;
	for (object = 0; object < HISTORY_OBJECTS; object++)
		for (key = 0; key < room->keys; key++)
			history.state[object][key] = *state;
	run_crew(form->threads, history_work, &history);
	history_tell(&history, fh_now() - begun);
	is(history.refused, 0, "%s: every history is linearizable",
	   form->name);
	/* The objects may hold anything now: touch them no more. */
	if (history.refused) {
		done_testing();
		fflush(stdout);
		_exit(1);
	}
	if (history.parallel)
		ok(history_overlaps(&history), "%s: and enough of them "
		   "overlap", form->name);
	else
		skip("one processor: nothing need overlap");
}

/* The long run takes as long as it takes; the short one is bounded. */
static void history_watchdog(void)
{
	watchdog(getenv("FH_HISTORIES") ? 7200 : 240);
}

#endif
