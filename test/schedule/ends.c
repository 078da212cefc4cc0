/* SPDX-License-Identifier: MIT */
/*
 * ends: how threads end, and who learns of it: cleanup handlers, joining,
 * and the kernel's knowledge of threads.
 *
 * A thread ends by returning, by pthread_exit, which runs its handlers, or by
 * the system call, which runs none.  As the C library does it, a handler stays
 * registered while it runs, so that one which ends the thread again runs once
 * more; what it goes on with, when it returns, is the handler before it.  Who
 * finds a thread gone, by joining it or by asking the kernel, knows all that
 * it did.
 */
#include "machine.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define PC __builtin_return_address(0)
#define CLEANUPS 8
#define NS_PER_S INT64_C(1000000000)

/* pthread_cleanup_push: where to go on when the thread ends, innermost last. */
static __pthread_unwind_buf_t *cleanup[THREADS][CLEANUPS];
static unsigned cleanups[THREADS];

void schedule_register_cancel(__pthread_unwind_buf_t *buffer);
void schedule_register_cancel(__pthread_unwind_buf_t *buffer)
{
	if (cleanups[m->running] == CLEANUPS)
		schedule_fail("more cleanup handlers than expected");
	cleanup[m->running][cleanups[m->running]++] = buffer;
}

void schedule_unregister_cancel(__pthread_unwind_buf_t *buffer);
void schedule_unregister_cancel(__pthread_unwind_buf_t *buffer)
{
	(void)buffer;
	cleanups[m->running]--;
}

/* The innermost handler runs. */
__attribute__((noreturn)) static void unwind(void)
{
	struct __jmp_buf_tag where = { .__mask_was_saved = 0 };
	unsigned count = cleanups[m->running];

	if (count == 0)
		thread_exit();
	memcpy(where.__jmpbuf, cleanup[m->running][count - 1]->
	       __cancel_jmp_buf[0].__cancel_jmp_buf, sizeof(where.__jmpbuf));
	_longjmp(&where, 1);
}

/* A handler has returned: its own buffer is the innermost one. */
__attribute__((noreturn))
void schedule_unwind_next(__pthread_unwind_buf_t *buffer);
void schedule_unwind_next(__pthread_unwind_buf_t *buffer)
{
	(void)buffer;
	cleanups[m->running]--;
	unwind();
}

__attribute__((noreturn)) void schedule_pthread_exit(void *value);
void schedule_pthread_exit(void *value)
{
	(void)value;
	trace(PC, "ends its thread");
	unwind();
}

/* ---- who learns of it ---- */

static enum { JOINABLE, JOINED, DETACHED } fate[THREADS];

bool thread_is_gone(unsigned id)
{
	bool gone = m->thread[id].state == FINISHED;

	observe(gone);
	if (gone)
		knowledge_join(self()->now, m->thread[id].now);
	return gone;
}

static void must_be_joinable(pthread_t id)
{
	if (id == 0 || id >= m->threads)
		schedule_fail("there is no thread %lu", (unsigned long)id);
	if (fate[id] != JOINABLE)
		schedule_fail("thread %lu was joined or detached before",
			      (unsigned long)id);
}

pthread_t schedule_pthread_self(void);
pthread_t schedule_pthread_self(void)
{
	return m->running;
}

int schedule_pthread_tryjoin_np(pthread_t id, void **value);
int schedule_pthread_tryjoin_np(pthread_t id, void **value)
{
	(void)value;
	point();
	must_be_joinable(id);
	if (!thread_is_gone((unsigned)id))
		return EBUSY;
	trace(PC, "joins thread %lu", (unsigned long)id);
	fate[id] = JOINED;
	m->writes++;
	return 0;
}

int schedule_nanosleep(const struct timespec *pause, struct timespec *rest);

int schedule_pthread_clockjoin_np(pthread_t id, void **value, clockid_t clock,
				  const struct timespec *until);
int schedule_pthread_clockjoin_np(pthread_t id, void **value, clockid_t clock,
				  const struct timespec *until)
{
	int64_t deadline = INT64_MAX;
	struct timespec pause = { .tv_sec = 1 };

	(void)clock;
	if (until)
		deadline = until->tv_sec * NS_PER_S + until->tv_nsec;
	while (schedule_pthread_tryjoin_np(id, value)) {
		if (m->time >= deadline)
			return ETIMEDOUT;
		schedule_nanosleep(&pause, NULL);
	}
	return 0;
}

int schedule_pthread_join(pthread_t id, void **value);
int schedule_pthread_join(pthread_t id, void **value)
{
	return schedule_pthread_clockjoin_np(id, value, CLOCK_MONOTONIC, NULL);
}

int schedule_pthread_detach(pthread_t id);
int schedule_pthread_detach(pthread_t id)
{
	must_be_joinable(id);
	trace(PC, "detaches thread %lu", (unsigned long)id);
	fate[id] = DETACHED;
	return 0;
}

/* ---- what scenarios do without, unless a model has it ---- */

int schedule_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int schedule_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	(void)how;
	(void)set;
	if (old)
		sigemptyset(old);
	return 0;
}

int schedule_pthread_atfork(void (*before)(void), void (*in_parent)(void),
			    void (*in_child)(void));
__attribute__((weak))
int schedule_pthread_atfork(void (*before)(void), void (*in_parent)(void),
			    void (*in_child)(void))
{
	(void)before;
	(void)in_parent;
	(void)in_child;
	return 0;
}
