/* SPDX-License-Identifier: MIT */
/*
 * arc: pairs that are started, progressed and ended by everybody, with a
 * clerk who observes all of it.  What the callers were told, what the clerk
 * was told and what the registry counts must agree, by number and by the sum
 * of generations: a callback that is left out or made twice shows at rest.
 *
 * A claim of a pair is held by one at a time: who holds it counts it up, and
 * must have found zero.  Pair 0 never ends.  In a ring type the phase is the
 * number of events modulo 4, so a snapshot of two moments shows.
 */
#include "soak.h"

#define PAIRS 40
#define SHORT_LIFE 4000		/* ticks */

enum { RING, SHORT, TYPES };
enum { START, START_WAIT, TWO_STEPS, PROGRESS, END, GET, FOR_EACH, PROCESS,
       OBSERVE };
static const char *const operations[] = {
	"start", "start_wait", "claim, then publish or abandon", "progress",
	"end", "get", "for_each", "process_all", "observe and unobserve", NULL,
};

static const uint64_t next_only[4] = {
	FH_ARC_PHASE(1), FH_ARC_PHASE(2), FH_ARC_PHASE(3), FH_ARC_PHASE(0),
};
static const struct fh_arc_event events[] = {
	{ "north", FH_ARC_PHASE(0), 1 }, { "east", FH_ARC_PHASE(1), 2 },
	{ "south", FH_ARC_PHASE(2), 3 }, { "west", FH_ARC_PHASE(3), 0 },
};
static const struct fh_arc_type types[TYPES] = {
	[RING] = { .name = "ring", .phases = 4, .allowed = next_only,
		   .events = events, .event_count = 4 },
	[SHORT] = { .name = "short", .phases = 4, .allowed = next_only,
		    .final = FH_ARC_PHASE(3), .events = events,
		    .event_count = 4, .duration = SHORT_LIFE },
};

/* By whom an event was seen: the caller whom it succeeded for, the clerk. */
struct account {
	tally starts, started_sum, steps, ends;
};

static struct fh_arcs *arcs;
static struct account told, clerk;
static _Atomic(int64_t) ticks;
static tally claims[PAIRS], running[PAIRS], generations[PAIRS], ended_sum;
static tally abandoned, refused, failures, observers_live, transient_calls;

static _Thread_local uint64_t events_seen;

static int64_t tick(void *arg)
{
	(void)arg;
	return add_relaxed(&ticks, 1);
}

/* Either order of the two names is the same pair. */
struct names {
	char one[16], two[16];
	const char *first, *second;
	unsigned pair;
};

static void name(struct soak_worker *worker, struct names *names, unsigned pair)
{
	snprintf(names->one, sizeof(names->one), "agent-%u", pair % 1000);
	snprintf(names->two, sizeof(names->two), "rival-%u", pair % 1000);
	names->pair = pair;
	names->first = names->one;
	names->second = names->two;
	if (soak_random(worker, 2)) {
		names->first = names->two;
		names->second = names->one;
	}
}

static unsigned pair_of(const struct fh_arc_names *names)
{
	return (unsigned)strtoul(names->first + 6, NULL, 10);
}

static void look_at(const struct fh_arc_info *info)
{
	soak_expect(info->phase == info->events % 4 && info->type < TYPES &&
		    info->generation && info->last_progress >= info->start_time,
		    "a torn snapshot: phase %u after %llu events", info->phase,
		    (unsigned long long)info->events);
}

/* ---- observers ---- */

/* The clerk; one in 16 of its calls fails, which must disturb nobody. */
static int note(const struct fh_arc_notice *notice, void *arg)
{
	unsigned pair = pair_of(&notice->names);

	(void)arg;
	look_at(&notice->info);
	soak_expect(pair < PAIRS, "a notice of a pair that is none");
	if (notice->change == FH_ARC_STARTED) {
		add_relaxed(&clerk.starts, 1);
		add_relaxed(&clerk.started_sum, notice->info.generation);
		add_relaxed(&running[pair], 1);
		add_relaxed(&generations[pair], notice->info.generation);
	} else if (notice->change == FH_ARC_PROGRESSED) {
		add_relaxed(&clerk.steps, 1);
	} else {
		add_relaxed(&clerk.ends, 1);
		add_relaxed(&ended_sum, notice->info.generation);
		add_relaxed(&running[pair], UINT64_MAX);
		add_relaxed(&generations[pair], -notice->info.generation);
	}
	if (notice->info.generation % 16)
		return 0;
	add_relaxed(&failures, 1);
	return -EIO;
}

struct observer {
	uint64_t alive;
	tally calls;
};

static int note_briefly(const struct fh_arc_notice *notice, void *arg)
{
	struct observer *observer = arg;

	look_at(&notice->info);
	soak_expect(observer->alive == SOAK_ALIVE,
		    "an observer is called after its release");
	add_relaxed(&observer->calls, 1);
	sched_yield();
	soak_expect(observer->alive == SOAK_ALIVE,
		    "an observer is released during a call");
	return 0;
}

static void release(void *arg)
{
	struct observer *observer = arg;

	soak_expect(observer->alive == SOAK_ALIVE, "released twice");
	add_relaxed(&transient_calls, load_relaxed(&observer->calls));
	observer->alive = 0;
	free(observer);
	add_relaxed(&observers_live, UINT64_MAX);
}

/* ---- starts ---- */

static void hold_claim(unsigned pair)
{
	soak_expect(add_seq_cst(&claims[pair], 1) == 0,
		    "two claims of pair %u at once", pair);
}

static void give_claim(unsigned pair)
{
	soak_expect(add_seq_cst(&claims[pair], UINT64_MAX) == 1,
		    "a claim of pair %u was given back twice", pair);
}

/* Work that must not happen twice at once; it fails now and then. */
static int initialise(const struct fh_arc_info *info, void *arg)
{
	const struct names *names = arg;

	hold_claim(names->pair);
	if (info->generation % 8 == 0)
		sched_yield();
	give_claim(names->pair);
	if (info->generation % 10)
		return 0;
	add_relaxed(&abandoned, 1);
	return -ECANCELED;
}

static struct fh_arc_request request(struct soak_worker *worker,
				     struct names *names)
{
	struct fh_arc_request wanted = {
		.first = names->first, .second = names->second,
		.type = names->pair ? (unsigned)soak_random(worker, TYPES) :
				      RING,
		.init = initialise, .init_arg = names,
	};

	return wanted;
}

static void have_started(const struct fh_arc_info *info)
{
	look_at(info);
	add_relaxed(&told.starts, 1);
	add_relaxed(&told.started_sum, info->generation);
}

static void start(struct soak_worker *worker, struct names *names)
{
	struct fh_arc_request wanted = request(worker, names);
	struct fh_arc_info info;
	int rc;

	soak_begin(worker, START);
	rc = fh_arc_start(arcs, &wanted, &info);
	soak_expect(rc == 0 || rc == -EEXIST || rc == -EINPROGRESS ||
		    rc == -EAGAIN || rc == -ECANCELED, "a start gave %d", rc);
	if (rc == 0)
		have_started(&info);
	else if (rc == -EEXIST || rc == -EINPROGRESS)
		add_relaxed(&refused, 1);
	if (rc == -EEXIST)
		look_at(&info);
}

static void start_wait(struct soak_worker *worker, struct names *names)
{
	struct fh_arc_request wanted = request(worker, names);
	struct fh_arc_info info;
	int rc;

	soak_begin(worker, START_WAIT);
	rc = fh_arc_start_wait(arcs, &wanted, fh_deadline_in(20 * SECONDS),
			       &info);
	soak_expect(rc == 0 || rc == -EAGAIN || rc == -ECANCELED,
		    "a start_wait gave %d", rc);
	if (rc == 0 && info.joined)
		look_at(&info);
	else if (rc == 0)
		have_started(&info);
}

static void two_steps(struct soak_worker *worker, struct names *names)
{
	struct fh_arc_request wanted = request(worker, names);
	struct fh_arc_ticket *claim;
	struct fh_arc_info info;
	int rc;

	soak_begin(worker, TWO_STEPS);
	rc = fh_arc_claim(arcs, &wanted, &claim, &info);
	soak_expect(rc == 0 || rc == -EEXIST || rc == -EINPROGRESS ||
		    rc == -EAGAIN, "a claim gave %d", rc);
	if (rc == -EEXIST || rc == -EINPROGRESS)
		add_relaxed(&refused, 1);
	if (rc)
		return;
	hold_claim(names->pair);
	soak_dawdle(worker);
	give_claim(names->pair);
	if (soak_random(worker, 4)) {
		fh_arc_publish(claim, &info);
		have_started(&info);
	} else {
		fh_arc_abandon(claim);
		add_relaxed(&abandoned, 1);
	}
}

/* ---- what changes an arc ---- */

static unsigned derive(const struct fh_arc_info *info,
		       const struct fh_arc_event *event, void *arg)
{
	(void)event;
	(void)arg;
	return (info->phase + 1) % 4;
}

/* A generation to aim at: any, the present one, or one that is over. */
static uint64_t aim(struct soak_worker *worker, const struct names *names)
{
	struct fh_arc_info info;

	if (soak_random(worker, 2) ||
	    fh_arc_get(arcs, names->first, names->second, &info))
		return FH_ARC_ANY;
	return info.generation - (soak_random(worker, 8) == 0 &&
				  info.generation > 1);
}

static void progress(struct soak_worker *worker, struct names *names)
{
	struct fh_arc_step step = { .generation = aim(worker, names) };
	struct fh_arc_info info;
	int rc;

	soak_begin(worker, PROGRESS);
	if (soak_random(worker, 4) == 0)
		step.derive = derive;
	rc = fh_arc_progress(arcs, names->first, names->second, &step, &info);
	soak_expect(rc == 0 || rc == -EAGAIN || rc == -ETIME ||
		    (names->pair && (rc == -ENOENT || rc == -ESTALE)) ||
		    (rc == -ESTALE && step.generation),
		    "a progress gave %d", rc);
	if (rc)
		return;
	look_at(&info);
	soak_expect(!step.generation || info.generation == step.generation,
		    "a progress hit another arc");
	add_relaxed(&told.steps, 1);
	if (info.state != FH_ARC_ACTIVE)
		add_relaxed(&told.ends, 1);
}

static void end(struct soak_worker *worker, struct names *names)
{
	uint64_t generation = aim(worker, names);
	struct fh_arc_info info;
	int rc;

	soak_begin(worker, END);
	if (names->pair == 0)
		return;
	rc = fh_arc_end(arcs, names->first, names->second, generation,
			FH_ARC_CANCELLED, "enough", &info);
	soak_expect(rc == 0 || rc == -ENOENT || rc == -ESTALE || rc == -EAGAIN,
		    "an end gave %d", rc);
	if (rc)
		return;
	look_at(&info);
	soak_expect((!generation || info.generation == generation) &&
		    info.state == FH_ARC_CANCELLED, "an end hit another arc");
	add_relaxed(&told.ends, 1);
}

static void get(struct soak_worker *worker, struct names *names)
{
	struct fh_arc_info info;
	int rc;

	soak_begin(worker, GET);
	rc = fh_arc_get(arcs, names->first, names->second, &info);
	soak_expect(rc == 0 || (rc == -ENOENT && names->pair),
		    "a get of pair %u gave %d", names->pair, rc);
	if (rc)
		return;
	look_at(&info);
	if (names->pair)
		return;
	soak_expect(info.events >= events_seen, "events went back");
	events_seen = info.events;
}

static int visit(const struct fh_arc_names *names,
		 const struct fh_arc_info *info, void *arg)
{
	uint8_t *visits = arg;

	look_at(info);
	visits[pair_of(names)]++;
	return 0;
}

/* A pair may end and start anew meanwhile; pair 0 is there throughout. */
static size_t for_each(void)
{
	uint8_t visits[PAIRS] = { 0 };
	size_t count = fh_arc_for_each(arcs, visit, visits);

	soak_expect(visits[0] == 1, "pair 0 was visited %u times", visits[0]);
	return count;
}

static enum fh_arc_decision decide(const struct fh_arc_names *names,
				   const struct fh_arc_info *info,
				   struct fh_arc_step *step, void *arg)
{
	struct soak_worker *worker = arg;

	look_at(info);
	(void)step;
	if (pair_of(names) == 0)
		return soak_random(worker, 2) ? FH_ARC_DO_PROGRESS :
						FH_ARC_DO_NOTHING;
	return (enum fh_arc_decision)soak_random(worker, 4);
}

static void process(struct soak_worker *worker)
{
	struct fh_arc_tally sum;
	uint64_t done;

	soak_begin(worker, PROCESS);
	fh_arc_process_all(arcs, decide, worker, &sum);
	done = sum.completed + sum.cancelled + sum.expired;
	soak_expect(done + sum.progressed + sum.failed <= sum.processed,
		    "a tally of %llu that does not add up",
		    (unsigned long long)sum.processed);
}

/* For a while; the argument is released when the last call has ended. */
static void observe(struct soak_worker *worker)
{
	struct observer *observer = soak_alloc(sizeof(*observer));
	struct names names;
	uint64_t id;
	int rc;

	soak_begin(worker, OBSERVE);
	observer->alive = SOAK_ALIVE;
	store_relaxed(&observer->calls, 0);
	add_relaxed(&observers_live, 1);
	rc = fh_arc_observe(arcs, FH_ARC_STARTED | FH_ARC_ENDED, note_briefly,
			    observer, release, &id);
	soak_expect(rc == 0 || rc == -EAGAIN, "an observe gave %d", rc);
	if (rc) {
		release(observer);
		return;
	}
	for (int i = 0; i < 4; i++) {
		name(worker, &names, 1 + (unsigned)soak_random(worker,
							       PAIRS - 1));
		start(worker, &names);
		end(worker, &names);
	}
	rc = fh_arc_unobserve(arcs, id);
	soak_expect(rc == 0, "an unobserve gave %d", rc);
	rc = fh_arc_unobserve(arcs, id);
	soak_expect(rc == -ENOENT, "a second unobserve gave %d", rc);
}

static void work(struct soak_worker *worker)
{
	static void (*const what[])(struct soak_worker *, struct names *) = {
		start, start_wait, two_steps, progress, progress, progress,
		end, end, get, get,
	};
	struct names names;

	name(worker, &names, (unsigned)soak_random(worker, PAIRS));
	switch (soak_random(worker, 256)) {
	case 0:
		soak_begin(worker, FOR_EACH);
		for_each();
		break;
	case 1:
		process(worker);
		break;
	case 2:
		observe(worker);
		break;
	default:
		what[soak_random(worker, 10)](worker, &names);
	}
}

/* ---- at rest ---- */

static void agree(const char *what, uint64_t callers, uint64_t observed,
		  uint64_t registry)
{
	soak_expect(observed == registry && callers == registry,
		    "%s: callers were told of %llu, the observer of %llu, the "
		    "registry counts %llu", what, (unsigned long long)callers,
		    (unsigned long long)observed,
		    (unsigned long long)registry);
}

static void check_pairs(void)
{
	struct fh_arc_info info;
	struct names names;
	bool active;

	for (unsigned i = 0; i < PAIRS; i++) {
		name(&soak_conductor, &names, i);
		active = fh_arc_get(arcs, names.first, names.second,
				    &info) == 0;
		soak_expect(load_relaxed(&running[i]) == active &&
			    load_relaxed(&claims[i]) == 0 &&
			    load_relaxed(&generations[i]) ==
				    (active ? info.generation : 0),
			    "pair %u: %llu more starts than ends were "
			    "observed, active is %d, and generations differ "
			    "by %llu", i,
			    (unsigned long long)load_relaxed(&running[i]),
			    active,
			    (unsigned long long)load_relaxed(&generations[i]));
	}
}

static void check(void)
{
	struct fh_arcs_stats stats;

	fh_arcs_get_stats(arcs, &stats);
	agree("starts", load_relaxed(&told.starts),
	      load_relaxed(&clerk.starts), stats.started);
	agree("generations", load_relaxed(&told.started_sum),
	      load_relaxed(&clerk.started_sum),
	      load_relaxed(&clerk.started_sum));
	agree("abandoned starts", load_relaxed(&abandoned),
	      load_relaxed(&abandoned), stats.abandoned);
	agree("steps", stats.progressed, load_relaxed(&clerk.steps),
	      stats.progressed);
	agree("ends", stats.ended, load_relaxed(&clerk.ends), stats.ended);
	agree("failures of observers", load_relaxed(&failures),
	      load_relaxed(&failures), stats.observer_failures);
	agree("refusals", load_relaxed(&refused), load_relaxed(&refused),
	      stats.refused);
	agree("active", stats.started - stats.ended, for_each(), stats.active);
	soak_expect(load_relaxed(&told.steps) <= stats.progressed &&
		    load_relaxed(&told.ends) <= stats.ended,
		    "more was told than happened");
	soak_expect(load_relaxed(&observers_live) == 0,
		    "%llu observers were not released",
		    (unsigned long long)load_relaxed(&observers_live));
	check_pairs();
}

static void clear(void)
{
	struct names names;

	for (unsigned i = 1; i < PAIRS; i++) {
		name(&soak_conductor, &names, i);
		if (fh_arc_end(arcs, names.first, names.second, FH_ARC_ANY,
			       FH_ARC_COMPLETED, NULL, NULL) == 0)
			add_relaxed(&told.ends, 1);
	}
}

static void setup(void)
{
	const struct fh_arcs_options options = {
		.types = types, .type_count = TYPES, .clock = tick,
	};
	struct fh_arc_request first = { .first = "agent-0",
					.second = "rival-0", .type = RING };
	struct fh_arc_info info;
	uint64_t id;

	if (fh_arcs_create(&arcs, &options) ||
	    fh_arc_observe(arcs, FH_ARC_STARTED | FH_ARC_PROGRESSED |
			   FH_ARC_ENDED, note, NULL, NULL, &id) ||
	    fh_arc_start(arcs, &first, &info))
		soak_fail("cannot create a registry");
	have_started(&info);
}

static void report(FILE *out)
{
	struct fh_arcs_stats stats;

	fh_arcs_get_stats(arcs, &stats);
	fprintf(out, "%llu arcs started, %llu ended, %llu steps, %llu starts "
		"refused, %llu abandoned;\n%llu calls of observers failed on "
		"purpose, %llu calls of observers that came and went.\n",
		(unsigned long long)stats.started,
		(unsigned long long)stats.ended,
		(unsigned long long)stats.progressed,
		(unsigned long long)stats.refused,
		(unsigned long long)stats.abandoned,
		(unsigned long long)stats.observer_failures,
		(unsigned long long)load_relaxed(&transient_calls));
}

static void teardown(void)
{
	fh_arcs_destroy(arcs);
}

struct soak_room soak_arc = {
	.name = "arc", .operations = operations, .weight = 20,
	.setup = setup, .work = work, .check = check, .clear = clear,
	.report = report, .teardown = teardown,
};
