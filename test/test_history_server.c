/* SPDX-License-Identifier: MIT */
/*
 * server, as histories of each name: what threads do with it has one order,
 * in which the name is absent or in one state of its life, with a count of
 * transitions, a generation and an error, and has users until it is closed.
 *
 * A start, a restart, a stop or a crash is several operations.  Each of its
 * transitions is told of on the thread that made it: it was made between the
 * last thing that this thread did before (it called, or one of its functions
 * returned, or it was told) and the moment of being told.  Joining, leaving
 * and looking are operations of their own, at any time of the call; a refusal
 * is the claim that there was a moment that called for it.  A walk looks at
 * each name at a time of its own.
 *
 * Functions that start and stop succeed or fail at random, each failure with
 * an error and a text of its own.
 *
 * If the registry were wrong: two starters win, two own a server, or a
 * restart deletes the name: two transitions with one number, or a number left
 * out, or a look that finds nothing in the middle.  A look that mixes two
 * transitions has a state, a number, a generation and an error that never
 * were together.  A restart on a stale generation contradicts the order.  A
 * user who is lost or counted twice shows in the next look, or in the end:
 * a server whose last user has left does not stay.
 */
#include <freehold/rcu.h>
#include <freehold/server.h>

#include <errno.h>

#include "history.h"

enum {
	MOVE, LOOK, USERS, JOIN, UNJOIN, LEAVE, REOPEN, REFUSED, STALE, REST,
	KINDS
};

#define KEYS 2
#define PLACES (HISTORY_OBJECTS * KEYS)

static const char *const names[KEYS] = { "left", "right" };

/* What one start has made: two of one name are never there at once. */
struct site {
	tally alive, crashed;
};

static struct fh_servers *servers[HISTORY_OBJECTS];
static struct site site[PLACES];
static tally odd;			/* what no order could excuse */

/* A thread's own: its call, and since when nothing was told of it. */
static struct share {
	uint64_t mark, error, errors, generation;
	uint64_t made;			/* the last client, in this call */
	unsigned moves;			/* in this call */
	bool starts;			/* it is a start */
	bool guest;			/* a user who leaves if it fails */
} share[HISTORY_THREADS];
static _Thread_local struct history_thread *self;

/*
 * ---- the sequential server ----
 *
 * Word 0: the state, and above it how many transitions; 1: the generation;
 * 2: restarts, crashes and the last error, from the lowest bits up; 3: users
 * and whether they are closed, in the lowest bit.  A look has the first three
 * in out.  Of a name that is absent all are 0.
 */
#define CLOSED UINT64_C(1)
#define USER UINT64_C(2)
#define RESTART UINT64_C(1)
#define CRASH (UINT64_C(1) << 16)
#define ERROR_SHIFT 32

static enum fh_server_state state_of(uint64_t word)
{
	return (enum fh_server_state)(word & 0xff);
}

static bool is_told(const struct linear_state *state,
		    const struct operation *op)
{
	return op->out[0] == state->word[0] && op->out[1] == state->word[1] &&
	       op->out[2] == state->word[2];
}

/* in[0]: the state before; in[1]: the error, of a transition to FAILED. */
static bool step_move(struct linear_state *state, const struct operation *op)
{
	enum fh_server_state from = (enum fh_server_state)op->in[0];
	enum fh_server_state to = state_of(op->out[0]);
	uint64_t epoch = (state->word[0] >> 8) + 1;

	if (state_of(state->word[0]) != from)
		return false;
	if (from == FH_SERVER_ABSENT)
		state->word[3] = USER;
	if (to == FH_SERVER_RUNNING) {
		state->word[1] = op->out[1];
		state->word[2] += from == FH_SERVER_RESTARTING;
	}
	if (from == FH_SERVER_CRASHED)
		state->word[2] += CRASH;
	if (to == FH_SERVER_FAILED)
		state->word[2] = (state->word[2] & UINT32_MAX) |
				 op->in[1] << ERROR_SHIFT;
	state->word[0] = to | epoch << 8;
	if (!is_told(state, op))
		return false;
	if (to != FH_SERVER_STOPPED)
		return true;
	if (!(state->word[3] & CLOSED))
		return false;
	memset(state, 0, sizeof(*state));
	return true;
}

/* What start, restart and get refuse, and when that is right. */
static bool is_refusal(const struct linear_state *state, int rc)
{
	switch (state_of(state->word[0])) {
	case FH_SERVER_ABSENT:
		return rc == -ENOENT;
	case FH_SERVER_STARTING:
	case FH_SERVER_RESTARTING:
	case FH_SERVER_CRASHED:
		if (rc == -EINPROGRESS)
			return true;
		break;
	case FH_SERVER_FAILED:
		if (rc == -EHOSTDOWN)
			return true;
		break;
	case FH_SERVER_STOPPING:
		return rc == -ESHUTDOWN || rc == -EEXIST;
	default:
		break;
	}
	return rc == -EEXIST ||
	       (rc == -ESHUTDOWN && (state->word[3] & CLOSED));
}

/* rc -EHOSTDOWN: it is not known whether it was the last one. */
static bool step_leave(struct linear_state *state, const struct operation *op)
{
	if (state->word[3] & CLOSED)
		return op->rc == -ESHUTDOWN || op->rc == -EHOSTDOWN;
	if (state->word[0] == 0 || op->rc == -ESHUTDOWN)
		return false;
	if (state->word[3] < 2 * USER)
		state->word[3] = CLOSED;
	else
		state->word[3] -= USER;
	return true;
}

static bool step_users(struct linear_state *state, const struct operation *op)
{
	bool closed = state->word[3] & CLOSED;

	switch (op->kind) {
	case USERS:
		return op->out[0] == state->word[3] / USER;
	case JOIN:	/* in[0]: or not, if the last one has just left */
		if (!closed)
			state->word[3] += USER;
		return state->word[0] && (op->in[0] || !closed);
	case UNJOIN:
		if (state->word[3] >= USER)
			state->word[3] -= USER;
		return state->word[0] != 0;
	case REOPEN:
		state->word[3] = 0;
		return closed;
	default:
		return step_leave(state, op);
	}
}

static bool step(struct linear_state *state, const struct operation *op)
{
	switch (op->kind) {
	case MOVE:
		return step_move(state, op);
	case LOOK:
		return is_told(state, op);
	case REFUSED:
		return is_refusal(state, op->rc);
	case STALE:	/* in[0]: the generation; in[1]: one that runs */
		return state->word[0] &&
		       (state->word[1] != op->in[0] ||
			(op->in[1] && state_of(state->word[0]) !=
					      FH_SERVER_RUNNING));
	case REST:
		return !(state->word[3] & CLOSED);
	default:
		return step_users(state, op);
	}
}

static void print(const struct operation *op, char *text, size_t size)
{
	static const char *const kinds[KINDS] = {
		"move", "look", "users", "join", "unjoin", "leave", "reopen",
		"refused", "stale", "rest",
	};

	if (op->kind != MOVE && op->kind != LOOK) {
		snprintf(text, size, "%s(%" PRIu64 "): %d, %" PRIu64,
			 kinds[op->kind], op->in[0], op->rc, op->out[0]);
		return;
	}
	snprintf(text, size, "%s: %s %" PRIu64 ", generation %" PRIu64
		 ", %" PRIx64, kinds[op->kind],
		 fh_server_state_name(state_of(op->out[0])), op->out[0] >> 8,
		 op->out[1], op->out[2]);
}

/* ---- what is seen ---- */

static void note(struct operation *op, const struct fh_server_info *info)
{
	long told = strtol(info->text, NULL, 10);

	op->out[0] = info->state | info->epoch << 8;
	op->out[1] = info->generation;
	op->out[2] = info->restarts * RESTART + info->crashes * CRASH +
		     ((uint64_t)-info->error << ERROR_SHIFT);
	if (info->state == FH_SERVER_ABSENT)
		op->out[0] = 0;
	if (told != -info->error)
		add_relaxed(&odd, 1);
	if (info->generation)
		share[self->index].generation = info->generation;
}

static void mark(void)
{
	share[self->index].mark = load_acquire(&self->history->tick);
}

/* Something that this thread has done since its mark. */
static struct operation *since_mark(unsigned kind, unsigned key)
{
	struct operation *op = history_call(self, kind, key, 0, 0);

	op->invoked = share[self->index].mark;
	history_return(self, op, 0);
	return op;
}

/*
 * A start of one that does not run joins it, and leaves if that fails, as the
 * first user does; a stop that fails lets users in again.
 */
static void note_users(const struct fh_server_event *event, unsigned key)
{
	struct share *mine = &share[self->index];

	if (event->to == FH_SERVER_STARTING)
		mine->guest = true;
	if (event->to == FH_SERVER_RESTARTING && mine->starts) {
		since_mark(JOIN, key)->in[0] = 1;
		mine->guest = true;
	}
	if (event->to != FH_SERVER_FAILED && event->to != FH_SERVER_RUNNING)
		return;
	if (event->to == FH_SERVER_FAILED && mine->guest)
		since_mark(UNJOIN, key);
	if (event->from == FH_SERVER_STOPPING)
		since_mark(REOPEN, key);
	mine->guest = false;
}

static void note_move(const struct fh_server_event *event, void *arg)
{
	struct share *mine = &share[self->index];
	unsigned key = event->name[0] == 'r';
	struct operation *op;

	if (event->to != event->info.state ||
	    servers[self->object] != *(struct fh_servers **)arg)
		add_relaxed(&odd, 1);
	note_users(event, key);
	op = since_mark(MOVE, key);
	note(op, &event->info);
	op->in[0] = event->from;
	op->in[1] = mine->error;
	mine->moves++;
	if (event->to == FH_SERVER_RUNNING)
		mine->made = event->info.generation;
	/* A claim: what fails from now on is this job's. */
	if (event->to == FH_SERVER_STARTING ||
	    event->to == FH_SERVER_RESTARTING ||
	    event->to == FH_SERVER_STOPPING)
		mine->error = 0;
	history_pause(self);
	mark();
}

/* ---- functions that succeed or fail ---- */

/* The first failure of a job is what is kept; all texts are numbers. */
static int fail(struct fh_server_job *job)
{
	struct share *mine = &share[self->index];
	uint64_t error = 1 + self->index + HISTORY_THREADS *
			 (mine->errors++ % 800);

	snprintf(job->text, FH_SERVER_TEXT, "%d", (int)error);
	if (!mine->error)
		mine->error = error;
	return -(int)error;
}

/* Others are to find the server busy. */
static void linger(void)
{
	if (random_below(&self->random, 8) == 0)
		sched_yield();
	history_pause(self);
}

static bool is_to_fail(unsigned one_in)
{
	linger();
	return random_below(&self->random, one_in) == 0;
}

static int start_site(struct fh_server_job *job, void **client)
{
	struct site *at = job->arg;
	bool fails = is_to_fail(4);
	int rc = 0;

	if (!fails || random_below(&self->random, 2)) {
		if (add_seq_cst(&at->alive, 1))
			add_relaxed(&odd, 1);
		*client = at;
	}
	if (fails)
		rc = fail(job);
	mark();
	return rc;
}

static int stop_site(struct fh_server_job *job, void *client)
{
	struct site *at = client;
	int rc = 0;

	if (is_to_fail(5))
		rc = fail(job);
	else if (sub_acq_rel(&at->alive, 1) != 1)
		add_relaxed(&odd, 1);
	mark();
	return rc;
}

static int site_exited(struct fh_server_job *job, void *client)
{
	struct site *at = client;

	(void)job;
	add_seq_cst(&at->crashed, 1);
	if (sub_acq_rel(&at->alive, 1) != 1)
		add_relaxed(&odd, 1);
	mark();
	return 0;
}

static const struct fh_server_ops ops = {
	.start = start_site, .stop = stop_site, .exited = site_exited,
};

/* ---- the real one ---- */

static void begin_call(void)
{
	share[self->index].moves = 0;
	share[self->index].error = share[self->index].made = 0;
	share[self->index].starts = share[self->index].guest = false;
	mark();
}

static bool is_busy(int rc)
{
	return rc == -EINPROGRESS || rc == -ESHUTDOWN || rc == -ENOENT ||
	       rc == -EEXIST;
}

/* The whole call, as one more operation. */
static struct operation *note_call(struct operation whole, unsigned kind,
				   int rc)
{
	struct operation *op = history_beside(self, kind, whole.key, &whole);

	op->rc = rc;
	return op;
}

/* An operation not yet in the log: when the call began. */
static struct operation call_of(unsigned key)
{
	begin_call();
	return (struct operation){ .key = key,
				   .invoked = share[self->index].mark };
}

static void end_call(struct operation *whole)
{
	whole->returned = history_next_return(self);
}

/* Joined as others had left it: what was looked at, and one user more. */
static void note_joined(struct operation whole,
			const struct fh_server_info *info)
{
	note(note_call(whole, LOOK, 0), info);
	note_call(whole, JOIN, 0);
}

static void do_start(unsigned key)
{
	const struct fh_server_request request = {
		.name = names[key], .ops = &ops,
		.arg = &site[self->object * KEYS + key],
		.exclusive = random_below(&self->random, 8) == 0,
		.limits = { .lease = FH_FOREVER },
	};
	struct operation whole = call_of(key);
	struct fh_server_info info;
	int rc;

	share[self->index].starts = true;
	rc = fh_server_start(servers[self->object], &request, &info);
	end_call(&whole);
	if (is_busy(rc))
		note_call(whole, REFUSED, rc);
	else if (rc && rc != -EHOSTDOWN)
		add_relaxed(&odd, 1);
	else if (!share[self->index].moves && (rc || !info.joined))
		add_relaxed(&odd, 1);
	else if (rc == 0 && info.generation != share[self->index].made)
		note_joined(whole, &info);
}

static uint64_t some_generation(void)
{
	return random_below(&self->random, 2) ?
		       share[self->index].generation : FH_SERVER_ANY;
}

static void do_restart(unsigned key)
{
	uint64_t meant = some_generation();
	struct operation whole = call_of(key);
	int rc = fh_server_restart(servers[self->object], names[key], meant,
				   NULL);

	end_call(&whole);
	if (is_busy(rc))
		note_call(whole, REFUSED, rc);
	else if (rc == -ESTALE)
		note_call(whole, STALE, rc)->in[0] = meant;
	else if ((rc && rc != -EHOSTDOWN) || !share[self->index].moves)
		add_relaxed(&odd, 1);
}

static void do_stop(unsigned key)
{
	struct operation whole = call_of(key);
	int rc = fh_server_stop(servers[self->object], names[key], NULL);

	end_call(&whole);
	if (rc == -ENOENT)
		note_call(whole, REFUSED, rc);
	else if (rc == 0 || rc == -ESHUTDOWN || rc == -EHOSTDOWN)
		note_call(whole, LEAVE, rc);
	else
		add_relaxed(&odd, 1);
}

static void do_crash(unsigned key)
{
	uint64_t meant = share[self->index].generation;
	char text[FH_SERVER_TEXT];
	struct fh_server_job told = { .text = text };
	struct operation whole;
	struct operation *op;
	int rc, error;

	if (!meant)
		return;
	whole = call_of(key);
	error = fail(&told);
	rc = fh_server_crashed(servers[self->object], names[key], meant, error,
			       text, NULL);
	end_call(&whole);
	if (rc == -ENOENT) {
		note_call(whole, REFUSED, rc);
	} else if (rc == -ESTALE) {
		op = note_call(whole, STALE, rc);
		op->in[0] = meant;
		op->in[1] = 1;
	} else if (rc || !share[self->index].moves) {
		add_relaxed(&odd, 1);
	}
}

/* What is leased is there until it is given back, unless it has crashed. */
static bool is_there(struct site *at, uint64_t crashed)
{
	return load_acquire(&at->alive) == 1 ||
	       load_acquire(&at->crashed) != crashed;
}

static void use_lease(struct fh_server_lease *lease, unsigned key,
		      uint64_t generation, uint64_t crashed)
{
	struct site *at = fh_lease_client(lease);
	bool there = is_there(at, crashed);

	history_pause(self);
	if (at != &site[self->object * KEYS + key] || !there ||
	    !is_there(at, crashed) ||
	    fh_lease_generation(lease) != generation)
		add_relaxed(&odd, 1);
	fh_lease_return(lease);
}

static void do_get(unsigned key)
{
	uint64_t crashed =
		load_seq_cst(&site[self->object * KEYS + key].crashed);
	struct operation whole = call_of(key);
	struct fh_server_lease *lease;
	struct fh_server_info info;
	int rc = fh_server_get(servers[self->object], names[key], &lease,
			       &info);

	end_call(&whole);
	note(note_call(whole, LOOK, 0), &info);
	if (rc == 0)
		use_lease(lease, key, info.generation, crashed);
	else
		note_call(whole, REFUSED, rc);
	if ((rc == 0) != (info.state == FH_SERVER_RUNNING))
		add_relaxed(&odd, 1);
}

static void do_health(unsigned key)
{
	struct operation whole = call_of(key);
	struct fh_server_info info;
	int rc = fh_server_health(servers[self->object], names[key], &info);

	end_call(&whole);
	note(note_call(whole, LOOK, 0), &info);
	note_call(whole, USERS, 0)->out[0] = info.users;
	if ((rc == -ENOENT) != (info.state == FH_SERVER_ABSENT))
		add_relaxed(&odd, 1);
}

static int visit(const char *name, const struct fh_server_info *info,
		 void *arg)
{
	struct fh_server_info *seen = arg;
	unsigned key = name[0] == 'r';

	/* One client twice: a state that there is not, and so refused. */
	if (info->generation && seen[key].generation == info->generation)
		seen[key].state = FH_SERVER_STATES;
	else
		seen[key] = *info;
	return 0;
}

static void do_list(unsigned key)
{
	struct fh_server_info seen[KEYS] = { { 0 } };
	struct operation whole = call_of(key);

	fh_server_for_each(servers[self->object], visit, seen);
	end_call(&whole);
	for (whole.key = 0; whole.key < KEYS; whole.key++)
		note(note_call(whole, LOOK, 0), &seen[whole.key]);
}

/* ---- a round ---- */

#define MOST 10		/* operations, of one thread before its last call */

static void act(struct history_thread *thread)
{
	static void (*const deeds[16])(unsigned key) = {
		do_start, do_start, do_start, do_start, do_restart,
		do_restart, do_stop, do_stop, do_stop, do_stop, do_stop,
		do_crash, do_get, do_health, do_health, do_list,
	};
	unsigned calls = 2 + (unsigned)random_below(&thread->random, 3);

	self = thread;
	while (calls-- && thread->log[thread->object].count < MOST) {
		unsigned key = random_below(&thread->random, 4) == 0;

		deeds[random_below(&thread->random, 16)](key);
		history_pause(thread);
	}
}

/* At rest nobody is left to stop what has no users. */
static void look(struct history_thread *thread)
{
	unsigned key;

	self = thread;
	for (key = 0; key < KEYS; key++) {
		struct operation whole = call_of(key);

		do_health(key);
		end_call(&whole);
		note_call(whole, REST, 0);
	}
}

static const struct history_room room = {
	.specification = { step, print }, .keys = KEYS, .act = act,
	.look = look,
};

static void open_all(void)
{
	unsigned i;

	memset(share, 0, sizeof(share));
	memset(site, 0, sizeof(site));
	for (i = 0; i < HISTORY_OBJECTS; i++) {
		const struct fh_servers_options options = {
			.event = note_move, .event_arg = &servers[i] };

		if (fh_servers_create(&servers[i], &options))
			bail_out("cannot create a registry");
	}
}

static uint64_t count_started(void)
{
	struct fh_servers_stats stats;
	uint64_t started = 0;
	unsigned i;

	for (i = 0; i < HISTORY_OBJECTS; i++) {
		fh_servers_get_stats(servers[i], &stats);
		started += stats.started + stats.restarted;
	}
	return started;
}

/* Nobody is left to write anything down. */
static void close_all(void)
{
	static struct history nowhere;
	static struct history_thread nobody = { .history = &nowhere,
						.random = 1 };
	unsigned i;

	self = &nobody;
	for (nobody.object = 0; nobody.object < HISTORY_OBJECTS;
	     nobody.object++) {
		nobody.log[nobody.object].count = 0;
		fh_servers_destroy(servers[nobody.object]);
	}
	for (i = 0; i < PLACES; i++)
		store_relaxed(&site[i].alive, 0);
}

int main(void)
{
	static const struct history_form forms[] = {
		{ "servers", 2, 50, 0 }, { "servers", 3, 30, 0 },
		{ "servers", 4, 20, 0 },
	};
	const struct linear_state fresh = { { 0 } };
	size_t i;

	history_watchdog();
	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		open_all();
		history_run(&room, &forms[i], 4000, &fresh);
		is(odd, 0, "nothing was seen that no order excuses");
		diag("%" PRIu64 " clients were started", count_started());
		close_all();
	}
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
