/* SPDX-License-Identifier: MIT */
/* histogram: see histogram.h. */
#include "histogram.h"

#include <string.h>

#define CALIBRATION_NS INT64_C(20000000)
#define READINGS 1001

static double ns_per_tick;
static double clock_ns;

/* The smallest time that a class stands for. */
static uint64_t class_begin(unsigned class)
{
	unsigned power = class >> CLASS_BITS;

	if (power < 2)
		return class;
	return (uint64_t)(class - ((power - 1) << CLASS_BITS)) << (power - 1);
}

static double class_middle(unsigned class)
{
	return (double)(class_begin(class) + class_begin(class + 1) - 1) / 2;
}

double bench_ns(uint64_t ticks)
{
	return (double)ticks * ns_per_tick;
}

static uint64_t one_reading(void)
{
	uint64_t began = bench_ticks();

	return bench_ticks() - began;
}

void bench_calibrate(void)
{
	int64_t began = fh_now(), ended;
	uint64_t ticks = bench_ticks(), least = UINT64_MAX;
	unsigned i;

	if (ns_per_tick > 0)
		return;
	do
		ended = fh_now();
	while (ended - began < CALIBRATION_NS);
	ticks = bench_ticks() - ticks;
	ns_per_tick = (double)(ended - began) / (double)ticks;
	for (i = 0; i < READINGS; i++) {
		uint64_t reading = one_reading();

		least = reading < least ? reading : least;
	}
	clock_ns = bench_ns(least);
}

void histogram_clear(struct histogram *histograms, unsigned count)
{
	memset(histograms, 0, sizeof(*histograms) * count);
}

static struct histogram sum;

static uint64_t add_up(const struct histogram *histograms, unsigned count)
{
	uint64_t all = 0;
	unsigned h, c;

	histogram_clear(&sum, 1);
	for (h = 0; h < count; h++) {
		for (c = 0; c < CLASSES; c++) {
			sum.count[c] += histograms[h].count[c];
			all += histograms[h].count[c];
		}
		if (histograms[h].longest > sum.longest)
			sum.longest = histograms[h].longest;
	}
	return all;
}

/* The time that this share of all operations did not exceed. */
static double percentile(double share, uint64_t all)
{
	uint64_t wanted = (uint64_t)((double)all * share), seen = 0;
	unsigned c;

	for (c = 0; c < CLASSES; c++) {
		seen += sum.count[c];
		if (seen > wanted)
			break;
	}
	return class_middle(c) * ns_per_tick;
}

void bench_report(const char *const names[6],
		  const struct histogram *histograms, unsigned count)
{
	static const double shares[] = { 0.5, 0.99, 0.999, 0.9999 };
	uint64_t all = add_up(histograms, count);
	unsigned i;

	if (!all)
		bench_die("nothing was timed");
	for (i = 0; i < ARRAY_LENGTH(shares); i++)
		bench_field(names[i], percentile(shares[i], all));
	bench_field(names[4], bench_ns(sum.longest));
	bench_field(names[5], clock_ns);
}
