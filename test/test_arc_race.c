/* SPDX-License-Identifier: MIT */
/*
 * Races of starts, and the race that the registry is there to end: a
 * dictionary with check-then-insert and no lock is driven by the same body,
 * and must fail where the registry does not.
 */
#include "arc_races.h"

static int pause_a_little(void)
{
	const struct timespec little = { .tv_nsec = 200000 };

	return nanosleep(&little, NULL);
}

/*
 * The race of the original: `if key in active: refuse`, some work on another
 * store, then `active[key] = arc`.  The fields are atomics, so that what goes
 * wrong is the logic alone, as it was under the lock of an interpreter.
 */
#define ROUNDS 200

struct dictionary {
	_Atomic(bool) active[ROUNDS];
	tally callbacks;
};

static int dictionary_start(void *self, size_t pair)
{
	struct dictionary *dictionary = self;

	if (load_acquire(&dictionary->active[pair]))
		return -EEXIST;
	pause_a_little();
	store_release(&dictionary->active[pair], true);
	add_relaxed(&dictionary->callbacks, 1);
	return 0;
}

/* The same work stands between claim and publication here. */
static int work(const struct fh_arc_info *info, void *arg)
{
	(void)info;
	(void)arg;
	return pause_a_little();
}

static int registry_start(void *self, size_t pair)
{
	char first[32], second[32];
	struct fh_arc_request request = { .first = first, .second = second,
					  .init = work };

	name_pair(pair, first, second, sizeof(first));
	return fh_arc_start(self, &request, NULL);
}

/* The body that drives both. */
struct contest {
	int (*start)(void *self, size_t pair);
	void *self;
	pthread_barrier_t round;
	tally won[ROUNDS], refused[ROUNDS];
};

static void contend(unsigned number, void *shared)
{
	struct contest *contest = shared;
	int rc;

	(void)number;
	for (size_t i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&contest->round);
		rc = contest->start(contest->self, i);
		if (rc == 0)
			add_relaxed(&contest->won[i], 1);
		else if (rc == -EEXIST || rc == -EINPROGRESS)
			add_relaxed(&contest->refused[i], 1);
	}
}

/* How many rounds did not have 1 success and 4 refusals? */
static unsigned broken_rounds(int (*start)(void *, size_t), void *self)
{
	struct contest contest = { .start = start, .self = self };
	unsigned broken = 0;

	pthread_barrier_init(&contest.round, NULL, 5);
	run_crew(5, contend, &contest);
	pthread_barrier_destroy(&contest.round);
	for (size_t i = 0; i < ROUNDS; i++)
		broken += load_relaxed(&contest.won[i]) != 1 ||
			  load_relaxed(&contest.refused[i]) != 4;
	return broken;
}

static void test_original_race(void)
{
	static struct dictionary dictionary;
	struct fh_arcs *arcs = registry();
	tally callbacks = 0;
	unsigned broken;

	broken = broken_rounds(dictionary_start, &dictionary);
	ok(broken > 0, "check-then-insert: %u of %d rounds broken", broken,
	   ROUNDS);
	ok(load_relaxed(&dictionary.callbacks) > ROUNDS,
	   "and callbacks came twice");
	fh_arc_observe(arcs, FH_ARC_STARTED, count_call, &callbacks, NULL,
		       NULL);
	is(broken_rounds(registry_start, arcs), 0,
	   "5 threads, one pair: 1 success and 4 refusals in each round");
	is(load_relaxed(&callbacks), ROUNDS, "one callback for each");
	fh_arcs_destroy(arcs);
}

#define THREADS 64

/* Many threads, each of which tries every pair in an order of its own. */
struct flood {
	struct fh_arcs *arcs;
	size_t pairs;
	tally won, refused, other, callbacks;
};

static void flood(unsigned number, void *shared)
{
	struct flood *flood = shared;
	uint64_t won = 0, refused = 0;
	char first[32], second[32];
	struct fh_arc_request request = { 0 };
	int rc;

	for (size_t i = 0; i < flood->pairs; i++) {
		size_t pair = (i + number * flood->pairs / THREADS) %
			      flood->pairs;

		if (number % 3 == 1)
			pair = flood->pairs - 1 - pair;
		name_pair(pair, first, second, sizeof(first));
		request.first = number % 2 ? first : second;
		request.second = number % 2 ? second : first;
		rc = fh_arc_start(flood->arcs, &request, NULL);
		won += rc == 0;
		refused += rc == -EEXIST || rc == -EINPROGRESS;
	}
	add_relaxed(&flood->won, won);
	add_relaxed(&flood->refused, refused);
	add_relaxed(&flood->other, flood->pairs - won - refused);
}

static void test_flood(void)
{
	struct flood all = { .arcs = registry(),
			     .pairs = scaled(10000, 10000) };
	struct fh_arcs_stats stats;

	fh_arc_observe(all.arcs, FH_ARC_STARTED, count_call, &all.callbacks,
		       NULL, NULL);
	run_crew(THREADS, flood, &all);
	is(load_relaxed(&all.won), all.pairs, "64 threads, %zu pairs: as many"
	   " successes", all.pairs);
	is(load_relaxed(&all.callbacks), all.pairs, "and callbacks");
	is(load_relaxed(&all.refused), 63 * all.pairs, "all others refused");
	is(load_relaxed(&all.other), 0, "and no error");
	fh_arcs_get_stats(all.arcs, &stats);
	is(stats.active, all.pairs, "all are active");
	is(stats.refused, 63 * all.pairs, "the refusals are counted");
	fh_arcs_destroy(all.arcs);
}

/* Idempotent starts: one initialiser succeeds, whoever fails before it. */
#define JOINERS 8
#define JOIN_ROUNDS 400

struct party {
	struct fh_arcs *arcs;
	size_t rounds;
	pthread_barrier_t round;
	tally inits[JOIN_ROUNDS], winners[JOIN_ROUNDS], joined[JOIN_ROUNDS];
	tally failed[JOIN_ROUNDS], generation[JOIN_ROUNDS], wrong;
};

struct invitation {
	struct party *party;
	size_t round;
	bool fails;
};

static int accept_or_fail(const struct fh_arc_info *info, void *arg)
{
	struct invitation *invitation = arg;

	(void)info;
	sched_yield();
	if (invitation->fails)
		return -ECANCELED;
	add_relaxed(&invitation->party->inits[invitation->round], 1);
	return 0;
}

static void check_in(struct party *party, size_t round,
		     const struct fh_arc_info *info)
{
	uint64_t first = 0;

	add_relaxed(info->joined ? &party->joined[round] :
				   &party->winners[round], 1);
	if (!cas_relaxed(&party->generation[round], &first,
			 info->generation) && first != info->generation)
		add_relaxed(&party->wrong, 1);
}

static void join_in(unsigned number, void *shared)
{
	struct party *party = shared;
	char first[32], second[32];
	struct fh_arc_info info;
	int rc;

	for (size_t i = 0; i < party->rounds; i++) {
		struct invitation invitation = { party, i, number % 2 };
		const struct fh_arc_request request = {
			.first = number % 3 ? first : second,
			.second = number % 3 ? second : first,
			.init = accept_or_fail, .init_arg = &invitation,
		};

		name_pair(i, first, second, sizeof(first));
		pthread_barrier_wait(&party->round);
		rc = fh_arc_start_wait(party->arcs, &request, FH_FOREVER,
				       &info);
		if (rc == 0)
			check_in(party, i, &info);
		else if (rc == -ECANCELED && invitation.fails)
			add_relaxed(&party->failed[i], 1);
		else
			add_relaxed(&party->wrong, 1);
	}
}

static void test_idempotent(void)
{
	static struct party party;
	uint64_t good = 0, failed = 0;

	party.arcs = registry();
	party.rounds = scaled(JOIN_ROUNDS, 100);
	if (party.rounds > JOIN_ROUNDS)
		party.rounds = JOIN_ROUNDS;
	pthread_barrier_init(&party.round, NULL, JOINERS);
	run_crew(JOINERS, join_in, &party);
	pthread_barrier_destroy(&party.round);
	for (size_t i = 0; i < party.rounds; i++) {
		failed += load_relaxed(&party.failed[i]);
		good += load_relaxed(&party.inits[i]) == 1 &&
			load_relaxed(&party.winners[i]) == 1 &&
			load_relaxed(&party.joined[i]) +
			load_relaxed(&party.failed[i]) == JOINERS - 1;
	}
	is(good, party.rounds, "one initialiser succeeds, all others join");
	is(load_relaxed(&party.wrong), 0, "the same arc, and no other error");
	diag("%" PRIu64 " initialisers failed", failed);
	fh_arcs_destroy(party.arcs);
}

/* Claims that are abandoned leave nothing, however many try. */
struct false_starts {
	struct fh_arcs *arcs;
	size_t rounds;
	tally claims, wrong;
};

static void start_falsely(unsigned number, void *shared)
{
	struct false_starts *all = shared;
	const struct fh_arc_request request = {
		.first = number % 2 ? "a" : "b",
		.second = number % 2 ? "b" : "a",
	};
	struct fh_arc_ticket *claim;
	int rc;

	for (size_t i = 0; i < all->rounds; i++) {
		rc = fh_arc_claim(all->arcs, &request, &claim, NULL);
		if (rc && rc != -EINPROGRESS)
			add_relaxed(&all->wrong, 1);
		if (rc)
			continue;
		add_relaxed(&all->claims, 1);
		fh_arc_abandon(claim);
	}
}

static void test_false_starts(void)
{
	struct false_starts all = { .arcs = registry(),
				    .rounds = scaled(5000, 500) };
	const struct fh_arc_request request = { .first = "a", .second = "b" };
	struct fh_arcs_stats stats;

	run_crew(6, start_falsely, &all);
	fh_arcs_get_stats(all.arcs, &stats);
	is(load_relaxed(&all.wrong), 0, "claims win or find another claim");
	is(stats.abandoned, load_relaxed(&all.claims), "all are abandoned");
	is(stats.started, 0, "nothing starts");
	is(fh_arc_start(all.arcs, &request, NULL), 0, "the pair is free");
	fh_arcs_destroy(all.arcs);
}

int main(void)
{
	diag("build: %s", fh_build());
	watchdog(240);
	test_original_race();
	test_flood();
	test_idempotent();
	test_false_starts();
	drain();
	return done_testing();
}
