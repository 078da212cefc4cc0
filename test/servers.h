/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the server registry share: pretended servers that know
 * whether two of a name are alive, whether one is used after its release, and
 * that fail, or end their thread, in whichever step they are told to.
 */
#ifndef FH_TEST_SERVERS_H
#define FH_TEST_SERVERS_H

#include <freehold/rcu.h>
#include <freehold/server.h>

#include "atomic.h"
#include "tap.h"
#include "threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
#define LONG INT64_C(60000000000)	/* no test waits so long for good */

/* The caller's functions, each a step that can be told what to do. */
enum act { AT_START, AT_HANDSHAKE, AT_STOP, AT_KILL, AT_EXITED, AT_RELEASE,
	   AT_RESTARTED, AT_WATCH, AT_EVENT, ACTS };

__attribute__((unused)) static const char *const act_name[ACTS] = {
	"start", "handshake", "stop", "kill", "exited", "release",
	"restarted", "watch", "an event",
};

enum manner {
	FAIL,			/* return rc */
	EXIT,			/* pthread_exit */
	CANCEL			/* the thread was cancelled */
};

/* What goes wrong, and how often; zero bytes: nothing. */
struct mishap {
	tally times;
	_Atomic(enum manner) manner;
	_Atomic(int) rc;
	bool late;		/* in start: when the client is stored */
};

#define FAKE_ALIVE UINT64_C(0x5e7fe75e7fe75e7f)

/* One name: what happened to its servers, by whichever thread. */
struct site {
	struct mishap mishap[ACTS];
	tally calls[ACTS];
	_Atomic(int64_t) nap[ACTS];	/* that each call takes */
	tally alive, twice, wrong, freed;
	_Atomic(int) cause;		/* of the last call */
	_Atomic(int) watched;		/* the descriptor to give */
	_Atomic(uint32_t) gate;		/* closed: start waits in it */
};

/* A client. */
struct fake {
	struct site *site;
	uint64_t magic;
	uint64_t generation;
	_Atomic(bool) alive;
};

/* Objects that should all be gone in the end. */
static tally fakes;

static void nap(struct site *site, enum act act)
{
	int64_t length = load_relaxed(&site->nap[act]);

	if (length)
		sleep_ns(length);
}

/*
 * A function that ends its thread leaves frames behind that the address
 * sanitizer takes for alive, unless it is told before.  (Of pthread_exit it
 * knows by itself.)
 */
#ifdef __SANITIZE_ADDRESS__
void __asan_handle_no_return(void);
#else
#define __asan_handle_no_return() ((void)0)
#endif

/* Does it go wrong?  The result to return, or 0. */
static int act(struct site *site, enum act act)
{
	struct mishap *mishap = &site->mishap[act];
	uint64_t times;

	add_relaxed(&site->calls[act], 1);
	nap(site, act);
	times = load_acquire(&mishap->times);
	do
		if (times == 0)
			return 0;
	while (!cas_acq_rel_relaxed(&mishap->times, &times, times - 1));
	if (load_relaxed(&mishap->manner) == FAIL)
		return load_relaxed(&mishap->rc);
	if (load_relaxed(&mishap->manner) == CANCEL) {
		pthread_cancel(pthread_self());
		__asan_handle_no_return();
		pthread_testcancel();
	}
	pthread_exit(NULL);
}

static int act_for(struct fh_server_job *job, enum act what)
{
	struct site *site = job->arg;
	int rc;

	store_relaxed(&site->cause, (int)job->cause);
	if (what != AT_RESTARTED && job->deadline == 0)
		add_relaxed(&site->wrong, 1);
	snprintf(job->text, FH_SERVER_TEXT, "%s said so", act_name[what]);
	rc = act(site, what);
	return rc;
}

static void check_fake(const struct fake *fake)
{
	if (fake->magic != FAKE_ALIVE)
		add_relaxed(&fake->site->wrong, 1);
}

static int fake_start(struct fh_server_job *job, void **client)
{
	struct site *site = job->arg;
	struct fake *fake;
	int rc = 0;

	while (load_acquire(&site->gate))
		sleep_ns(MS / 4);
	if (!site->mishap[AT_START].late)
		rc = act_for(job, AT_START);
	if (rc < 0)
		return rc;
	fake = calloc(1, sizeof(*fake));
	if (!fake)
		return -ENOMEM;
	fake->site = site;
	fake->magic = FAKE_ALIVE;
	fake->generation = job->generation;
	store_relaxed(&fake->alive, true);
	add_relaxed(&fakes, 1);
	if (add_seq_cst(&site->alive, 1) != 0)
		add_relaxed(&site->twice, 1);
	*client = fake;
	return site->mishap[AT_START].late ? act_for(job, AT_START) : 0;
}

static void end_fake(struct fake *fake)
{
	bool alive = true;

	check_fake(fake);
	if (cas_acq_rel_relaxed(&fake->alive, &alive, false))
		add_seq_cst(&fake->site->alive, UINT64_MAX);
}

static int fake_handshake(struct fh_server_job *job, void *client)
{
	check_fake(client);
	return act_for(job, AT_HANDSHAKE);
}

static int fake_stop(struct fh_server_job *job, void *client)
{
	int rc = act_for(job, AT_STOP);

	check_fake(client);
	if (rc == 0)
		end_fake(client);
	return rc;
}

static int fake_kill(struct fh_server_job *job, void *client)
{
	int rc = act_for(job, AT_KILL);

	if (rc == 0)
		end_fake(client);
	return rc;
}

static int fake_exited(struct fh_server_job *job, void *client)
{
	end_fake(client);
	return act_for(job, AT_EXITED);
}

static void fake_release(void *client, void *arg)
{
	struct fake *fake = client;
	struct site *site = arg;

	check_fake(fake);
	if (load_relaxed(&fake->alive) || fake->site != site)
		add_relaxed(&site->wrong, 1);
	fake->magic = 0;
	add_relaxed(&fakes, UINT64_MAX);
	free(fake);
	act(site, AT_RELEASE);
}

static void fake_restarted(struct fh_server_job *job, void *client)
{
	check_fake(client);
	act_for(job, AT_RESTARTED);
}

/* All but how an end is found out. */
#define FAKE_OPS							\
	.start = fake_start, .handshake = fake_handshake,		\
	.stop = fake_stop, .kill = fake_kill, .release = fake_release,	\
	.restarted = fake_restarted

static const struct fh_server_ops fake_ops = {
	FAKE_OPS, .exited = fake_exited,
};

static void site_release(void *arg)
{
	add_relaxed(&((struct site *)arg)->freed, 1);
}

/* Small limits, so that nothing that is meant to be late takes long. */
__attribute__((unused)) static struct fh_server_request
request_for(const char *name, struct site *site)
{
	struct fh_server_request request = {
		.name = name, .ops = &fake_ops, .arg = site,
		.arg_release = site_release,
		.limits = { .lease = 20 * MS },
	};

	return request;
}

__attribute__((unused)) static void
go_wrong(struct site *site, enum act act, enum manner manner, int rc,
	 uint64_t times)
{
	store_relaxed(&site->mishap[act].manner, manner);
	store_relaxed(&site->mishap[act].rc, rc);
	store_release(&site->mishap[act].times, times);
}

__attribute__((unused)) static struct fh_servers *
registry_with(void (*event)(const struct fh_server_event *event, void *arg),
	      void *arg)
{
	const struct fh_servers_options options = { .event = event,
						    .event_arg = arg };
	struct fh_servers *servers = NULL;

	if (fh_servers_create(&servers, &options))
		bail_out("no registry");
	return servers;
}

__attribute__((unused)) static struct fh_servers *registry(void)
{
	return registry_with(NULL, NULL);
}

__attribute__((unused)) static struct fh_server_info
health_of(struct fh_servers *servers, const char *name)
{
	struct fh_server_info info;

	fh_server_health(servers, name, &info);
	return info;
}

__attribute__((unused)) static struct fh_servers_stats
stats_of(struct fh_servers *servers)
{
	struct fh_servers_stats stats;

	fh_servers_get_stats(servers, &stats);
	return stats;
}

/* Nothing is left of this site. */
__attribute__((unused)) static int is_clean(struct site *site)
{
	return load_relaxed(&site->alive) == 0 &&
	       load_relaxed(&site->twice) == 0 &&
	       load_relaxed(&site->wrong) == 0;
}

#endif
