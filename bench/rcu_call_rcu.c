/* SPDX-License-Identifier: MIT */
/*
 * call_rcu: liburcu's own way to retire, one call per object and one thread
 * of liburcu's that reclaims; its memb flavour, inlined.
 */
#define _LGPL_SOURCE
#include <urcu/urcu-memb.h>

#include <stdio.h>

typedef struct rcu_head rcu_link;

static inline void retire(rcu_link *link, void (*reclaim)(rcu_link *link))
{
	urcu_memb_call_rcu(link, reclaim);
}

static inline void begin_section(void)
{
	urcu_memb_read_lock();
}

static inline void end_section(void)
{
	urcu_memb_read_unlock();
}

#include "rcu_cases.h"

const unsigned subject_threads = BENCH_THREADS;

const char *subject_name(void)
{
	return "call_rcu";
}

void subject_describe(void)
{
	printf("\"flavour\": \"memb\", \"expedited\": %s, ",
	       urcu_memb_has_sys_membarrier ? "true" : "false");
}

void subject_enter(void)
{
	urcu_memb_register_thread();
}

void subject_leave(void)
{
	urcu_memb_unregister_thread();
}

void subject_drain(void)
{
	urcu_memb_barrier();
}

static const struct bench_case cases[] = { RCU_CASES };

int main(int argc, char **argv)
{
	return bench_main("rcu", cases, ARRAY_LENGTH(cases), argc, argv);
}
