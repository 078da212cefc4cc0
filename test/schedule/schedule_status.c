/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the status cell: every pair and every triple of operations,
 * and longer scripts for what takes more than one step: a state that comes
 * back, a token that is handed on, waiters beside a deadline that passes or
 * a wake-up without a cause.
 *
 * Thread t alone changes to state t + 1, and writes a plain note before its
 * first change: whoever sees the state must be able to read the note, or the
 * machine reports a race.  All calls together must be linearizable; a lost
 * wake-up is a deadlock, which the machine finds.
 */
#include "script.h"

#include <freehold/status.h>

#include "atomic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAITERS 1u	/* the bit that src/status.c calls W */
#define ANY (FH_STATE(1) | FH_STATE(2) | FH_STATE(3) | FH_STATE(4))
#define IN_A_WHILE INT64_C(60000000000)

enum operation {
	NONE, SET, BACK, CAS, TRANSITION, GET, READ, WAIT, CHANGE, WAIT_TIMED,
	CHANGE_TIMED, POLL, FOLLOW, OPERATIONS
};

static const char *const operation_name[] = {
	"nothing", "set", "set back", "compare-exchange", "transition", "get",
	"read", "wait", "wait for change", "wait a while",
	"wait a while for change", "poll", "follow",
};

/* What a thread does in turn; the argument: states to wait for, or epochs. */
struct action {
	enum operation operation;
	uint64_t argument;
};

struct setting {
	struct action action[ACTORS][ACTIONS];
	bool chain;		/* state s was set after all below it */
};

static struct fh_status cell;
static unsigned note[ACTORS + 1];

/* From 0 anywhere, then up one by one. */
static const uint64_t allowed[] = {
	FH_STATE(1) | FH_STATE(2) | FH_STATE(3), FH_STATE(2), FH_STATE(3), 0,
};
static const struct fh_status_table table = { 4, allowed };

/* ---- the specification ---- */

static const struct fh_status_snapshot initial;

/* What a call returned, in a word. */
static uint64_t packed(int rc, struct fh_status_snapshot s)
{
	return (uint64_t)-rc << 32 | s.epoch << 8 | s.state;
}

/* What a compare-exchange was given. */
static uint64_t wanted(unsigned state, struct fh_status_snapshot expected)
{
	return expected.epoch << 16 | expected.state << 8 | state;
}

static bool becomes(struct fh_status_snapshot *now, unsigned state)
{
	now->state = state;
	now->epoch++;
	return true;
}

static bool step(void *model, const struct call *call)
{
	struct fh_status_snapshot *now = model;
	unsigned state = call->argument & 0xff;
	uint64_t result = call->result;
	bool allows;

	switch ((enum operation)call->operation) {
	case SET:
	case BACK:
		return becomes(now, state);
	case CAS:
		if (call->argument != wanted(state, *now))
			return result == packed(-EAGAIN, *now);
		return result == packed(0, *now) && becomes(now, state);
	case TRANSITION:
		allows = now->state < table.states &&
			 allowed[now->state] & FH_STATE(state);
		if (!allows)
			return result == packed(-EPERM, *now);
		return result == packed(0, *now) && becomes(now, state);
	case GET:
		return result == now->state;
	default:
		return (result & 0xffffffff) == packed(0, *now);
	}
}

/* ---- the operations ---- */

struct actor {
	unsigned state;		/* which only this one changes to */
	bool noted;
	struct fh_status_snapshot last;	/* what it knows of the cell */
};

static void write_note(struct actor *actor)
{
	if (!actor->noted)
		note[actor->state] = actor->state;
	actor->noted = true;
}

/* Who sees a state sees what was done before. */
static void read_notes(unsigned state)
{
	const struct setting *setting = scenario_now()->data;
	unsigned s;

	for (s = setting->chain ? 1 : state; s && s <= state; s++)
		expect(note[s] == s, "state %u: note %u is missing", state, s);
}

static void set(struct actor *actor, enum operation operation)
{
	unsigned state = operation == SET ? actor->state : 0;
	struct call *call = call_begin(operation, state);

	call_end(call, (uint64_t)fh_status_set(&cell, state));
}

static void compare_exchange(struct actor *actor)
{
	struct fh_status_snapshot expected = actor->last;
	struct call *call = call_begin(CAS, wanted(actor->state, expected));
	int rc = fh_status_compare_exchange(&cell, &expected, actor->state);

	call_end(call, packed(rc, expected));
	if (rc == 0)
		becomes(&expected, actor->state);
	actor->last = expected;
	read_notes(expected.state);
}

static void transition(struct actor *actor)
{
	struct call *call = call_begin(TRANSITION, actor->state);
	struct fh_status_snapshot from;
	int rc = fh_status_transition(&cell, &table, actor->state, &from);

	call_end(call, packed(rc, from));
	read_notes(from.state);
}

static void look(struct actor *actor, enum operation operation)
{
	struct call *call = call_begin(operation, 0);

	if (operation == GET) {
		actor->last.state = fh_status_get(&cell);
		call_end(call, actor->last.state);
	} else {
		actor->last = fh_status_read(&cell);
		call_end(call, packed(0, actor->last));
	}
	read_notes(actor->last.state);
}

/* Time stands still unless a scenario lets it pass. */
static int64_t deadline_of(enum operation operation)
{
	if (operation == WAIT || operation == CHANGE || operation == FOLLOW)
		return FH_FOREVER;
	return operation == POLL ? 0 : IN_A_WHILE;
}

static void wait_until(struct actor *actor, const struct action *action)
{
	enum operation operation = action->operation;
	bool change = operation == CHANGE || operation == CHANGE_TIMED ||
		      operation == FOLLOW;
	int64_t deadline = deadline_of(operation);
	struct call *call = call_begin(operation, 0);
	struct fh_status_snapshot seen;
	bool reached;
	int rc;

	if (change)
		rc = fh_status_wait_change(&cell, actor->last.epoch, deadline,
					   &seen);
	else
		rc = fh_status_wait(&cell, action->argument, deadline, &seen);
	call_end(call, packed(rc, seen));
	reached = change ? seen.epoch != actor->last.epoch :
			   (action->argument & FH_STATE(seen.state)) != 0;
	expect(rc == (reached ? 0 : -ETIMEDOUT), "the wait says %d", rc);
	expect(reached || deadline != FH_FOREVER, "for ever is over");
	actor->last = seen;
	read_notes(seen.state);
}

static void perform(struct actor *actor, const struct action *action)
{
	enum operation operation = action->operation;

	if (operation == SET || operation == CAS || operation == TRANSITION)
		write_note(actor);
	if (operation == SET || operation == BACK)
		set(actor, operation);
	else if (operation == CAS)
		compare_exchange(actor);
	else if (operation == TRANSITION)
		transition(actor);
	else if (operation == GET || operation == READ)
		look(actor, operation);
	else if (operation != FOLLOW)
		wait_until(actor, action);
	else
		while (actor->last.epoch < action->argument)
			wait_until(actor, action);
}

void act(unsigned me)
{
	const struct setting *setting = scenario_now()->data;
	struct actor actor = { .state = me + 1 };
	unsigned i;

	for (i = 0; i < ACTIONS && setting->action[me][i].operation; i++)
		perform(&actor, &setting->action[me][i]);
}

/* ---- the end ---- */

static bool does(const struct setting *setting, enum operation operation)
{
	unsigned i;

	for (i = 0; i < ACTORS * ACTIONS; i++)
		if (setting->action[i / ACTIONS][i % ACTIONS].operation ==
		    operation)
			return true;
	return false;
}

/* Only a deadline that passed leaves the bit behind, until the next change. */
static void finish(void)
{
	const struct setting *setting = scenario_now()->data;
	struct actor nobody = { 0 };

	look(&nobody, READ);
	expect(linearizable(step, &initial, sizeof(initial)),
	       "the history is not linearizable");
	if (!does(setting, WAIT_TIMED) && !does(setting, CHANGE_TIMED))
		expect(!(cell.word & WAITERS), "the waiters bit is left over");
	expect(fh_status_set(&cell, 0) == 0 && !(cell.word & WAITERS),
	       "a change leaves the waiters bit");
}

/* ---- set acquires: who came second knows what the first one did ---- */

static _Atomic(unsigned) mark[2];
static unsigned found[2];

static void mark_and_set(unsigned me)
{
	store_relaxed(&mark[me], 1);
	fh_status_set(&cell, me + 1);
	found[me] = load_relaxed(&mark[!me]);
}

static void mark_0(void)
{
	mark_and_set(0);
}

static void mark_1(void)
{
	mark_and_set(1);
}

static void second_found_first(void)
{
	unsigned second = fh_status_get(&cell) - 1;

	expect(found[second], "the later set does not see the earlier one");
}

/* ---- the epoch wraps in its field ---- */

static void last_epoch(void)
{
	cell.word = FH_STATUS_EPOCH_MASK_ << 1;
}

/* A carry out of the epoch would be seen in the lowest bit of the state. */
static void set_once(void)
{
	note[2] = 2;
	fh_status_set(&cell, 2);
}

static void wait_for_the_first(void)
{
	struct fh_status_snapshot seen;

	fh_status_wait_change(&cell, FH_STATUS_EPOCH_MASK_, FH_FOREVER, &seen);
	expect(seen.state == 2 && seen.epoch == 0 && note[2],
	       "state %u of epoch %ju came", seen.state,
	       (uintmax_t)seen.epoch);
}

/* ---- which of them ---- */

static const struct scenario own[] = {
	{ "set acquires", .thread = { mark_0, mark_1 },
	  .finish = second_found_first },
	{ "the epoch wraps", .setup = last_epoch,
	  .thread = { set_once, wait_for_the_first }, .wakeups = 1 },
};

/* What every thread of a pair or a triple does one of. */
static const struct action menu[] = {
	{ SET, 0 }, { BACK, 0 }, { CAS, 0 }, { TRANSITION, 0 }, { GET, 0 },
	{ READ, 0 }, { WAIT, ANY }, { CHANGE, 0 }, { WAIT_TIMED, ANY },
	{ CHANGE_TIMED, 0 }, { POLL, ANY },
};
#define MENU (sizeof(menu) / sizeof(menu[0]))

/* What takes more than one step, or more than three threads. */
static const struct {
	const char *text;
	bool chain;		/* state s is set after all below it */
	int timeouts, wakeups;
} script[] = {
	/* The state comes back, the epoch does not. */
	{ .text = "set, set back | compare-exchange" },
	{ .text = "set, set back | read, compare-exchange" },
	{ .text = "set, set back | wait for change", .wakeups = 1 },
	{ .text = "set, set back | wait a while", .timeouts = 1 },
	/* Who lost tries again, and is judged by what it finds. */
	{ .text = "compare-exchange, compare-exchange | "
		  "compare-exchange, compare-exchange" },
	{ .text = "compare-exchange, compare-exchange | set, set back" },
	{ .text = "transition, transition | transition, set back" },
	/* Two looks: what was seen once is not unseen. */
	{ .text = "set, set back | read, read" },
	{ .text = "set | set | read, get" },
	/* A token goes there and back, or is handed on: the last one sees
	 * what the first one did. */
	{ .text = "set, wait 2 | wait 1, set", .wakeups = 1 },
	{ .text = "compare-exchange, wait for change | "
		  "wait for change, compare-exchange", .wakeups = 1 },
	{ .text = "set | wait 1, set | wait 2", .chain = true },
	{ .text = "set | wait for change, compare-exchange | "
		  "wait 2, transition", .chain = true },
	/* Every change, or the last of those that came together. */
	{ .text = "set, set back | follow 2", .wakeups = 1 },
	{ .text = "set | set | follow 2", .wakeups = 1 },
	{ .text = "set, set back | follow 2 | follow 2" },
	{ .text = "set | set | follow 2 | wait for change" },
	/* A state that is not the one awaited wakes, and is looked at. */
	{ .text = "set back, set | wait", .wakeups = 1 },
	{ .text = "set, set back, set | wait 1", .wakeups = 1 },
	{ .text = "set back, set | wait | wait a while", .timeouts = 1 },
	/* One sleeper gives up; its announcement stays for the other. */
	{ .text = "set | wait a while | wait", .timeouts = 1, .wakeups = 1 },
	{ .text = "set | wait a while, wait", .timeouts = 1, .wakeups = 1 },
	{ .text = "set | wait for change | wait a while 2", .timeouts = 1 },
	{ .text = "wait a while", .timeouts = 1 },
	{ .text = "wait a while | wait a while for change", .timeouts = 1,
	  .wakeups = 1 },
	{ .text = "wait a while, wait a while | set", .timeouts = 2 },
	/* More waiters than one wake-up takes in turn. */
	{ .text = "set | wait | wait | wait for change" },
	{ .text = "set | compare-exchange | wait | wait for change" },
};
#define SCRIPTS (sizeof(script) / sizeof(script[0]))
#define OWN (sizeof(own) / sizeof(own[0]))

/* One action of a script; returns what follows it. */
static const char *read_action(const char *text, struct action *action)
{
	char *end = NULL;
	size_t length;
	int i;

	for (i = SET; i < OPERATIONS; i++) {
		length = strlen(operation_name[i]);
		if (strncmp(text, operation_name[i], length))
			continue;
		*action = (struct action){ (enum operation)i, ANY };
		end = (char *)(uintptr_t)text + length;
		if (end[0] == ' ' && end[1] >= '0' && end[1] <= '9')
			action->argument = strtoul(end, &end, 10);
		if (!*end || *end == ',' || strncmp(end, " |", 2) == 0)
			break;
		end = NULL;
	}
	if (!end)
		exit(99);
	if (i != FOLLOW && action->argument != ANY)
		action->argument = FH_STATE(action->argument);
	return end;
}

static struct setting read_script(const char *text)
{
	struct setting setting = { 0 };
	unsigned thread = 0, i = 0;

	for (;;) {
		text = read_action(text, &setting.action[thread][i++]);
		if (!*text)
			return setting;
		if (*text == ',') {
			text += 2;
			continue;
		}
		thread++;
		i = 0;
		text += 3;
	}
}

static struct scenario *add(const struct setting *setting)
{
	static const struct scenario frame = { .finish = finish };
	struct scenario *scenario = add_scenario(&frame, setting,
						 sizeof(*setting));
	unsigned me, i;

	for (me = 0; me < ACTORS && setting->action[me][0].operation; me++) {
		const struct action *action = setting->action[me];

		add_actor(scenario, "%s", operation_name[action[0].operation]);
		for (i = 1; i < ACTIONS && action[i].operation; i++)
			name_scenario(scenario, ", %s",
				      operation_name[action[i].operation]);
	}
	return scenario;
}

/* Does every wait that has no deadline come to its end? */
static bool ends(const struct setting *s)
{
	bool sets = does(s, SET) || does(s, CAS) || does(s, TRANSITION);

	if (does(s, WAIT) && (!sets || does(s, BACK)))
		return false;
	return !does(s, CHANGE) || sets || does(s, BACK);
}

static bool changes(const struct setting *s)
{
	return does(s, SET) || does(s, BACK) || does(s, CAS) ||
	       does(s, TRANSITION);
}

/* Each multiset of @threads operations. */
static void add_groups(struct setting *setting, unsigned threads,
		       unsigned thread, unsigned from)
{
	struct scenario *scenario;

	if (thread == threads) {
		if (!ends(setting) || !changes(setting))
			return;
		scenario = add(setting);
		scenario->timeouts = does(setting, WAIT_TIMED) ||
				     does(setting, CHANGE_TIMED);
		scenario->wakeups = threads == 2;
		return;
	}
	for (; from < MENU; from++) {
		setting->action[thread][0] = menu[from];
		add_groups(setting, threads, thread + 1, from);
	}
}

int main(int argc, char **argv)
{
	struct setting setting = { 0 };
	unsigned i;

	for (i = 0; i < OWN; i++)
		add_scenario(&own[i], NULL, 0);
	for (i = 0; i < SCRIPTS; i++) {
		struct scenario *scenario;

		setting = read_script(script[i].text);
		setting.chain = script[i].chain;
		scenario = add(&setting);
		scenario->name = script[i].text;
		scenario->timeouts = script[i].timeouts;
		scenario->wakeups = script[i].wakeups;
	}
	setting = (struct setting){ 0 };
	add_groups(&setting, 2, 0, 0);
	add_groups(&setting, 3, 0, 0);
	return script_main(argc, argv);
}
