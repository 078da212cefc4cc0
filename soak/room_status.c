/* SPDX-License-Identifier: MIT */
/*
 * status: changes of all kinds, snapshots, and waits whose wake-up must come.
 *
 * In the ring cells every change is a step to the next of four states, so a
 * snapshot's state is its epoch modulo 4: one that mixes two moments shows.
 * Each place has a relay cell, in which it waits for a change that is made
 * exactly once: a wake-up that is lost never comes again.
 */
#include "soak.h"

#define RINGS 4
#define FREE 4
#define STATES 4
#define PATIENCE (20 * SECONDS)

enum { READ, STEP, EXCHANGE, SET, WAIT, CHANGE, RELAY };
static const char *const operations[] = {
	"read", "transition", "compare_exchange", "set", "wait",
	"wait_change", "wait for the only change", NULL,
};

static const uint64_t next_only[STATES] = {
	FH_STATE(1), FH_STATE(2), FH_STATE(3), FH_STATE(0),
};
static const struct fh_status_table ring_table = { STATES, next_only };

static struct fh_status ring[RINGS], cell[FREE], relay[SOAK_THREADS];
static tally ring_changes[RINGS], cell_changes[FREE];
static tally asked[SOAK_THREADS], answered[SOAK_THREADS];
static tally forbidden, timeouts;

static _Thread_local uint64_t ring_seen[RINGS], cell_seen[FREE];

static void never_back(uint64_t *seen, uint64_t epoch)
{
	soak_expect(epoch >= *seen, "an epoch went back from %llu to %llu",
		    (unsigned long long)*seen, (unsigned long long)epoch);
	*seen = epoch;
}

static void look_at_ring(size_t i, struct fh_status_snapshot seen)
{
	soak_expect(seen.state == seen.epoch % STATES,
		    "a torn snapshot: state %u at epoch %llu", seen.state,
		    (unsigned long long)seen.epoch);
	never_back(&ring_seen[i], seen.epoch);
}

static void look(struct soak_worker *worker)
{
	size_t i = soak_random(worker, RINGS), k = soak_random(worker, FREE);
	struct fh_status_snapshot seen;

	soak_begin(worker, READ);
	look_at_ring(i, fh_status_read(&ring[i]));
	seen = fh_status_read(&cell[k]);
	never_back(&cell_seen[k], seen.epoch);
	soak_expect(seen.state < STATES, "a state that nobody set: %u",
		    seen.state);
}

static void step(struct soak_worker *worker)
{
	size_t i = soak_random(worker, RINGS);
	unsigned state = (unsigned)soak_random(worker, STATES);
	struct fh_status_snapshot from;
	int rc;

	soak_begin(worker, STEP);
	rc = fh_status_transition(&ring[i], &ring_table, state, &from);
	look_at_ring(i, from);
	soak_expect(rc == 0 || rc == -EPERM, "a transition gave %d", rc);
	soak_expect((rc == 0) == ((from.state + 1) % STATES == state),
		    "from %u to %u gave %d", from.state, state, rc);
	add_relaxed(rc ? &forbidden : &ring_changes[i], 1);
}

static void exchange(struct soak_worker *worker)
{
	size_t i = soak_random(worker, RINGS);
	struct fh_status_snapshot seen = fh_status_read(&ring[i]);
	struct fh_status_snapshot expected = seen;
	int rc;

	soak_begin(worker, EXCHANGE);
	soak_dawdle(worker);
	rc = fh_status_compare_exchange(&ring[i], &expected,
					(seen.state + 1) % STATES);
	soak_expect(rc == 0 || (rc == -EAGAIN && expected.epoch > seen.epoch),
		    "a compare_exchange at epoch %llu gave %d, epoch %llu",
		    (unsigned long long)seen.epoch, rc,
		    (unsigned long long)expected.epoch);
	if (rc == 0)
		add_relaxed(&ring_changes[i], 1);
	look_at_ring(i, expected);
}

static void set(struct soak_worker *worker)
{
	size_t i = soak_random(worker, FREE);
	int rc;

	soak_begin(worker, SET);
	rc = fh_status_set(&cell[i], (unsigned)soak_random(worker, STATES));
	soak_expect(rc == 0, "a set gave %d", rc);
	add_relaxed(&cell_changes[i], 1);
}

static void wait_state(struct soak_worker *worker)
{
	size_t i = soak_random(worker, FREE);
	uint64_t states = 1 + soak_random(worker, (1 << STATES) - 1);
	int64_t deadline = fh_deadline_in(2 * MILLISECONDS);
	struct fh_status_snapshot seen;
	int rc;

	soak_begin(worker, WAIT);
	rc = fh_status_wait(&cell[i], states, deadline, &seen);
	never_back(&cell_seen[i], seen.epoch);
	if (rc == 0) {
		soak_expect(FH_STATE(seen.state) & states,
			    "a wait for %#llx ended at state %u",
			    (unsigned long long)states, seen.state);
		return;
	}
	soak_expect(rc == -ETIMEDOUT && fh_now() >= deadline &&
		    !(FH_STATE(seen.state) & states),
		    "a wait for %#llx gave %d at state %u, %lld ns early",
		    (unsigned long long)states, rc, seen.state,
		    (long long)(deadline - fh_now()));
	add_relaxed(&timeouts, 1);
}

static void wait_change(struct soak_worker *worker)
{
	size_t i = soak_random(worker, RINGS);
	struct fh_status_snapshot before = fh_status_read(&ring[i]), seen;
	int64_t deadline = fh_deadline_in(2 * MILLISECONDS);
	int rc;

	soak_begin(worker, CHANGE);
	rc = fh_status_wait_change(&ring[i], before.epoch, deadline, &seen);
	look_at_ring(i, seen);
	soak_expect((rc == 0 && seen.epoch > before.epoch) ||
		    (rc == -ETIMEDOUT && seen.epoch == before.epoch &&
		     fh_now() >= deadline),
		    "a wait for change gave %d: epoch %llu, then %llu", rc,
		    (unsigned long long)before.epoch,
		    (unsigned long long)seen.epoch);
	if (rc)
		add_relaxed(&timeouts, 1);
}

/* A signal would end the sleep, and hide that nobody else did. */
static void take_signals(bool take)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(take ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

/* Who slept to the deadline looks once more, sees it, and is late. */
static void wait_relay(struct soak_worker *worker)
{
	size_t i = worker->index;
	struct fh_status_snapshot before = fh_status_read(&relay[i]), seen;
	int64_t deadline = fh_deadline_in(PATIENCE);
	int rc;

	soak_begin(worker, RELAY);
	take_signals(soak_random(worker, 4) == 0);
	add_seq_cst(&asked[i], 1);
	rc = fh_status_wait_change(&relay[i], before.epoch, deadline, &seen);
	take_signals(true);
	soak_expect(rc == 0 && fh_now() < deadline,
		    "the only change was made, and nobody woke: %d, epoch "
		    "%llu, now %llu", rc,
		    (unsigned long long)before.epoch,
		    (unsigned long long)fh_status_read(&relay[i]).epoch);
	soak_expect(seen.epoch == before.epoch + 1 &&
		    seen.epoch == load_seq_cst(&asked[i]),
		    "one change led from epoch %llu to %llu",
		    (unsigned long long)before.epoch,
		    (unsigned long long)seen.epoch);
}

/* On the sentinel: one change for each request. */
static void tick(void)
{
	for (size_t i = 0; i < soak_options.threads; i++) {
		if (load_seq_cst(&asked[i]) == load_relaxed(&answered[i]))
			continue;
		fh_status_set(&relay[i], (unsigned)i % FH_STATUS_STATES);
		add_relaxed(&answered[i], 1);
	}
}

/* Waits are rare, or nobody would make the changes that others wait for. */
static void work(struct soak_worker *worker)
{
	static void (*const often[])(struct soak_worker *) = {
		look, look, step, step, exchange, set,
	};

	switch (soak_random(worker, 4096)) {
	case 0:
		wait_relay(worker);
		break;
	case 1:
	case 2:
		wait_state(worker);
		break;
	case 3:
	case 4:
		wait_change(worker);
		break;
	default:
		often[soak_random(worker, 6)](worker);
	}
}

static void expect_epoch(const struct fh_status *of, uint64_t changes)
{
	uint64_t epoch = fh_status_read(of).epoch;

	soak_expect(epoch == changes, "at rest an epoch is %llu after %llu "
		    "changes", (unsigned long long)epoch,
		    (unsigned long long)changes);
}

static void check(void)
{
	for (size_t i = 0; i < RINGS; i++)
		expect_epoch(&ring[i], load_relaxed(&ring_changes[i]));
	for (size_t i = 0; i < FREE; i++)
		expect_epoch(&cell[i], load_relaxed(&cell_changes[i]));
	for (size_t i = 0; i < soak_options.threads; i++)
		expect_epoch(&relay[i], load_relaxed(&asked[i]));
}

static void report(FILE *out)
{
	fprintf(out, "%llu transitions were forbidden by the table; %llu waits "
		"timed out.\n", (unsigned long long)load_relaxed(&forbidden),
		(unsigned long long)load_relaxed(&timeouts));
}

static void nothing(void)
{
}

struct soak_room soak_status = {
	.name = "status", .operations = operations, .weight = 15,
	.setup = nothing, .work = work, .tick = tick, .check = check,
	.report = report, .teardown = nothing,
};
