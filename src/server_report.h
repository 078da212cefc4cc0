/* SPDX-License-Identifier: MIT */
/* server_report: what a call says about a server in the end.  Internal. */
#ifndef FH_SERVER_REPORT_H
#define FH_SERVER_REPORT_H

#include "server_core.h"

#include <errno.h>

/* Within the library: the server changed under one's hands, look again. */
#define AGAIN 1

struct report {
	struct fh_server_info info;
	bool known;
};

static inline void give(const struct report *report,
			struct fh_server_info *info)
{
	if (info && report->known)
		*info = report->info;
	else if (info)
		*info = (struct fh_server_info){ .state = FH_SERVER_ABSENT };
}

static inline void look(struct server *server, struct report *report)
{
	fh_server_view(server, &report->info);
	report->info.joined = 1;
	report->known = true;
}

/*
 * Run a job that was claimed, and take over what it says.  The server was
 * held by *held, and is no longer: the job lets go of it.
 */
static inline int run_job(struct job *job, struct server **held,
			  struct report *report, bool joined)
{
	*held = NULL;
	fh_job_run(job);
	report->info = job->info;
	report->info.joined = joined;
	report->known = true;
	return job->result;
}

static inline void let_go(struct server *held)
{
	if (held)
		fh_server_drop(held);
}

/*
 * Wait for the transition after the one reported: AGAIN, -ETIMEDOUT, or
 * -EDEADLK where this thread would wait for itself.
 */
static inline int wait_past(struct server *server, const struct report *report,
			    int64_t deadline)
{
	int rc;

	if (fh_server_is_mine(server))
		return -EDEADLK;
	rc = fh_server_wait_past(server, report->info.epoch, deadline);
	return rc ? rc : AGAIN;
}

#endif
