/* SPDX-License-Identifier: MIT */
/* One repetition of a case; bench.h says what is measured how. */
#include "bench.h"
#include "subject.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

const unsigned bench_threads[] = { 1, 2, 8, 0 };
const size_t bench_sizes[] = { 1000, 100000, 0 };
const size_t bench_one[] = { 1, 0 };

BENCH_APART bool bench_stop;

void bench_die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s (%s): ", program_invocation_short_name,
		subject_name());
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void *bench_alloc(size_t bytes)
{
	void *memory = malloc(bytes);

	if (!memory)
		bench_die("no memory for %zu bytes", bytes);
	return memory;
}

void bench_sleep(int64_t ns)
{
	struct timespec left = {
		.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S,
	};

	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		;
}

/* The fields of the present answer; lists lie in one pool. */
static struct {
	const char *name;
	size_t count;		/* 0: one number, and no list */
	const double *values;
} fields[16];
static double pool_of_values[256];
static size_t field_count, value_count;

void bench_field_list(const char *name, const double *values, size_t count)
{
	size_t numbers = count ? count : 1;

	if (field_count == ARRAY_LENGTH(fields) ||
	    value_count + numbers > ARRAY_LENGTH(pool_of_values))
		bench_die("too many fields");
	fields[field_count].name = name;
	fields[field_count].count = count;
	fields[field_count].values = &pool_of_values[value_count];
	memcpy(&pool_of_values[value_count], values,
	       sizeof(*values) * numbers);
	field_count++;
	value_count += numbers;
}

void bench_field(const char *name, double value)
{
	bench_field_list(name, &value, 0);
}

void bench_print_fields(void)
{
	size_t f, i;

	for (f = 0; f < field_count; f++) {
		printf(", \"%s\": ", fields[f].name);
		if (!fields[f].count)
			printf("%.10g", fields[f].values[0]);
		for (i = 0; i < fields[f].count; i++)
			printf("%s%.10g", i ? ", " : "[", fields[f].values[i]);
		if (fields[f].count)
			putchar(']');
	}
}

static pthread_barrier_t barrier;

static void *run_thread(void *arg)
{
	struct bench_thread *self = arg;

	subject_enter();
	pthread_barrier_wait(&barrier);
	self->began = fh_now();
	self->body(self);
	self->ended = fh_now();
	subject_leave();
	return NULL;
}

static void start_thread(struct bench_thread *thread, unsigned index,
			 void (*body)(struct bench_thread *self))
{
	int rc;

	memset(thread, 0, sizeof(*thread));
	thread->index = index;
	thread->body = body;
	bench_draws_of(thread);
	rc = pthread_create(&thread->id, NULL, run_thread, thread);
	if (rc)
		bench_die("no thread: %s", strerror(rc));
}

static void join(struct bench_thread *pool, unsigned from, unsigned to)
{
	for (; from < to; from++)
		pthread_join(pool[from].id, NULL);
}

/* One repetition; the threads' results are in @pool, those counted first. */
static void run_threads(const struct bench_case *row, struct bench_thread *pool,
			unsigned threads, unsigned milliseconds)
{
	unsigned i, all = threads + row->disturbers;

	__atomic_store_n(&bench_stop, false, __ATOMIC_RELAXED);
	pthread_barrier_init(&barrier, NULL, all + 1);
	for (i = 0; i < all; i++)
		start_thread(&pool[i], i,
			     i < threads ? row->body : row->disturb);
	pthread_barrier_wait(&barrier);
	if (row->once)
		join(pool, 0, threads);
	else
		bench_sleep(milliseconds * NS_PER_MS);
	__atomic_store_n(&bench_stop, true, __ATOMIC_RELAXED);
	join(pool, row->once ? threads : 0, all);
	pthread_barrier_destroy(&barrier);
}

static struct bench_answer answer(const struct bench_case *row,
				  const struct bench_thread *pool,
				  unsigned threads, size_t size)
{
	int64_t began = INT64_MAX, ended = row->retires ? fh_now() : 0;
	struct bench_answer answer = {
		.row = row, .threads = threads, .size = size,
	};
	uint64_t operations = 0;
	double ns;
	unsigned i;

	for (i = 0; i < threads; i++) {
		operations += pool[i].operations;
		began = pool[i].began < began ? pool[i].began : began;
		ended = pool[i].ended > ended ? pool[i].ended : ended;
	}
	ns = (double)(ended - began);
	answer.ns_per_op = ns / (double)operations;
	answer.ops_per_s = (double)operations / ns * 1e9;
	return answer;
}

/* What was set up stays while the next command asks for the same. */
static void prepare(const struct bench_case *row, unsigned threads,
		    size_t size)
{
	static const struct bench_case *ready;
	static unsigned ready_threads;
	static size_t ready_size;

	threads = row->shared ? BENCH_MOST : threads + row->disturbers;
	if (ready && ready->setup == row->setup &&
	    ready_threads == threads && ready_size == size)
		return;
	if (ready && ready->cleanup)
		ready->cleanup();
	subject_drain();
	if (row->setup)
		row->setup(threads, size);
	ready = row;
	ready_threads = threads;
	ready_size = size;
}

struct bench_answer bench_run(const struct bench_case *row, unsigned threads,
			      size_t size, unsigned milliseconds)
{
	static struct bench_thread pool[BENCH_THREADS];
	struct bench_answer result;

	if (threads == 0 || threads + row->disturbers > subject_threads ||
	    size == 0 || milliseconds == 0 ||
	    (row->shared && threads + row->disturbers > BENCH_MOST))
		bench_die("%s: threads, size or time out of range", row->name);
	field_count = value_count = 0;
	prepare(row, threads, size);
	if (row->before)
		row->before(threads, size);
	run_threads(row, pool, threads, milliseconds);
	subject_drain();
	result = answer(row, pool, threads, size);
	if (row->after)
		row->after(pool, threads);
	return result;
}
