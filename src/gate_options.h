/* SPDX-License-Identifier: MIT */
/* gate_options: what the gate of either build makes of options and threads. */
#ifndef FH_GATE_OPTIONS_H
#define FH_GATE_OPTIONS_H

#include <freehold/gate.h>

#include <pthread.h>

/* 0, -EINVAL, or -ENOMEM. */
int fh_gate_check(const struct fh_gate_options *options);

/*
 * Start a thread of the gate's, with options that were checked; 0 or -EAGAIN.
 * The thread may have destroyed the gate before this returns: the attributes
 * that it is started with lie on the caller's stack, because pthread_create
 * looks at them to the end.
 */
int fh_gate_start(const struct fh_gate_options *options,
		  void *(*run)(void *), void *arg);

/* The request: the only place where a thread of the gate's may be cancelled. */
void fh_gate_call(void (*request)(void *arg), void *arg);

#endif
