/* SPDX-License-Identifier: MIT */
/*
 * What is measured while it runs, and the report: Markdown, without the name
 * of the machine or any path.
 */
#include "soak.h"

#include <sys/utsname.h>

#define PARTS 10
#define WARM_UP 10		/* percent of the run, and at least: */
#define WARM_UP_SAMPLES 30
#define JUDGED_SAMPLES 40	/* fewer tell nothing */
#define ALLOWED_PERCENT 5

static uint32_t *samples;	/* kB, one a second */
static size_t sample_room;
static tally sample_count, most_garbage;
static tally least_in_use, most_in_use;

/* ---- sums over threads ---- */

static uint64_t sum(const struct soak_counts *(*of)(size_t),
		    const struct soak_room *room, int operation)
{
	uint64_t total = 0;
	const struct soak_counts *counts;

	for (size_t i = 0; (counts = of(i)); i++)
		total += operation < 0 ?
			load_relaxed(&counts->checks[room->id]) :
		load_relaxed(&counts->operations[room->id][operation]);
	return total;
}

static const struct soak_counts *everybody(size_t i)
{
	if (i < soak_options.threads)
		return &soak_workers[i].counts;
	return i == soak_options.threads ? &soak_conductor.counts :
	       i == soak_options.threads + 1 ? &soak_others : NULL;
}

uint64_t soak_operations(const struct soak_room *room, unsigned operation)
{
	return sum(everybody, room, (int)operation);
}

uint64_t soak_checks(const struct soak_room *room)
{
	return sum(everybody, room, -1);
}

uint64_t soak_all_operations(void)
{
	uint64_t total = 0;

	for (unsigned i = 0; soak_rooms[i]; i++)
		for (unsigned k = 0; soak_rooms[i]->operations[k]; k++)
			total += soak_operations(soak_rooms[i], k);
	return total;
}

/* The last row is of threads that work for no room: reclaim functions. */
static uint64_t checks_elsewhere(void)
{
	const struct soak_room nobody = { .id = SOAK_ROOMS - 1 };

	return soak_checks(&nobody);
}

uint64_t soak_all_checks(void)
{
	uint64_t total = checks_elsewhere();

	for (unsigned i = 0; soak_rooms[i]; i++)
		total += soak_checks(soak_rooms[i]);
	return total;
}

/* ---- memory ---- */

uint64_t soak_rss_kb(void)
{
	unsigned long long size, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* All room at once and touched, so that sampling does not grow. */
static void make_room(void)
{
	sample_room = (size_t)soak_options.seconds + 600;
	samples = malloc(sample_room * sizeof(*samples));
	if (!samples)
		soak_fail("no memory for samples");
	memset(samples, 0xff, sample_room * sizeof(*samples));
}

void soak_sample(void)
{
	size_t count = load_relaxed(&sample_count);
	struct fh_rcu_stats stats;

	if (!samples)
		make_room();
	fh_rcu_get_stats(&stats);
	soak_note_garbage(stats.pending);
	if (count == sample_room)
		return;
	samples[count] = (uint32_t)soak_rss_kb();
	store_release(&sample_count, count + 1);
}

void soak_note_garbage(uint64_t pending)
{
	uint64_t most = load_relaxed(&most_garbage);

	while (pending > most && !cas_relaxed(&most_garbage, &most, pending))
		;
}

/* Of the conductor alone. */
void soak_note_in_use(uint64_t bytes)
{
	if (!load_relaxed(&least_in_use) || bytes < load_relaxed(&least_in_use))
		store_relaxed(&least_in_use, bytes);
	if (bytes > load_relaxed(&most_in_use))
		store_relaxed(&most_in_use, bytes);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

struct spread {
	uint32_t least, median, most;
};

static struct spread spread(size_t from, size_t to)
{
	struct spread result = { 0, 0, 0 };
	size_t count = to > from ? to - from : 0;
	uint32_t *sorted = count ? malloc(count * sizeof(*sorted)) : NULL;

	if (!sorted)
		return result;
	memcpy(sorted, samples + from, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), by_size);
	result.least = sorted[0];
	result.median = sorted[count / 2];
	result.most = sorted[count - 1];
	free(sorted);
	return result;
}

/* Least squares, in kB for each hour. */
static double slope(size_t from, size_t to)
{
	double n = 0, t = 0, y = 0, ty = 0, tt = 0;

	for (size_t i = from; i < to; i++) {
		n += 1;
		t += (double)i;
		y += samples[i];
		ty += (double)i * samples[i];
		tt += (double)i * (double)i;
	}
	return n * tt > t * t ? (n * ty - t * y) / (n * tt - t * t) * 3600 : 0;
}

static size_t warm(size_t count)
{
	size_t part = count * WARM_UP / 100;

	part = part < WARM_UP_SAMPLES ? WARM_UP_SAMPLES : part;
	return part < count ? part : count;
}

static struct spread quarter(size_t which)
{
	size_t count = load_acquire(&sample_count), from = warm(count);
	size_t rest = count - from;

	return spread(from + rest * which / 4, from + rest * (which + 1) / 4);
}

static uint64_t allowance(uint32_t before)
{
	uint64_t share = (uint64_t)before * ALLOWED_PERCENT / 100;

	return share > soak_options.allow_kb ? share : soak_options.allow_kb;
}

static bool long_enough(void)
{
	size_t count = load_acquire(&sample_count);

	return count - warm(count) >= JUDGED_SAMPLES;
}

/* Sanitizers keep freed memory on purpose, and shadow it. */
bool soak_rss_verdict(char *why, size_t size)
{
	struct spread first = quarter(0), last = quarter(3);

	if (SANITIZED || !long_enough())
		return true;
	if (last.median <= first.median + allowance(first.median))
		return true;
	snprintf(why, size, "resident memory grew from %u kB (median of the "
		 "first quarter after the warm-up) to %u kB (of the last); "
		 "%llu kB are allowed", first.median, last.median,
		 (unsigned long long)allowance(first.median));
	return false;
}

/* ---- the report ---- */

static const char *compiler(void)
{
#ifdef __clang__
	return "clang " __clang_version__;
#else
	return "gcc " __VERSION__;
#endif
}

static const char *sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__)
	return ", address and undefined-behaviour sanitizers";
#elif defined(FH_TSAN)
	return ", thread sanitizer";
#else
	return "";
#endif
}

static void tell_machine(FILE *out, const struct fh_rcu_stats *stats)
{
	struct utsname kernel;

	fprintf(out, "| what | |\n| --- | --- |\n");
	fprintf(out, "| library | Freehold %s, %s build%s |\n", FH_VERSION,
		fh_build(), sanitizer());
	fprintf(out, "| read sections | liburcu %s%s |\n", stats->flavour,
		stats->expedited ? ", expedited" : "");
	fprintf(out, "| compiler | %s |\n", compiler());
	if (uname(&kernel) == 0)
		fprintf(out, "| kernel | %s %s, %s |\n", kernel.sysname,
			kernel.release, kernel.machine);
	fprintf(out, "| processors | %ld |\n", sysconf(_SC_NPROCESSORS_ONLN));
	fprintf(out, "| seed | %llu |\n",
		(unsigned long long)soak_options.seed);
}

static uint64_t all_lives(void)
{
	uint64_t lives = 0;

	for (unsigned i = 0; i < soak_options.threads; i++)
		lives += load_relaxed(&soak_workers[i].lives);
	return lives;
}

static void tell(FILE *out, const char *what, uint64_t number)
{
	fprintf(out, "| %s | %llu |\n", what, (unsigned long long)number);
}

static void tell_totals(FILE *out, const struct fh_rcu_stats *stats)
{
	fprintf(out, "| duration | %.1f s |\n", soak_elapsed());
	tell(out, "threads at once", soak_options.threads);
	tell(out, "threads that were born and ended", all_lives());
	tell(out, "operations", soak_all_operations());
	tell(out, "invariants checked", soak_all_checks());
	tell(out, "of these in reclaim functions on other threads",
	     checks_elsewhere());
	tell(out, "rests passed", load_relaxed(&soak_rests));
	tell(out, "deep rests, which compared the memory in use",
	     load_relaxed(&soak_deep_rests));
	tell(out, "forks whose child found all well",
	     soak_operations(&soak_fork, 0));
	tell(out, "signals sent", load_relaxed(&soak_signals_sent));
	tell(out, "signals handled", load_relaxed(&soak_signals_handled));
	tell(out, "objects retired", stats->retired);
	tell(out, "objects reclaimed", stats->reclaimed);
	tell(out, "grace periods", stats->grace_periods);
	tell(out, "most garbage seen", load_relaxed(&most_garbage));
	tell(out, "refusals at the hard bound", stats->refused);
	tell(out, "retirements past the soft bound", stats->over_soft);
	tell(out, "bytes in use at deep rests, least",
	     load_relaxed(&least_in_use));
	tell(out, "bytes in use at deep rests, most",
	     load_relaxed(&most_in_use));
	tell(out, "by how many these may differ from the first", SOAK_BAND);
}

static void tell_room(FILE *out, struct soak_room *room)
{
	fprintf(out, "\n### %s\n\n| operation | times |\n| --- | ---: |\n",
		room->name);
	for (unsigned k = 0; room->operations[k]; k++)
		tell(out, room->operations[k], soak_operations(room, k));
	tell(out, "*invariants checked*", soak_checks(room));
	if (room->report) {
		fprintf(out, "\n");
		room->report(out);
	}
}

static void tell_memory(FILE *out)
{
	size_t count = load_acquire(&sample_count);
	struct spread part, first = quarter(0), last = quarter(3);

	fprintf(out, "\n## Resident memory\n\n"
		"kB, sampled once a second: %zu "
		"samples. At a deep rest the allocator is asked\n"
		"to give back what is free, so that what grows is not its "
		"caches.\n\n| part of the run | least | median | most |\n"
		"| --- | ---: | ---: | ---: |\n", count);
	for (size_t i = 0; i < PARTS; i++) {
		part = spread(count * i / PARTS, count * (i + 1) / PARTS);
		fprintf(out, "| %zu to %zu %% | %u | %u | %u |\n",
			i * 100 / PARTS, (i + 1) * 100 / PARTS, part.least,
			part.median, part.most);
	}
	if (!long_enough()) {
		fprintf(out, "\nToo short a run to judge growth.\n");
		return;
	}
	fprintf(out, "\nAfter a warm-up of %zu s: slope %.0f kB an hour (least "
		"squares); median of the first\nquarter %u kB, of the last "
		"%u kB; the last may exceed the first by %llu kB.\n",
		warm(count), slope(warm(count), count), first.median,
		last.median, (unsigned long long)allowance(first.median));
}

static void write_report(FILE *out, bool passed, const char *why)
{
	struct fh_rcu_stats stats;

	fh_rcu_get_stats(&stats);
	fprintf(out, "# Soak\n\n**%s**", passed ? "PASSED" : "FAILED");
	if (why && *why)
		fprintf(out, ": %s", why);
	fprintf(out, "\n\n");
	tell_machine(out, &stats);
	tell_totals(out, &stats);
	tell_memory(out);
	fprintf(out, "\n## Rooms\n");
	for (unsigned i = 0; soak_rooms[i]; i++)
		tell_room(out, soak_rooms[i]);
}

void soak_report(bool passed, const char *why)
{
	FILE *out = soak_options.report ? fopen(soak_options.report, "we") :
					  stdout;

	if (!out) {
		fprintf(stderr, "soak: cannot write the report\n");
		out = stdout;
	}
	write_report(out, passed, why);
	fflush(out);
	if (out != stdout)
		fclose(out);
}
