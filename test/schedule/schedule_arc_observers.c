/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the observers of an arc registry, without the registry:
 * additions, removals and notifications, every pair and triple of them, with
 * none, one or two observers there before, and a dead one in their list.
 *
 * Adding, removing and notifying are linearizable, observer by observer: a
 * notification calls an observer once if it is registered, and never else.
 * Each observer has an argument of its own, which its release frees: a call
 * that is not over, or comes later, touches freed memory or is a data race.
 */
#include "script.h"

#include "observers.h"

#include <freehold/rcu.h>

#include <errno.h>
#include <stdlib.h>

enum operation { NONE, ADD, ADD_BRIEFLY, REMOVE, NOTIFY, OPERATIONS };

static const char *const operation_name[] = {
	"nothing", "add", "add and remove", "remove", "notify",
};

/* Who is there at first. */
enum content { NOBODY, ONE, ONE_DEAD, ONE_LEAVING, ONE_INVITING, CONTENTS };

static const char *const content_name[] = {
	"nobody", "one", "one behind a dead one",
	"those that remove themselves", "one that adds others",
};

#define THREADS_MOST 3
#define FINISH THREADS_MOST	/* does as if it were one more thread */

struct setting {
	enum content content;
	enum operation operation[THREADS_MOST];
};

/* Observers: of setup, of each thread, and of each thread's notification. */
enum {
	FIRST, DEAD_ONE, OF_THREAD, INVITED = OF_THREAD + THREADS_MOST,
	SUBJECTS = INVITED + THREADS_MOST + 1
};

/* What an observer is called with. */
struct subject {
	unsigned who;
	uint64_t id;
	uint8_t calls[THREADS_MOST + 1];	/* by each thread */
};

static struct fh_observers observers;
static uint64_t first_id;
static uint8_t added[SUBJECTS], released[SUBJECTS];
static uint8_t failures[THREADS_MOST + 1];

static _Thread_local unsigned me;
static _Thread_local uint8_t called[SUBJECTS];	/* by this notification */

static const struct setting *setting(void)
{
	return scenario_now()->data;
}

/* ---- the specification ---- */

enum { ADDS, REMOVES, CALLS };

struct model {
	bool live[SUBJECTS];
};

/* argument: which observer; result: the error, or how often it was called. */
static bool step(void *state, const struct call *call)
{
	struct model *model = state;
	bool *live = &model->live[call->argument], was = *live;

	switch (call->operation) {
	case ADDS:
		*live = call->result == 0;
		return call->result == 0 ||
		       call->result == (uint64_t)-ENOMEM ||
		       call->result == (uint64_t)-EAGAIN;
	case REMOVES:
		*live = false;
		return call->result == (was ? 0 : (uint64_t)-ENOENT);
	default:
		return call->result == was;
	}
}

/* ---- the operations ---- */

static void release(void *arg)
{
	struct subject *subject = arg;
	unsigned i;

	for (i = 0; i <= THREADS_MOST; i++)
		expect(subject->calls[i] % 2 == 0, "released during a call");
	released[subject->who]++;
	free(subject);
}

static void take_out(unsigned who, uint64_t id)
{
	struct call *call = call_begin(REMOVES, who);

	call_end(call, (uint64_t)fh_observers_remove(&observers, id));
}

static int observe(const struct fh_arc_notice *notice, void *arg);

/* Whom nobody else removes may be looked at until it is removed. */
static struct subject *bring_in(unsigned who)
{
	struct subject *subject = calloc(1, sizeof(*subject));
	int rc;

	if (!subject)
		return NULL;
	subject->who = who;
	rc = fh_observers_add(&observers, FH_ARC_STARTED, observe, subject,
			      release, &subject->id);
	added[who] = rc == 0;
	if (rc == 0)
		return subject;
	expect(rc == -ENOMEM || rc == -EAGAIN, "an addition says %d", rc);
	free(subject);
	return NULL;
}

/* The observer uses the id that its addition told it. */
static bool leaves(unsigned who)
{
	return setting()->content == ONE_LEAVING &&
	       (who == FIRST || setting()->operation[who - OF_THREAD] == ADD);
}

static int observe(const struct fh_arc_notice *notice, void *arg)
{
	struct subject *subject = arg;

	expect(notice->change == FH_ARC_STARTED, "a change of another kind");
	subject->calls[me]++;
	called[subject->who]++;
	if (leaves(subject->who))
		take_out(subject->who, subject->id);
	if (subject->who == FIRST && setting()->content == ONE_INVITING)
		bring_in(INVITED + me);
	subject->calls[me]++;
	return subject->who == FIRST ? -1 : 0;
}

static void add_one(bool briefly)
{
	struct call *call = call_begin(ADDS, OF_THREAD + me);
	struct subject *mine = bring_in(OF_THREAD + me);

	call_end(call, mine ? 0 : (uint64_t)-ENOMEM);
	if (mine && briefly)
		take_out(mine->who, mine->id);
}

static bool is_watched(unsigned who)
{
	return who < OF_THREAD ||
	       setting()->operation[who - OF_THREAD] == ADD ||
	       setting()->operation[who - OF_THREAD] == ADD_BRIEFLY;
}

/* Each observer that there may be: is it called? */
static void notify(void)
{
	const struct fh_arc_notice notice = { .change = FH_ARC_STARTED };
	const struct fh_arc_notice other = { .change = FH_ARC_ENDED };
	struct call *call[INVITED];
	unsigned i;

	for (i = 0; i < INVITED; i++)
		if (is_watched(i))
			call[i] = call_begin(CALLS, i);
	fh_observers_notify(&observers, &notice);
	fh_observers_notify(&observers, &other);
	for (i = 0; i < INVITED; i++)
		if (is_watched(i))
			call_end(call[i], called[i]);
	failures[me] = called[FIRST];
	expect(!called[INVITED + me], "called by the notification in which "
	       "it was added");
}

void act(unsigned thread)
{
	enum operation operation = setting()->operation[thread];

	me = thread;
	if (operation == REMOVE)
		take_out(FIRST, first_id);
	else if (operation == NOTIFY)
		notify();
	else
		add_one(operation == ADD_BRIEFLY);
}

/* ---- the beginning and the end ---- */

static void setup(void)
{
	struct subject *dead = NULL;

	if (setting()->content == NOBODY)
		return;
	if (setting()->content == ONE_DEAD)
		dead = bring_in(DEAD_ONE);
	first_id = bring_in(FIRST)->id;
	if (dead)
		expect(fh_observers_remove(&observers, dead->id) == 0,
		       "setup: remove");
}

static void finish(void)
{
	struct model initial = {
		.live[FIRST] = setting()->content != NOBODY,
	};
	int64_t failed = 0;
	unsigned i;

	me = FINISH;
	notify();
	expect(linearizable(step, &initial, sizeof(initial)),
	       "the history is not linearizable");
	for (i = 0; i <= FINISH; i++)
		failed += failures[i];
	expect(fh_counter_read(&observers.failures) == failed,
	       "%jd failures are counted, not %jd",
	       (intmax_t)fh_counter_read(&observers.failures),
	       (intmax_t)failed);
	fh_observers_destroy(&observers);
	for (i = 0; i < SUBJECTS; i++)
		expect(released[i] == added[i], "observer %u: released %u "
		       "times", i, released[i]);
}

/* ---- which of them ---- */

static void add(enum content content, enum operation a, enum operation b,
		enum operation c, int failing)
{
	const struct scenario frame = { .setup = setup, .finish = finish,
		.failures = failing, .preemptions = c ? 1 : 0 };
	const struct setting its = { .content = content,
				     .operation = { a, b, c } };
	struct scenario *scenario = add_scenario(&frame, &its, sizeof(its));
	unsigned i;

	name_scenario(scenario, "%s:", content_name[content]);
	for (i = 0; i < THREADS_MOST && its.operation[i]; i++)
		add_actor(scenario, "%s", operation_name[its.operation[i]]);
	if (failing)
		name_scenario(scenario, ", no memory");
}

/* Two or three operations, in no order. */
static void add_all(enum content content)
{
	enum operation a, b, c;

	for (a = ADD; a < OPERATIONS; a++)
		for (b = a; b < OPERATIONS; b++) {
			add(content, a, b, NONE, 0);
			add(content, a, b, NONE, 1);
			for (c = b; c < OPERATIONS; c++)
				add(content, a, b, c, 0);
		}
}

int main(int argc, char **argv)
{
	enum content content;

	for (content = NOBODY; content < CONTENTS; content++)
		add_all(content);
	return script_main(argc, argv);
}
