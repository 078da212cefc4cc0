/* SPDX-License-Identifier: MIT */
/*
 * gate: visits, requests on threads that end, idle for a moment, or stay,
 * drains beside them, and gates that end with requests inside.  A count of
 * our own never exceeds the places; at rest all requests were done.
 */
#include "soak.h"

#define GATES 3
#define PLACES 4

/* By gate: how long its threads idle. */
static const int64_t idle[GATES] = { 0, MILLISECONDS, FH_FOREVER };

enum { VISIT, WAIT, RUN, RUN_WAIT, DRAIN, STATS, LIFE };
static const char *const operations[] = {
	"visit", "wait", "run", "run, and wait", "drain and open", "stats",
	"a gate's life", NULL,
};

struct place {
	struct fh_gate *gate;
	tally inside, sent, done, died;
};

static struct place place[GATES];
static tally full, closed, drains, no_thread, lives;

static void go_in(struct place *at)
{
	soak_expect(add_seq_cst(&at->inside, 1) < PLACES,
		    "more are inside than there are places");
}

static void come_out(struct place *at)
{
	sub_acq_rel(&at->inside, 1);
}

/* On a thread of the gate's, which is no worker. */
static void request(void *arg)
{
	struct place *at = arg;

	go_in(at);
	come_out(at);
	add_seq_cst(&at->done, 1);
}

static void mortal_request(void *arg)
{
	struct place *at = arg;

	go_in(at);
	come_out(at);
	add_seq_cst(&at->done, 1);
	add_seq_cst(&at->died, 1);
	pthread_exit(NULL);
}

static void note(int rc)
{
	if (rc == -ESHUTDOWN)
		add_relaxed(&closed, 1);
	else if (rc == -EAGAIN)
		add_relaxed(&no_thread, 1);
	else if (rc)
		add_relaxed(&full, 1);
}

static void visit(struct soak_worker *worker)
{
	struct place *at = &place[soak_random(worker, GATES)];
	int rc;

	soak_begin(worker, VISIT);
	rc = fh_gate_enter(at->gate);
	soak_expect(rc == 0 || rc == -EBUSY || rc == -ESHUTDOWN,
		    "entering gave %d", rc);
	note(rc);
	if (rc)
		return;
	go_in(at);
	soak_dawdle(worker);
	come_out(at);
	rc = fh_gate_leave(at->gate);
	soak_expect(rc == 0, "leaving gave %d", rc);
}

static void wait_and_visit(struct soak_worker *worker)
{
	struct place *at = &place[soak_random(worker, GATES)];
	int64_t deadline = fh_deadline_in((int64_t)soak_random(worker, 4) *
					  MILLISECONDS);
	int rc;

	soak_begin(worker, WAIT);
	rc = fh_gate_enter_wait(at->gate, deadline);
	soak_expect(rc == 0 || rc == -ESHUTDOWN ||
		    (rc == -ETIMEDOUT && fh_now() >= deadline),
		    "waiting gave %d", rc);
	note(rc);
	if (rc)
		return;
	go_in(at);
	come_out(at);
	rc = fh_gate_leave(at->gate);
	soak_expect(rc == 0, "leaving gave %d", rc);
}

static void run(struct soak_worker *worker)
{
	struct place *at = &place[soak_random(worker, GATES)];
	bool mortal = soak_random(worker, 8) == 0;
	bool patient = soak_random(worker, 2);
	int rc;

	soak_begin(worker, patient ? RUN_WAIT : RUN);
	if (patient)
		rc = fh_gate_run_wait(at->gate,
				      mortal ? mortal_request : request, at,
				      fh_deadline_in(2 * MILLISECONDS));
	else
		rc = fh_gate_run(at->gate, mortal ? mortal_request : request,
				 at);
	soak_expect(rc == 0 || rc == -ESHUTDOWN || rc == -EAGAIN ||
		    rc == (patient ? -ETIMEDOUT : -EBUSY),
		    "a request gave %d", rc);
	note(rc);
	add_relaxed(&at->sent, rc == 0);
}

/* Others may do the same, and call this one off. */
static void drain_and_open(struct soak_worker *worker)
{
	struct place *at = &place[soak_random(worker, GATES)];
	size_t left = 0;
	int rc;

	soak_begin(worker, DRAIN);
	rc = fh_gate_drain_wait(at->gate, fh_deadline_in(MILLISECONDS),
				&left);
	soak_expect(rc == -ECANCELED || (rc == 0 && left == 0) ||
		    (rc == -ETIMEDOUT && left > 0 && left <= PLACES),
		    "a drain gave %d, and %zu left", rc, left);
	fh_gate_open(at->gate);
	add_relaxed(&drains, rc == 0);
}

static void look_at_stats(struct soak_worker *worker)
{
	struct place *at = &place[soak_random(worker, GATES)];
	struct fh_gate_stats stats;

	soak_begin(worker, STATS);
	fh_gate_get_stats(at->gate, &stats);
	soak_expect(stats.inside <= PLACES && stats.peak <= PLACES &&
		    stats.limit == PLACES,
		    "%zu inside, %zu at most", stats.inside, stats.peak);
}

/* It is destroyed with its requests inside; the last one frees it. */
static void live(struct soak_worker *worker)
{
	struct fh_gate_options options = {
		.limit = PLACES, .idle = idle[soak_random(worker, GATES)],
	};
	struct place *at = &place[soak_random(worker, GATES)];
	struct fh_gate *gate;
	uint64_t i, many = soak_random(worker, 3);
	int rc;

	soak_begin(worker, LIFE);
	rc = fh_gate_create(&gate, &options);
	soak_expect(rc == 0, "creation gave %d", rc);
	for (i = 0; i < many; i++) {
		/* Each holds a place of the other gate meanwhile. */
		if (fh_gate_enter(at->gate))
			continue;
		rc = fh_gate_run(gate, request, at);
		soak_expect(rc == 0 || rc == -EAGAIN, "a request gave %d",
			    rc);
		if (rc == 0) {
			add_relaxed(&at->sent, 1);
			rc = fh_gate_drain_wait(gate, fh_deadline_in(
						10 * SECONDS), NULL);
			soak_expect(rc == 0, "its drain gave %d", rc);
			fh_gate_open(gate);
		}
		fh_gate_leave(at->gate);
	}
	fh_gate_destroy(gate);
	add_relaxed(&lives, 1);
}

static void work(struct soak_worker *worker)
{
	static void (*const what[])(struct soak_worker *) = {
		visit, visit, visit, visit, visit, visit, wait_and_visit, run,
		run, look_at_stats, look_at_stats, drain_and_open,
	};

	if (soak_random(worker, 64) == 0)
		live(worker);
	else
		what[soak_random(worker, 12)](worker);
}

static void setup(void)
{
	for (size_t i = 0; i < GATES; i++) {
		struct fh_gate_options options = { .limit = PLACES,
						   .idle = idle[i] };

		if (fh_gate_create(&place[i].gate, &options))
			soak_fail("there is no memory for a gate");
	}
}

static void check(void)
{
	for (size_t i = 0; i < GATES; i++) {
		struct place *at = &place[i];
		struct fh_gate_stats stats;
		int rc = fh_gate_drain_wait(at->gate,
					    fh_deadline_in(30 * SECONDS),
					    NULL);

		soak_expect(rc == 0, "at rest a drain gave %d", rc);
		fh_gate_open(at->gate);
		fh_gate_get_stats(at->gate, &stats);
		soak_expect(stats.waiting == 0 && !at->inside,
			    "at rest %zu wait", stats.waiting);
		soak_expect(at->sent == at->done && stats.died == at->died,
			    "at rest %llu requests were done, of %llu",
			    (unsigned long long)at->done,
			    (unsigned long long)at->sent);
	}
}

/* No thread but those that stay for ever; of them, all. */
static void clear(void)
{
	for (size_t i = 0; i < GATES; i++) {
		int64_t until = fh_deadline_in(30 * SECONDS);
		struct fh_gate_stats stats;

		if (idle[i] == FH_FOREVER)
			continue;
		while (fh_gate_get_stats(place[i].gate, &stats),
		       stats.threads && fh_now() < until)
			sleep_ns(MILLISECONDS);
		soak_expect(stats.threads == 0, "at rest there are %zu "
			    "threads", stats.threads);
	}
}

static void report(FILE *out)
{
	fprintf(out, "%llu found a gate full, and %llu a closed one; %llu "
		"drains; %llu threads were not to be had; %llu gates came and "
		"went.\n", (unsigned long long)load_relaxed(&full),
		(unsigned long long)load_relaxed(&closed),
		(unsigned long long)load_relaxed(&drains),
		(unsigned long long)load_relaxed(&no_thread),
		(unsigned long long)load_relaxed(&lives));
}

static void teardown(void)
{
	for (size_t i = 0; i < GATES; i++)
		fh_gate_destroy(place[i].gate);
}

struct soak_room soak_gate = {
	.name = "gate", .operations = operations, .weight = 6,
	.setup = setup, .work = work, .check = check, .clear = clear,
	.report = report, .teardown = teardown,
};
