/* SPDX-License-Identifier: MIT */
/* What the tests of logs share: a log of so many messages. */
#ifndef FH_TEST_LOGS_H
#define FH_TEST_LOGS_H

#include <freehold/log.h>

#include "threads.h"

static struct fh_log *log_of(size_t capacity)
{
	struct fh_log_options options = { .capacity = capacity };
	struct fh_log *log = NULL;

	if (fh_log_create(&log, &options))
		bail_out("no memory for a log");
	return log;
}

#endif
