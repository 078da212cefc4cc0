/* SPDX-License-Identifier: MIT */
/*
 * A registry of servers: named processes, or whatever takes long to start and
 * to stop, that many threads start, use, restart and stop.
 *
 *     fh_server_start(servers, &(struct fh_server_request){
 *             .name = "clangd", .ops = &clangd_ops, .arg = root }, &info);
 *     if (fh_server_get_wait(servers, "clangd", deadline, &lease, NULL) == 0) {
 *             query(fh_lease_client(lease), ...);
 *             fh_lease_return(lease);
 *     }
 *     fh_server_restart(servers, "clangd", FH_SERVER_ANY, &info);
 *     fh_server_stop(servers, "clangd", &info);
 *
 * What a server is, the caller says with a table of functions: start, shake
 * hands, stop, kill.  They may take seconds; the registry runs them on the
 * thread that asked, one job for a server at a time, and holds nothing
 * meanwhile: everybody else looks, gets and lists as if nothing happened.
 *
 *     starting ---> running ---> restarting ---> running     (always listed)
 *         |          |   |           |   ^
 *         v          |   v           v   |
 *       failed <-----+  crashed -> backoff
 *         |          v                   restarting and stopping also
 *         +------> stopping ---> stopped     from failed and from backoff
 *
 * Each start that succeeds makes a client, with a generation that is unique
 * in its registry.  Users hold it by leases: memory that stays valid until
 * they are returned.  A restart makes leases stale, waits a while until they
 * are returned, ends the old process, and only then starts the next one:
 * there are never two for one name.
 *
 * Caveats, before the features:
 *
 *  - The library cannot interrupt a function of the caller's.  One that does
 *    not heed job->deadline keeps its job for as long as it likes.  Others
 *    are not held up: what waits has a deadline of its own.
 *  - A function of the caller's may end its thread (pthread_exit, being
 *    cancelled): the job then fails with -EOWNERDEAD, waiters wake, and what
 *    was started is killed.  It must not leave by longjmp or an exception.
 *  - A registry belongs to the process that made it.  In the child of a fork
 *    one can look and destroy; whatever would touch a server says -ECHILD.
 */
#ifndef FREEHOLD_SERVER_H
#define FREEHOLD_SERVER_H

#include <freehold/base.h>

FH_BEGIN_DECLS

struct fh_servers;
struct fh_server_lease;

/** For a generation: whichever client is there. */
#define FH_SERVER_ANY 0

/** The longest name, its zero byte included. */
#define FH_SERVER_NAME 256

/** The longest text of an error, its zero byte included. */
#define FH_SERVER_TEXT 128

/** Where a server is in its life. */
enum fh_server_state {
	FH_SERVER_ABSENT,	/* not registered */
	FH_SERVER_STARTING,	/* its first start runs */
	FH_SERVER_RUNNING,
	FH_SERVER_RESTARTING,	/* a restart runs */
	FH_SERVER_CRASHED,	/* its end was noticed, it is being reaped */
	FH_SERVER_BACKOFF,	/* it will be restarted at info.retry_at */
	FH_SERVER_FAILED,	/* it does not run; restart may be tried */
	FH_SERVER_STOPPING,	/* it is being shut down */
	FH_SERVER_STOPPED,	/* it was shut down and is no longer listed */
	FH_SERVER_STATES
};

/** The set of states that holds @state alone; combine sets with |. */
#define FH_SERVER_STATE(state) ((uint64_t)1 << (state))

/**
 * fh_server_state_name - "running" and so on, for messages
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  none.
 * Ownership: the string is constant; "unknown" where there is no such state.
 * Errors:    none.
 * Context:   anywhere, a signal handler included.
 */
const char *fh_server_state_name(enum fh_server_state state);

/** A consistent snapshot of one server: its fields belong together, but for
 *  users and leases, which are of the moment of the call. */
struct fh_server_info {
	enum fh_server_state state;
	int joined;		/* the entry was there before this call */
	uint64_t generation;	/* of the newest client; 0: none was started */
	uint64_t epoch;		/* transitions so far, this entry's */
	uint64_t restarts;	/* that succeeded */
	uint64_t crashes;	/* that were noticed */
	uint64_t users;		/* starts that were not stopped yet */
	uint64_t leases;	/* out on the newest client */
	int64_t since;		/* fh_now() when it came to this state */
	int64_t retry_at;	/* backoff: when the restart is due; else 0 */
	int64_t error_at;	/* fh_now() of the last error; 0: none yet */
	int error;		/* the last one, a negative errno value */
	char text[FH_SERVER_TEXT]; /* the same in words; may be empty */
};

/** What a function of the caller's is called for. */
enum fh_server_cause {
	FH_SERVER_START,
	FH_SERVER_RESTART,	/* somebody asked for it */
	FH_SERVER_RECOVERY,	/* the policy asked for it */
	FH_SERVER_STOP,
	FH_SERVER_CRASH,	/* the client's end was noticed */
	FH_SERVER_CLEANUP	/* a step of the job failed, or its thread
				   ended */
};

/**
 * struct fh_server_job - what a function of the caller's is told
 * @name:       the server's
 * @arg:        the request's
 * @cause:      why
 * @generation: the client's that it is about
 * @deadline:   when it should have ended, whatever comes of it
 * @text:       FH_SERVER_TEXT bytes to write the reason of a failure into;
 *              kept with the error that is returned
 */
struct fh_server_job {
	const char *name;
	void *arg;
	enum fh_server_cause cause;
	uint64_t generation;
	int64_t deadline;
	char *text;
};

/**
 * struct fh_server_ops - what a server is; the caller's, outlives the entry
 * @start:     make a client and store it; a negative result is a failure.
 *             What was stored by then is killed and released all the same.
 * @handshake: wait until the client is ready; NULL: it is at once
 * @stop:      end it in good order, by the deadline; NULL: kill does
 * @kill:      end it at once, and be sure that it is gone: for a process,
 *             SIGKILL and reap.  Called if another step failed.  A failure
 *             means that it is still there: the entry is then failed, and
 *             keeps the client until a restart or a stop has ended it.
 *             NULL: a failing stop is such a failure.
 * @exited:    the client has ended by itself: reap it, and return the error
 *             to keep (0 stands for -ECHILD).  Must not block.  May be NULL.
 * @release:   free what @start made, descriptors included: the client has
 *             ended, and its last lease was returned.  Must not block.  May
 *             be NULL.
 * @restarted: after each restart that succeeded, when the server runs again
 *             and others may have leases: open again what was open.  The
 *             client is leased meanwhile.  May be NULL.
 * @watch:     a descriptor that becomes readable when the client ends, as a
 *             pidfd does; the library duplicates it.  A negative result is a
 *             failure of the start.  NULL: only fh_server_crashed tells.
 *
 * All run with nothing held, on the thread of the job, except that @exited
 * may run on the supervisor's, and @release on that of whoever returns the
 * last lease.  They may call the registry, but not wait for their own server.
 */
struct fh_server_ops {
	int (*start)(struct fh_server_job *job, void **client);
	int (*handshake)(struct fh_server_job *job, void *client);
	int (*stop)(struct fh_server_job *job, void *client);
	int (*kill)(struct fh_server_job *job, void *client);
	int (*exited)(struct fh_server_job *job, void *client);
	void (*release)(void *client, void *arg);
	void (*restarted)(struct fh_server_job *job, void *client);
	int (*watch)(void *client, void *arg);
};

/**
 * struct fh_server_limits - how long things may take, in nanoseconds; 0: the
 * default
 * @start: start and handshake together
 * @stop:  stop; and kill has as long again
 * @lease: how long a restart or a stop waits for leases to be returned;
 *         negative: not at all
 */
struct fh_server_limits {
	int64_t start;
	int64_t stop;
	int64_t lease;
};

#define FH_SERVER_START_LIMIT INT64_C(30000000000)
#define FH_SERVER_STOP_LIMIT INT64_C(5000000000)
#define FH_SERVER_LEASE_LIMIT INT64_C(5000000000)

/** The most automatic restarts that a policy can allow in its window. */
#define FH_SERVER_RESTARTS_MOST 64

/**
 * struct fh_server_policy - what to do when a client crashed or a restart
 * failed; zero bytes: nothing, restarts are manual
 * @most:    so many automatic restarts in any stretch of @window; beyond, the
 *           entry is failed.  0: manual; at most FH_SERVER_RESTARTS_MOST
 * @jitter:  percent by which a delay is varied, up and down; 0 to 100
 * @window:  nanoseconds; 0: for ever
 * @delay:   before the first restart; doubles with each that lies in the
 *           window
 * @longest: and grows up to this; 0: 60 seconds
 *
 * A first start that fails is not tried again: its caller is told.
 */
struct fh_server_policy {
	unsigned most;
	unsigned jitter;
	int64_t window;
	int64_t delay;
	int64_t longest;
};

/**
 * struct fh_server_request - what to start
 * @name:        not empty, shorter than FH_SERVER_NAME
 * @ops:         start is required
 * @arg:         the functions' own
 * @arg_release: if not NULL: called once with @arg when the entry is gone,
 *               on whichever thread let go of it last; must not block
 * @exclusive:   not 0: refuse with -EEXIST where others would join
 * @limits:      how long things may take
 * @policy:      what to do after a crash
 */
struct fh_server_request {
	const char *name;
	const struct fh_server_ops *ops;
	void *arg;
	void (*arg_release)(void *arg);
	int exclusive;
	struct fh_server_limits limits;
	struct fh_server_policy policy;
};

/**
 * struct fh_server_event - one transition that really happened
 * @name: whose; valid during the call
 * @from: FH_SERVER_ABSENT for the first one
 * @to:   the same as info.state
 * @info: the server as the transition left it; info.epoch rises by one with
 *        each transition of one entry
 */
struct fh_server_event {
	const char *name;
	enum fh_server_state from, to;
	struct fh_server_info info;
};

/**
 * struct fh_servers_options - how to create a registry
 * @event:     if not NULL: called exactly once for each transition, on the
 *             thread that made it, with nothing held; it may call the
 *             registry, but not wait for the server it is told about.  Two
 *             threads' transitions may be told in the other order; their
 *             epochs tell.
 * @event_arg: passed to @event
 */
struct fh_servers_options {
	void (*event)(const struct fh_server_event *event, void *arg);
	void *event_arg;
};

/**
 * fh_servers_create - an empty registry
 * @options: NULL is the same as zero bytes
 *
 * Threads:   any number at once.
 * Progress:  as malloc.
 * Ordering:  none; publish the pointer with release.
 * Ownership: the registry is the caller's, to end with fh_servers_destroy.
 * Errors:    -ENOMEM: no memory; -EIO: the operating system gives no
 *            randomness.
 * Context:   anywhere but a signal handler.
 */
int fh_servers_create(struct fh_servers **servers,
		      const struct fh_servers_options *options);

/**
 * fh_servers_destroy - end of life; what still runs is killed
 * @servers: NULL is allowed and does nothing
 *
 * Call fh_servers_stop_all_wait first to have servers stopped in good order.
 * In the child of a fork memory is freed and no function of the caller's is
 * called but @release and @arg_release.
 *
 * Threads:   the only one to touch the registry from now on.
 * Progress:  as long as jobs on the library's own threads still run, and as
 *            the caller's kill functions.
 * Ordering:  all that the registry's threads did comes before the return.
 * Ownership: the registry's memory is gone; every lease must be returned.
 * Errors:    none.
 * Context:   outside read sections, and outside functions of jobs.
 */
void fh_servers_destroy(struct fh_servers *servers);

/**
 * fh_server_start - register a server and start it, or join the one there
 * @info: if not NULL: the server, also on -EEXIST, -EINPROGRESS, -ESHUTDOWN
 *        and -EHOSTDOWN; info->joined says that the entry was there before
 *
 * A name that is not registered is started on this thread.  One that runs is
 * joined: it has one user more, which fh_server_stop takes away.  One that is
 * failed, or in backoff, is restarted with its own ops and arg, and joined if
 * that succeeds.  A start that fails leaves an entry without users that is
 * failed, for fh_server_restart, fh_server_start or fh_server_stop.
 *
 * Threads:   any number at once: of those with one name, one starts.
 * Progress:  lock-free but for malloc, the event, and the ops: a restart also
 *            waits for leases as fh_server_restart does.
 * Ordering:  release on success; acquire on failure.
 * Ownership: the name is copied.  @arg is the entry's, if info->joined is 0
 *            and the result is 0 or -EHOSTDOWN; otherwise the caller's.
 * Errors:    -EEXIST: the name is registered, and @exclusive asked for one
 *            that is not; -EINPROGRESS: it is being started, restarted or
 *            reaped by another; -ESHUTDOWN: it is being stopped; -EHOSTDOWN:
 *            it failed to start, and @info says why; -EINVAL: no name, no
 *            start function, a limit or a policy out of range; -ENOMEM: no
 *            memory; -EAGAIN: the hard bound of fh_rcu is reached; -ENOBUFS:
 *            the supervisor has no thread or no descriptor; -ECHILD: in the
 *            child of a fork.  But for -EHOSTDOWN nothing was changed.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_server_start(struct fh_servers *servers,
		    const struct fh_server_request *request,
		    struct fh_server_info *info);

/**
 * fh_server_start_wait - the same, and wait for what others do with the name
 * @deadline: for waiting; and the job's own deadline is no later
 *
 * Waits where fh_server_start says -EINPROGRESS or -ESHUTDOWN, then joins or
 * starts anew.
 *
 * Threads:   any number at once: of those with one name, one starts.
 * Progress:  blocking, by design, and only on the same name.
 * Ordering:  acquire and release.
 * Ownership: as fh_server_start.
 * Errors:    -ETIMEDOUT: the deadline passed while another was busy with it;
 *            -EDEADLK: called from a job of the same server; -EEXIST,
 *            -EHOSTDOWN, -EINVAL, -ENOMEM, -EAGAIN, -ENOBUFS, -ECHILD: as
 *            fh_server_start.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_server_start_wait(struct fh_servers *servers,
			 const struct fh_server_request *request,
			 int64_t deadline, struct fh_server_info *info);

/**
 * fh_server_restart - end the client and start another
 * @generation: the client meant, as told by a lease or by health, or
 *              FH_SERVER_ANY; so that of many who found one client broken
 *              only the first restarts it
 * @info:       if not NULL: the server as this call left or found it
 *
 * The entry never disappears meanwhile.  Users stay as they are, whether it
 * succeeds or fails.  A failed server can be restarted, and one in backoff,
 * without waiting for its time.
 *
 * Threads:   any number at once: one restarts.
 * Progress:  lock-free but for malloc, the event, and the ops; waits for
 *            leases on the old client as long as limits.lease says.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: none.
 * Errors:    -ENOENT: the name is not registered; -ESTALE: the client is
 *            another; -EINPROGRESS: another restarts, starts or reaps it;
 *            -ESHUTDOWN: it is being stopped; -EHOSTDOWN: the restart
 *            failed, @info says why, and whether the policy tries again;
 *            -ENOMEM: no memory; -EAGAIN: the hard bound of fh_rcu is
 *            reached; -ECHILD: in the child of a fork.  But for -EHOSTDOWN
 *            nothing was changed.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_server_restart(struct fh_servers *servers, const char *name,
		      uint64_t generation, struct fh_server_info *info);

/**
 * fh_server_restart_wait - restart, or wait for the restart that runs
 * @deadline: for waiting; and the job's own deadline is no later
 * @info:     if not NULL: the server; info->joined says that another did it
 *
 * Where another is at it, its result is this call's result too, and no
 * second restart is made.
 *
 * Threads:   any number at once: one restarts.
 * Progress:  blocking, by design, and only on the same name.
 * Ordering:  acquire and release.
 * Ownership: none.
 * Errors:    -ETIMEDOUT: the deadline passed while another was at it;
 *            -EDEADLK: called from a job of the same server; -ENOENT,
 *            -ESTALE, -ESHUTDOWN, -EHOSTDOWN, -ENOMEM, -EAGAIN, -ECHILD: as
 *            fh_server_restart.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_server_restart_wait(struct fh_servers *servers, const char *name,
			   uint64_t generation, int64_t deadline,
			   struct fh_server_info *info);

/**
 * fh_server_stop - take one user away; without users it is shut down
 * @info: if not NULL: the server as this call left it: info->users says how
 *        many are left, and the state is FH_SERVER_STOPPED if this call has
 *        shut it down
 *
 * If the last user leaves while a job runs, the thread of that job shuts the
 * server down when the job is done, and this call returns at once.
 *
 * Threads:   any number at once: one shuts down.
 * Progress:  lock-free but for the event and the ops; waits for leases as
 *            long as limits.lease says.  Needs no memory.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: none.
 * Errors:    -ENOENT: the name is not registered; -ESHUTDOWN: its last user
 *            has left already (if nobody had begun to shut it down, this
 *            call has done so, and @info says that); -EHOSTDOWN: neither
 *            stop nor kill could end it: the entry is failed, and can be
 *            stopped again; -ENOMEM: only after such a failure: no memory to
 *            try again, or no room under the hard bound of fh_rcu; -ECHILD:
 *            in the child of a fork.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_server_stop(struct fh_servers *servers, const char *name,
		   struct fh_server_info *info);

/**
 * fh_server_stop_wait - the same, and wait until a shutdown is over
 * @deadline: for waiting; and the deadline of stop is no later
 *
 * Waits as well where fh_server_stop says -ESHUTDOWN.
 *
 * Threads:   any number at once: one shuts down.
 * Progress:  blocking, by design, and only on the same name.
 * Ordering:  acquire and release.
 * Ownership: none.
 * Errors:    -ETIMEDOUT: the deadline passed first, the user is gone all the
 *            same, and the shutdown goes on; -EDEADLK: called from a job of
 *            the same server; -ENOENT, -EHOSTDOWN, -ENOMEM, -ECHILD: as
 *            fh_server_stop.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_server_stop_wait(struct fh_servers *servers, const char *name,
			int64_t deadline, struct fh_server_info *info);

/**
 * fh_servers_stop_all_wait - shut down all, whatever users they have
 * @deadline: for all of them together; no step has a later one
 *
 * All that are registered when the call begins are stopped at the same time,
 * each on a thread of its own; without threads, one after the other.  One
 * that still runs past the deadline goes on in the background.
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design.
 * Ordering:  acquire and release.
 * Ownership: none.
 * Errors:    -ETIMEDOUT: some were not stopped by the deadline; -EHOSTDOWN:
 *            some could not be ended and are failed; -EDEADLK: called from a
 *            job of this registry; -ECHILD: in the child of a fork.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_servers_stop_all_wait(struct fh_servers *servers, int64_t deadline);

/**
 * fh_server_get - a lease on the client of a server that runs
 * @lease: receives it
 * @info:  if not NULL: the server, also on -EINPROGRESS, -EHOSTDOWN and
 *         -ESHUTDOWN
 *
 * Threads:   any number at once.
 * Progress:  lock-free: a retry means that another lease was taken or
 *            returned, or the server changed.  No lock, no system call.
 * Ordering:  acquire: what start and handshake did is visible.
 * Ownership: the lease is the caller's, to give back with fh_lease_return on
 *            any thread; the client stays valid memory until then.
 * Errors:    -ENOENT: the name is not registered; -EINPROGRESS: it is being
 *            started, restarted or reaped, or is in backoff; -EHOSTDOWN: it
 *            has failed; -ESHUTDOWN: it is being stopped; -ECHILD: in the
 *            child of a fork.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_server_get(struct fh_servers *servers, const char *name,
		  struct fh_server_lease **lease, struct fh_server_info *info);

/**
 * fh_server_get_wait - the same, and wait where it says -EINPROGRESS
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design; returns at once if the server runs.
 * Ordering:  acquire: what start and handshake did is visible.
 * Ownership: as fh_server_get.
 * Errors:    -ETIMEDOUT: the deadline passed first; -EDEADLK: called from a
 *            job of the same server that has not made it run; -ENOENT,
 *            -EHOSTDOWN, -ESHUTDOWN, -ECHILD: as fh_server_get.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_server_get_wait(struct fh_servers *servers, const char *name,
		       int64_t deadline, struct fh_server_lease **lease,
		       struct fh_server_info *info);

/**
 * fh_lease_client - what start has made
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  none; the lease was taken with acquire.
 * Ownership: valid memory until the lease is returned; past limits.lease
 *            after it became stale, the process behind it may be gone.
 * Errors:    none.
 * Context:   anywhere, a signal handler included.
 */
void *fh_lease_client(const struct fh_server_lease *lease);

/**
 * fh_lease_generation - which client it is
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  none.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere, a signal handler included.
 */
uint64_t fh_lease_generation(const struct fh_server_lease *lease);

/**
 * fh_lease_is_stale - not 0: the client is not to be used any more
 *
 * It was replaced, stopped or has crashed, or that is going on: somebody may
 * be waiting for this lease.
 *
 * Threads:   any number at once.
 * Progress:  wait-free: one load.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere, a signal handler included.
 */
int fh_lease_is_stale(const struct fh_server_lease *lease);

/**
 * fh_lease_return - give a lease back
 *
 * Threads:   one call for each lease, on any thread.
 * Progress:  wait-free, but for one system call if somebody waits for it, and
 *            for @release if it is the last one of a client that has ended.
 * Ordering:  release: what was done with the client comes before its end.
 * Ownership: the lease is gone.
 * Errors:    none.
 * Context:   inside or outside a read section; not in a signal handler.
 */
void fh_lease_return(struct fh_server_lease *lease);

/**
 * fh_server_crashed - report that a client has ended by itself
 * @generation: the client's; FH_SERVER_ANY is not allowed
 * @error:      a negative errno value to keep, or 0 for what @exited says
 * @text:       the same in words, or NULL for what @exited writes
 * @info:       if not NULL: the server as this call left it
 *
 * Calls @exited, makes leases stale, and applies the policy: the server is
 * then in backoff or failed.  For clients that are watched the supervisor
 * does this.
 *
 * Threads:   any number at once, beside the supervisor: one is heard.
 * Progress:  lock-free, but for the event, @exited and @release.  Needs no
 *            memory.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: @text is copied.
 * Errors:    -ENOENT: the name is not registered; -ESTALE: this client is
 *            not the one that runs, perhaps since its end was noticed or
 *            wanted; -EINVAL: a generation or an error that is none;
 *            -ECHILD: in the child of a fork.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_server_crashed(struct fh_servers *servers, const char *name,
		      uint64_t generation, int error, const char *text,
		      struct fh_server_info *info);

/**
 * fh_server_health - how a server is
 *
 * Threads:   any number at once.
 * Progress:  wait-free: it takes as long during a restart as at any time.
 * Ordering:  acquire.
 * Ownership: the snapshot is the caller's.
 * Errors:    -ENOENT: the name is not registered, and @info->state is
 *            FH_SERVER_ABSENT.
 * Context:   anywhere but a signal handler.
 */
int fh_server_health(struct fh_servers *servers, const char *name,
		     struct fh_server_info *info);

/**
 * fh_server_wait - wait until a server is in one of @states
 * @states: a set, built with FH_SERVER_STATE; FH_SERVER_ABSENT is reached
 *          when the name is not registered
 * @info:   if not NULL: what ended the wait, also on timeout
 *
 * A state that comes and goes while the caller is not scheduled may be
 * missed.  If ABSENT is not in the set, the wait ends when the name is not
 * registered.
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design; returns at once if the state is there.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    -ETIMEDOUT: the deadline passed first; -ENOENT: the name is not
 *            registered; -EINVAL: no such states; -EDEADLK: called from a
 *            job of the same server, and the state is not there.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_server_wait(struct fh_servers *servers, const char *name,
		   uint64_t states, int64_t deadline,
		   struct fh_server_info *info);

/**
 * fh_server_for_each - visit the registered servers
 * @visit: called with nothing held; a result other than 0 ends the walk
 *
 * A server that is registered from the beginning of the call to its end is
 * visited exactly once, also while it restarts; one that comes or goes
 * meanwhile at most once.
 *
 * Returns how many were visited.
 *
 * Threads:   any number at once.
 * Progress:  wait-free but for @visit.
 * Ordering:  acquire on each server.
 * Ownership: name and snapshot are valid during @visit.
 * Errors:    none.
 * Context:   outside read sections; @visit may call the registry.
 */
size_t fh_server_for_each(struct fh_servers *servers,
			  int (*visit)(const char *name,
				       const struct fh_server_info *info,
				       void *arg),
			  void *arg);

/** What a registry has seen.  Counts are exact at rest. */
struct fh_servers_stats {
	uint64_t registered;	/* now */
	uint64_t started;	/* first starts that succeeded */
	uint64_t joined;	/* starts that added a user */
	uint64_t restarted;	/* restarts that succeeded, all of them */
	uint64_t recovered;	/* of these, automatic ones */
	uint64_t failed;	/* starts and restarts that failed */
	uint64_t put_off;	/* automatic ones put off: no memory, or no
				   thread */
	uint64_t refused;	/* told -EINPROGRESS by start or restart */
	uint64_t crashed;
	uint64_t stopped;	/* shut down */
	uint64_t killed;	/* times that kill was called */
	uint64_t overdue;	/* clients ended with leases still out */
	uint64_t abandoned;	/* jobs whose thread ended */
};

/**
 * fh_servers_get_stats - what the registry has seen
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
void fh_servers_get_stats(struct fh_servers *servers,
			  struct fh_servers_stats *stats);

FH_END_DECLS

#endif
