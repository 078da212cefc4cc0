/* SPDX-License-Identifier: MIT */
/*
 * task, as histories: a running task that threads cancel, end, take and look
 * at, all at once.
 *
 * An end that wins is two steps: it is decided, then the task is over.  A
 * report that comes between them is too late already, while a look still
 * finds the task running.  So each such call is written down as two
 * operations, and the order must have a place for both.
 *
 * If the library were wrong: two reports that both win leave no order in
 * which the second is legal; a state that is seen before its error, or goes
 * back, contradicts the look after it; an output that two take has two
 * winners.
 *
 * The function itself waits behind a door and says nothing of its own until
 * the history is over.
 */
#include <freehold/status.h>
#include <freehold/rcu.h>
#include <freehold/task.h>

#include <errno.h>

#include "history.h"

enum { CANCEL, DECIDE, OVER, END_LATE, TAKE, LOOK, KINDS };

/* The states of the specification; word 0.  1: asked, 2: error, 3: taken. */
enum { RUNS, DECIDED, ENDED };

struct door {
	struct fh_status open;
	tally inside;
};

static struct fh_tasks *tasks;
static struct fh_task *subject[HISTORY_OBJECTS];

static int stand_by(struct fh_task *task, void *arg)
{
	struct door *door = arg;

	(void)task;
	add_seq_cst(&door->inside, 1);
	fh_status_wait(&door->open, FH_STATE(1), FH_FOREVER, NULL);
	return 0;
}

/* ---- what is right ---- */

static bool step_look(const struct linear_state *state,
		      const struct operation *op)
{
	bool over = op->out[0];

	if (op->out[1] != state->word[1])
		return false;
	if (over != (state->word[0] == ENDED))
		return false;
	return !over || op->out[2] == state->word[2];
}

static bool step_take(struct linear_state *state, const struct operation *op)
{
	if (state->word[0] != ENDED)
		return op->rc == -EBUSY;
	if (state->word[3])
		return op->rc == -EALREADY;
	state->word[3] = 1;
	return op->rc == 0 && op->out[0] == state->word[2];
}

static bool step_cancel(struct linear_state *state,
			const struct operation *op)
{
	if (state->word[0] == ENDED)
		return op->rc == -ESRCH;
	if (state->word[1])
		return op->rc == -EALREADY;
	state->word[1] = 1;
	return op->rc == 0;
}

static bool step(struct linear_state *state, const struct operation *op)
{
	switch (op->kind) {
	case CANCEL:
		return step_cancel(state, op);
	case DECIDE:
		if (state->word[0] != RUNS)
			return false;
		state->word[0] = DECIDED;
		state->word[2] = op->in[0];
		return true;
	case OVER:
		if (state->word[0] != DECIDED || state->word[2] != op->in[0])
			return false;
		state->word[0] = ENDED;
		return true;
	case END_LATE:
		return state->word[0] != RUNS;
	case TAKE:
		return step_take(state, op);
	default:
		return step_look(state, op);
	}
}

static void print(const struct operation *op, char *text, size_t size)
{
	static const char *const names[KINDS] = {
		"cancel", "end, decided", "end, over", "end, too late", "take",
		"look",
	};

	snprintf(text, size, "%s(%" PRIu64 "): %d, %" PRIu64 " %" PRIu64
		 " %" PRIu64, names[op->kind], op->in[0], op->rc, op->out[0],
		 op->out[1], op->out[2]);
}

/* ---- what is done ---- */

static void do_cancel(struct history_thread *self)
{
	struct operation *op = history_call(self, CANCEL, 0, 0, 0);

	history_return(self, op, fh_task_cancel(subject[self->object]));
}

/* Each report has an error of its own, by which its winner is known. */
static void do_end(struct history_thread *self)
{
	uint64_t error = 1 + self->index * 16 + random_below(&self->random,
							     16);
	const struct fh_task_report report = {
		.state = FH_TASK_FAILED, .error = -(int)error };
	struct operation *op = history_call(self, END_LATE, 0, error, 0);
	int rc = fh_task_end(subject[self->object], &report);

	history_return(self, op, rc);
	if (rc)
		return;
	op->kind = DECIDE;
	history_beside(self, OVER, 0, op)->in[0] = error;
}

static void do_take(struct history_thread *self)
{
	struct operation *op = history_call(self, TAKE, 0, 0, 0);
	struct fh_task_report report = { .error = 0 };
	int rc = fh_task_take(subject[self->object], &report);

	op->out[0] = (uint64_t)-report.error;
	history_return(self, op, rc);
}

static void do_look(struct history_thread *self)
{
	struct operation *op = history_call(self, LOOK, 0, 0, 0);
	struct fh_task_info info;

	fh_task_get_info(subject[self->object], &info);
	op->out[0] = FH_TASK_IS_OVER(info.state);
	op->out[1] = info.asked != 0;
	op->out[2] = (uint64_t)-info.error;
	history_return(self, op, 0);
}

static void act(struct history_thread *self)
{
	static void (*const deed[])(struct history_thread *) = {
		do_cancel, do_end, do_take, do_look, do_look,
	};
	unsigned calls = 2 + (unsigned)random_below(&self->random, 4);

	while (calls--) {
		deed[random_below(&self->random, 5)](self);
		history_pause(self);
	}
}

/* ---- a new task for each history ---- */

static void begin(unsigned object)
{
	struct door *door = calloc(1, sizeof(*door));
	const struct fh_task_request request = { .run = stand_by, .arg = door,
						 .release = free };

	if (!door || fh_task_submit(tasks, &request, &subject[object]))
		bail_out("no task");
	while (!load_seq_cst(&door->inside))
		sched_yield();
}

/* Its function may still stand at the door, which goes with the task. */
static void finish(unsigned object)
{
	const struct fh_task_report report = { .state = FH_TASK_COMPLETED };
	struct fh_task_info info;

	fh_task_end(subject[object], &report);
	fh_task_get_info(subject[object], &info);
	fh_status_set(&((struct door *)info.arg)->open, 1);
	fh_task_release(subject[object]);
}

static void reset(unsigned object, struct linear_state *state)
{
	finish(object);
	begin(object);
	memset(state, 0, sizeof(*state));
}

static const struct history_room room = {
	.specification = { step, print }, .keys = 1, .act = act,
	.look = do_look, .reset = reset,
};

int main(void)
{
	static const struct history_form forms[] = {
		{ "two", 2, 50, 0 }, { "three", 3, 30, 0 },
		{ "four", 4, 20, 0 },
	};
	const struct fh_tasks_options options = {
		.threads = 4 * HISTORY_OBJECTS };
	const struct linear_state fresh = { { 0 } };
	unsigned i, object;

	history_watchdog();
	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		if (fh_tasks_create(&tasks, &options))
			bail_out("no supervisor");
		for (object = 0; object < HISTORY_OBJECTS; object++)
			begin(object);
		history_run(&room, &forms[i], 20000, &fresh);
		for (object = 0; object < HISTORY_OBJECTS; object++)
			finish(object);
		is(fh_tasks_shutdown_wait(tasks, FH_TASKS_DRAIN, FH_FOREVER,
					  NULL, NULL), 0, "all ends");
		fh_tasks_destroy(tasks);
	}
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
