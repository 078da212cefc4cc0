/* SPDX-License-Identifier: MIT */
/*
 * urcu_model: what the rcu room stands on, on the machine: liburcu's read
 * sections and grace periods, the ends of threads, and fork.
 *
 * A grace period is the machine's: it waits for the sections that are open
 * when it begins, and a section that begins later sees what came before the
 * grace period, or is awaited as well.  That is what liburcu promises, and no
 * more.
 *
 * fork goes on as the parent or as the child: a choice.  In the child the
 * other threads stop where they are, and their sections stay open until they
 * are taken from the list; the mutexes that they hold stay locked.
 */
#include "machine.h"
#include "urcu_model.h"

#include <urcu/urcu-memb.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/types.h>

#define PC __builtin_return_address(0)
#define KEYS 4
#define HOOKS 4

struct urcu_gp urcu_memb_gp = { .ctr = URCU_GP_COUNT };
int urcu_memb_has_sys_membarrier = 1;
bool model_refuses_hooks, model_refuses_threads;

static struct urcu_reader reader[THREADS];
static bool registered[THREADS];

/* ---- sections ---- */

struct urcu_reader *urcu_memb_reader(void)
{
	return &reader[m->running];
}

static void set_word(unsigned long *word, unsigned long value, const void *pc)
{
	atomic_store_at((uintptr_t)word, sizeof(*word), value,
			__ATOMIC_RELAXED, pc);
}

void urcu_memb_register_thread(void)
{
	if (registered[m->running])
		schedule_fail("liburcu has this thread already");
	registered[m->running] = true;
	m->grace_hash += mix(m->running, 0x1e6);
}

static void leave_list(unsigned thread)
{
	if (!registered[thread])
		schedule_fail("liburcu does not have this thread");
	registered[thread] = false;
	m->grace_hash -= mix(thread, 0x1e6);
	grace_forget(thread);
}

void urcu_memb_unregister_thread(void)
{
	point();
	leave_list(m->running);
	set_word(&reader[m->running].ctr, 0, PC);
}

void cds_list_del(struct cds_list_head *node)
{
	unsigned i;

	for (i = 0; i < THREADS; i++)
		if (node == &reader[i].node)
			leave_list(i);
}

unsigned model_registered(void)
{
	unsigned i, count = 0;

	for (i = 0; i < THREADS; i++)
		count += registered[i];
	return count;
}

void urcu_memb_read_lock(void)
{
	unsigned long *word = &reader[m->running].ctr;

	if (!registered[m->running])
		schedule_fail("a thread reads that liburcu does not know");
	set_word(word, *word ? *word + URCU_GP_COUNT : urcu_memb_gp.ctr, PC);
	grace_section_begins();
	observe(m->grace_hash);
}

void urcu_memb_read_unlock(void)
{
	unsigned long *word = &reader[m->running].ctr;
	bool outer = (*word & URCU_GP_CTR_NEST_MASK) == URCU_GP_COUNT;

	if (!*word)
		schedule_fail("a read section ends that did not begin");
	grace_section_ends();
	set_word(word, outer ? 0 : *word - URCU_GP_COUNT, PC);
}

int urcu_memb_read_ongoing(void)
{
	return (reader[m->running].ctr & URCU_GP_CTR_NEST_MASK) != 0;
}

static void fail_if_ghosts(void)
{
	unsigned i;

	for (i = 1; i < m->threads; i++)
		if (registered[i] && m->thread[i].state == FINISHED)
			schedule_fail("liburcu's list has a thread that is "
				      "gone");
}

int schedule_sched_yield(void);

void urcu_memb_synchronize_rcu(void)
{
	fail_if_ghosts();
	set_word(&urcu_memb_gp.ctr, urcu_memb_gp.ctr ^ URCU_GP_CTR_PHASE, PC);
	grace_wait();
	/* A drain without worker tries again and again: let others on. */
	if (model_refuses_threads)
		schedule_sched_yield();
}

void *model_alloc(size_t size)
{
	bool quiet = m->quiet;
	void *at;

	m->quiet = true;
	at = heap_alloc(size, 0, PC);
	m->quiet = quiet;
	return at;
}

/* ---- the ends of threads ---- */

static struct {
	void (*destructor)(void *value);
	void *value[THREADS];
} key[KEYS];
static unsigned keys;

int schedule_pthread_key_create(pthread_key_t *id, void (*destructor)(void *));
int schedule_pthread_key_create(pthread_key_t *id, void (*destructor)(void *))
{
	if (keys == KEYS)
		return EAGAIN;
	key[keys].destructor = destructor;
	*id = keys++;
	return 0;
}

int schedule_pthread_setspecific(pthread_key_t id, const void *value);
int schedule_pthread_setspecific(pthread_key_t id, const void *value)
{
	bool fails = model_refuses_hooks || choose_to(FAILURES);

	observe(fails);
	if (fails)
		return ENOMEM;
	key[id].value[m->running] = (void *)(uintptr_t)value;
	return 0;
}

/* The rest of pthread_create is in threads.c. */
bool thread_refused(void)
{
	observe(model_refuses_threads);
	return model_refuses_threads;
}

void model_lets_threads(void)
{
	point();
	model_refuses_threads = false;
	observe(true);
}

/* Thread-local variables go with their thread; nobody may touch them then. */
void thread_ends(void)
{
	unsigned i;

	for (i = 0; i < keys; i++) {
		void *value = key[i].value[m->running];

		key[i].value[m->running] = NULL;
		if (value && key[i].destructor)
			key[i].destructor(value);
	}
	heap_free_locals();
}

/* ---- fork ---- */

static struct {
	void (*before)(void), (*in_parent)(void), (*in_child)(void);
} hook[HOOKS];
static unsigned hooks;

int schedule_pthread_atfork(void (*before)(void), void (*in_parent)(void),
			    void (*in_child)(void));
int schedule_pthread_atfork(void (*before)(void), void (*in_parent)(void),
			    void (*in_child)(void))
{
	if (hooks == HOOKS)
		return ENOMEM;
	hook[hooks].before = before;
	hook[hooks].in_parent = in_parent;
	hook[hooks++].in_child = in_child;
	return 0;
}

static void others_vanish(void)
{
	unsigned i;

	for (i = 1; i < m->threads; i++) {
		if (i == m->running)
			continue;
		m->thread[i].state = FINISHED;
		/* The child's memory is all that was written by then. */
		knowledge_join(self()->now, m->thread[i].now);
	}
	m->writes++;
}

pid_t schedule_fork(void);
pid_t schedule_fork(void)
{
	bool child;
	unsigned i;

	for (i = hooks; i-- > 0;)
		hook[i].before();
	point();
	child = choose(2);
	observe(child);
	trace(PC, child ? "goes on as the child" : "goes on as the parent");
	if (child)
		others_vanish();
	for (i = 0; i < hooks; i++)
		(child ? hook[i].in_child : hook[i].in_parent)();
	return child ? 0 : 2;
}
