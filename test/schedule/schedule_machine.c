/* SPDX-License-Identifier: MIT */
/*
 * The machine itself: does it see what it is there to see?
 *
 * Small programs of a few steps whose outcomes are known.  Where an outcome
 * is allowed the scenario that forbids it must fail; where it is not allowed
 * the scenario must pass.  Memory, waiting and histories are here; what fails
 * or is misused in schedule_machine_faults.c; the ends of threads and forks in
 * schedule_machine_ends.c.  Each kind of fault is committed once on purpose,
 * beside what is none.
 *
 * The schedules of those that must fail are replayed by check_schedules.py.
 */
#include "schedule.h"

#include "atomic.h"
#include "wait.h"

#include <freehold/rcu.h>

#include <pthread.h>
#include <stdlib.h>

static _Atomic(uint32_t) x, y, flag;
static uint32_t seen[4];
static int plain;

static void forget(void)
{
	store_relaxed(&x, 0);
	store_relaxed(&y, 0);
	store_relaxed(&flag, 0);
	plain = 0;
	for (unsigned i = 0; i < 4; i++)
		seen[i] = 9;
}

/* ---- passing a message ---- */

static void send_released(void)
{
	plain = 1;
	store_release(&flag, 1);
}

static void send_relaxed(void)
{
	plain = 1;
	store_relaxed(&flag, 1);
}

static void receive_acquired(void)
{
	if (load_acquire(&flag))
		expect(plain == 1, "the message is empty");
}

static void receive_relaxed(void)
{
	if (load_relaxed(&flag))
		expect(plain == 1, "the message is empty");
}

/* A fence before the store, after the load: the relaxed ones are enough. */
static void send_fenced(void)
{
	plain = 1;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	store_relaxed(&flag, 1);
}

static void send_fenced_late(void)
{
	plain = 1;
	store_relaxed(&flag, 1);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void send_acquiring(void)
{
	plain = 1;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	store_relaxed(&flag, 1);
}

static void receive_fenced(void)
{
	if (load_relaxed(&flag)) {
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		expect(plain == 1, "the message is empty");
	}
}

static void receive_fenced_early(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (load_relaxed(&flag))
		expect(plain == 1, "the message is empty");
}

static void receive_releasing(void)
{
	if (load_relaxed(&flag)) {
		__atomic_thread_fence(__ATOMIC_RELEASE);
		expect(plain == 1, "the message is empty");
	}
}

static void send_in_two(void)
{
	store_relaxed(&x, 1);
	store_relaxed(&flag, 1);
}

static void receive_in_two(void)
{
	if (load_relaxed(&flag))
		expect(load_relaxed(&x) == 1, "the first store came second");
}

/* ---- store buffers ---- */

static void left_plain(void)
{
	store_relaxed(&x, 1);
	seen[0] = load_relaxed(&y);
}

static void right_plain(void)
{
	store_relaxed(&y, 1);
	seen[1] = load_relaxed(&x);
}

static void left_fenced(void)
{
	store_relaxed(&x, 1);
	fence_seq_cst();
	seen[0] = load_relaxed(&y);
}

static void right_fenced(void)
{
	store_relaxed(&y, 1);
	fence_seq_cst();
	seen[1] = load_relaxed(&x);
}

static void left_sequential(void)
{
	store_seq_cst(&x, 1);
	seen[0] = load_seq_cst(&y);
}

static void right_sequential(void)
{
	store_seq_cst(&y, 1);
	seen[1] = load_seq_cst(&x);
}

static void one_saw_the_other(void)
{
	expect(seen[0] || seen[1], "neither saw the other");
}

/* ---- one location ---- */

static void write_twice(void)
{
	store_relaxed(&x, 1);
	store_relaxed(&x, 2);
}

static void read_twice(void)
{
	uint32_t first = load_relaxed(&x);

	expect(load_relaxed(&x) >= first, "a location went back");
}

static void add_one(void)
{
	add_relaxed(&x, 1);
}

static void add_one_in_two_steps(void)
{
	store_relaxed(&x, load_relaxed(&x) + 1);
}

static void sum_is_two(void)
{
	expect(load_relaxed(&x) == 2, "an addition was lost");
}

/* An update between the release and the acquire does not break the chain. */
static void update_between(void)
{
	add_relaxed(&flag, 1);
}

static void receive_second(void)
{
	if (load_acquire(&flag) == 2)
		expect(plain == 1, "the message is empty");
}

/* ---- plain memory ---- */

static void write_plain(void)
{
	plain++;
}

/* ---- memory that is gone ---- */

struct object {
	struct fh_rcu_head rcu;
	int value;
};
static _Atomic(struct object *) published;

static void object_free(struct fh_rcu_head *head)
{
	free(head);
}

static void publish(void)
{
	struct object *object = calloc(1, sizeof(*object));

	object->value = 5;
	store_release(&published, object);
}

static void read_object(void)
{
	struct object *object;

	fh_rcu_read_lock();
	object = load_acquire(&published);
	expect(!object || object->value == 5, "not an object");
	fh_rcu_read_unlock();
}

static void read_outside(void)
{
	struct object *object = load_acquire(&published);

	expect(!object || object->value == 5, "not an object");
}

static void unpublish(void)
{
	struct object *object = swap_acq_rel(&published, NULL);

	fh_rcu_retire(&object->rcu, object_free);
}

static void unpublish_late(void)
{
	struct object *object = load_acquire(&published);

	fh_rcu_retire(&object->rcu, object_free);
	store_release(&published, NULL);
}

static void free_at_once(void)
{
	free(swap_acq_rel(&published, NULL));
}

static void free_twice(void)
{
	struct object *object = load_acquire(&published);

	free(object);
	free(object);
}

static void run_over(void)
{
	char *bytes = malloc(8);

	bytes[20] = 1;
	free(bytes);
}

/* ---- waiting ---- */

static void sleeper(void)
{
	while (!load_acquire(&flag))
		fh_wait_on(&flag, 0, FH_FOREVER);
}

static void waker(void)
{
	store_release(&flag, 1);
	fh_wake_all(&flag);
}

static void forgetful_waker(void)
{
	store_release(&flag, 1);
}

/* Nobody can tell which of them it wakes. */
static void wake_one(void)
{
	store_release(&flag, 1);
	fh_wake_one(&flag);
}

static void wake_two(void)
{
	wake_one();
	fh_wake_one(&flag);
}

static void pass_on(void)
{
	sleeper();
	fh_wake_one(&flag);
}

static void spinner(void)
{
	while (!load_acquire(&flag))
		cpu_relax();
}

static void in_vain(void)
{
	while (!load_relaxed(&y))
		cpu_relax();
}

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;

static void in_order(void)
{
	pthread_mutex_lock(&first);
	pthread_mutex_lock(&second);
	plain++;
	pthread_mutex_unlock(&second);
	pthread_mutex_unlock(&first);
}

static void in_disorder(void)
{
	pthread_mutex_lock(&second);
	pthread_mutex_lock(&first);
	plain++;
	pthread_mutex_unlock(&first);
	pthread_mutex_unlock(&second);
}

static void plain_is_two(void)
{
	expect(plain == 2, "a lock let two in");
}

/* ---- histories ---- */

static void write_call(void)
{
	struct call *call = call_begin(1, 1);

	store_release(&x, 1);
	call_end(call, 0);
}

static void read_call(void)
{
	struct call *call = call_begin(0, 0);

	call_end(call, load_acquire(&x));
}

/* Answers before it has looked, the second time. */
static void read_calls(void)
{
	struct call *call = call_begin(0, 0);
	uint32_t early = load_acquire(&x);

	call_end(call, load_acquire(&x));
	call = call_begin(0, 0);
	call_end(call, early);
}

static bool is_register(void *state, const struct call *call)
{
	uint64_t *value = state;

	if (call->operation == 0)
		return call->result == *value;
	*value = call->argument;
	return true;
}

static void must_be_a_register(void)
{
	uint64_t zero = 0;

	expect(linearizable(is_register, &zero, sizeof(zero)),
	       "the history is not linearizable");
}

static void drop(void)
{
	free(load_relaxed(&published));
}

#define TWO(a, b) .setup = forget, .thread = { a, b }

static const struct scenario scenarios[] = {
	{ "a released message arrives whole",
	  TWO(send_released, receive_acquired) },
	{ "a relaxed one is a race", TWO(send_relaxed, receive_acquired),
	  .fails = "data race" },
	{ "and so is a relaxed load of it",
	  TWO(send_released, receive_relaxed), .fails = "data race" },
	{ "two fences carry it", TWO(send_fenced, receive_fenced) },
	{ "a releasing fence and an acquire",
	  TWO(send_fenced, receive_acquired) },
	{ "a release and an acquiring fence",
	  TWO(send_released, receive_fenced) },
	{ "a fence on one side, release",
	  TWO(send_fenced, receive_relaxed), .fails = "data race" },
	{ "a fence on one side, acquire",
	  TWO(send_relaxed, receive_fenced), .fails = "data race" },
	{ "a releasing fence after the store",
	  TWO(send_fenced_late, receive_fenced), .fails = "data race" },
	{ "an acquiring fence before the load",
	  TWO(send_fenced, receive_fenced_early), .fails = "data race" },
	{ "an acquiring fence does not release",
	  TWO(send_acquiring, receive_fenced), .fails = "data race" },
	{ "a releasing fence does not acquire",
	  TWO(send_fenced, receive_releasing), .fails = "data race" },
	{ "relaxed stores are seen in any order",
	  TWO(send_in_two, receive_in_two), .fails = "came second" },
	{ "an update continues a release", .setup = forget,
	  .thread = { send_released, update_between, receive_second } },
	{ "store buffers: relaxed", TWO(left_plain, right_plain),
	  .finish = one_saw_the_other, .stale = 2, .fails = "neither" },
	{ "store buffers: fenced", TWO(left_fenced, right_fenced),
	  .finish = one_saw_the_other, .stale = 2 },
	{ "store buffers: one fence", TWO(left_fenced, right_plain),
	  .finish = one_saw_the_other, .stale = 2, .fails = "neither" },
	{ "store buffers: seq_cst", TWO(left_sequential, right_sequential),
	  .finish = one_saw_the_other, .stale = 2 },
	{ "a location never goes back", TWO(write_twice, read_twice),
	  .stale = 2 },
	{ "additions add up", TWO(add_one, add_one), .finish = sum_is_two },
	{ "in two steps they do not", TWO(add_one, add_one_in_two_steps),
	  .finish = sum_is_two, .fails = "was lost" },
	{ "plain writes race", TWO(write_plain, write_plain),
	  .fails = "data race" },
	{ "a section protects", .setup = publish,
	  .thread = { read_object, read_object, unpublish } },
	{ "without one, nothing does", .setup = publish,
	  .thread = { read_outside, unpublish }, .fails = "data race" },
	{ "retired before it is unreachable", .setup = publish,
	  .thread = { unpublish_late, read_object }, .fails = "reclaimed" },
	{ "freed without a grace period", .setup = publish,
	  .thread = { read_object, free_at_once }, .fails = "data race" },
	{ "freed twice", .setup = publish, .thread = { free_twice },
	  .fails = "freed twice" },
	{ "written past its end", .thread = { run_over },
	  .fails = "past its end" },
	{ "never freed", .thread = { publish }, .fails = "never freed" },
	{ "freed at the end", .thread = { publish }, .finish = drop },
	{ "who sleeps is woken", .setup = forget,
	  .thread = { sleeper, sleeper, waker } },
	{ "or sleeps for ever", TWO(sleeper, forgetful_waker),
	  .fails = "deadlock" },
	{ "one is woken and wakes the other", .setup = forget,
	  .thread = { pass_on, pass_on, wake_one } },
	{ "one wakes the other, the second does not", .setup = forget,
	  .thread = { pass_on, sleeper, wake_one }, .fails = "deadlock" },
	{ "one wakes the other, the first does not", .setup = forget,
	  .thread = { sleeper, pass_on, wake_one }, .fails = "deadlock" },
	{ "two calls wake two", .setup = forget,
	  .thread = { sleeper, sleeper, wake_two } },
	{ "but not three", .setup = forget,
	  .thread = { sleeper, sleeper, sleeper, wake_two },
	  .fails = "deadlock" },
	{ "who spins gets on", TWO(spinner, forgetful_waker) },
	{ "or is found out", TWO(in_vain, forgetful_waker),
	  .fails = "somebody spins" },
	{ "locks in one order", TWO(in_order, in_order),
	  .finish = plain_is_two },
	{ "locks in two orders", TWO(in_order, in_disorder),
	  .fails = "deadlock" },
	{ "a register is linearizable", .setup = forget,
	  .thread = { write_call, read_call, read_call },
	  .finish = must_be_a_register },
	{ "a late answer is not", TWO(write_call, read_calls),
	  .finish = must_be_a_register, .fails = "not linearizable" },
};

int main(int argc, char **argv)
{
	return schedule_main(argc, argv, scenarios,
			     sizeof(scenarios) / sizeof(scenarios[0]));
}
