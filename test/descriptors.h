/* SPDX-License-Identifier: MIT */
/*
 * How many descriptors are open in this process, for tests that none is left
 * over: taken before and after, since the count has its own among them.
 */
#ifndef FH_TEST_DESCRIPTORS_H
#define FH_TEST_DESCRIPTORS_H

#include "threads.h"

#include <dirent.h>

static unsigned count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	if (!directory)
		bail_out("no /proc/self/fd");
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

#endif
