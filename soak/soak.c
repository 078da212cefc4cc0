/* SPDX-License-Identifier: MIT */
/*
 * Runs all rooms against each other, and says at the end what was seen.
 * soak.h tells how a room joins; this file lists those that have.
 *
 *     soak [--seconds N] [--threads N] [--seed N] [--rest N]
 *          [--report FILE] [--allow-kb N]
 */
#include "soak.h"

#include <getopt.h>
#include <malloc.h>

struct soak_room *const soak_rooms[] = {
	&soak_rcu, &soak_status, &soak_record, &soak_counter, &soak_map,
	&soak_arc, &soak_log, &soak_gate, &soak_server, &soak_task,
	&soak_signal, &soak_fork, NULL,
};

struct soak_options soak_options = {
	.seconds = 60, .rest = 5, .threads = 8, .seed = 1, .allow_kb = 8192,
};
struct soak_worker *soak_workers;
struct soak_worker soak_conductor = { .random = 1 };
int64_t soak_started;
tally soak_rests, soak_deep_rests;

static const char *const resting_operations[] = { "rest", NULL };
static struct soak_room resting = {
	.name = "rest", .operations = resting_operations,
	.id = SOAK_ROOMS - 2,
};

static volatile sig_atomic_t interrupted;

double soak_elapsed(void)
{
	return (double)(fh_now() - soak_started) / 1e9;
}

bool soak_over(void)
{
	return interrupted || soak_elapsed() >= soak_options.seconds;
}

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void handle_signals(void)
{
	struct sigaction action = { .sa_handler = on_interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* ---- options ---- */

static void usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: soak [--seconds N] [--threads N] [--seed N] "
		"[--rest N]\n            [--report FILE] [--allow-kb N]\n"
		"--rest N: every N seconds all come to rest and are checked\n"
		"--allow-kb N: resident memory may grow by so much\n");
	exit(status);
}

static double positive(const char *text)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || *end || !(number > 0) || number > 1e12)
		usage(2);
	return number;
}

static void set_option(int letter, const char *text)
{
	switch (letter) {
	case 's':
		soak_options.seconds = positive(text);
		break;
	case 't':
		soak_options.threads = (unsigned)positive(text);
		if (soak_options.threads < 1 ||
		    soak_options.threads > SOAK_THREADS)
			usage(2);
		break;
	case 'e':
		soak_options.seed = strtoull(text, NULL, 0);
		break;
	case 'r':
		soak_options.rest = positive(text);
		break;
	case 'f':
		soak_options.report = text;
		break;
	case 'k':
		soak_options.allow_kb = (uint64_t)positive(text);
		break;
	default:
		usage(letter == 'h' ? 0 : 2);
	}
}

static void read_options(int count, char **texts)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "threads", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 'e' },
		{ "rest", required_argument, NULL, 'r' },
		{ "report", required_argument, NULL, 'f' },
		{ "allow-kb", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int letter;

	while ((letter = getopt_long(count, texts, "", options, NULL)) != -1)
		set_option(letter, optarg);
	if (optind != count)
		usage(2);
}

/* ---- at rest ---- */

/* Twice: what was retired may retire something when it is reclaimed. */
static void drain(void)
{
	int rc;

	for (int i = 0; i < 2; i++) {
		rc = fh_rcu_drain_wait(fh_deadline_in(25 * SECONDS));
		soak_expect(rc == 0, "a drain at rest gave %d", rc);
	}
}

/* One step of every room that has it; @step is where that stands in a room. */
static void in_all_rooms(size_t step)
{
	for (unsigned i = 0; soak_rooms[i]; i++) {
		void (*take)(void) =
			*(void (**)(void))((char *)soak_rooms[i] + step);

		soak_my_room = soak_rooms[i];
		add_relaxed(&soak_conductor.turns, 1);
		if (take)
			take();
	}
	soak_my_room = &resting;
}

/* Threads of the rooms' own come first: they retire things as they end. */
static void check_all(void)
{
	in_all_rooms(offsetof(struct soak_room, settle));
	drain();
	in_all_rooms(offsetof(struct soak_room, check));
}

static void clear_all(void)
{
	in_all_rooms(offsetof(struct soak_room, clear));
}

/*
 * All rooms are as they were after their setup, nothing is pending, and no
 * worker's thread is there: what is in use now must be what was in use at
 * the first time.  One entry lost in each cycle would add up.  Sanitizers
 * replace the allocator and count nothing; the first one looks for leaks
 * itself.
 */
static void compare_memory(void)
{
	static uint64_t first;
	struct mallinfo2 info;
	uint64_t in_use;

	if (SANITIZED)
		return;
	malloc_trim(0);
	info = mallinfo2();
	in_use = info.uordblks + info.hblkhd;
	if (!first)
		first = in_use;
	soak_note_in_use(in_use);
	soak_expect(in_use <= first + SOAK_BAND && first <= in_use + SOAK_BAND,
		    "%llu bytes are in use at a deep rest; at the first there "
		    "were %llu", (unsigned long long)in_use,
		    (unsigned long long)first);
}

/*
 * On a thread of its own, so that what the allocator keeps for it does not
 * add to the memory in use.
 */
static void *look_around(void *arg)
{
	bool deep = arg;

	soak_me = &soak_conductor;
	soak_my_room = &resting;
	check_all();
	if (deep) {
		clear_all();
		check_all();
	}
	return NULL;
}

static void rest(bool deep)
{
	pthread_t thread;

	soak_crew_rest(deep);
	add_relaxed(&soak_conductor.turns, 1);
	store_relaxed(&soak_conductor.waiting, false);
	if (pthread_create(&thread, NULL, look_around, deep ? &deep : NULL))
		soak_fail("cannot create a thread");
	pthread_join(thread, NULL);
	if (deep) {
		compare_memory();
		add_relaxed(&soak_deep_rests, 1);
	}
	add_relaxed(&soak_rests, 1);
	store_relaxed(&soak_conductor.waiting, true);
}

/* ---- the run ---- */

static void set_up(void)
{
	soak_me = &soak_conductor;
	soak_my_room = &resting;
	store_relaxed(&soak_conductor.room, &resting);
	store_relaxed(&soak_conductor.waiting, true);
	soak_workers = calloc(soak_options.threads, sizeof(*soak_workers));
	if (!soak_workers)
		soak_fail("there is no memory for the workers");
	for (unsigned i = 0; soak_rooms[i]; i++) {
		soak_rooms[i]->id = i;
		soak_my_room = soak_rooms[i];
		soak_rooms[i]->setup();
	}
	soak_my_room = &resting;
}

static void run(void)
{
	int64_t next, every = (int64_t)(soak_options.rest * 1e9);
	unsigned round = 0;

	while (!soak_over()) {
		next = fh_deadline_in(every);
		while (!soak_over() && fh_now() < next)
			sleep_ns(20 * MILLISECONDS);
		if (soak_over())
			break;
		rest(++round % 2 == 0);
		soak_crew_resume();
	}
	rest(true);
}

static void tear_down(void)
{
	for (unsigned i = 0; soak_rooms[i]; i++) {
		soak_my_room = soak_rooms[i];
		soak_rooms[i]->teardown();
	}
	soak_my_room = &resting;
	drain();
}

int main(int count, char **texts)
{
	char why[300] = "";
	bool passed;

	read_options(count, texts);
	handle_signals();
	soak_started = fh_now();
	set_up();
	soak_crew_start();
	soak_sentinel_start();
	run();
	soak_crew_end();
	soak_sentinel_end();
	passed = soak_rss_verdict(why, sizeof(why));
	if (passed && interrupted)
		snprintf(why, sizeof(why), "ended early by a signal");
	soak_report(passed, why);
	tear_down();
	fprintf(stderr, "soak: %s%s%s\n", passed ? "PASSED" : "FAILED",
		*why ? ": " : "", why);
	free(soak_workers);
	return passed ? 0 : 1;
}
