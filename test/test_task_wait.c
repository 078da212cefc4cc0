/* SPDX-License-Identifier: MIT */
/*
 * task: waiting for one, any, all, with deadlines.
 *
 * What would be seen if the library were wrong: a wait that ends too early
 * finds no task over; one that is never woken is ended by the watchdog, since
 * each waits for ever or for a minute.
 */
#include "tasks.h"

#define MANY 8

static void test_any(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	struct door doors[2] = { { .before = 0 }, { .before = 0 } };
	struct fh_task *task[2] = { submit(tasks, pass_door, &doors[0]), };
	size_t index = 7;

	task[1] = submit(tasks, pass_door, &doors[threads == 1 ? 0 : 1]);
	is(fh_task_wait_any(task, 0, SOON, &index), -EINVAL, "any of none");
	is(fh_task_wait_any(task, 2, 0, &index), -ETIMEDOUT, "a poll");
	is(fh_task_wait_any(task, 2, fh_deadline_in(MS), &index), -ETIMEDOUT,
	   "a deadline");
	is(index, 7, "no index is given");
	open_door(&doors[threads == 1 ? 0 : 1]);
	is(fh_task_wait_any(task, 2, SOON, &index), 0, "one ends");
	ok(FH_TASK_IS_OVER(info_of(task[index]).state), "and is over");
	open_door(&doors[0]);
	open_door(&doors[1]);
	is(fh_task_wait_all(task, 2, SOON, &index), 0, "then both");
	is(index, 2, "two have ended");
	is(fh_task_wait_any(task, 2, 0, &index), 0, "any of those that are");
	is(index, 0, "is the first");
	fh_task_release(task[0]);
	fh_task_release(task[1]);
	put_away(tasks);
}

static void test_all(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	struct door door = { .before = 0 };
	struct fh_task *task[MANY];
	size_t ended, i;

	for (i = 0; i < MANY; i++)
		task[i] = submit(tasks, i == MANY / 2 ? pass_door : nothing,
				 &door);
	if (threads != 1)
		for (i = 0; i < MANY; i++)
			if (i != MANY / 2)
				fh_task_wait(task[i], SOON, NULL);
	is(fh_task_wait_all(task, MANY, fh_deadline_in(MS), &ended),
	   -ETIMEDOUT, "one does not end");
	ok(ended < MANY && (threads == 1 || ended == MANY - 1),
	   "%s: the others are counted", kind_name(threads));
	open_door(&door);
	is(fh_task_wait_all(task, MANY, SOON, &ended), 0, "all end");
	is(ended, MANY, "all are counted");
	is(fh_task_wait_all(task, 0, SOON, NULL), 0, "all of none");
	for (i = 0; i < MANY; i++)
		fh_task_release(task[i]);
	put_away(tasks);
}

struct narcissus {
	tally handle_given;
	struct fh_task *self, *other;
	int one, any, all, any_of_two;
};

static int wait_for_self(struct fh_task *task, void *arg)
{
	struct narcissus *n = arg;
	struct fh_task *both[2] = { task, n->other };
	size_t index;

	n->one = fh_task_wait(task, FH_FOREVER, NULL);
	n->any = fh_task_wait_any(&task, 1, FH_FOREVER, &index);
	n->all = fh_task_wait_all(&task, 1, FH_FOREVER, NULL);
	n->any_of_two = fh_task_wait_any(both, 2, SOON, &index);
	return n->any_of_two ? n->any_of_two : index == 1 ? 0 : -EIO;
}

static void test_self(void)
{
	struct fh_tasks *tasks = supervisor(0);
	struct narcissus n = { .other = submit(tasks, nothing, NULL) };

	is(await(submit(tasks, wait_for_self, &n)).error, 0,
	   "it waits for another beside itself");
	is(n.one, -EDEADLK, "for itself it cannot");
	is(n.any, -EDEADLK, "nor for any of itself");
	is(n.all, -EDEADLK, "nor for all");
	fh_task_release(n.other);
	put_away(tasks);
}

/* Tasks of two supervisors in one wait. */
static void test_two_supervisors(void)
{
	struct fh_tasks *a = supervisor(0), *b = supervisor(1);
	struct door door = { .before = 0 };
	struct fh_task *task[2] = { submit(a, pass_door, &door),
				    submit(b, nothing, NULL) };
	size_t index = 7;

	is(fh_task_wait_any(task, 2, SOON, &index), 0, "one of two houses");
	is(index, 1, "the one that ends");
	open_door(&door);
	fh_task_wait_all(task, 2, SOON, NULL);
	fh_task_release(task[0]);
	fh_task_release(task[1]);
	put_away(a);
	put_away(b);
}

/* ---- many who wait while tasks end ---- */

struct crowd {
	struct fh_tasks *tasks;
	struct fh_task *task[MANY];
	struct door door[MANY];
	size_t rounds;
	pthread_barrier_t begun, over;
	tally wrong, woken;
};

static void wait_in_crowd(unsigned index, void *arg)
{
	struct crowd *crowd = arg;
	size_t round, which;

	for (round = 0; round < crowd->rounds; round++) {
		pthread_barrier_wait(&crowd->begun);
		if (index % 2) {
			if (fh_task_wait_any(crowd->task, MANY, SOON, &which))
				add_relaxed(&crowd->wrong, 1);
			else if (!FH_TASK_IS_OVER(
					info_of(crowd->task[which]).state))
				add_relaxed(&crowd->wrong, 1);
		} else if (fh_task_wait_all(crowd->task, MANY, SOON, NULL)) {
			add_relaxed(&crowd->wrong, 1);
		}
		add_relaxed(&crowd->woken, 1);
		pthread_barrier_wait(&crowd->over);
	}
}

static void test_crowd(void)
{
	struct crowd crowd = { .rounds = scaled(60, 6) };
	struct crew crew;
	size_t round, i;

	crowd.tasks = supervisor(MANY);
	pthread_barrier_init(&crowd.begun, NULL, 5);
	pthread_barrier_init(&crowd.over, NULL, 5);
	crew_start(&crew, 4, wait_in_crowd, &crowd);
	for (round = 0; round < crowd.rounds; round++) {
		memset(crowd.door, 0, sizeof(crowd.door));
		for (i = 0; i < MANY; i++)
			crowd.task[i] = submit(crowd.tasks, pass_door,
					       &crowd.door[i]);
		pthread_barrier_wait(&crowd.begun);
		for (i = 0; i < MANY; i++)
			open_door(&crowd.door[(i * 5 + round) % MANY]);
		pthread_barrier_wait(&crowd.over);
		for (i = 0; i < MANY; i++)
			fh_task_release(crowd.task[i]);
	}
	crew_join(&crew);
	is(crowd.wrong, 0, "no wait of many failed");
	is(crowd.woken, 4 * crowd.rounds, "and all were woken");
	put_away(crowd.tasks);
}

int main(void)
{
	unsigned i;

	watchdog(240);
	for (i = 0; i < KINDS; i++) {
		test_any(kinds[i]);
		test_all(kinds[i]);
	}
	test_self();
	test_two_supervisors();
	test_crowd();
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
