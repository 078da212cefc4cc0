/* SPDX-License-Identifier: MIT */
/*
 * status: what makes no system call.  A child forbids itself every system
 * call but its own exit and then changes, reads and polls a cell: had any of
 * these called the system, the kernel would have killed it.
 */
#include <freehold/base.h>
#include <freehold/status.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tap.h"
#include "threads.h"

#define NO_FILTER 77

static struct fh_status cell;

/* From here on: exit_group or death. */
static int forbid_system_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]),
				      filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void use_without_waiters(void)
{
	static const uint64_t rows[] = { FH_STATE(1), FH_STATE(0) };
	static const struct fh_status_table table = { 2, rows };
	struct fh_status_snapshot seen;
	int i, wrong = 0;

	for (i = 0; i < 1000; i++) {
		wrong += fh_status_set(&cell, 1) != 0;
		seen = fh_status_read(&cell);
		wrong += fh_status_compare_exchange(&cell, &seen, 0) != 0;
		wrong += fh_status_transition(&cell, &table, 1, NULL) != 0;
		wrong += fh_status_transition(&cell, &table, 1, NULL) !=
			 -EPERM;
		wrong += fh_status_get(&cell) != 1;
		wrong += fh_status_wait(&cell, FH_STATE(1), FH_FOREVER,
					NULL) != 0;
		wrong += fh_status_wait_change(&cell, 0, FH_FOREVER,
					       NULL) != 0;
	}
	_exit(wrong ? 1 : 0);
}

static void call_the_system(void)
{
	syscall(SYS_futex, &cell, 1, 1, NULL, NULL, 0);
	_exit(0);
}

static int status_of_child(void (*run)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child < 0)
		bail_out("cannot fork");
	if (child == 0) {
		fh_status_set(&cell, 0);	/* whatever is set up lazily */
		if (forbid_system_calls())
			_exit(NO_FILTER);
		run();
	}
	waitpid(child, &status, 0);
	return status;
}

static void test_without_waiters(void)
{
	int control = status_of_child(call_the_system);
	int status;

	if (WIFEXITED(control) && WEXITSTATUS(control) == NO_FILTER) {
		skip("this system has no seccomp filters");
		return;
	}
	ok(WIFSIGNALED(control) && WTERMSIG(control) == SIGSYS,
	   "the filter kills a child that makes a futex call");
	status = status_of_child(use_without_waiters);
	ok(WIFEXITED(status), "a cell without waiters makes no system call");
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	   "and its operations succeed");
}

int main(void)
{
	watchdog(60);
	if (SANITIZED)
		skip("sanitizers make system calls of their own");
	else if (strcmp(fh_build(), "lock-free"))
		skip("a mutex may call the system");
	else
		test_without_waiters();
	return done_testing();
}
