/* SPDX-License-Identifier: MIT */
/*
 * A supervisor: it runs functions on threads, and every task ends exactly
 * once, whatever happens to the thread that runs it.
 *
 *     static int work(struct fh_task *task, void *arg)
 *     {
 *             while (more(arg))
 *                     if (fh_task_is_cancelled(task))
 *                             return -ECANCELED;
 *             return 0;
 *     }
 *
 *     fh_task_submit(tasks, &(struct fh_task_request){
 *             .run = work, .arg = job }, &task);
 *     fh_task_wait(task, FH_FOREVER, &info);    // info.state: how it ended
 *     fh_task_release(task);
 *
 * A task is queued, then launched, then running, then exactly one of
 * completed, failed, cancelled and crashed.  The first report of its end
 * wins by a compare-exchange; each later one is dropped and counted.  What
 * the task gives and why it failed are stored before the state that says so,
 * and are handed over once.
 *
 * A function that ends its thread, by pthread_exit or because somebody
 * cancels the thread, crashes its task and nothing else: the end of the
 * thread is observed as it happens, on the thread.  A sweep looks for threads
 * that vanished past every hook (a raw exit system call).  A task has a
 * thread only from the moment at which this thread itself has said so:
 * neither hook nor sweep can report the death of one that has yet to start.
 *
 * Tasks run each on a thread of its own, or on a pool of at most so many, or,
 * one after the other in the order of submission, on the main thread: the
 * one that created the supervisor.
 *
 * Caveats, before the features:
 *
 *  - A running task is cancelled by asking: it must poll, or sleep in
 *    fh_task_cancel_wait.
 *  - Task functions, observers and release functions run on threads of the
 *    supervisor.  Only a task's function may end its thread, and none may
 *    detach or join it.
 *  - A forked child has none of the threads.  There every function that could
 *    wait for one says -ECHILD, and the rest shows the past.  A task that
 *    forks must not return in the child.
 */
#ifndef FREEHOLD_TASK_H
#define FREEHOLD_TASK_H

#include <freehold/base.h>

FH_BEGIN_DECLS

/** A supervisor. */
struct fh_tasks;

/** A task, counted: whoever holds a reference may use it, also afterwards. */
struct fh_task;

/** Where a task is in its life; the last four are final. */
enum fh_task_state {
	FH_TASK_QUEUED,		/* may still be taken out, by fh_task_cancel */
	FH_TASK_LAUNCHED,	/* a thread has it, or is being created */
	FH_TASK_RUNNING,	/* its thread has said so */
	FH_TASK_COMPLETED,
	FH_TASK_FAILED,
	FH_TASK_CANCELLED,
	FH_TASK_CRASHED		/* its thread ended inside the function */
};

/** Has a task in this state ended? */
#define FH_TASK_IS_OVER(state) ((state) >= FH_TASK_COMPLETED)

/** Where a task runs. */
enum fh_task_queue {
	FH_TASK_THREAD,		/* a thread of its own, or the pool */
	FH_TASK_MAIN		/* the main thread, first in, first out */
};

/**
 * A task's function.  It returns 0: completed; -ECANCELED: cancelled; any
 * other negative errno value: failed.  A positive result is -EPROTO, failed.
 */
typedef int (*fh_task_function)(struct fh_task *task, void *arg);

/**
 * struct fh_task_info - a task at one moment
 * @id:        unique in its supervisor, from 1 on
 * @name:      as submitted, or NULL; valid as long as the task
 * @arg:       as submitted; valid as long as the caller's reference, if it is
 *             released with the task
 * @state:     what it was at that moment
 * @queue:     where it runs
 * @asked:     not 0: fh_task_cancel was called before it ended
 * @error:     0 unless it ended otherwise than completed; then a negative
 *             errno value: -ECANCELED, -EOWNERDEAD for a crash, what
 *             pthread_create said, or what the function reported
 * @cause:     for people; never NULL once the task ended otherwise than
 *             completed: "thread death" for a crash; valid as long as the task
 * @submitted: when, on the clock of fh_now
 * @started:   when its thread began to run it; 0: not yet, or never
 * @ended:     when it ended; 0: not yet
 */
struct fh_task_info {
	uint64_t id;
	const char *name;
	void *arg;
	enum fh_task_state state;
	enum fh_task_queue queue;
	int asked;
	int error;
	const char *cause;
	int64_t submitted;
	int64_t started;
	int64_t ended;
};

/**
 * An observer: called once for each state that a task enters, FH_TASK_QUEUED
 * first.  The calls for one task come one after the other and in order, on
 * threads that changed its state, with nothing held.  @info is of the moment
 * of the change.  It may call everything but what waits for this task, and
 * must return.
 */
typedef void (*fh_task_observer)(struct fh_task *task,
				 const struct fh_task_info *info, void *arg);

/** The limit of tasks where the options name none. */
#define FH_TASKS_LIMIT 65536

/** The largest pool. */
#define FH_TASKS_THREADS 4096

/**
 * struct fh_tasks_options - how to create a supervisor; zero bytes will do
 * @threads:      0: each task has a thread of its own; else the size of the
 *                pool, whose threads are created as they are needed
 * @limit:        most tasks that were submitted and have not ended; 0:
 *                FH_TASKS_LIMIT.  One that was cancelled while queued counts
 *                until its turn in the queue has come.
 * @stack_size:   of each thread; 0: the system's default
 * @sweep_every:  nanoseconds between two sweeps by a thread of the
 *                supervisor; 0: none, fh_tasks_sweep is left to the caller
 * @observer:     may be NULL
 * @observer_arg: passed to @observer
 * @release:      if not NULL: called once with @observer_arg, when nothing of
 *                the supervisor is left
 *
 * Threads have the signal mask of the thread that created the supervisor.
 */
struct fh_tasks_options {
	unsigned threads;
	size_t limit;
	size_t stack_size;
	int64_t sweep_every;
	fh_task_observer observer;
	void *observer_arg;
	void (*release)(void *observer_arg);
};

/**
 * fh_tasks_create - a supervisor without tasks
 * @options: NULL is the same as zero bytes
 *
 * The caller is its main thread from now on.
 *
 * Threads:   any number at once.
 * Progress:  as malloc; with @sweep_every as pthread_create.
 * Ordering:  none; publish the pointer with release.
 * Ownership: the supervisor is the caller's, to end with fh_tasks_destroy.
 * Errors:    -ENOMEM: no memory; -EINVAL: more than FH_TASKS_THREADS threads,
 *            more than 2^31 - 1 tasks, a stack size that the system refuses,
 *            or a negative interval; -EAGAIN: the thread that sweeps cannot
 *            be created.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_tasks_create(struct fh_tasks **tasks,
		    const struct fh_tasks_options *options);

/**
 * fh_tasks_destroy - end of life; does not wait
 * @tasks: NULL is allowed and does nothing
 *
 * Queued tasks are cancelled, running ones are asked.  After a shutdown that
 * returned 0 nothing is left and this frees the memory.  Otherwise the tasks
 * that are left run on, observed, and the last of them frees it.
 *
 * Threads:   the only one to use the supervisor from now on, but for its own
 *            threads and tasks.
 * Progress:  lock-free, but for release functions and observers.
 * Ordering:  acquire and release.
 * Ownership: the supervisor is gone; references to tasks stay valid.
 * Errors:    none.
 * Context:   outside read sections; a task of its own may call it.
 */
void fh_tasks_destroy(struct fh_tasks *tasks);

/**
 * struct fh_task_request - what to run
 * @run:     required
 * @arg:     passed to @run
 * @release: if not NULL: called once with @arg when the task has ended and
 *           nobody refers to it any more; not if the submission fails
 * @name:    if not NULL: no other task of this name may be there that has
 *           not ended; copied
 * @queue:   where to run it
 */
struct fh_task_request {
	fh_task_function run;
	void *arg;
	void (*release)(void *arg);
	const char *name;
	enum fh_task_queue queue;
};

/**
 * fh_task_submit - have a function run
 * @task: if not NULL: receives a reference
 *
 * A thread that cannot be created is no error of this call: the task fails,
 * with what pthread_create said.  In a pool that happens only if it has no
 * thread at all.
 *
 * Threads:   any number at once, tasks and observers included.
 * Progress:  lock-free, but for malloc, pthread_create and the observer.
 * Ordering:  release: the function sees what came before.
 * Ownership: @arg belongs to the task until @release.
 * Errors:    -EINVAL: no function, or no such queue; -EBUSY: the limit of
 *            tasks is reached; -EEXIST: a task of this name has not ended;
 *            -ESHUTDOWN: the supervisor is closed; -ENOMEM: no memory;
 *            -EAGAIN: the hard bound of fh_rcu is reached; -ECHILD: this is
 *            a forked child.  Nothing was changed.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_task_submit(struct fh_tasks *tasks,
		   const struct fh_task_request *request,
		   struct fh_task **task);

/**
 * fh_task_hold - one reference more
 *
 * Threads:   any number at once, by holders of a reference.
 * Progress:  wait-free.
 * Ordering:  none.
 * Ownership: the new reference is the caller's.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
void fh_task_hold(struct fh_task *task);

/**
 * fh_task_release - give a reference back
 * @task: NULL is allowed and does nothing
 *
 * Threads:   any number at once.
 * Progress:  wait-free, but for the release functions that it may run.
 * Ordering:  what holders did comes before the release functions.
 * Ownership: the reference is gone.
 * Errors:    none.
 * Context:   inside or outside a read section; not in a signal handler.
 */
void fh_task_release(struct fh_task *task);

/**
 * fh_task_self - the task that the calling thread runs, or NULL
 *
 * Threads:   any number at once; answers for the caller alone.
 * Progress:  wait-free.
 * Ordering:  none.
 * Ownership: valid as long as the function runs; hold it to keep it.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
struct fh_task *fh_task_self(void);

/**
 * fh_task_get_info - a consistent look at a task
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  acquire: what came before the state is visible.
 * Ownership: the texts are valid as long as the caller's reference.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
void fh_task_get_info(struct fh_task *task, struct fh_task_info *info);

/**
 * fh_task_cancel - ask a task to end
 *
 * One that is still queued is cancelled by this call and will not run.
 *
 * Threads:   any number at once.
 * Progress:  lock-free, but for the observer; a system call only if the task
 *            or somebody else sleeps for it.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: none.
 * Errors:    -EALREADY: it was asked before; -ESRCH: it has ended; -ECHILD:
 *            a forked child.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_task_cancel(struct fh_task *task);

/**
 * fh_task_is_cancelled - was the task asked to end?
 *
 * Threads:   any number at once.
 * Progress:  wait-free: one load.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
int fh_task_is_cancelled(struct fh_task *task);

/**
 * fh_task_cancel_wait - sleep until the task is asked to end
 * @deadline: when to go on
 *
 * A task sleeps in it for a while and is woken by a cancellation.
 *
 * Threads:   any number at once, mostly the task's own.
 * Progress:  blocking, by design.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    -ETIMEDOUT: the deadline passed first; -ESRCH: the task ended
 *            without having been asked; -ECHILD: a forked child, and not
 *            from within the task.
 * Context:   outside read sections and signal handlers.
 */
int fh_task_cancel_wait(struct fh_task *task, int64_t deadline);

/**
 * fh_task_set_output - what the task gives if its function returns
 * @release: if not NULL: called once with @output if nobody takes it
 *
 * A second call replaces and releases what the first one gave.
 *
 * Threads:   the task's own.
 * Progress:  wait-free, but for @release.
 * Ordering:  the end of the task publishes it.
 * Ownership: @output belongs to the task until it is taken or released.
 * Errors:    -EPERM: the caller is not the running task.
 * Context:   inside the task's function.
 */
int fh_task_set_output(struct fh_task *task, void *output,
		       void (*release)(void *output));

/**
 * fh_task_set_cause - why the function will return an error, for people
 * @cause: copied
 *
 * Threads:   the task's own.
 * Progress:  as malloc.
 * Ordering:  the end of the task publishes it.
 * Ownership: the copy is the task's.
 * Errors:    -ENOMEM: no memory, the cause before stands; -EPERM: the caller
 *            is not the running task.
 * Context:   inside the task's function.
 */
int fh_task_set_cause(struct fh_task *task, const char *cause);

/**
 * struct fh_task_report - how a task ended
 * @state:   FH_TASK_COMPLETED, FH_TASK_FAILED or FH_TASK_CANCELLED
 * @error:   a negative errno value; 0: none, -EIO for a failure, -ECANCELED
 *           for a cancellation
 * @cause:   may be NULL; copied by fh_task_end
 * @output:  may be NULL
 * @release: if not NULL: how to release @output if nobody takes it
 */
struct fh_task_report {
	enum fh_task_state state;
	int error;
	const char *cause;
	void *output;
	void (*release)(void *output);
};

/**
 * fh_task_end - report the end of a running task, from wherever
 *
 * For a task whose result is known before its function returns, or on
 * another thread.  The function runs on; what it gives is then dropped.
 *
 * Threads:   any number at once: one wins, against the function too.
 * Progress:  lock-free, but for malloc and the observer.
 * Ordering:  release on success; acquire on failure.
 * Ownership: on success @output is the task's; otherwise the caller's.
 * Errors:    -EALREADY: another report was first, and this one is dropped;
 *            the state may have yet to follow it; -EBUSY: it does not run
 *            yet; -ENOMEM: no memory; -EINVAL: no such ending,
 *            or an error that does not fit; -ECHILD: a forked child.
 * Context:   outside read sections; not in a signal handler.  From outside
 *            of the task, not after fh_tasks_destroy.
 */
int fh_task_end(struct fh_task *task, const struct fh_task_report *report);

/**
 * fh_task_take - take over how a task ended: one caller does
 * @report: receives state, error, cause and output; the cause is valid as
 *          long as the caller's reference
 *
 * Threads:   any number at once: one wins.
 * Progress:  wait-free.
 * Ordering:  acquire.
 * Ownership: on success the output is the caller's, who releases it.
 * Errors:    -EBUSY: the task has not ended; -EALREADY: it was taken.
 * Context:   anywhere but a signal handler.
 */
int fh_task_take(struct fh_task *task, struct fh_task_report *report);

/**
 * fh_task_wait - wait until a task has ended
 * @info: if not NULL: the task as it is, also on timeout
 *
 * The observer's call for the end may still run on another thread.
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design; returns at once if it has ended.
 * Ordering:  acquire.
 * Ownership: as fh_task_get_info.
 * Errors:    -ETIMEDOUT: the deadline passed first; -EDEADLK: the task waits
 *            for itself; -ECHILD: a forked child, and it has not ended.
 * Context:   outside read sections and signal handlers.
 */
int fh_task_wait(struct fh_task *task, int64_t deadline,
		 struct fh_task_info *info);

/**
 * fh_task_wait_any - wait until one of several tasks has ended
 * @task:  @count of them; of different supervisors, if you like
 * @index: receives the lowest index of those that have
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design; returns at once if one has ended.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    -EINVAL: no tasks; -ETIMEDOUT, -EDEADLK, -ECHILD: as
 *            fh_task_wait; -EDEADLK only if there is no other task.
 * Context:   outside read sections and signal handlers.
 */
int fh_task_wait_any(struct fh_task *const *task, size_t count,
		     int64_t deadline, size_t *index);

/**
 * fh_task_wait_all - wait until all of several tasks have ended
 * @ended: if not NULL: receives how many have, also on timeout
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    -ETIMEDOUT, -EDEADLK, -ECHILD: as fh_task_wait.
 * Context:   outside read sections and signal handlers.
 */
int fh_task_wait_all(struct fh_task *const *task, size_t count,
		     int64_t deadline, size_t *ended);

/**
 * fh_tasks_find - the task of this name that has not ended
 * @task: receives a reference
 *
 * Threads:   any number at once.
 * Progress:  lock-free: a retry means that somebody else took a reference.
 * Ordering:  acquire.
 * Ownership: the reference is the caller's.
 * Errors:    -ENOENT: no such task.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_tasks_find(struct fh_tasks *tasks, const char *name,
		  struct fh_task **task);

/**
 * fh_tasks_get - the task with this number, if it has not ended
 * @task: receives a reference
 *
 * Threads:   any number at once.
 * Progress:  lock-free: a retry means that somebody else took a reference.
 * Ordering:  acquire.
 * Ownership: the reference is the caller's.
 * Errors:    -ENOENT: no such task.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_tasks_get(struct fh_tasks *tasks, uint64_t id, struct fh_task **task);

/**
 * fh_tasks_for_each - visit the tasks that have not ended
 * @visit: a result other than 0 ends the walk
 *
 * A task that is there from the beginning of the call to its end is visited
 * exactly once, one that comes or goes meanwhile at most once.
 *
 * Returns how many were visited.
 *
 * Threads:   any number at once.
 * Progress:  wait-free but for @visit.
 * Ordering:  acquire on each task.
 * Ownership: the texts in the info are valid during @visit.
 * Errors:    none.
 * Context:   inside or outside a read section; @visit runs inside one, so it
 *            must not wait, submit or cancel; fh_tasks_get gives it a
 *            reference for later.
 */
size_t fh_tasks_for_each(struct fh_tasks *tasks,
			 int (*visit)(const struct fh_task_info *info,
				      void *arg),
			 void *arg);

/** What a supervisor has seen.  Counts are exact at rest. */
struct fh_tasks_stats {
	uint64_t live;		/* submitted and not ended; the next two, */
	uint64_t queued;	/* not launched */
	uint64_t running;	/* and those that are launched and not yet */
	uint64_t submitted;
	uint64_t completed;
	uint64_t failed;
	uint64_t cancelled;
	uint64_t crashed;
	uint64_t dropped;	/* reports that came after the first */
	uint64_t refused;	/* submissions over the limit */
	uint64_t swept;		/* crashes that only a sweep found */
	uint64_t threads;	/* that exist for it now */
	uint64_t created;	/* threads ever */
};

/**
 * fh_tasks_get_stats - what the supervisor has seen
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
void fh_tasks_get_stats(struct fh_tasks *tasks, struct fh_tasks_stats *stats);

/**
 * fh_tasks_sweep - look for threads that vanished past every hook
 *
 * Returns how many tasks it reported as crashed; finds their threads only
 * when these are gone for good, and never one that has yet to start.
 *
 * Threads:   any number at once; one sweeps, the others return 0.
 * Progress:  lock-free, but for the observer and pthread_create.
 * Ordering:  acquire and release.
 * Ownership: none.
 * Errors:    none.
 * Context:   outside read sections; not in a signal handler.
 */
size_t fh_tasks_sweep(struct fh_tasks *tasks);

/**
 * fh_tasks_run_main_wait - run the tasks of the main queue as they come
 * @deadline: when to return; 0 runs what is there
 *
 * Returns 0 when the supervisor is closed and no task is left in it, in the
 * main queue or elsewhere.
 *
 * Threads:   the main thread: the one that created the supervisor.
 * Progress:  blocking, by design.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    -ETIMEDOUT: the deadline has passed; -EPERM: another thread;
 *            -EDEADLK: called by a task; -ECHILD: a forked child.
 * Context:   outside read sections, tasks and observers.
 */
int fh_tasks_run_main_wait(struct fh_tasks *tasks, int64_t deadline);

/**
 * fh_tasks_close - take no more tasks
 *
 * Threads:   any number at once.
 * Progress:  lock-free.
 * Ordering:  acquire and release.
 * Ownership: none.
 * Errors:    none; a second call does nothing.
 * Context:   outside read sections; not in a signal handler.
 */
void fh_tasks_close(struct fh_tasks *tasks);

/** What a shutdown does with tasks that have not ended. */
enum fh_tasks_shutdown {
	FH_TASKS_DRAIN,		/* waits for them, the queued ones too */
	FH_TASKS_CANCEL		/* cancels the queued, asks the others, waits */
};

/**
 * fh_tasks_shutdown_wait - close, and wait until all tasks and threads ended
 * @how:      what to do with those that have not
 * @deadline: when to give up
 * @left:     if not NULL: on -ETIMEDOUT called for each task that is left,
 *            as fh_tasks_for_each
 *
 * On the main thread it runs the main queue meanwhile; on another one it
 * waits for the main thread to do so.  It sweeps while it waits.  After
 * -ETIMEDOUT it may be called again.
 *
 * When it returns 0, every task has ended, every observer and release
 * function that their threads called has returned, and every thread has been
 * joined.
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design.
 * Ordering:  acquire: what the tasks did is visible.
 * Ownership: none.
 * Errors:    -ETIMEDOUT: the deadline passed, and tasks or threads are left;
 *            -EDEADLK: called by a task of this supervisor; -EINVAL: no such
 *            way; -ECHILD: a forked child.
 * Context:   outside read sections, tasks and observers.
 */
int fh_tasks_shutdown_wait(struct fh_tasks *tasks, enum fh_tasks_shutdown how,
			   int64_t deadline,
			   int (*left)(const struct fh_task_info *info,
				       void *arg),
			   void *arg);

FH_END_DECLS

#endif
