/* SPDX-License-Identifier: MIT */
/*
 * threads: coroutines, and all that makes one of them wait.
 *
 * Threads are coroutines on one kernel thread: exactly one runs, and others
 * get their turn at point() alone, which comes before each step that others
 * can see.  What is chosen there is the schedule.
 *
 * A thread that yields or naps waits until another one has written
 * something, or until nobody can run: spinning is explored once, not for
 * ever.  Time stands still while anybody can run; then the earliest deadline
 * passes.  That a deadline passes earlier is a choice of its own.
 */
#include "machine.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PC __builtin_return_address(0)
#define NS_PER_S INT64_C(1000000000)
#define KERNEL_ID 1000u	/* of thread 0 */

/* ---- coroutines ---- */

/* A model of more of the C library does here what it does for a thread. */
__attribute__((weak)) void thread_ends(void)
{
}

__attribute__((weak)) bool thread_refused(void)
{
	return false;
}

/* As the kernel ends a thread: nothing is done on its way out. */
__attribute__((noreturn)) static void thread_vanish(void)
{
	trace(NULL, "ends");
	m->writes++; /* who waits for that looks again */
	block(FINISHED);
	__builtin_unreachable();
}

/* Ends the calling thread, wherever it is. */
void thread_exit(void)
{
	thread_ends();
	thread_vanish();
}

static void thread_main(void)
{
	struct thread *t = self();

	if (t->body)
		t->body();
	else
		t->main(t->arg);
	thread_exit();
}

static char *stack_new(void)
{
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED)
		schedule_fail("no memory for a stack");
	return stack;
}

void threads_reset(void)
{
	unsigned i;

	for (i = 0; i < THREADS; i++) {
		struct thread *t = &m->thread[i];
		char *stack = t->stack;

		memset(t, 0, sizeof(*t));
		t->stack = stack;
		t->hash = i + 1;
		t->now = knowledge_new();
		t->unfenced = knowledge_new();
		t->now->clock.at[i] = 1;
	}
	m->threads = 1;
	m->running = 0;
	m->thread[0].started = true;
	m->thread[0].state = RUNNABLE;
	m->time = NS_PER_S;
	m->accesses = m->writes = m->steps = m->mutexes = m->plain = 0;
}

unsigned thread_add(void (*body)(void), void *(*main)(void *), void *arg)
{
	unsigned id = m->threads++;
	struct thread *t = &m->thread[id];

	if (id >= RECLAIMER)
		schedule_fail("more threads than the machine has");
	t->body = body;
	t->main = main;
	t->arg = arg;
	t->state = RUNNABLE;
	t->deadline = INT64_MAX;
	knowledge_join(t->now, self()->now);
	t->hash = mix(t->hash, self()->hash);
	self()->now->clock.at[m->running]++;
	if (!t->stack)
		t->stack = stack_new();
	getcontext(&t->context);
	t->context.uc_stack.ss_sp = t->stack;
	t->context.uc_stack.ss_size = STACK_SIZE;
	makecontext(&t->context, thread_main, 0);
	return id;
}

static void switch_to(unsigned next)
{
	struct thread *from = self(), *to = &m->thread[next];

	if (to == from || _setjmp(from->where))
		return;
	m->running = next;
	if (to->started)
		_longjmp(to->where, 1);
	to->started = true;
	setcontext(&to->context);
}

/* ---- who is next ---- */

static bool timed(const struct thread *t)
{
	return t->deadline != INT64_MAX &&
	       (t->state == SLEEPING || t->state == YIELDED);
}

static bool can_run(struct thread *t)
{
	if (t->state == YIELDED && m->writes != t->saw_writes)
		t->state = RUNNABLE;
	return t->state == RUNNABLE;
}

static void pass_deadline(struct thread *t)
{
	if (t->deadline != INT64_MAX && m->time < t->deadline)
		m->time = t->deadline;
	t->timed_out = true;
	t->state = RUNNABLE;
}

/* Nobody can run: the earliest deadline passes, or it is a deadlock. */
static unsigned let_time_pass(void)
{
	unsigned i, first = 0;

	for (i = 1; i < m->threads; i++)
		if (timed(&m->thread[i]) &&
		    (!first || m->thread[i].deadline <
			       m->thread[first].deadline))
			first = i;
	for (i = 1; i < m->threads && !first; i++)
		if (m->thread[i].state == YIELDED)
			first = i;
	if (!first)
		schedule_fail("deadlock: every thread waits");
	pass_deadline(&m->thread[first]);
	return first;
}

static bool all_finished(void)
{
	unsigned i;

	for (i = 1; i < m->threads; i++)
		if (!m->thread[i].daemon && m->thread[i].state != FINISHED)
			return false;
	return true;
}

/* The thread that runs next; the present one may be unable to. */
static unsigned next_thread(void)
{
	unsigned option[THREADS], n = 0, i, pick;
	bool preempting = can_run(self());

	if (preempting)
		option[n++] = m->running;
	for (i = 1; i < m->threads; i++)
		if (i != m->running && can_run(&m->thread[i]))
			option[n++] = i;
	if (n == 0)
		return let_time_pass();
	if (preempting && m->spent[PREEMPTIONS] == m->limit[PREEMPTIONS])
		n = 1;
	pick = choose(n);
	if (preempting && pick)
		m->spent[PREEMPTIONS]++;
	return option[pick];
}

/* Somebody who waits with a deadline may find that it passed. */
static void maybe_time_out(void)
{
	unsigned i;

	for (i = 1; i < m->threads; i++)
		if (timed(&m->thread[i]) && choose_to(TIMEOUTS)) {
			m->thread[i].hash = mix(m->thread[i].hash, 0x7e);
			pass_deadline(&m->thread[i]);
		}
}

static void move_on(void)
{
	if (++m->steps > STEPS)
		schedule_fail("no end after %u steps: somebody spins in vain",
			      STEPS);
	prune_if_known();
	observe(0x57e9); /* or the next point would look like this one */
	maybe_time_out();
	switch_to(next_thread());
}

void point(void)
{
	m->plain = 0;
	if (!m->quiet)
		move_on();
}

void block(enum state state)
{
	self()->state = state;
	if (m->quiet)
		schedule_fail("setup or finish waits for ever");
	if (state == FINISHED && all_finished()) {
		m->quiet = true;
		switch_to(0);
	}
	move_on();
}

/* Until every thread of the scenario has finished. */
void threads_run(void)
{
	unsigned i;

	m->thread[0].state = FINISHED;
	m->quiet = false;
	if (!all_finished())
		move_on();
	m->quiet = true;
	m->thread[0].state = RUNNABLE;
	for (i = 1; i < m->threads; i++)
		knowledge_join(m->thread[0].now, m->thread[i].now);
}

static void yield_until(int64_t deadline)
{
	struct thread *t = self();

	if (m->quiet) {
		m->time = deadline;
		return;
	}
	t->deadline = deadline;
	t->saw_writes = m->writes;
	observe(0x91e1d);
	block(YIELDED);
	t->deadline = INT64_MAX;
	t->timed_out = false;
}

/* ---- time ---- */

int schedule_clock_gettime(clockid_t clock, struct timespec *now);
int schedule_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	observe((uint64_t)m->time);
	now->tv_sec = m->time / NS_PER_S;
	now->tv_nsec = m->time % NS_PER_S;
	return 0;
}

int schedule_nanosleep(const struct timespec *pause, struct timespec *rest);
int schedule_nanosleep(const struct timespec *pause, struct timespec *rest)
{
	(void)rest;
	trace(PC, "naps");
	yield_until(m->time + pause->tv_sec * NS_PER_S + pause->tv_nsec);
	return 0;
}

int schedule_sched_yield(void);
int schedule_sched_yield(void)
{
	trace(PC, "yields");
	yield_until(m->time);
	return 0;
}

/* The library's hooks: a spin-wait hint is a yield; names go to the trace. */
void fh_hook(const char *what, const volatile void *address);
void fh_hook(const char *what, const volatile void *address)
{
	if (strcmp(what, "relax") == 0)
		yield_until(m->time);
	else if (!address)
		trace(PC, "is at %s", what);
}

/* ---- futexes ---- */

static int futex_wait(uintptr_t word, uint32_t seen,
		      const struct timespec *until, const void *pc)
{
	struct thread *t = self();
	uint32_t value = (uint32_t)memory_peek(word, 4);

	point();
	value = (uint32_t)memory_peek(word, 4);
	observe(value == seen);
	if (value != seen || choose_to(WAKEUPS)) {
		trace(pc, "futex: does not sleep");
		errno = EAGAIN;
		return -1;
	}
	trace(pc, "futex: sleeps on %#zx", (size_t)word);
	t->wants = word;
	t->deadline = until ? until->tv_sec * NS_PER_S + until->tv_nsec :
			      INT64_MAX;
	t->timed_out = false;
	block(SLEEPING);
	t->deadline = INT64_MAX;
	observe(t->timed_out);
	errno = ETIMEDOUT;
	return t->timed_out ? -1 : 0;
}

static unsigned sleepers(uintptr_t word, struct thread *sleeper[THREADS])
{
	unsigned i, n = 0;

	for (i = 1; i < m->threads; i++)
		if (m->thread[i].state == SLEEPING &&
		    m->thread[i].wants == word)
			sleeper[n++] = &m->thread[i];
	return n;
}

/*
 * If more sleep than are woken, which of them is a choice.  The kernel often
 * wakes them as they came, but goes by priority, and promises no order: no
 * room may count on one.  As every sleeper is tried, the state need not say
 * in which order they fell asleep.
 */
static int futex_wake(uintptr_t word, int most, const void *pc)
{
	struct thread *sleeper[THREADS];
	unsigned n;
	int woken = 0;

	point();
	while (woken < most && (n = sleepers(word, sleeper))) {
		bool all = (unsigned)(most - woken) >= n;

		sleeper[all ? 0 : choose(n)]->state = RUNNABLE;
		woken++;
	}
	observe((uint64_t)woken);
	trace(pc, "futex: wakes %d", woken);
	return woken;
}

/* A signal that is none: is the thread there? */
static long ask_for_thread(unsigned id)
{
	point();
	if (id >= m->threads || !thread_is_gone(id))
		return 0;
	errno = ESRCH;
	return -1;
}

long schedule_syscall(long number, ...);
long schedule_syscall(long number, ...)
{
	va_list args;
	uintptr_t word;
	int operation;
	uint32_t value;
	const struct timespec *until;

	if (number == SYS_gettid)
		return KERNEL_ID + m->running;
	if (number == SYS_exit) {
		trace(PC, "vanishes");
		thread_vanish();
	}
	va_start(args, number);
	if (number == SYS_tgkill) {
		(void)va_arg(args, int);
		value = (uint32_t)va_arg(args, int);
		va_end(args);
		return ask_for_thread(value - KERNEL_ID);
	}
	if (number != SYS_futex)
		schedule_fail("system call %ld is not modelled", number);
	word = (uintptr_t)va_arg(args, void *);
	operation = va_arg(args, int) & FUTEX_CMD_MASK;
	value = va_arg(args, uint32_t);
	until = va_arg(args, const struct timespec *);
	va_end(args);
	if (operation == FUTEX_WAKE)
		return futex_wake(word, (int)value, PC);
	if (operation != FUTEX_WAIT_BITSET)
		schedule_fail("futex operation %d is not modelled", operation);
	return futex_wait(word, value, until, PC);
}

/* ---- mutexes ---- */

static struct mutex *mutex_of(pthread_mutex_t *mutex)
{
	unsigned i;

	for (i = 0; i < m->mutexes; i++)
		if (m->mutex[i].at == (uintptr_t)mutex)
			return &m->mutex[i];
	if (m->mutexes == MUTEXES)
		schedule_fail("more mutexes than the machine has");
	m->mutex[m->mutexes++] = (struct mutex){
		.at = (uintptr_t)mutex, .released = knowledge_new() };
	return &m->mutex[i];
}

static void mutex_taken(struct mutex *mutex)
{
	mutex->owner = m->running + 1;
	knowledge_join(self()->now, mutex->released);
	observe(++mutex->turns);
	m->memory_hash += mix(mutex->at, self()->hash);
}

int schedule_pthread_mutex_trylock(pthread_mutex_t *at);
int schedule_pthread_mutex_trylock(pthread_mutex_t *at)
{
	struct mutex *mutex = mutex_of(at);

	point();
	observe(mutex->owner != 0);
	if (mutex->owner)
		return EBUSY;
	trace(PC, "locks %#zx", (size_t)at);
	mutex_taken(mutex);
	return 0;
}

int schedule_pthread_mutex_lock(pthread_mutex_t *at);
int schedule_pthread_mutex_lock(pthread_mutex_t *at)
{
	struct mutex *mutex;

	if (!m)
		return 0; /* a constructor */
	mutex = mutex_of(at);
	point();
	if (mutex->owner == m->running + 1)
		schedule_fail("a thread locks its own mutex again");
	while (mutex->owner) {
		self()->wants = (uintptr_t)at;
		block(LOCKED_OUT);
	}
	trace(PC, "locks %#zx", (size_t)at);
	mutex_taken(mutex);
	return 0;
}

int schedule_pthread_mutex_unlock(pthread_mutex_t *at);
int schedule_pthread_mutex_unlock(pthread_mutex_t *at)
{
	struct mutex *mutex;
	unsigned i;

	if (!m)
		return 0;
	mutex = mutex_of(at);
	point();
	if (mutex->owner != m->running + 1)
		schedule_fail("unlock of a mutex that is not held");
	trace(PC, "unlocks %#zx", (size_t)at);
	mutex->owner = 0;
	m->writes++;
	knowledge_join(mutex->released, self()->now);
	self()->now->clock.at[m->running]++;
	for (i = 1; i < m->threads; i++)
		if (m->thread[i].state == LOCKED_OUT &&
		    m->thread[i].wants == (uintptr_t)at)
			m->thread[i].state = RUNNABLE;
	return 0;
}

int schedule_pthread_mutex_init(pthread_mutex_t *at, const void *attributes);
int schedule_pthread_mutex_init(pthread_mutex_t *at, const void *attributes)
{
	(void)at;
	(void)attributes;
	return 0;
}

int schedule_pthread_mutex_destroy(pthread_mutex_t *at);
int schedule_pthread_mutex_destroy(pthread_mutex_t *at)
{
	if (mutex_of(at)->owner)
		schedule_fail("a mutex is destroyed while it is held");
	return 0;
}

/* ---- threads of the library ---- */

int schedule_pthread_create(pthread_t *id, const pthread_attr_t *attributes,
			    void *(*main)(void *), void *arg);
int schedule_pthread_create(pthread_t *id, const pthread_attr_t *attributes,
			    void *(*main)(void *), void *arg)
{
	unsigned thread;

	(void)attributes;
	point();
	if (thread_refused() || choose_to(FAILURES))
		return EAGAIN;
	thread = thread_add(NULL, main, arg);
	m->thread[thread].daemon = true;
	trace(PC, "starts thread %u", thread);
	*id = thread;
	return 0;
}
