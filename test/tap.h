/* SPDX-License-Identifier: MIT */
/*
 * The least of a TAP producer: a test program prints its plan and one line
 * for each check, and prove reads them.
 *
 *     int main(void)
 *     {
 *             ok(1 + 1 == 2, "%d and %d make two", 1, 1);
 *             return done_testing();
 *     }
 *
 * ok, is, skip and diag may be called from any thread.
 */
#ifndef FH_TAP_H
#define FH_TAP_H

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static pthread_mutex_t tap_lock = PTHREAD_MUTEX_INITIALIZER;
static int tap_count, tap_failed;

static void tap_text(FILE *to, const char *before, const char *format,
		     va_list args)
{
	fputs(before, to);
	vfprintf(to, format, args);
	fputc('\n', to);
	fflush(to);
}

__attribute__((format(printf, 2, 3), unused)) static int
ok(int passed, const char *format, ...)
{
	char before[48];
	va_list args;

	pthread_mutex_lock(&tap_lock);
	tap_failed += !passed;
	snprintf(before, sizeof(before), "%sok %d - ", passed ? "" : "not ",
		 ++tap_count);
	va_start(args, format);
	tap_text(stdout, before, format, args);
	va_end(args);
	pthread_mutex_unlock(&tap_lock);
	return passed;
}

__attribute__((format(printf, 1, 2), unused)) static void
diag(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&tap_lock);
	va_start(args, format);
	tap_text(stdout, "# ", format, args);
	va_end(args);
	pthread_mutex_unlock(&tap_lock);
}

/* Two integers are equal; says both when they are not. */
#define is(got, want, ...)                                                  \
	do {                                                                \
		int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);     \
		if (!ok(got_ == want_, __VA_ARGS__))                        \
			diag("%s:%d: got %" PRId64 ", want %" PRId64,       \
			     __FILE__, __LINE__, got_, want_);              \
	} while (0)

__attribute__((format(printf, 1, 2), unused)) static void
skip(const char *format, ...)
{
	char before[48];
	va_list args;

	pthread_mutex_lock(&tap_lock);
	snprintf(before, sizeof(before), "ok %d # skip ", ++tap_count);
	va_start(args, format);
	tap_text(stdout, before, format, args);
	va_end(args);
	pthread_mutex_unlock(&tap_lock);
}

__attribute__((unused)) static int done_testing(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
