/* SPDX-License-Identifier: MIT */
/*
 * A registry of arcs: something that runs between two parties, is started by
 * exactly one of those who try, progresses through phases, and is ended by
 * exactly one.
 *
 *     fh_arc_start(arcs, &(struct fh_arc_request){
 *             .first = "ada", .second = "bob", .type = RIVALRY }, &info);
 *     fh_arc_progress(arcs, "bob", "ada", NULL, &info);
 *     fh_arc_end(arcs, "ada", "bob", FH_ARC_ANY, FH_ARC_COMPLETED, "done",
 *                NULL);
 *
 * The two parties are an unordered pair of names.  Types, phases, legal
 * transitions and events are tables of the caller's.  Observers are called
 * exactly once for each transition that really happened, on the thread that
 * made it, with nothing held: they may call the registry, and one that fails
 * is counted and disturbs nobody.
 *
 * A start is two steps, so that work which must not happen twice can stand
 * between them: claim the pair, run the initialiser, then publish or
 * abandon.  Nobody sees a claimed arc as active.
 *
 * Every arc has a generation, unique in its registry: an end or a progress
 * aimed at an old arc never touches a newer one of the same pair.
 */
#ifndef FREEHOLD_ARC_H
#define FREEHOLD_ARC_H

#include <freehold/base.h>
#include <freehold/map.h>

FH_BEGIN_DECLS

struct fh_arcs;
struct fh_arc_ticket;

/** For a generation: whichever arc is there. */
#define FH_ARC_ANY 0

/** For the next phase of an event: stay in the present one. */
#define FH_ARC_STAY (~0u)

/** The set of phases that holds @phase alone; combine sets with |. */
#define FH_ARC_PHASE(phase) ((uint64_t)1 << (phase))

/** How many phases a type can have: 0 to 63. */
#define FH_ARC_PHASES 64

/**
 * struct fh_arc_event - something that can happen in an arc
 * @name:   unique within its type
 * @phases: the set of phases in which it is available
 * @next:   the phase that it leads to, or FH_ARC_STAY
 */
struct fh_arc_event {
	const char *name;
	uint64_t phases;
	unsigned next;
};

/**
 * struct fh_arc_type - a kind of arc; the caller's, outlives the registry
 * @name:     for messages
 * @initial:  the phase in which an arc starts
 * @final:    the set of phases that end an arc, as completed, when reached
 * @phases:   how many phases there are
 * @allowed:  row p is the set of phases that may follow p; staying in p is
 *            always legal
 * @events:   @event_count of them, tried in this order
 * @duration: nanoseconds an arc is expected to last; it is expired when its
 *            age exceeds twice that; 0: it never expires
 */
struct fh_arc_type {
	const char *name;
	unsigned initial;
	uint64_t final;
	unsigned phases;
	const uint64_t *allowed;
	const struct fh_arc_event *events;
	size_t event_count;
	int64_t duration;
};

/** Where an arc is in its life. */
enum fh_arc_state {
	FH_ARC_ACTIVE,
	FH_ARC_COMPLETED,
	FH_ARC_CANCELLED,
	FH_ARC_EXPIRED		/* ended by fh_arc_process_all for its age */
};

/** A consistent snapshot of one arc: its fields belong together. */
struct fh_arc_info {
	uint64_t generation;
	unsigned type;
	unsigned phase;
	enum fh_arc_state state;
	int expired;		/* its age exceeds twice what was expected */
	int joined;		/* fh_arc_start_wait: another started it */
	int type_differs;	/* a duplicate start asked for another type */
	int64_t start_time;	/* of the registry's clock */
	int64_t last_progress;	/* of the registry's clock */
	int64_t duration;	/* expected, nanoseconds */
	uint64_t events;	/* progress calls that succeeded */
};

/** The two names of an arc, in byte order; each ends in a zero byte. */
struct fh_arc_names {
	const char *first;
	const char *second;
};

/** What an observer is told. */
enum fh_arc_change {
	FH_ARC_STARTED = 1,
	FH_ARC_PROGRESSED = 2,
	FH_ARC_ENDED = 4
};

/**
 * struct fh_arc_notice - one transition that really happened
 * @change: which
 * @names:  whose; valid during the call
 * @info:   the arc as the transition left it
 * @event:  FH_ARC_PROGRESSED: the event's name; else NULL
 * @reason: FH_ARC_ENDED: the text given to fh_arc_end, or NULL
 */
struct fh_arc_notice {
	enum fh_arc_change change;
	struct fh_arc_names names;
	struct fh_arc_info info;
	const char *event;
	const char *reason;
};

/** An observer; a negative result is counted as a failure, nothing more. */
typedef int (*fh_arc_observer)(const struct fh_arc_notice *notice, void *arg);

/**
 * struct fh_arcs_options - how to create a registry
 * @types:      @type_count of them; an arc names its type by index
 * @clock:      if not NULL: the clock for start_time, last_progress and
 *              expiry, in nanoseconds; the default is CLOCK_BOOTTIME, which
 *              no adjustment steps and which runs on during suspend
 * @clock_arg:  passed to @clock
 */
struct fh_arcs_options {
	const struct fh_arc_type *types;
	size_t type_count;
	int64_t (*clock)(void *arg);
	void *clock_arg;
};

/**
 * fh_arcs_create - an empty registry
 *
 * Threads:   any number at once.
 * Progress:  as malloc.
 * Ordering:  none; publish the pointer with release.
 * Ownership: the registry is the caller's, to end with fh_arcs_destroy;
 *            the tables in @options must outlive it.
 * Errors:    -ENOMEM: no memory; -EINVAL: a type's table contradicts itself
 *            (no phase, more than FH_ARC_PHASES, an initial or next phase
 *            out of range, an event without a name); -EIO: the operating
 *            system gives no randomness.
 * Context:   anywhere but a signal handler.
 */
int fh_arcs_create(struct fh_arcs **arcs,
		   const struct fh_arcs_options *options);

/**
 * fh_arcs_destroy - end of life; arcs that still run end unobserved
 * @arcs: NULL is allowed and does nothing
 *
 * Threads:   the only one to touch the registry from now on.
 * Progress:  as free; releases of observers run here.
 * Ordering:  none.
 * Ownership: the registry's memory is gone; so must be every claim.
 * Errors:    none.
 * Context:   outside read sections and observers.
 */
void fh_arcs_destroy(struct fh_arcs *arcs);

/**
 * struct fh_arc_request - what to start
 * @first, @second: the names, in either order, not empty and not equal
 * @type:           an index into the registry's types
 * @duration:       expected length in nanoseconds; 0: the type's
 * @init:           if not NULL: runs between claim and publication, on the
 *                  winner's thread, with nothing held; a negative result
 *                  abandons the start and is returned
 * @init_arg:       passed to @init
 */
struct fh_arc_request {
	const char *first;
	const char *second;
	unsigned type;
	int64_t duration;
	int (*init)(const struct fh_arc_info *info, void *arg);
	void *init_arg;
};

/**
 * fh_arc_start - start an arc unless one is there
 * @info: if not NULL: on success the new arc, on -EEXIST the one that is
 *        there, marked if its type differs from the one asked for
 *
 * Threads:   any number at once: of those with one pair, one wins.
 * Progress:  lock-free, but for malloc, @init and the observers.
 * Ordering:  release on success; acquire on failure.
 * Ownership: names are copied.
 * Errors:    -EEXIST: an active arc is there; -EINPROGRESS: one is being
 *            started; -EINVAL: an empty name, twice the same name, or no
 *            such type; -ENOMEM: no memory; -EAGAIN: the hard bound of
 *            fh_rcu is reached; or what @init returned.  Nothing is left
 *            behind.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_arc_start(struct fh_arcs *arcs, const struct fh_arc_request *request,
		 struct fh_arc_info *info);

/**
 * fh_arc_start_wait - start an arc, or join the one that is there
 * @deadline: how long to wait for another's initialiser
 * @info:     if not NULL: the arc; info->joined says that another caller
 *            started it, info->type_differs that it is of another type
 *
 * If the other's initialiser fails, one of those who wait wins next and runs
 * its own.
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design, and only on the same pair.
 * Ordering:  acquire and release.
 * Ownership: names are copied.
 * Errors:    -ETIMEDOUT: the deadline passed while another was starting it;
 *            -EINVAL, -ENOMEM, -EAGAIN and what @init returned, as
 *            fh_arc_start.
 * Context:   outside read sections, and not in the @init of the same pair.
 */
int fh_arc_start_wait(struct fh_arcs *arcs,
		      const struct fh_arc_request *request, int64_t deadline,
		      struct fh_arc_info *info);

/**
 * fh_arc_claim - the first step alone; request->init is not run
 * @claim: receives the claim, to publish or abandon, on any thread
 *
 * Threads:   any number at once: of those with one pair, one wins.
 * Progress:  lock-free, but for malloc.
 * Ordering:  acquire and release.
 * Ownership: the claim is the caller's; names are copied.
 * Errors:    as fh_arc_start.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_arc_claim(struct fh_arcs *arcs, const struct fh_arc_request *request,
		 struct fh_arc_ticket **claim, struct fh_arc_info *info);

/**
 * fh_arc_publish - the second step: the arc is active from here on
 * @info: if not NULL: receives the arc
 *
 * Threads:   one call for each claim.
 * Progress:  lock-free, but for the observers.
 * Ordering:  release.
 * Ownership: the claim is used up.
 * Errors:    none.
 * Context:   outside read sections; not in a signal handler.
 */
void fh_arc_publish(struct fh_arc_ticket *claim, struct fh_arc_info *info);

/**
 * fh_arc_abandon - the other second step: nothing happened
 *
 * Threads:   one call for each claim.
 * Progress:  lock-free.
 * Ordering:  release.
 * Ownership: the claim is used up.
 * Errors:    none.
 * Context:   outside read sections; not in a signal handler.
 */
void fh_arc_abandon(struct fh_arc_ticket *claim);

/**
 * struct fh_arc_step - how to progress; zero bytes: whatever is available
 * @generation: the arc meant, or FH_ARC_ANY
 * @event:      force this event, whatever the phase; NULL: the first that
 *              is available in the present phase
 * @derive:     if not NULL: gives the next phase instead of the event's; it
 *              may run several times, and its last result counts
 * @derive_arg: passed to @derive
 */
struct fh_arc_step {
	uint64_t generation;
	const char *event;
	unsigned (*derive)(const struct fh_arc_info *info,
			   const struct fh_arc_event *event, void *arg);
	void *derive_arg;
};

/**
 * fh_arc_progress - let one event happen
 * @step: NULL is the same as zero bytes
 * @info: if not NULL: the arc as this call left it; on -EPERM, -ENOMSG and
 *        -ETIME as it is
 *
 * A step into a final phase ends the arc as completed, in the same change.
 *
 * Threads:   any number at once: each success counts one event.
 * Progress:  lock-free, but for malloc and the observers.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: none.
 * Errors:    -ENOENT: no active arc; -ESTALE: the generation is another;
 *            -ETIME: the arc has expired; -ENOMSG: no event is available in
 *            this phase; -EINVAL: the type has no such event, or the names
 *            are none; -EPERM: the table does not let the next phase
 *            follow; -ENOMEM: no memory; -EAGAIN: the hard bound of fh_rcu
 *            is reached.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_arc_progress(struct fh_arcs *arcs, const char *first,
		    const char *second, const struct fh_arc_step *step,
		    struct fh_arc_info *info);

/**
 * fh_arc_end - end an arc
 * @generation: the arc meant, or FH_ARC_ANY
 * @how:        FH_ARC_COMPLETED or FH_ARC_CANCELLED
 * @reason:     for the observers; may be NULL
 * @info:       if not NULL: the arc as it ended
 *
 * Threads:   any number at once: one wins.
 * Progress:  lock-free, but for the observers; needs no memory.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: @reason is used during the call.
 * Errors:    -ENOENT: no active arc, or another call ended it first;
 *            -ESTALE: the generation is another; -EINVAL: no such ending,
 *            or the names are none; -EAGAIN: the hard bound of fh_rcu is
 *            reached.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_arc_end(struct fh_arcs *arcs, const char *first, const char *second,
	       uint64_t generation, enum fh_arc_state how, const char *reason,
	       struct fh_arc_info *info);

/**
 * fh_arc_get - a consistent snapshot of the active arc of a pair
 *
 * Threads:   any number at once.
 * Progress:  wait-free; names beyond 200 bytes together cost a malloc.
 * Ordering:  acquire.
 * Ownership: the snapshot is the caller's.
 * Errors:    -ENOENT: no active arc; -EINVAL: an empty name or twice the
 *            same; -ENOMEM: no memory to join two long names.
 * Context:   anywhere but a signal handler.
 */
int fh_arc_get(struct fh_arcs *arcs, const char *first, const char *second,
	       struct fh_arc_info *info);

/**
 * fh_arc_for_each - visit the active arcs
 * @visit: called with nothing held; a result other than 0 ends the walk
 *
 * An arc that is active from the beginning of the call to its end is visited
 * exactly once, one that starts or ends meanwhile at most once.
 *
 * Returns how many were visited.
 *
 * Threads:   any number at once.
 * Progress:  wait-free but for @visit.
 * Ordering:  acquire on each arc.
 * Ownership: names and snapshot are valid during @visit.
 * Errors:    none.
 * Context:   outside read sections; @visit may call the registry.
 */
size_t fh_arc_for_each(struct fh_arcs *arcs,
		       int (*visit)(const struct fh_arc_names *names,
				    const struct fh_arc_info *info, void *arg),
		       void *arg);

/** What a policy wants done with an arc. */
enum fh_arc_decision {
	FH_ARC_DO_NOTHING,
	FH_ARC_DO_PROGRESS,
	FH_ARC_DO_COMPLETE,
	FH_ARC_DO_CANCEL
};

/** A policy; @step is zeroed, to be filled in for FH_ARC_DO_PROGRESS. */
typedef enum fh_arc_decision (*fh_arc_policy)(const struct fh_arc_names *names,
					      const struct fh_arc_info *info,
					      struct fh_arc_step *step,
					      void *arg);

/** What fh_arc_process_all did; each arc is counted once in @processed. */
struct fh_arc_tally {
	uint64_t processed;
	uint64_t completed;	/* ended by this call, as completed */
	uint64_t cancelled;	/* ended by this call */
	uint64_t expired;	/* ended by this call for their age */
	uint64_t progressed;	/* by this call, and still running */
	uint64_t failed;	/* no event, no legal phase, no memory */
};

/**
 * fh_arc_process_all - end what has expired, and apply a policy to the rest
 * @policy: NULL: progress each arc by the first event available
 * @tally:  if not NULL: filled in
 *
 * An arc that another thread ends meanwhile is processed before or not at
 * all.
 *
 * Threads:   any number at once.
 * Progress:  lock-free, but for malloc, @policy and the observers.
 * Ordering:  as fh_arc_progress and fh_arc_end.
 * Ownership: none.
 * Errors:    none: what could not be done is counted in tally->failed.
 * Context:   outside read sections; @policy may call the registry.
 */
void fh_arc_process_all(struct fh_arcs *arcs, fh_arc_policy policy, void *arg,
			struct fh_arc_tally *tally);

/**
 * fh_arc_observe - have @observer called for some changes
 * @changes: FH_ARC_STARTED | FH_ARC_PROGRESSED | FH_ARC_ENDED
 * @release: if not NULL: called once with @arg when no call of the observer
 *           is running or can begin any more
 * @id:      receives what fh_arc_unobserve takes
 *
 * Threads:   any number at once, beside notifications.
 * Progress:  lock-free, but for malloc.
 * Ordering:  a transition that begins after the return is observed.
 * Ownership: @arg belongs to the registry until @release.
 * Errors:    -ENOMEM: no memory; -EINVAL: no observer or no changes;
 *            -EAGAIN: the hard bound of fh_rcu is reached.  Nothing was
 *            changed, and @release is not called.
 * Context:   outside read sections; an observer may call it.
 */
int fh_arc_observe(struct fh_arcs *arcs, unsigned changes,
		   fh_arc_observer observer, void *arg,
		   void (*release)(void *arg), uint64_t *id);

/**
 * fh_arc_unobserve - stop calling an observer
 *
 * A call that has begun runs to its end; none begins after the return.
 *
 * Threads:   any number at once, beside notifications.
 * Progress:  lock-free.
 * Ordering:  acquire and release.
 * Ownership: @release is called when the last running call ended, perhaps
 *            on another thread.
 * Errors:    -ENOENT: no such observer (any more).
 * Context:   outside read sections; an observer may call it, for itself too.
 */
int fh_arc_unobserve(struct fh_arcs *arcs, uint64_t id);

/** What a registry has seen.  Counts are exact at rest. */
struct fh_arcs_stats {
	uint64_t active;
	uint64_t started;
	uint64_t refused;	/* -EEXIST and -EINPROGRESS; joins are none */
	uint64_t abandoned;	/* starts whose initialiser failed */
	uint64_t progressed;
	uint64_t ended;
	uint64_t observer_failures;
};

/**
 * fh_arcs_get_stats - what the registry has seen
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
void fh_arcs_get_stats(struct fh_arcs *arcs, struct fh_arcs_stats *stats);

FH_END_DECLS

#endif
