/* SPDX-License-Identifier: MIT */
/*
 * The room of tasks in the house: included by house.h, and by nobody else.
 *
 * Each task has a chore of its own, in which it is noted when it runs, when
 * it is told to have ended and how, and which goes with it.
 */
#ifndef FH_TEST_HOUSE_TASK_H
#define FH_TEST_HOUSE_TASK_H

struct chore {
	struct house *house;
	unsigned how;
	tally ran, ended;
};

enum { CHORE_DONE, CHORE_FAILS, CHORE_SLEEPS, CHORE_QUITS };

static int do_chore(struct fh_task *task, void *arg)
{
	struct chore *chore = arg;

	HOUSE_EXPECT(chore->house, add_relaxed(&chore->ran, 1) == 0);
	HOUSE_EXPECT(chore->house, fh_task_self() == task);
	switch (chore->how) {
	case CHORE_FAILS:
		return -EIO;
	case CHORE_SLEEPS:
		return fh_task_cancel_wait(task, fh_deadline_in(50000)) ?
			       0 : -ECANCELED;
	case CHORE_QUITS:
		pthread_exit(NULL);
	default:
		return 0;
	}
}

/* Whoever ends a chore from outside says that it has failed. */
static void watch_chore(struct fh_task *task, const struct fh_task_info *info,
			void *arg)
{
	struct chore *chore = info->arg;
	struct house *house = arg;

	(void)task;
	if (!FH_TASK_IS_OVER(info->state))
		return;
	HOUSE_EXPECT(house, add_relaxed(&chore->ended, 1) == 0);
	if (info->state == FH_TASK_COMPLETED ||
	    info->state == FH_TASK_CRASHED)
		HOUSE_EXPECT(house, load_relaxed(&chore->ran) == 1);
	add_relaxed(&house->chores_over[info->state], 1);
}

static void put_chore_away(void *arg)
{
	struct chore *chore = arg;

	HOUSE_EXPECT(chore->house, load_relaxed(&chore->ended) == 1);
	add_relaxed(&chore->house->chores_gone, 1);
	free(chore);
}

static struct fh_task *send_chore(struct dweller *self)
{
	struct house *house = self->house;
	struct chore *chore = calloc(1, sizeof(*chore));
	const struct fh_task_request request = {
		.run = do_chore, .arg = chore, .release = put_chore_away };
	struct fh_task *task = NULL;
	int rc;

	if (!chore) {
		HOUSE_EXPECT(house, is_refused(house, -ENOMEM));
		return NULL;
	}
	chore->house = house;
	chore->how = (unsigned)random_below(&self->random, 24);
	if (chore->how > CHORE_QUITS)
		chore->how = CHORE_DONE;
	rc = fh_task_submit(house->tasks, &request, &task);
	HOUSE_EXPECT(house, rc == 0 || rc == -EBUSY || rc == -ECHILD ||
			    is_refused(house, rc));
	if (rc)
		free(chore);
	add_relaxed(&house->chores, rc == 0);
	return task;
}

/* A while is enough for any chore. */
static void await_chore(struct house *house, struct fh_task *task)
{
	struct fh_task_info info;

	HOUSE_EXPECT(house, fh_task_wait(task, fh_deadline_in(60 * SECONDS),
					 &info) == 0);
	HOUSE_EXPECT(house, FH_TASK_IS_OVER(info.state));
}

static void use_task(struct dweller *self)
{
	static const struct fh_task_report report = {
		.state = FH_TASK_FAILED };
	struct fh_task *task = send_chore(self);
	struct house *house = self->house;
	int rc;

	if (!task)
		return;
	switch (random_below(&self->random, 8)) {
	case 0:
	case 1:
		rc = fh_task_cancel(task);
		HOUSE_EXPECT(house, rc == 0 || rc == -ESRCH);
		break;
	case 2:
		rc = fh_task_end(task, &report);
		HOUSE_EXPECT(house, rc == 0 || rc == -EBUSY ||
				    rc == -EALREADY || is_refused(house, rc));
		break;
	case 3:
		await_chore(house, task);
		break;
	default:
		break;
	}
	fh_task_release(task);
}

/* All chores end; then nobody may send another. */
static int rest_from_chores(struct house *house)
{
	return fh_tasks_shutdown_wait(house->tasks, FH_TASKS_DRAIN,
				      fh_deadline_in(60 * SECONDS), NULL,
				      NULL);
}

static void check_tasks(struct house *house)
{
	struct fh_tasks_stats stats;

	HOUSE_EXPECT(house, rest_from_chores(house) == 0);
	fh_tasks_get_stats(house->tasks, &stats);
	HOUSE_EXPECT(house, stats.submitted == house->chores);
	HOUSE_EXPECT(house, stats.live == 0 && stats.threads == 0);
	HOUSE_EXPECT(house, stats.completed ==
			    house->chores_over[FH_TASK_COMPLETED]);
	HOUSE_EXPECT(house, stats.failed ==
			    house->chores_over[FH_TASK_FAILED]);
	HOUSE_EXPECT(house, stats.cancelled ==
			    house->chores_over[FH_TASK_CANCELLED]);
	HOUSE_EXPECT(house, stats.crashed ==
			    house->chores_over[FH_TASK_CRASHED]);
	HOUSE_EXPECT(house, stats.completed + stats.failed + stats.cancelled +
			    stats.crashed == house->chores);
	HOUSE_EXPECT(house, house->chores_gone == house->chores);
}

#endif
