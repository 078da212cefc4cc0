/* SPDX-License-Identifier: MIT */
/* base: the time. */
#include <freehold/base.h>

#include <time.h>

int64_t fh_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t fh_deadline_in(int64_t nanoseconds)
{
	int64_t deadline;

	if (__builtin_add_overflow(fh_now(), nanoseconds, &deadline))
		return nanoseconds > 0 ? FH_FOREVER : 0;
	return deadline;
}
