/* SPDX-License-Identifier: MIT */
/*
 * cleanup: pthread_cleanup_push and what ends a thread.
 *
 * As the C library does it: a handler stays registered while it runs, so that
 * one which ends the thread again runs once more; what it goes on with, when
 * it returns, is the handler before it.
 */
#include "machine.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#define PC __builtin_return_address(0)
#define CLEANUPS 8

/* Where to go on when the thread ends, innermost last. */
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

int schedule_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int schedule_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	(void)how;
	(void)set;
	(void)old;
	return 0;
}

/* Where no scenario forks, nobody calls these; see urcu_model.c. */
__attribute__((weak))
int schedule_pthread_atfork(void (*before)(void), void (*in_parent)(void),
			    void (*in_child)(void));
int schedule_pthread_atfork(void (*before)(void), void (*in_parent)(void),
			    void (*in_child)(void))
{
	(void)before;
	(void)in_parent;
	(void)in_child;
	return 0;
}
