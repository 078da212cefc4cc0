/* SPDX-License-Identifier: MIT */
/*
 * appose_worker: runs Lua scripts for an Appose service, several at a time.
 *
 *     stdin --> the reader's thread --> job_submit --> a thread for each task,
 *                                            \         or the main queue
 *                                             \             |
 *     stdout <-- the writer's thread <---------+------------+
 *
 * Three threads of the program's own: one reads requests, one writes
 * responses, and one writes to standard error what is for people.  The main
 * thread runs the tasks of the main queue.
 *
 * Standard input and output are moved to other descriptors at the beginning.
 * In their places are nothing to read, and standard error to write to.  So
 * no script, no library and no child process can take a request away or break
 * a response.
 *
 * The end.  After an empty line, or the end of the input, no task is taken;
 * those that are there run to their ends, and the worker exits with status 0.
 * If nobody reads the responses any more, nothing that the tasks do can
 * matter: they are asked to end, then stopped, and the status is 1.
 */
#include "job.h"
#include "memory.h"
#include "options.h"

#include <freehold/rcu.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Bytes of messages that may wait to be read. */
#define LOG_BOUND ((size_t)1 << 20)

/* Enough for two hundred levels of C, which is as deep as Lua goes. */
#define STACK_SIZE ((size_t)4 << 20)

#define SECOND INT64_C(1000000000)

/* How often to look for threads that ended past every hook. */
#define SWEEP_EVERY (SECOND / 4)

/* How long tasks may take to end when nobody waits for them any more. */
#define ABANDONED_FOR (5 * SECOND)

/* ------------------------------------------------------------------- log */

/* Text from elsewhere must not begin a new line. */
static void flatten(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ')
			*text = ' ';
}

void worker_log(struct worker *worker, const char *format, ...)
{
	uint64_t dropped = outlet_dropped(worker->log);
	char text[1024];
	va_list args;

	if (dropped) {
		snprintf(text, sizeof(text), "%llu messages were dropped",
			 (unsigned long long)dropped);
		outlet_put(worker->log, response_text(text, strlen(text)),
			   OUTLET_DROP);
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	flatten(text);
	outlet_put(worker->log, response_text(text, strlen(text)),
		   OUTLET_DROP);
}

static void log_is_broken(int error, void *arg)
{
	(void)error;
	(void)arg;
}

/* --------------------------------------------------------------- reading */

/* Wait for input or the wake-up; 0: input, -ECANCELED: wake-up. */
static int wait_input(const struct worker *worker)
{
	struct pollfd fds[] = {
		{ .fd = worker->input, .events = POLLIN },
		{ .fd = worker->wake, .events = POLLIN },
	};

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return fds[1].revents ? -ECANCELED : 0;
}

static ssize_t read_input(void *arg, void *into, size_t size)
{
	const struct worker *worker = arg;
	ssize_t count;
	int rc;

	do {
		rc = wait_input(worker);
		if (rc)
			return rc;
		count = read(worker->input, into, size);
	} while (count < 0 && (errno == EINTR || errno == EAGAIN));
	return count < 0 ? -errno : count;
}

/*
 * A task that the service waits for fails; one that runs must not: its own
 * terminal response is yet to come.
 */
static void bad_request(struct worker *worker, const struct request *request)
{
	char text[sizeof(request->wrong) + 32];

	snprintf(text, sizeof(text), "Invalid request: %s", request->wrong);
	worker_log(worker, "%s", text);
	if (request->task[0] && !job_is_live(worker, request->task))
		job_refuse(worker, request->task, text);
}

/* Do as it says; false: that was the last one. */
static bool serve(struct worker *worker, struct request *request)
{
	switch (request->kind) {
	case REQUEST_END:
		return false;
	case REQUEST_EXECUTE:
		job_submit(worker, request);
		break;
	case REQUEST_CANCEL:
		if (job_ask(worker, request->task))
			worker_log(worker, "No such task: %s", request->task);
		break;
	case REQUEST_BAD:
		bad_request(worker, request);
		break;
	}
	request_release(request);
	return true;
}

/* What lines_next said is a request, or the lack of one; false: the end. */
static bool serve_line(struct worker *worker, const struct line *line, int rc)
{
	struct request request;

	if (rc == -EMSGSIZE)
		request_salvage(&request, line->text, line->length,
				"the line has %llu bytes; the limit is %zu",
				(unsigned long long)line->whole,
				worker->options.max_line);
	else if (rc == -ENOMEM)
		request_salvage(&request, line->text, line->length,
				"not enough memory for a line of %llu bytes",
				(unsigned long long)line->whole);
	else
		request_parse(&request, line->text, line->length,
			      worker->options.max_memory);
	return serve(worker, &request);
}

/* Serve until there is nothing to read, or nobody to answer. */
static int read_requests(struct worker *worker)
{
	struct lines lines;
	struct line line;
	int rc;

	rc = lines_begin(&lines, read_input, worker, worker->options.max_line);
	if (rc)
		return rc;
	do
		rc = lines_next(&lines, &line);
	while ((rc == 1 || rc == -EMSGSIZE || rc == -ENOMEM) &&
	       serve_line(worker, &line, rc));
	lines_end(&lines);
	return rc > 0 ? 0 : rc;
}

static int name_left(const struct fh_task_info *info, void *arg)
{
	worker_log(arg, "Task left: %s", info->name);
	return 0;
}

static void wait_wake(const struct worker *worker)
{
	struct pollfd wake = { .fd = worker->wake, .events = POLLIN };

	while (poll(&wake, 1, -1) < 0 && errno == EINTR)
		;
}

/* Ask all tasks to end; their scripts are stopped.  Who hangs, hangs. */
static void abandon_tasks(struct worker *worker)
{
	fh_tasks_shutdown_wait(worker->tasks, FH_TASKS_CANCEL, 0, NULL, NULL);
	if (!fh_status_wait(&worker->drained, FH_STATE(true),
			    fh_deadline_in(ABANDONED_FOR), NULL))
		return;
	fh_tasks_for_each(worker->tasks, name_left, worker);
	_exit(1);
}

/*
 * Read; then wait for the main thread to say that all tasks have ended, or
 * for the writer to say that nobody waits for them any more.
 */
static void *reader(void *arg)
{
	struct worker *worker = arg;
	int rc = read_requests(worker);

	if (rc && rc != -ECANCELED)
		worker_log(worker, "Cannot read requests: %s", strerror(-rc));
	fh_tasks_close(worker->tasks);
	wait_wake(worker);
	if (fh_status_get(&worker->life) == WORKER_IS_ABANDONED)
		abandon_tasks(worker);
	return NULL;
}

static void wake_reader(struct worker *worker)
{
	const uint64_t one = 1;

	/* Only if the counter were full would this fail. */
	if (write(worker->wake, &one, sizeof(one)) != sizeof(one))
		_exit(1);
}

/* ------------------------------------------------------------- beginning */

/* Called on the writer's thread: nobody reads the responses. */
static void responses_are_broken(int error, void *arg)
{
	struct worker *worker = arg;

	fh_status_set(&worker->life, WORKER_IS_ABANDONED);
	worker_log(worker, "Cannot write responses: %s", strerror(-error));
	wake_reader(worker);
}

/* Move the two streams away; see the top.  The new descriptor of stdout. */
static int move_streams(struct worker *worker)
{
	int null = open("/dev/null", O_RDWR), output;

	/* Standard error may not be there, and the places must be taken. */
	while (null >= 0 && null <= 2)
		null = dup(null);
	worker->input = fcntl(0, F_DUPFD_CLOEXEC, 3);
	output = fcntl(1, F_DUPFD_CLOEXEC, 3);
	if (null < 0 || worker->input < 0 || output < 0 ||
	    dup2(null, 0) < 0 || dup2(2, 1) < 0)
		return -errno;
	close(null);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return output;
}

static int open_all(struct worker *worker)
{
	const struct fh_tasks_options options = {
		.threads = (unsigned)worker->options.threads,
		.limit = worker->options.max_tasks,
		.stack_size = STACK_SIZE,
		.sweep_every = SWEEP_EVERY,
		.observer = job_observe,
		.observer_arg = worker,
	};
	int output = move_streams(worker), rc;

	if (output < 0)
		return output;
	worker->wake = eventfd(0, EFD_CLOEXEC);
	if (worker->wake < 0)
		return -errno;
	rc = outlet_open(&worker->log, 2, LOG_BOUND, log_is_broken, NULL);
	if (!rc)
		rc = outlet_open(&worker->responses, output,
				 worker->options.max_waiting,
				 responses_are_broken, worker);
	if (!rc)
		rc = fh_tasks_create(&worker->tasks, &options);
	return rc;
}

static void do_nothing(int signal)
{
	(void)signal;
}

/*
 * A write nobody reads is to fail, not to end the process.  Caught and not
 * ignored, because programs that scripts run would inherit the latter.
 */
static void catch_sigpipe(void)
{
	const struct sigaction action = {
		.sa_handler = do_nothing,
		.sa_flags = SA_RESTART,
	};

	sigaction(SIGPIPE, &action, NULL);
}

static void *exit_at_once(void *arg)
{
	pthread_exit(arg);
}

/*
 * The first thread that ends by pthread_exit makes the C library load its
 * unwinder, and without memory for that it aborts: let it be now.
 */
static int learn_to_exit(void)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, exit_at_once, NULL);

	return rc ? -rc : -pthread_join(thread, NULL);
}

static void say_hello(struct worker *worker)
{
	json_t *fields;

	if (!worker->options.hello)
		return;
	fields = json_pack("{s:s, s:s}", "implementation", "freehold-lua",
			   "version", worker->options.hello);
	outlet_put(worker->responses, response_new(NULL, "HELLO", fields),
		   OUTLET_WAIT);
}

/* ---------------------------------------------------------------- ending */

static void close_all(struct worker *worker)
{
	fh_tasks_destroy(worker->tasks);
	outlet_close(worker->responses);
	outlet_close(worker->log);
	exports_destroy(&worker->exports);
	fh_rcu_drain_wait(fh_deadline_in(SECOND));
}

int main(int argc, char **argv)
{
	struct worker worker = { 0 };
	pthread_t thread;
	int rc;

	options_parse(&worker.options, argc, argv);
	catch_sigpipe();
	memory_setup();
	rc = learn_to_exit();
	if (!rc)
		rc = open_all(&worker);
	if (!rc) {
		say_hello(&worker);
		rc = -pthread_create(&thread, NULL, reader, &worker);
	}
	if (rc) {
		fprintf(stderr, "appose_worker: cannot start: %s\n",
			strerror(-rc));
		return 1;
	}
	fh_tasks_run_main_wait(worker.tasks, FH_FOREVER);
	fh_status_set(&worker.drained, true);
	wake_reader(&worker);
	pthread_join(thread, NULL);
	fh_tasks_shutdown_wait(worker.tasks, FH_TASKS_DRAIN, FH_FOREVER, NULL,
			       NULL);
	close_all(&worker);
	return fh_status_get(&worker.life) != WORKER_SERVES;
}
