/* SPDX-License-Identifier: MIT */
/* What scenarios of the rcu room ask of the model of liburcu and threads. */
#ifndef FH_SCHEDULE_URCU_MODEL_H
#define FH_SCHEDULE_URCU_MODEL_H

#include <stdbool.h>
#include <stddef.h>

/* Until it is false again, no thread's exit can be hooked. */
extern bool model_refuses_hooks;

/* The same for the library's thread: none can be created. */
extern bool model_refuses_threads;

/* A step of the calling thread: from now on they can be. */
void model_lets_threads(void);

/* An allocation of the scenario's own, which does not fail. */
void *model_alloc(size_t size);

/* How many threads liburcu believes it has. */
unsigned model_registered(void);

#endif
