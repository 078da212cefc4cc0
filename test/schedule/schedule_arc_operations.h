/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the arc registry: the operations of the threads, each recorded
 * for the history, with what its caller may rely on afterwards.
 */
#ifndef FH_SCHEDULE_ARC_OPERATIONS_H
#define FH_SCHEDULE_ARC_OPERATIONS_H

#include "schedule_arc_model.h"

/* ---- the operations ---- */

static int64_t clock_of_thread(void *arg)
{
	(void)arg;
	return late ? 1000 : 1;
}

/* Where nobody can have ended it since, the arc runs when it is told of. */
static void check_told(const struct fh_arc_info *info)
{
	struct fh_arc_info now;
	unsigned ender;

	if (other_enders(&ender))
		return;
	expect(fh_arc_get(arcs, first_name, second_name, &now) == 0 &&
	       now.generation == info->generation, "told of too early");
}

static int witness(const struct fh_arc_notice *notice, void *arg)
{
	const struct fh_arc_info *info = &notice->info;

	(void)arg;
	if (info->type == BYSTANDER_TYPE)
		return 0;
	expect(notice->names.first[0] == 'a' && notice->names.second[0] == 'b',
	       "a notice with other names");
	expect((info->state == FH_ARC_ACTIVE) ==
	       (notice->change == FH_ARC_STARTED ||
		(notice->change == FH_ARC_PROGRESSED &&
		 info->phase != PHASE_LAST)), "a notice of another change");
	see(info);
	told = pack(info);
	if (notice->change == FH_ARC_STARTED && !scenario_now()->failures)
		check_told(info);
	if (notice->change == FH_ARC_STARTED)
		heard.started[info->generation]++;
	else if (notice->change == FH_ARC_PROGRESSED)
		heard.stepped[info->generation][info->events]++;
	else
		heard.ended[info->generation]++;
	return 0;
}

/* What the caller of an operation learns of its success. */
static void did_end(const struct fh_arc_info *info)
{
	see(info);
	done.ended[info->generation]++;
}

static void did_step(const struct fh_arc_info *info)
{
	done.stepped[info->generation][info->events]++;
	see(info);
	if (info->phase == PHASE_LAST)
		done.ended[info->generation]++;
}

/* A start, and the call of the history in which it is. */
struct attempt {
	enum operation operation;
	bool claimed;
	struct call *call;
};

static int initialise(const struct fh_arc_info *info, void *arg)
{
	struct attempt *attempt = arg;
	bool fails = attempt->operation == START_IN_VAIN;

	call_end(attempt->call, pack(info));
	win();
	initialised[info->generation] = 1;
	before_end[me] |= fails;
	attempt->claimed = true;
	attempt->call = call_begin(fails ? ABANDONS : PUBLISHES, 0);
	attempt->call->result = pack(info);
	abandoned[me] += fails;
	done.started[info->generation] += !fails;
	return fails ? -ECANCELED : 0;
}

static int request_start(struct attempt *attempt, struct fh_arc_info *info)
{
	struct fh_arc_request request = {
		.first = second_name, .second = first_name, .type = PAIR_TYPE,
		.init = initialise, .init_arg = attempt,
	};
	int rc;

	if (attempt->operation == START_OR_JOIN)
		rc = fh_arc_start_wait(arcs, &request, FH_FOREVER, info);
	else if (attempt->operation == POLL)
		rc = fh_arc_start_wait(arcs, &request, 0, info);
	else
		return fh_arc_start(arcs, &request, info);
	return rc == 0 && info->joined ? -EEXIST : rc;
}

static void start(enum operation operation)
{
	struct attempt attempt = { .operation = operation };
	struct fh_arc_info info = { 0 };
	int rc;

	attempt.call = call_begin(CLAIMS, 0);
	rc = request_start(&attempt, &info);
	if (attempt.claimed) {
		expect(rc == (operation == START_IN_VAIN ? -ECANCELED : 0),
		       "a start that was claimed says %d", rc);
		call_end(attempt.call, attempt.call->result);
		return;
	}
	call_end(attempt.call, rc == -EEXIST ? EXISTS | pack(&info) :
					       (uint64_t)rc);
	if (rc == -EEXIST)
		see_running(&info);
	refused[me] += !info.joined && (rc == -EEXIST || rc == -EINPROGRESS);
}

/* Setup's claim, by another thread. */
static void settle(enum operation operation)
{
	struct call *call;
	struct fh_arc_info info;

	initialised[ticket_word >> 16] = 1;
	before_end[me] = 1;
	call = call_begin(operation == PUBLISH ? PUBLISHES : ABANDONS, 0);
	if (operation == PUBLISH)
		fh_arc_publish(ticket, &info);
	else
		fh_arc_abandon(ticket);
	call_end(call, operation == PUBLISH ? pack(&info) : ticket_word);
	if (operation == PUBLISH)
		done.started[info.generation]++;
	else
		abandoned[me]++;
}

static void end(enum operation operation)
{
	uint64_t generation = operation == END_FIRST ? 1 : FH_ARC_ANY;
	struct fh_arc_info info;
	struct call *call;
	int rc;

	before_end[me] = 1;
	call = call_begin(ENDS, generation);
	rc = fh_arc_end(arcs, first_name, second_name, generation,
			FH_ARC_COMPLETED, "why", &info);
	call_end(call, rc ? (uint64_t)rc : pack(&info));
	expect(rc != -ENOMEM, "an end needs memory");
	if (rc == 0)
		did_end(&info);
	else if (rc == -ENOENT)
		find_none();
}

static unsigned derive(const struct fh_arc_info *info,
		       const struct fh_arc_event *event, void *arg)
{
	(void)arg;
	see_running(info);
	return event->next;
}

static unsigned event_of(enum operation operation)
{
	return operation == STEP_LAST ? PHASE_LAST - 1 : me;
}

static void progress(enum operation operation)
{
	const struct fh_arc_event *event = &events[event_of(operation)];
	const struct fh_arc_step how = { .event = event->name,
					 .derive = derive };
	struct fh_arc_info info;
	struct call *call;
	int rc;

	before_step[me] = 1;
	before_end[me] = 1;
	call = call_begin(STEPS_TO, event->next);
	rc = fh_arc_progress(arcs, first_name, second_name, &how, &info);
	call_end(call, rc ? (uint64_t)rc : pack(&info));
	if (rc == 0)
		did_step(&info);
	else if (rc == -ENOENT)
		find_none();
}

static void get(void)
{
	struct call *call = call_begin(LOOKS, 0);
	struct fh_arc_info info;
	int rc = fh_arc_get(arcs, first_name, second_name, &info);

	call_end(call, rc ? (uint64_t)rc : pack(&info));
	if (rc == 0)
		see_running(&info);
	else if (rc == -ENOENT)
		find_none();
}

struct visits {
	struct fh_arc_info info;
	unsigned pair, bystander;
};

static int visit(const struct fh_arc_names *names,
		 const struct fh_arc_info *info, void *arg)
{
	struct visits *visits = arg;

	if (info->type == BYSTANDER_TYPE) {
		visits->bystander++;
		return 0;
	}
	expect(names->first[0] == 'a', "a walk with another name");
	see_running(info);
	visits->info = *info;
	visits->pair++;
	return 0;
}

/* Nobody touches the bystander: exactly once. */
static void walk(void)
{
	struct call *call = call_begin(LOOKS, 0);
	struct visits visits = { .pair = 0 };
	size_t visited = fh_arc_for_each(arcs, visit, &visits);

	call_end(call, visits.pair ? pack(&visits.info) : (uint64_t)-ENOENT);
	expect(visits.pair <= 1 && visits.bystander == 1,
	       "a walk visited the pair %u times, the bystander %u",
	       visits.pair, visits.bystander);
	expect(visited == visits.pair + visits.bystander, "a wrong sum");
	if (!visits.pair)
		find_none();
}

static enum fh_arc_decision decide(const struct fh_arc_names *names,
				   const struct fh_arc_info *info,
				   struct fh_arc_step *how, void *arg)
{
	(void)names;
	if (info->type == BYSTANDER_TYPE)
		return FH_ARC_DO_NOTHING;
	see_running(info);
	how->event = events[me].name;
	return *(const enum operation *)arg == STEP_ALL ? FH_ARC_DO_PROGRESS :
							  FH_ARC_DO_COMPLETE;
}

/* The tally says what was done with the pair; the notice, what came of it. */
static void sweep(enum operation operation)
{
	struct fh_arc_info info;
	struct fh_arc_tally tally;
	struct call *call;

	before_step[me] = before_end[me] = 1;
	late = operation == EXPIRE_ALL;
	call = call_begin(operation == STEP_ALL ? STEPS_TO : ENDS,
			  operation == STEP_ALL ? events[me].next : 0);
	fh_arc_process_all(arcs, decide, &operation, &tally);
	late = false;
	call_end(call, tally.failed ? (uint64_t)-EAGAIN :
		       tally.processed == 1 ? (uint64_t)-ENOENT : told);
	expect(!tally.failed || scenario_now()->failures, "failed for nothing");
	if (!tally.failed && tally.processed == 1)
		find_none();
	if (tally.failed || tally.processed == 1)
		return;
	info = (struct fh_arc_info){ .generation = told >> 16,
		.events = told >> 8 & 0xff, .phase = told & 0xff };
	expect(tally.processed == 2 &&
	       tally.progressed == (operation == STEP_ALL) &&
	       tally.completed == (operation == END_ALL) &&
	       tally.expired == (operation == EXPIRE_ALL), "a wrong tally");
	if (operation == STEP_ALL)
		did_step(&info);
	else
		did_end(&info);
}

void act(unsigned thread)
{
	enum operation operation = setting()->operation[thread];

	me = thread;
	if (operation <= POLL)
		start(operation);
	else if (operation <= ABANDON)
		settle(operation);
	else if (operation <= END_FIRST)
		end(operation);
	else if (operation <= STEP_LAST)
		progress(operation);
	else if (operation == GET)
		get();
	else if (operation == WALK)
		walk();
	else
		sweep(operation);
}

#endif
