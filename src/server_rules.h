/* SPDX-License-Identifier: MIT */
/*
 * server_rules: what both builds of the server registry agree on.  Internal.
 *
 * Pure functions and a table; no shared state.
 */
#ifndef FH_SERVER_RULES_H
#define FH_SERVER_RULES_H

#include <freehold/server.h>
#include <freehold/status.h>

#include <stdbool.h>

/*
 * The life of a server.  States are of two kinds: in a state of rest anybody
 * may begin the next job, by the transition that leads out of it; a busy
 * state belongs to the one who made that transition, until it is settled.
 */
extern const struct fh_status_table fh_server_life;

#define FH_SERVER_BUSY                                                        \
	(FH_SERVER_STATE(FH_SERVER_STARTING) |                                \
	 FH_SERVER_STATE(FH_SERVER_RESTARTING) |                              \
	 FH_SERVER_STATE(FH_SERVER_CRASHED) |                                 \
	 FH_SERVER_STATE(FH_SERVER_STOPPING))

#define FH_SERVER_REST                                                        \
	(FH_SERVER_STATE(FH_SERVER_RUNNING) |                                 \
	 FH_SERVER_STATE(FH_SERVER_BACKOFF) |                                 \
	 FH_SERVER_STATE(FH_SERVER_FAILED) |                                  \
	 FH_SERVER_STATE(FH_SERVER_STOPPED))

/* A get waits in these: the server is expected to run again. */
#define FH_SERVER_COMING                                                      \
	(FH_SERVER_STATE(FH_SERVER_STARTING) |                                \
	 FH_SERVER_STATE(FH_SERVER_RESTARTING) |                              \
	 FH_SERVER_STATE(FH_SERVER_CRASHED) |                                 \
	 FH_SERVER_STATE(FH_SERVER_BACKOFF))

static inline bool fh_server_is_in(enum fh_server_state state, uint64_t set)
{
	return (FH_SERVER_STATE(state) & set) != 0;
}

bool fh_server_may_follow(enum fh_server_state from, enum fh_server_state to);

/* What get says in this state: 0, -EINPROGRESS, -EHOSTDOWN, ... */
int fh_server_verdict(enum fh_server_state state);

/* How a job ended. */
struct server_outcome {
	enum fh_server_state to;
	int error;			/* 0: the last one stays */
	const char *text;
	int64_t at;			/* now; the delay runs from here */
	int64_t retry_at;
};

/* Make of what a server was what it is; its client has this generation. */
void fh_server_write_outcome(struct fh_server_info *info,
			     const struct server_outcome *outcome,
			     uint64_t generation);

/* 0, or -EINVAL. */
int fh_server_check_name(const char *name);
int fh_server_check_request(const struct fh_server_request *request);

/* The limits with the defaults filled in. */
struct fh_server_limits
fh_server_limits_of(const struct fh_server_limits *wanted);

/* The earlier of @deadline and @length from @now on; no overflow. */
int64_t fh_server_until(int64_t now, int64_t length, int64_t deadline);

/*
 * When the last automatic restarts were due: a ring that holds as many as the
 * policy allows in its window.
 */
struct fh_recovery {
	uint64_t random;	/* not 0 */
	unsigned next, count;
	int64_t due[FH_SERVER_RESTARTS_MOST];
};

/*
 * When to restart next, according to the policy, which is noted; 0: not any
 * more.
 */
int64_t fh_recovery_due(const struct fh_server_policy *policy,
			struct fh_recovery *recovery, int64_t now);

/* How long to put off what found no memory or no thread. */
int64_t fh_recovery_pause(const struct fh_server_policy *policy);

#endif
