/* SPDX-License-Identifier: MIT */
/* build: the lock-free one says so. */
#include <freehold/base.h>

const char *fh_build(void)
{
	return "lock-free";
}
