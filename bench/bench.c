/* SPDX-License-Identifier: MIT */
/* What the benchmark programs share; bench.h says what is measured how. */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORDS "/usr/share/dict/words"
#define ZIPF_EXPONENT 0.99
#define NS_PER_MS INT64_C(1000000)
#define DRAIN_LIMIT (60000 * NS_PER_MS)

const unsigned bench_threads[] = { 1, 2, 8, 0 };
const size_t bench_sizes[] = { 1000, 100000, 0 };
const size_t bench_one[] = { 1, 0 };

BENCH_APART _Atomic(bool) bench_stop;

static const char *program;
static uint32_t *all_draws;

void bench_die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s (%s): ", program_invocation_short_name, fh_build());
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

/* Splitmix64: passes as random, and no state gets stuck. */
uint64_t bench_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void bench_draw(unsigned threads, uint32_t (*draw)(uint64_t *state, void *arg),
		void *arg)
{
	unsigned i, t;

	free(all_draws);
	all_draws = bench_alloc(sizeof(*all_draws) * BENCH_DRAWS * threads);
	for (t = 0; t < threads; t++) {
		uint64_t state = UINT64_C(0x5eed) << 32 | t;

		for (i = 0; i < BENCH_DRAWS; i++)
			all_draws[t * (size_t)BENCH_DRAWS + i] =
				draw(&state, arg);
	}
}

void bench_zipf_init(struct bench_zipf *zipf, size_t count)
{
	double sum = 0;
	size_t i;

	zipf->count = count;
	zipf->upto = bench_alloc(sizeof(*zipf->upto) * count);
	for (i = 0; i < count; i++) {
		sum += pow((double)i + 1, -ZIPF_EXPONENT);
		zipf->upto[i] = sum;
	}
}

void bench_zipf_free(struct bench_zipf *zipf)
{
	free(zipf->upto);
}

/* Exact, by bisection: no clock is running, so nothing faster is needed. */
size_t bench_zipf_draw(const struct bench_zipf *zipf, uint64_t *state)
{
	double uniform = (double)(bench_random(state) >> 11) * 0x1p-53;
	double sought = uniform * zipf->upto[zipf->count - 1];
	size_t low = 0, high = zipf->count - 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (zipf->upto[middle] > sought)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static char *read_words(void)
{
	FILE *file = fopen(WORDS, "r");
	size_t length, room = 1 << 24;
	char *text;

	if (!file)
		bench_die("%s: %s; the Debian package wamerican has it", WORDS,
			  strerror(errno));
	text = bench_alloc(room);
	length = fread(text, 1, room - 1, file);
	if (ferror(file) || length == 0)
		bench_die("%s: nothing to read; the Debian package wamerican "
			  "has it", WORDS);
	text[length] = '\0';
	fclose(file);
	return text;
}

/* So that the popular words are not all at the beginning of the alphabet. */
static void shuffle(struct fh_key *keys, size_t count)
{
	uint64_t state = 1;
	size_t i;

	for (i = count; i > 1; i--) {
		size_t other = bench_random(&state) % i;
		struct fh_key key = keys[i - 1];

		keys[i - 1] = keys[other];
		keys[other] = key;
	}
}

const struct bench_words *bench_words(void)
{
	static struct bench_words words;
	char *text, *word, *rest;
	size_t lines = 1;

	if (words.keys)
		return &words;
	text = read_words();
	for (rest = text; (rest = strchr(rest, '\n')); rest++)
		lines++;
	words.keys = bench_alloc(sizeof(*words.keys) * lines);
	for (word = strtok_r(text, "\n", &rest); word;
	     word = strtok_r(NULL, "\n", &rest))
		words.keys[words.count++] = fh_key_string(word);
	shuffle(words.keys, words.count);
	return &words;
}

static pthread_barrier_t barrier;

/* The empty section registers the thread, which is no part of any case. */
static void *run_thread(void *arg)
{
	struct bench_thread *self = arg;

	fh_rcu_read_lock();
	fh_rcu_read_unlock();
	pthread_barrier_wait(&barrier);
	self->began = fh_now();
	self->body(self);
	self->ended = fh_now();
	return NULL;
}

static void start_thread(struct bench_thread *thread, unsigned index,
			 void (*body)(struct bench_thread *self))
{
	int rc;

	memset(thread, 0, sizeof(*thread));
	thread->index = index;
	thread->body = body;
	if (all_draws)
		thread->draws = all_draws + index * (size_t)BENCH_DRAWS;
	rc = pthread_create(&thread->id, NULL, run_thread, thread);
	if (rc)
		bench_die("no thread: %s", strerror(rc));
}

static void sleep_ms(unsigned milliseconds)
{
	struct timespec left = {
		.tv_sec = milliseconds / 1000,
		.tv_nsec = milliseconds % 1000 * NS_PER_MS,
	};

	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		;
}

static void drain(void)
{
	int rc = fh_rcu_drain_wait(fh_deadline_in(DRAIN_LIMIT));

	if (rc)
		bench_die("reclamation does not end: %s", strerror(-rc));
}

/* One repetition; the threads' results are in @pool, those counted first. */
static void run_threads(const struct bench_case *row, struct bench_thread *pool,
			unsigned threads, unsigned milliseconds)
{
	unsigned i, all = threads + row->disturbers;

	store_relaxed(&bench_stop, false);
	pthread_barrier_init(&barrier, NULL, all + 1);
	for (i = 0; i < all; i++)
		start_thread(&pool[i], i,
			     i < threads ? row->body : row->disturb);
	pthread_barrier_wait(&barrier);
	sleep_ms(milliseconds);
	store_relaxed(&bench_stop, true);
	for (i = 0; i < all; i++)
		pthread_join(pool[i].id, NULL);
	pthread_barrier_destroy(&barrier);
}

static const char *subject_of(const struct bench_case *row)
{
	return row->subject ? row->subject : fh_build();
}

static void answer(const struct bench_case *row,
		   const struct bench_thread *pool, unsigned threads,
		   size_t size)
{
	int64_t began = INT64_MAX, ended = row->retires ? fh_now() : 0;
	uint64_t operations = 0;
	double ns, ops;
	unsigned i;

	for (i = 0; i < threads; i++) {
		operations += pool[i].operations;
		began = pool[i].began < began ? pool[i].began : began;
		ended = pool[i].ended > ended ? pool[i].ended : ended;
	}
	ns = (double)(ended - began);
	ops = (double)operations;
	printf("{\"bench\": \"%s\", \"case\": \"%s\", \"subject\": \"%s\", "
	       "\"threads\": %u, \"size\": %zu, \"ns_per_op\": %.4f, "
	       "\"ops_per_s\": %.0f}\n", program, row->name, subject_of(row),
	       threads, size, ns / ops, ops / ns * 1e9);
}

/* What was set up stays while the next command asks for the same. */
static void prepare(const struct bench_case *row, unsigned threads,
		    size_t size)
{
	static const struct bench_case *ready;
	static unsigned ready_threads;
	static size_t ready_size;

	if (ready == row && ready_threads == threads && ready_size == size)
		return;
	if (ready && ready->cleanup)
		ready->cleanup();
	drain();
	if (row->setup)
		row->setup(threads + row->disturbers, size);
	ready = row;
	ready_threads = threads;
	ready_size = size;
}

static void run(const struct bench_case *row, unsigned threads, size_t size,
		unsigned milliseconds)
{
	static struct bench_thread pool[BENCH_THREADS];

	if (threads == 0 || threads + row->disturbers > BENCH_THREADS ||
	    size == 0 || milliseconds == 0)
		bench_die("%s: threads, size or time out of range", row->name);
	prepare(row, threads, size);
	run_threads(row, pool, threads, milliseconds);
	drain();
	answer(row, pool, threads, size);
}

static void list_case(const struct bench_case *row)
{
	const char *comma = "";
	const unsigned *threads;
	const size_t *size;

	printf("{\"case\": \"%s\", \"subject\": \"%s\", \"extra\": %s, "
	       "\"threads\": [", row->name, subject_of(row),
	       row->extra ? "true" : "false");
	for (threads = row->threads; *threads; threads++, comma = ", ")
		printf("%s%u", comma, *threads);
	printf("], \"sizes\": [");
	for (size = row->sizes, comma = ""; *size; size++, comma = ", ")
		printf("%s%zu", comma, *size);
	printf("]}");
}

static void list(const struct bench_case *cases, size_t count)
{
	struct fh_rcu_stats stats;
	size_t i;

	fh_rcu_read_lock();
	fh_rcu_read_unlock();
	fh_rcu_get_stats(&stats);
	printf("{\"bench\": \"%s\", \"build\": \"%s\", \"flavour\": \"%s\", "
	       "\"expedited\": %s, \"cases\": [", program, fh_build(),
	       stats.flavour, stats.expedited ? "true" : "false");
	for (i = 0; i < count; i++) {
		printf("%s", i ? ", " : "");
		list_case(&cases[i]);
	}
	printf("]}\n");
}

static void command(const struct bench_case *cases, size_t count,
		    const char *line)
{
	unsigned threads, milliseconds;
	char name[64], subject[64];
	size_t i, size;

	if (strcmp(line, "list") == 0) {
		list(cases, count);
		return;
	}
	if (sscanf(line, "run %63s %63s %u %zu %u", name, subject, &threads,
		   &size, &milliseconds) != 5)
		bench_die("not a command: %s", line);
	for (i = 0; i < count; i++)
		if (strcmp(name, cases[i].name) == 0 &&
		    strcmp(subject, subject_of(&cases[i])) == 0)
			break;
	if (i == count)
		bench_die("no case %s of %s", name, subject);
	run(&cases[i], threads, size, milliseconds);
}

int bench_main(const char *name, const struct bench_case *cases, size_t count,
	       int argc, char **argv)
{
	char line[256] = "";
	int i;

	program = name;
	for (i = 1; i < argc; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line),
			 "%s%s", i > 1 ? " " : "", argv[i]);
	if (argc > 1) {
		command(cases, count, line);
		return 0;
	}
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		command(cases, count, line);
		fflush(stdout);
	}
	return 0;
}
