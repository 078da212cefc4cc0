/* SPDX-License-Identifier: MIT */
/* server_rules: the life of a server, requests, limits and policies. */
#include "server_rules.h"

#include <errno.h>
#include <string.h>

#define TO(state) FH_STATE(FH_SERVER_##state)

static const uint64_t follows[FH_SERVER_STATES] = {
	[FH_SERVER_ABSENT]     = TO(STARTING),
	[FH_SERVER_STARTING]   = TO(RUNNING) | TO(FAILED),
	[FH_SERVER_RUNNING]    = TO(RESTARTING) | TO(CRASHED) | TO(STOPPING),
	[FH_SERVER_RESTARTING] = TO(RUNNING) | TO(BACKOFF) | TO(FAILED),
	[FH_SERVER_CRASHED]    = TO(BACKOFF) | TO(FAILED),
	[FH_SERVER_BACKOFF]    = TO(RESTARTING) | TO(STOPPING),
	[FH_SERVER_FAILED]     = TO(RESTARTING) | TO(STOPPING),
	[FH_SERVER_STOPPING]   = TO(STOPPED) | TO(FAILED),
	[FH_SERVER_STOPPED]    = 0,
};

const struct fh_status_table fh_server_life = {
	.states = FH_SERVER_STATES, .allowed = follows,
};

bool fh_server_may_follow(enum fh_server_state from, enum fh_server_state to)
{
	return (follows[from] & FH_STATE(to)) != 0;
}

static const struct {
	const char *name;
	int verdict;		/* of get */
} traits[FH_SERVER_STATES] = {
	[FH_SERVER_ABSENT]     = { "absent", -ENOENT },
	[FH_SERVER_STARTING]   = { "starting", -EINPROGRESS },
	[FH_SERVER_RUNNING]    = { "running", 0 },
	[FH_SERVER_RESTARTING] = { "restarting", -EINPROGRESS },
	[FH_SERVER_CRASHED]    = { "crashed", -EINPROGRESS },
	[FH_SERVER_BACKOFF]    = { "backoff", -EINPROGRESS },
	[FH_SERVER_FAILED]     = { "failed", -EHOSTDOWN },
	[FH_SERVER_STOPPING]   = { "stopping", -ESHUTDOWN },
	[FH_SERVER_STOPPED]    = { "stopped", -ENOENT },
};

const char *fh_server_state_name(enum fh_server_state state)
{
	return (unsigned)state < FH_SERVER_STATES ? traits[state].name :
						    "unknown";
}

int fh_server_verdict(enum fh_server_state state)
{
	return traits[state].verdict;
}

void fh_server_write_outcome(struct fh_server_info *info,
			     const struct server_outcome *outcome,
			     uint64_t generation)
{
	info->restarts += info->state == FH_SERVER_RESTARTING &&
			  outcome->to == FH_SERVER_RUNNING;
	info->crashes += info->state == FH_SERVER_CRASHED;
	info->state = outcome->to;
	info->epoch++;
	info->since = outcome->at;
	info->retry_at = outcome->retry_at;
	if (outcome->to == FH_SERVER_RUNNING)
		info->generation = generation;
	if (!outcome->error)
		return;
	info->error = outcome->error;
	info->error_at = info->since;
	memcpy(info->text, outcome->text, sizeof(info->text));
}

int fh_server_check_name(const char *name)
{
	if (!name || !*name)
		return -EINVAL;
	return strnlen(name, FH_SERVER_NAME) < FH_SERVER_NAME ? 0 : -EINVAL;
}

static bool is_sound(const struct fh_server_policy *policy)
{
	return policy->most <= FH_SERVER_RESTARTS_MOST &&
	       policy->jitter <= 100 && policy->window >= 0 &&
	       policy->delay >= 0 && policy->longest >= 0;
}

int fh_server_check_request(const struct fh_server_request *request)
{
	if (!request->ops || !request->ops->start)
		return -EINVAL;
	if (request->limits.start < 0 || request->limits.stop < 0)
		return -EINVAL;
	if (!is_sound(&request->policy))
		return -EINVAL;
	return fh_server_check_name(request->name);
}

struct fh_server_limits
fh_server_limits_of(const struct fh_server_limits *wanted)
{
	struct fh_server_limits limits = *wanted;

	if (!limits.start)
		limits.start = FH_SERVER_START_LIMIT;
	if (!limits.stop)
		limits.stop = FH_SERVER_STOP_LIMIT;
	if (!limits.lease)
		limits.lease = FH_SERVER_LEASE_LIMIT;
	return limits;
}

int64_t fh_server_until(int64_t now, int64_t length, int64_t deadline)
{
	int64_t end;

	if (__builtin_add_overflow(now, length, &end))
		return deadline;
	return end < deadline ? end : deadline;
}

/* ---- policy ---- */

#define LONGEST INT64_C(60000000000)
#define SHORTEST_PAUSE INT64_C(10000000)

/* xorshift64* */
static uint64_t draw(uint64_t *random)
{
	*random ^= *random >> 12;
	*random ^= *random << 25;
	*random ^= *random >> 27;
	return *random * UINT64_C(2685821657736338717);
}

/* How many of those noted lie in the window that ends now. */
static unsigned recent(const struct fh_server_policy *policy,
		       const struct fh_recovery *recovery, int64_t now)
{
	unsigned found = 0;

	for (unsigned i = 0; i < recovery->count; i++)
		if (!policy->window ||
		    now - recovery->due[i] < policy->window)
			found++;
	return found;
}

static int64_t delay_after(const struct fh_server_policy *policy,
			   unsigned restarts)
{
	int64_t longest = policy->longest ? policy->longest : LONGEST;
	int64_t delay = policy->delay;

	while (restarts-- && delay < longest)
		if (__builtin_mul_overflow(delay, 2, &delay))
			return longest;
	return delay < longest ? delay : longest;
}

/* Evenly between jitter percent less and jitter percent more. */
static int64_t vary(int64_t delay, unsigned jitter, uint64_t *random)
{
	int64_t most = delay / 100 * jitter + delay % 100 * jitter / 100;
	uint64_t width = 2 * (uint64_t)most + 1;

	return delay - most + (int64_t)((draw(random) >> 1) % width);
}

int64_t fh_recovery_due(const struct fh_server_policy *policy,
			struct fh_recovery *recovery, int64_t now)
{
	unsigned before = recent(policy, recovery, now);
	int64_t due;

	if (before >= policy->most)
		return 0;
	due = fh_server_until(now, vary(delay_after(policy, before),
					policy->jitter, &recovery->random),
			      FH_FOREVER - 1);
	recovery->due[recovery->next] = due;
	recovery->next = (recovery->next + 1) % policy->most;
	if (recovery->count < policy->most)
		recovery->count++;
	return due;
}

int64_t fh_recovery_pause(const struct fh_server_policy *policy)
{
	int64_t pause = delay_after(policy, 0);

	return pause < SHORTEST_PAUSE ? SHORTEST_PAUSE : pause;
}
