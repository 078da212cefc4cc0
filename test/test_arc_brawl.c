/* SPDX-License-Identifier: MIT */
/*
 * Races of arcs that run: progress, ends, walks and observers, all at once.
 */
#include "arc_races.h"

/* Progress by many threads, watched by readers that check each snapshot. */
#define STEPPERS 8
#define STEPS 2000

struct march {
	struct fh_arcs *arcs;
	size_t steps;
	tally succeeded, torn, marching;
	tally told[STEPPERS * STEPS + 1];
};

static bool is_torn(const struct fh_arc_info *now,
		    const struct fh_arc_info *before)
{
	return now->phase != now->events % 4 ||
	       now->events < before->events ||
	       now->last_progress < before->last_progress ||
	       (now->events == before->events &&
		now->last_progress != before->last_progress);
}

static void watch(struct march *march)
{
	struct fh_arc_info before, now;

	if (fh_arc_get(march->arcs, "a", "b", &before))
		add_relaxed(&march->torn, 1);
	while (load_relaxed(&march->marching)) {
		if (fh_arc_get(march->arcs, "b", "a", &now) ||
		    is_torn(&now, &before))
			add_relaxed(&march->torn, 1);
		before = now;
	}
}

static void march_on(unsigned number, void *shared)
{
	struct march *march = shared;
	struct fh_arc_info info;

	if (number >= STEPPERS) {
		watch(march);
		return;
	}
	for (size_t i = 0; i < march->steps; i++) {
		if (fh_arc_progress(march->arcs, "a", "b", NULL, &info) == 0)
			add_relaxed(&march->succeeded, 1);
		if (info.phase != info.events % 4)
			add_relaxed(&march->torn, 1);
	}
	sub_acq_rel(&march->marching, 1);
}

static int note_event(const struct fh_arc_notice *notice, void *arg)
{
	struct march *march = arg;

	if (notice->info.events <= STEPPERS * STEPS)
		add_relaxed(&march->told[notice->info.events], 1);
	return 0;
}

static void test_progress(void)
{
	static struct march march;
	const struct fh_arc_request request = { .first = "a", .second = "b" };
	uint64_t total, once = 0;
	struct fh_arc_info info;

	march.arcs = registry();
	march.steps = scaled(STEPS, 100) < STEPS ? scaled(STEPS, 100) : STEPS;
	total = STEPPERS * march.steps;
	store_relaxed(&march.marching, STEPPERS);
	fh_arc_start(march.arcs, &request, NULL);
	fh_arc_observe(march.arcs, FH_ARC_PROGRESSED, note_event, &march, NULL,
		       NULL);
	run_crew(STEPPERS + 2, march_on, &march);
	is(load_relaxed(&march.succeeded), total, "every step succeeds");
	is(fh_arc_get(march.arcs, "a", "b", &info), 0, "the arc runs");
	is(info.events, total, "events are the successes");
	is(load_relaxed(&march.torn), 0, "no snapshot is torn or goes back");
	for (uint64_t i = 1; i <= total; i++)
		once += load_relaxed(&march.told[i]) == 1;
	is(once, total, "each event is told once");
	fh_arcs_destroy(march.arcs);
}

/* End, progress, process_all and new starts of a few pairs, all at once. */
#define BRAWL_PAIRS 8
#define BRAWL_ARCS 400000

struct life {
	_Atomic(uint32_t) started, progressed, ended, events;
};

struct brawl {
	struct fh_arcs *arcs;
	size_t rounds;
	tally starts, ends, steps, wrong;
	struct life *life;		/* by generation */
};

static int follow(const struct fh_arc_notice *notice, void *arg)
{
	struct brawl *brawl = arg;
	struct life *life;

	if (notice->info.generation >= BRAWL_ARCS)
		return -E2BIG;
	life = &brawl->life[notice->info.generation];
	if (notice->change == FH_ARC_STARTED)
		add_relaxed(&life->started, 1);
	if (notice->change == FH_ARC_PROGRESSED)
		add_relaxed(&life->progressed, 1);
	if (notice->change == FH_ARC_ENDED) {
		add_relaxed(&life->ended, 1);
		store_relaxed(&life->events, (uint32_t)notice->info.events);
	}
	return 0;
}

static void brawl_start(struct brawl *brawl, const char *first,
			const char *second, unsigned type)
{
	const struct fh_arc_request request = { .first = first,
						.second = second,
						.type = type };
	int rc = fh_arc_start(brawl->arcs, &request, NULL);

	if (rc == 0)
		add_relaxed(&brawl->starts, 1);
	else if (rc != -EEXIST && rc != -EINPROGRESS)
		add_relaxed(&brawl->wrong, 1);
}

/* Aimed at one generation, so that a newer arc must stay untouched. */
static void brawl_end(struct brawl *brawl, const char *first,
		      const char *second)
{
	struct fh_arc_info seen, over;
	int rc;

	if (fh_arc_get(brawl->arcs, first, second, &seen))
		return;
	rc = fh_arc_end(brawl->arcs, second, first, seen.generation,
			FH_ARC_CANCELLED, "brawl", &over);
	if (rc == 0)
		add_relaxed(&brawl->ends, 1);
	if (rc == 0 ? over.generation != seen.generation :
		      rc != -ENOENT && rc != -ESTALE)
		add_relaxed(&brawl->wrong, 1);
}

static void brawl_step(struct brawl *brawl, const char *first,
		       const char *second)
{
	struct fh_arc_info info;
	int rc = fh_arc_progress(brawl->arcs, first, second, NULL, &info);

	if (rc && rc != -ENOENT && rc != -ETIME)
		add_relaxed(&brawl->wrong, 1);
	if (rc)
		return;
	add_relaxed(&brawl->steps, 1);
	if (info.state == FH_ARC_COMPLETED)
		add_relaxed(&brawl->ends, 1);
}

static void brawl_process(struct brawl *brawl)
{
	struct fh_arc_tally sum;

	fh_arc_process_all(brawl->arcs, NULL, NULL, &sum);
	add_relaxed(&brawl->ends,
		    sum.completed + sum.cancelled + sum.expired);
	add_relaxed(&brawl->steps, sum.completed + sum.progressed);
	if (sum.failed || sum.cancelled ||
	    sum.processed != sum.completed + sum.expired +
			       sum.progressed)
		add_relaxed(&brawl->wrong, 1);
}

/* By dice, lest the scheduler put the threads into one order for ever. */
static void fight(unsigned number, void *shared)
{
	uint64_t dice = random_seed(number);
	struct brawl *brawl = shared;
	char first[32], second[32];

	for (size_t i = 0; i < brawl->rounds; i++) {
		unsigned what = (unsigned)random_below(&dice, 32);

		name_pair(random_below(&dice, BRAWL_PAIRS), first, second,
			  sizeof(first));
		if (what < 10)
			brawl_start(brawl, first, second, what % TYPES);
		else if (what < 14)
			brawl_end(brawl, first, second);
		else if (what < 29)
			brawl_step(brawl, first, second);
		else if (what < 30)
			brawl_process(brawl);
		else
			sched_yield();
	}
}

static enum fh_arc_decision complete(const struct fh_arc_names *names,
				     const struct fh_arc_info *info,
				     struct fh_arc_step *step, void *arg)
{
	(void)names;
	(void)info;
	(void)step;
	(void)arg;
	return FH_ARC_DO_COMPLETE;
}

static void check_lives(struct brawl *brawl)
{
	uint64_t started = 0, wrong = 0, revived = 0;

	for (size_t i = 0; i < BRAWL_ARCS; i++) {
		struct life *life = &brawl->life[i];
		uint32_t lives = load_relaxed(&life->started);

		started += lives;
		wrong += lives > 1 || load_relaxed(&life->ended) != lives;
		revived += load_relaxed(&life->progressed) !=
			   load_relaxed(&life->events);
	}
	is(started, load_relaxed(&brawl->starts), "every start is told");
	is(wrong, 0, "each arc starts once and ends once");
	is(revived, 0, "none progresses beyond the count of its end");
}

static void test_brawl(void)
{
	struct brawl brawl = { .arcs = registry(),
			       .rounds = scaled(20000, 1000) };
	struct fh_arc_tally rest;
	struct fh_arcs_stats stats;

	if (brawl.rounds > 100000)
		brawl.rounds = 100000;
	brawl.life = calloc(BRAWL_ARCS, sizeof(*brawl.life));
	fh_arc_observe(brawl.arcs, EVERYTHING, follow, &brawl, NULL, NULL);
	run_crew(8, fight, &brawl);
	fh_arc_process_all(brawl.arcs, complete, NULL, &rest);
	add_relaxed(&brawl.ends, rest.completed + rest.expired);
	fh_arcs_get_stats(brawl.arcs, &stats);
	diag("%" PRIu64 " arcs, %" PRIu64 " steps", stats.started,
	     stats.progressed);
	is(load_relaxed(&brawl.wrong), 0, "no call gives a wrong answer");
	is(stats.active, 0, "no arc is left");
	is(stats.observer_failures, 0, "all generations were followed");
	is(load_relaxed(&brawl.starts), stats.started, "starts add up");
	is(load_relaxed(&brawl.ends), stats.ended, "ends add up");
	is(load_relaxed(&brawl.steps), stats.progressed, "steps add up");
	is(stats.started, stats.ended, "every arc that started ended");
	check_lives(&brawl);
	free(brawl.life);
	fh_arcs_destroy(brawl.arcs);
}

/* Observers come and go while others are notified. */
struct guest {
	struct audience *audience;
	tally present;
};

struct audience {
	struct fh_arcs *arcs;
	size_t rounds;
	int64_t until;		/* go on so long for a guest to be called */
	tally busy, steps, host_calls, guest_calls, came, left, ghosts;
};

static int guest_call(const struct fh_arc_notice *notice, void *arg)
{
	struct guest *guest = arg;

	(void)notice;
	add_relaxed(&guest->audience->guest_calls, 1);
	if (!load_relaxed(&guest->present))
		add_relaxed(&guest->audience->ghosts, 1);
	return 0;
}

/* The address sanitizer sees any call that comes after this. */
static void guest_leaves(void *arg)
{
	struct guest *guest = arg;

	add_relaxed(&guest->audience->left, 1);
	store_relaxed(&guest->present, 0);
	free(guest);
}

static void come_and_go(struct audience *audience)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	uint64_t id;

	guest->audience = audience;
	store_relaxed(&guest->present, 1);
	if (fh_arc_observe(audience->arcs, FH_ARC_PROGRESSED, guest_call,
			   guest, guest_leaves, &id)) {
		free(guest);
		return;
	}
	add_relaxed(&audience->came, 1);
	sched_yield();
	if (fh_arc_unobserve(audience->arcs, id) != 0 ||
	    fh_arc_unobserve(audience->arcs, id) != -ENOENT)
		add_relaxed(&audience->ghosts, 1);
}

static bool goes_on(struct audience *audience, size_t round)
{
	return round < audience->rounds ||
	       (!load_relaxed(&audience->guest_calls) &&
		fh_now() < audience->until);
}

/* Three come and go, and for so long three others make progress. */
static void attend(unsigned number, void *shared)
{
	struct audience *audience = shared;

	if (number < 3) {
		for (size_t i = 0; goes_on(audience, i); i++)
			come_and_go(audience);
		sub_acq_rel(&audience->busy, 1);
		return;
	}
	do {
		if (!fh_arc_progress(audience->arcs, "a", "b", NULL, NULL))
			add_relaxed(&audience->steps, 1);
	} while (load_relaxed(&audience->busy));
}

static void test_audience(void)
{
	struct audience audience = { .arcs = registry(), .busy = 3,
				     .rounds = scaled(1000, 200),
				     .until = fh_now() + INT64_C(60000000000) };
	const struct fh_arc_request request = { .first = "a", .second = "b" };
	struct fh_arc_info info;

	fh_arc_start(audience.arcs, &request, NULL);
	fh_arc_observe(audience.arcs, FH_ARC_PROGRESSED, count_call,
		       &audience.host_calls, NULL, NULL);
	run_crew(6, attend, &audience);
	is(fh_arc_get(audience.arcs, "a", "b", &info), 0, "the arc runs");
	is(info.events, load_relaxed(&audience.steps),
	   "progress goes on while observers come and go");
	is(load_relaxed(&audience.host_calls), info.events,
	   "one that stays is called exactly once for each step");
	ok(load_relaxed(&audience.came) >= 3 * audience.rounds, "guests came");
	is(load_relaxed(&audience.left), load_relaxed(&audience.came),
	   "each was released, once");
	is(load_relaxed(&audience.ghosts), 0, "none was called afterwards");
	ok(load_relaxed(&audience.guest_calls) > 0,
	   "%" PRIu64 " calls of guests",
	   load_relaxed(&audience.guest_calls));
	fh_arcs_destroy(audience.arcs);
}

/* A walk beside starts and ends meets what stays, each exactly once. */
#define RESIDENTS 300

struct town {
	struct fh_arcs *arcs;
	size_t rounds;
	tally walking, missed;
};

struct census {
	unsigned residents;
	_Atomic(uint8_t) seen[RESIDENTS];
	unsigned twice;
};

static int enumerate(const struct fh_arc_names *names,
		     const struct fh_arc_info *info, void *arg)
{
	struct census *census = arg;
	unsigned number;

	(void)info;
	if (sscanf(names->second, "resident-%u", &number) != 1)
		return 0;
	census->residents++;
	census->twice += add_relaxed(&census->seen[number], 1) != 0;
	return 0;
}

static void take_census(struct town *town)
{
	for (size_t i = 0; i < town->rounds; i++) {
		struct census census = { 0 };

		fh_arc_for_each(town->arcs, enumerate, &census);
		if (census.residents != RESIDENTS || census.twice)
			add_relaxed(&town->missed, 1);
	}
	sub_acq_rel(&town->walking, 1);
}

static void visit_town(unsigned number, void *shared)
{
	struct town *town = shared;
	char first[32], second[32];
	const struct fh_arc_request request = { .first = first,
						.second = second };

	if (number < 2) {
		take_census(town);
		return;
	}
	for (size_t i = 0; load_relaxed(&town->walking); i++) {
		name_pair(i % 4096, first, second, sizeof(first));
		if (i / 4096 % 2 == number % 2)
			fh_arc_start(town->arcs, &request, NULL);
		else
			fh_arc_end(town->arcs, first, second, FH_ARC_ANY,
				   FH_ARC_COMPLETED, NULL, NULL);
	}
}

static void test_town(void)
{
	struct town town = { .arcs = registry(), .rounds = scaled(200, 10) };
	char name[32];
	const struct fh_arc_request request = { .first = "host",
						.second = name };

	for (unsigned i = 0; i < RESIDENTS; i++) {
		snprintf(name, sizeof(name), "resident-%u", i);
		fh_arc_start(town.arcs, &request, NULL);
	}
	store_relaxed(&town.walking, 2);
	run_crew(4, visit_town, &town);
	is(load_relaxed(&town.missed), 0,
	   "walks beside starts and ends meet what stays, once each");
	fh_arcs_destroy(town.arcs);
}

int main(void)
{
	diag("build: %s", fh_build());
	watchdog(240);
	test_progress();
	test_brawl();
	test_audience();
	test_town();
	drain();
	return done_testing();
}
