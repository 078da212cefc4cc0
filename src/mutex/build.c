/* SPDX-License-Identifier: MIT */
/* build: the mutex one says so. */
#include <freehold/base.h>

const char *fh_build(void)
{
	return "mutex";
}
