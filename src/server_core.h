/* SPDX-License-Identifier: MIT */
/*
 * server_core: what the two builds of the server registry do each in their
 * own way, and what is built on it in one.  Internal.
 *
 *     shared   server_api.c     what the public functions do
 *              server_job.c     the steps of a job, with the caller's
 *                               functions; what if the thread ends in one
 *              server_watch.c   the supervisor: descriptors and timers
 *              server_thread.c  the library's own threads; stopping all
 *              server_rules.c   the life of a server; policies
 *     core     server.c server_life.c server_lease.c, here and in mutex/:
 *              who is registered, who owns a server, its users, its leases
 *
 * A server is owned by whoever made the transition to a busy state: it claims
 * the server, works, and settles it in a state of rest.  What is said below
 * to be the owner's is touched by nobody else; the claim comes after the
 * settling before it.
 */
#ifndef FH_SERVER_CORE_H
#define FH_SERVER_CORE_H

#include "server_rules.h"

#include "atomic.h"

#include <pthread.h>

struct server;
struct client;
struct fh_server_thread;

/* What a registry counts, in the order of fh_servers_stats. */
enum server_count {
	STARTED, JOINED, RESTARTED, RECOVERED, FAILED, PUT_OFF, REFUSED,
	CRASHED, STOPPED, KILLED, OVERDUE, ABANDONED, SERVER_COUNTS
};

/* See server_watch.c. */
struct supervisor {
	struct fh_status state;
	int epoll, bell;		/* descriptors, once it was needed */
};

/* The shared part of a registry: its first member in both builds. */
struct servers_base {
	struct fh_servers_options options;
	_Atomic(uint64_t) counts[SERVER_COUNTS];
	_Atomic(uint64_t) generation;	/* the last one given */
	_Atomic(uint64_t) serial;	/* the last one given */
	_Atomic(uint64_t) sweeps;	/* times that all were stopped */
	uint64_t random;		/* to seed recoveries with */
	unsigned forks;			/* fh_server_forks when it was made */
	_Atomic(bool) closing;		/* destroy has begun */
	struct supervisor supervisor;
	_Atomic(struct fh_server_thread *) ended; /* threads to be joined */
	_Atomic(uint32_t) threads;	/* that run; a futex */
};

/* The shared part of a server: its first member in both builds. */
struct server_base {
	struct fh_servers *servers;
	const char *name;
	uint64_t serial;		/* rises with each registration */
	_Atomic(uint64_t) swept;	/* by the last sweep that closed it */
	const struct fh_server_ops *ops;
	void *arg;
	void (*arg_release)(void *arg);
	struct fh_server_limits limits;
	struct fh_server_policy policy;
	struct fh_recovery recovery;	/* the owner's */
	struct client *client;		/* the owner's: made, and not ended */
	uint64_t taken;			/* the supervisor's: the epoch of the
					   backoff that a thread looks after */
	int64_t put_off;		/* the supervisor's: not before */
};

/* The shared part of a client: its first member in both builds. */
struct client_base {
	struct server *server;		/* from its claim on */
	uint64_t generation;
	void *handle;			/* the owner's, then constant */
	int watch;			/* the owner's: a descriptor, or -1 */
	_Atomic(uint32_t) gone;		/* the supervisor saw its end */
};

static inline struct servers_base *base_of(struct fh_servers *servers)
{
	return (struct servers_base *)servers;
}

static inline struct server_base *of_server(struct server *server)
{
	return (struct server_base *)server;
}

static inline struct client_base *of_client(struct client *client)
{
	return (struct client_base *)client;
}

static inline void fh_server_count(struct fh_servers *servers,
				   enum server_count what)
{
	add_relaxed(&base_of(servers)->counts[what], 1u);
}

/* ---- the core: the registry ---- */

/* The server with this name, held, or NULL; one that is stopped is none. */
struct server *fh_server_find(struct fh_servers *servers, const char *name);

void fh_server_hold(struct server *server);	/* by who holds it already */
void fh_server_drop(struct server *server);	/* in no read section */

/*
 * Enter a new server: starting, with one user, owned by the caller and held;
 * *first is its first client.  0; -EEXIST: *server is the one that is there,
 * held; -ENOMEM, or -EAGAIN: the hard bound.
 */
int fh_server_enter(struct fh_servers *servers,
		    const struct fh_server_request *request,
		    struct client *first, struct server **server);

/* The owner of one that is stopped takes it out. */
void fh_server_remove(struct server *server);

/* Visit each server, held, in no critical section, until visit says so. */
size_t fh_server_each(struct fh_servers *servers,
		      bool (*visit)(struct server *server, void *arg),
		      void *arg);

/* ---- the core: its life ---- */

void fh_server_view(struct server *server, struct fh_server_info *info);

/* Wait for the transition after this one; 0 or -ETIMEDOUT. */
int fh_server_wait_past(struct server *server, uint64_t epoch,
			int64_t deadline);

/* Which server is to be claimed: any epoch or generation where it is 0. */
struct server_claim {
	enum fh_server_state to;
	uint64_t generation;
	uint64_t epoch;
	struct client *fresh;		/* the next client, if there is to be
					   one */
};

/*
 * Own the server, by this transition, told in @event.  0; -EAGAIN: its state
 * does not permit it, or the epoch is another; -ESTALE: the generation is;
 * -ENOBUFS: a fresh client is needed for its memory.  On success a fresh
 * client belongs to the server.
 */
int fh_server_claim(struct server *server, const struct server_claim *claim,
		    struct fh_server_event *event);

/* The owner's: own it no more. */
void fh_server_settle(struct server *server,
		      const struct server_outcome *outcome,
		      struct fh_server_event *event);

/* ---- the core: its users ---- */

/* One user more: 0, or -ESHUTDOWN when the last one has left. */
int fh_server_join(struct server *server);

/* The other way round, without consequences. */
void fh_server_unjoin(struct server *server);

/* One user less: how many are left, 0: that closed it; or -ESHUTDOWN. */
int64_t fh_server_leave(struct server *server);

/* All users leave: true, unless it was closed already. */
bool fh_server_close(struct server *server);

/*
 * Has the last user left?  Asked by who has settled a server: then either
 * this says so, or who closes it finds the settled state.
 */
bool fh_server_is_closed(struct server *server);

/* The owner's, of one that could not be stopped: no users, but open. */
void fh_server_reopen(struct server *server);

/* ---- the core: clients and leases ---- */

/* A client to be made; 0, -ENOMEM, or -EDQUOT: the hard bound. */
int fh_client_new(struct fh_servers *servers, struct client **client);

/* It never belonged to a server. */
void fh_client_discard(struct client *client);

/* The newest client of a server, held, or NULL. */
struct client *fh_server_newest(struct server *server);
void fh_client_hold(struct client *client);	/* the owner's */
void fh_client_drop(struct client *client);

/* The owner's: a lease for itself. */
struct fh_server_lease *fh_client_lease(struct client *client);

/* The owner's: no more leases, and those that are out are stale. */
void fh_client_expire(struct client *client);

/* The owner's, after that: until all are returned; 0 or -ETIMEDOUT. */
int fh_client_wait_returned(struct client *client, int64_t deadline);

/* The owner's: it has ended; release it when its last lease is returned. */
void fh_client_end(struct client *client);

/* The owner's: it was never made; there is nothing to release. */
void fh_client_unmade(struct client *client);

/* ---- shared: server_api.c ---- */

int fh_servers_base_init(struct servers_base *base,
			 const struct fh_servers_options *options);

/* End what runs, and all threads; the memory is left to the core. */
void fh_servers_base_end(struct fh_servers *servers);

void fh_servers_base_stats(const struct servers_base *base,
			   struct fh_servers_stats *stats);

/* Fill in a server that is to be entered. */
void fh_server_base_init(struct server_base *base, struct fh_servers *servers,
			 const struct fh_server_request *request,
			 const char *name);

/* ---- shared: server_job.c ---- */

enum job_kind { JOB_START, JOB_RESTART, JOB_RECOVER, JOB_STOP, JOB_CRASH };

struct job {
	struct fh_servers *servers;
	struct server *server;		/* held; dropped at the end */
	struct client *fresh;		/* to be made, or its memory used */
	bool made;			/* it was */
	struct client *running;		/* held: what it was settled with */
	enum job_kind kind;
	int step;
	bool owns;			/* between claim and settling */
	bool brutal;			/* no courtesies: kill */
	bool settled;			/* result and info are there */
	bool guest;			/* a user who leaves if it fails */
	int64_t deadline;		/* for all of it */
	int64_t limit;			/* of start and handshake */
	int error;			/* the first thing that failed */
	char why[FH_SERVER_TEXT];
	int unstopped;			/* what stop said, if it failed */
	char unstopped_why[FH_SERVER_TEXT];
	struct fh_server_lease *lease;	/* for the hook */
	struct fh_server_event event;
	int result;			/* 0 or -EHOSTDOWN */
	struct fh_server_info info;	/* as it settled */
	struct job *outer;		/* this thread's, around this one */
	int cancel;			/* the thread's own cancel state */
};

/*
 * Claim a server for a job.  0: the caller's hold on the server is the job's,
 * which must be run; or what the claim said, or what fh_client_new said.
 *
 * A function that ends the thread ends its callers too, which then cannot
 * let go of anything: so a job is run by who holds nothing else.
 */
int fh_job_claim_stop(struct job *job, struct server *server,
		      int64_t deadline);
int fh_job_claim_restart(struct job *job, struct server *server,
			 enum job_kind kind, uint64_t generation,
			 uint64_t epoch, int64_t deadline);
int fh_job_claim_crash(struct job *job, struct server *server,
		       uint64_t generation, int error, const char *text);

/* A server that was entered just now: no claim is needed. */
void fh_job_begin_start(struct job *job, struct server *server,
			struct client *fresh, int64_t deadline);

/* Run it to its end, which is not reached if a function ends the thread. */
void fh_job_run(struct job *job);

/* Does a job of this thread own this server?  Or any of the registry? */
bool fh_server_is_mine(const struct server *server);
bool fh_servers_any_mine(const struct fh_servers *servers);

/* ---- shared: server_watch.c ---- */

/* See that there is a supervisor; 0 or -ENOBUFS. */
int fh_supervisor_need(struct fh_servers *servers);

/* Something is due at another time, or a thread has ended. */
void fh_supervisor_kick(struct fh_servers *servers);

/* The owner's: watch a descriptor, which is duplicated; 0 or what failed. */
int fh_client_watch(struct client *client, int descriptor);
void fh_client_unwatch(struct client *client);

/* The supervisor's: the descriptor with this generation is readable. */
void fh_client_has_gone(struct fh_servers *servers, uint64_t generation);

/* Was its end seen?  Asked by who has settled the server as running. */
bool fh_client_is_gone(struct client *client);

/* When its thread has ended. */
void fh_supervisor_close(struct fh_servers *servers);

/* ---- shared: server_thread.c ---- */

/* How often the process was forked off, from one with this registry. */
extern _Atomic(unsigned) fh_server_forks;

static inline bool fh_servers_are_inherited(struct fh_servers *servers)
{
	return unlikely(base_of(servers)->forks !=
			load_relaxed(&fh_server_forks));
}

/* A thread of the library's. */
struct fh_server_thread {
	struct fh_server_thread *next;
	struct fh_servers *servers;
	struct server *server;		/* held by the thread; may be NULL */
	void (*work)(struct fh_server_thread *thread);
	struct job job;			/* for work to use */
	uint64_t epoch;
	pthread_t id;
};

/* NULL: no memory. */
struct fh_server_thread *
fh_server_thread_new(struct fh_servers *servers, struct server *server,
		     void (*work)(struct fh_server_thread *thread));

/* 0, or -ENOBUFS: then it is still the caller's. */
int fh_server_thread_start(struct fh_server_thread *thread);

/* One that was not started. */
void fh_server_thread_free(struct fh_server_thread *thread);

/* Join those that have ended; wait for all. */
void fh_servers_reap(struct fh_servers *servers);
void fh_servers_wait_threads(struct fh_servers *servers);

#endif
