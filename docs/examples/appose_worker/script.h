/* SPDX-License-Identifier: MIT */
/*
 * script: a job's script, in a Lua state of its own.
 *
 * A script that is an expression gives its value; any other is a chunk and
 * gives what it returns.  It cannot end the process or its thread, read the
 * requests, write between the responses, take more memory than it is allowed,
 * or go on for ever once it is asked to end.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "job.h"

#include <jansson.h>

enum script_how {
	SCRIPT_DONE,
	SCRIPT_FAILED,
	SCRIPT_OVERDUE,		/* it was stopped: see job_is_overdue */
	SCRIPT_EXITED		/* it called os.exit */
};

/*
 * @outputs: SCRIPT_DONE: an object, the caller's to release
 * @error:   SCRIPT_FAILED: what and where, the caller's to free; NULL: there
 *           was no memory even for that
 */
struct script_result {
	enum script_how how;
	json_t *outputs;
	char *error;
};

void script_run(struct job *job, struct script_result *result);

#endif
