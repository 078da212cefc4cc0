/* SPDX-License-Identifier: MIT */
/*
 * A house with all rooms in it, in which threads do everything at random and
 * whose books must balance in the end.
 *
 *     house_open(&house, 500, 0);
 *     run_crew(8, house_live, &house);        // until house.stop or .turns
 *     is(house_wrong(&house), 0, "...");      // says which line, if not
 *     house_close(&house);
 *
 * What would be seen if the library were wrong: a change of the cell that is
 * lost or doubled makes its epoch differ from the number of sets; a record
 * that is torn has two halves that do not belong together; a number that is
 * lost, doubled or hidden makes a thread miss its own, or the shared ones not
 * alternate; an entry that is reclaimed too early is not alive when somebody
 * looks; an arc with two winners makes starts, ends, notices and the arcs
 * that run disagree; a message that is torn, lost or out of order does not
 * say what its number and its writer's count want; a place too many or too
 * few shows in the gate's count of who is inside; two servers of one name, or
 * a transition that is told twice or not, show in counts of their own; a task
 * that is lost, or runs or ends twice, leaves its chore in a state of which
 * it tells, or the chores that went not as many as were sent.
 */
#ifndef FH_TEST_HOUSE_H
#define FH_TEST_HOUSE_H

#include <freehold/arc.h>
#include <freehold/gate.h>
#include <freehold/log.h>
#include <freehold/record.h>
#include <freehold/server.h>
#include <freehold/status.h>
#include <freehold/task.h>

#include <errno.h>
#include <string.h>

#include "items.h"
#include "tap.h"

#define SHARED 8u		/* numbers in the table that all fight for */
#define PAIRS 3u		/* pairs of names, so few that none resizes */

enum { OPENING, MIDDLE, CLOSE, PHASES };

static const uint64_t plot_allowed[PHASES] = {
	UINT64_C(1) << MIDDLE, UINT64_C(1) << CLOSE, 0,
};
static const struct fh_arc_event plot_events[] = {
	{ "go on", 1 << OPENING, MIDDLE },
	{ "finish", 1 << MIDDLE, CLOSE },
};
static const struct fh_arc_type plot = {
	.name = "plot", .initial = OPENING, .final = 1 << CLOSE,
	.phases = PHASES, .allowed = plot_allowed, .events = plot_events,
	.event_count = 2,
};

enum room {
	CELL = 1, RECORD = 2, MAP = 4, ARCS = 8, LOG = 16, GATE = 32,
	SERVERS = 64, TASKS = 128
};

#define GATE_PLACES 3u		/* at the gate */
#define HANDS 2u		/* threads of the supervisor */
#define CHORES 16u		/* that it takes at a time */
#define SITES 2u		/* names of servers */

struct house {
	struct fh_status cell;
	struct fh_record record;
	struct fh_map *map;
	struct fh_arcs *arcs;
	struct fh_log *log;
	struct fh_gate *gate;
	struct fh_servers *servers;
	struct fh_tasks *tasks;
	uint64_t range;		/* numbers of each thread's own */
	uint64_t turns;		/* for each thread; 0: until stop */
	int scarce;		/* memory may be refused */
	unsigned closed;	/* rooms that are not used, see enum room */
	tally stop, done, refused;
	tally sets, published, started, ended, told[2], dwellers;
	tally in[SHARED], out[SHARED];
	tally appended, passed, inside;
	tally alive[SITES], users_in, users_out, entered, restarted;
	tally chores, chores_over[FH_TASK_CRASHED + 1], chores_gone;
	tally wrong, line;	/* the first check that failed */
};

struct dweller {
	struct house *house;
	uint64_t base, have;	/* numbers base to base + have are there */
	uint64_t epoch, version, random;
	uint64_t said, heard, seen; /* own messages; the log's cursor */
	int falling;
};

#define HOUSE_EXPECT(house, holds)                                          \
	do {                                                                \
		if (!(holds)) {                                             \
			if (add_relaxed(&(house)->wrong, 1) == 0)           \
				store_relaxed(&(house)->line, __LINE__);    \
		}                                                           \
	} while (0)

static int count_notice(const struct fh_arc_notice *notice, void *arg)
{
	struct house *house = arg;

	add_relaxed(&house->told[notice->change == FH_ARC_ENDED], 1);
	return 0;
}

/* Those that run now: what was entered and not left. */
static void count_event(const struct fh_server_event *event, void *arg)
{
	struct house *house = arg;

	HOUSE_EXPECT(house, event->info.state == event->to);
	if (event->to == FH_SERVER_RUNNING)
		add_relaxed(&house->entered, 1);
	if (event->from == FH_SERVER_RUNNING)
		add_relaxed(&house->entered, UINT64_MAX);
}

/* At the hard bound, or for lack of memory: counted, and nothing else. */
static int is_refused(struct house *house, int rc)
{
	int refused = rc == -EAGAIN || (house->scarce && rc == -ENOMEM);

	if (refused)
		add_relaxed(&house->refused, 1);
	return refused;
}

#include "house_task.h"

static int open_site(struct fh_server_job *job, void **client)
{
	tally *alive = job->arg;

	if (add_seq_cst(alive, 1) != 0)
		return -EBUSY;
	*client = alive;
	return 0;
}

static int close_site(struct fh_server_job *job, void *client)
{
	return job->arg == client && sub_acq_rel((tally *)client, 1) == 1 ?
		       0 : -ECHILD;
}

__attribute__((unused)) static void house_open(struct house *house,
					       uint64_t range, int fixed)
{
	const struct fh_arcs_options arcs = { .types = &plot,
					      .type_count = 1 };
	const struct fh_map_options map = { .fixed = fixed,
		.expected = fixed ? 1000 : 0 };
	const struct fh_log_options log = { .capacity = 20 };
	const struct fh_gate_options gate = { .limit = GATE_PLACES };
	const struct fh_servers_options servers = {
		.event = count_event, .event_arg = house };
	const struct fh_tasks_options tasks = {
		.threads = HANDS, .limit = CHORES, .observer = watch_chore,
		.observer_arg = house };
	uint64_t id;

	memset(house, 0, sizeof(*house));
	house->range = range;
	house->map = map_new(&map);
	if (fh_arcs_create(&house->arcs, &arcs) ||
	    fh_arc_observe(house->arcs, FH_ARC_STARTED | FH_ARC_ENDED,
			   count_notice, house, NULL, &id))
		bail_out("no registry");
	if (fh_log_create(&house->log, &log) ||
	    fh_gate_create(&house->gate, &gate) ||
	    fh_servers_create(&house->servers, &servers) ||
	    fh_tasks_create(&house->tasks, &tasks))
		bail_out("no log, no gate, no servers or no supervisor");
}

static void use_cell(struct dweller *self)
{
	struct house *house = self->house;
	struct fh_status_snapshot seen = fh_status_read(&house->cell);

	HOUSE_EXPECT(house, seen.epoch >= self->epoch);
	self->epoch = seen.epoch;
	if (random_below(&self->random, 2)) {
		fh_status_set(&house->cell, seen.epoch % 64);
		add_relaxed(&house->sets, 1);
	} else if (fh_status_compare_exchange(&house->cell, &seen, 7) == 0) {
		add_relaxed(&house->sets, 1);
	}
}

static void use_record(struct dweller *self)
{
	struct house *house = self->house;
	uint64_t value[2] = { random_next(&self->random) }, version = 0;
	int rc;

	value[1] = ~value[0];
	if (random_below(&self->random, 2)) {
		rc = fh_record_publish(&house->record, value, sizeof(value));
		HOUSE_EXPECT(house, rc == 0 || is_refused(house, rc));
		if (rc == 0)
			add_relaxed(&house->published, 1);
		return;
	}
	rc = fh_record_read(&house->record, value, sizeof(value), NULL,
			    &version);
	HOUSE_EXPECT(house, rc == 0 || rc == -ENODATA);
	HOUSE_EXPECT(house, value[0] == ~value[1]);
	HOUSE_EXPECT(house, rc || version >= self->version);
	self->version = version;
}

/* Up to range numbers and down to none, so that the table keeps resizing. */
static void use_own_number(struct dweller *self)
{
	struct house *house = self->house;
	struct fh_map_entry *out;
	struct item *item;
	uint64_t key;
	int rc;

	if (self->have == (self->falling ? 0 : house->range))
		self->falling = !self->falling;
	if (self->falling) {
		key = self->base + --self->have;
		HOUSE_EXPECT(house, id_at(house->map, fh_key_u64(key)) == key);
		rc = fh_map_remove(house->map, fh_key_u64(key), &out);
		HOUSE_EXPECT(house, rc == 0 ||
				    (rc != -ENOMEM && is_refused(house, rc)));
		self->have += rc != 0;
		if (rc == 0)
			item_retire(out);
		return;
	}
	item = item_u64(self->base + self->have, self->base + self->have);
	rc = fh_map_insert(house->map, &item->entry, NULL);
	HOUSE_EXPECT(house, rc == 0 || is_refused(house, rc));
	self->have += rc == 0;
	if (rc)
		free(item);
}

static void look_at_number(struct house *house, uint64_t key)
{
	struct fh_map_entry *entry;

	fh_rcu_read_lock();
	entry = fh_map_lookup(house->map, fh_key_u64(key));
	HOUSE_EXPECT(house, !entry || (item_of(entry)->alive == ITEM_ALIVE &&
				       item_of(entry)->id == key));
	fh_rcu_read_unlock();
}

static void use_shared_number(struct dweller *self)
{
	uint64_t key = random_below(&self->random, SHARED);
	struct house *house = self->house;
	struct fh_map_entry *out;
	struct item *item;
	int rc;

	look_at_number(house, key);
	if (random_below(&self->random, 2)) {
		item = item_u64(key, key);
		rc = fh_map_insert(house->map, &item->entry, NULL);
		HOUSE_EXPECT(house, rc == 0 || rc == -EEXIST ||
				    is_refused(house, rc));
		if (rc == 0)
			add_relaxed(&house->in[key], 1);
		else
			free(item);
		return;
	}
	rc = fh_map_remove(house->map, fh_key_u64(key), &out);
	HOUSE_EXPECT(house, rc == 0 || rc == -ENOENT ||
			    (rc != -ENOMEM && is_refused(house, rc)));
	if (rc == 0) {
		add_relaxed(&house->out[key], 1);
		item_retire(out);
	}
}

static void use_arc(struct dweller *self)
{
	static const char *const name[PAIRS] = { "ada", "bob", "cleo" };
	const char *first = name[random_below(&self->random, PAIRS)];
	const struct fh_arc_request request = { .first = "zoe",
						.second = first };
	struct house *house = self->house;
	struct fh_arc_info info;
	int rc;

	switch (random_below(&self->random, 4)) {
	case 0:
		rc = fh_arc_start(house->arcs, &request, NULL);
		HOUSE_EXPECT(house, rc == 0 || rc == -EEXIST ||
				    rc == -EINPROGRESS ||
				    is_refused(house, rc));
		add_relaxed(&house->started, rc == 0);
		return;
	case 1:
		rc = fh_arc_progress(house->arcs, first, "zoe", NULL, &info);
		HOUSE_EXPECT(house, rc == 0 || rc == -ENOENT ||
				    is_refused(house, rc));
		add_relaxed(&house->ended, rc == 0 && info.phase == CLOSE);
		return;
	case 2:
		rc = fh_arc_end(house->arcs, first, "zoe", FH_ARC_ANY,
				FH_ARC_CANCELLED, "enough", &info);
		HOUSE_EXPECT(house, rc == 0 || rc == -ENOENT ||
				    (rc != -ENOMEM && is_refused(house, rc)));
		add_relaxed(&house->ended, rc == 0);
		return;
	default:
		rc = fh_arc_get(house->arcs, "zoe", first, &info);
		HOUSE_EXPECT(house, rc == -ENOENT || (rc == 0 &&
			     info.events == (info.phase == MIDDLE)));
	}
}

/* Three words: who, how often, and that again. */
static void append_to_log(struct dweller *self)
{
	uint64_t words[3] = { self->base, self->said + 1, ~(self->said + 1) };
	struct house *house = self->house;
	int rc = fh_log_append(house->log, words, sizeof(words), NULL);

	HOUSE_EXPECT(house, rc == 0 || is_refused(house, rc));
	self->said += rc == 0;
	add_relaxed(&house->appended, rc == 0);
}

static void use_log(struct dweller *self)
{
	struct house *house = self->house;
	uint64_t words[3], before = self->seen;
	struct fh_log_message message;
	int rc;

	if (random_below(&self->random, 2)) {
		append_to_log(self);
		return;
	}
	rc = fh_log_read(house->log, &self->seen, words, sizeof(words),
			 &message);
	HOUSE_EXPECT(house, rc == 0 || rc == -ENODATA);
	if (rc)
		return;
	HOUSE_EXPECT(house, self->seen == before + message.missed + 1);
	HOUSE_EXPECT(house, words[1] == ~words[2] &&
			    message.size == sizeof(words));
	if (words[0] == self->base) {
		HOUSE_EXPECT(house, words[1] > self->heard &&
				    words[1] <= self->said);
		self->heard = words[1];
	}
}

static void use_gate(struct dweller *self)
{
	struct house *house = self->house;
	int rc = fh_gate_enter(house->gate);

	HOUSE_EXPECT(house, rc == 0 || rc == -EBUSY);
	if (rc)
		return;
	HOUSE_EXPECT(house, add_relaxed(&house->inside, 1) < GATE_PLACES);
	add_relaxed(&house->passed, 1);
	sub_acq_rel(&house->inside, 1);
	HOUSE_EXPECT(house, fh_gate_leave(house->gate) == 0);
}

static const char *const site_name[SITES] = { "left", "right" };

static void start_server(struct house *house, uint64_t site)
{
	static const struct fh_server_ops ops = { .start = open_site,
						  .stop = close_site };
	const struct fh_server_request request = {
		.name = site_name[site], .ops = &ops,
		.arg = &house->alive[site],
		.limits.lease = 60 * SECONDS, /* nobody holds one so long */
	};
	int rc = fh_server_start(house->servers, &request, NULL);

	HOUSE_EXPECT(house, rc == 0 || rc == -EINPROGRESS ||
			    rc == -ESHUTDOWN || rc == -ECHILD ||
			    is_refused(house, rc));
	add_relaxed(&house->users_in, rc == 0);
}

static void restart_server(struct house *house, uint64_t site)
{
	int rc = fh_server_restart(house->servers, site_name[site],
				   FH_SERVER_ANY, NULL);

	HOUSE_EXPECT(house, rc == 0 || rc == -EINPROGRESS ||
			    rc == -ESHUTDOWN || rc == -ENOENT ||
			    rc == -ECHILD || is_refused(house, rc));
	add_relaxed(&house->restarted, rc == 0);
}

static void stop_server(struct house *house, uint64_t site)
{
	int rc = fh_server_stop(house->servers, site_name[site], NULL);

	HOUSE_EXPECT(house, rc == 0 || rc == -ESHUTDOWN || rc == -ENOENT ||
			    rc == -ECHILD);
	add_relaxed(&house->users_out, rc == 0);
}

static void use_lease(struct house *house, uint64_t site)
{
	struct fh_server_lease *lease;
	int rc = fh_server_get(house->servers, site_name[site], &lease, NULL);

	HOUSE_EXPECT(house, rc == 0 || rc == -EINPROGRESS ||
			    rc == -ESHUTDOWN || rc == -ENOENT ||
			    rc == -ECHILD);
	if (rc)
		return;
	HOUSE_EXPECT(house, fh_lease_client(lease) == &house->alive[site]);
	HOUSE_EXPECT(house, load_relaxed(&house->alive[site]) == 1);
	fh_lease_return(lease);
}

static void use_server(struct dweller *self)
{
	uint64_t site = random_below(&self->random, SITES);

	switch (random_below(&self->random, 8)) {
	case 0:
	case 1:
		start_server(self->house, site);
		break;
	case 2:
		restart_server(self->house, site);
		break;
	case 3:
	case 4:
		stop_server(self->house, site);
		break;
	default:
		use_lease(self->house, site);
	}
}

__attribute__((unused)) static void house_turn(struct dweller *self)
{
	static const struct {
		unsigned room;
		void (*use)(struct dweller *self);
	} turn[] = {
		{ CELL, use_cell }, { RECORD, use_record },
		{ MAP, use_own_number }, { MAP, use_own_number },
		{ MAP, use_shared_number }, { ARCS, use_arc },
		{ LOG, use_log }, { GATE, use_gate },
		{ SERVERS, use_server }, { TASKS, use_task },
	};
	uint64_t i;

	do
		i = random_below(&self->random,
				 sizeof(turn) / sizeof(*turn));
	while (turn[i].room & self->house->closed);
	turn[i].use(self);
	add_relaxed(&self->house->done, 1);
}

__attribute__((unused)) static void house_enter(struct dweller *self,
						struct house *house)
{
	uint64_t number = add_relaxed(&house->dwellers, 1);

	memset(self, 0, sizeof(*self));
	self->house = house;
	self->random = random_seed((unsigned)number);
	self->base = (number + 1) << 32;
}

/* On the way out every number of one's own must be there, and is removed. */
__attribute__((unused)) static void house_leave(struct dweller *self)
{
	self->falling = 1;
	while (self->have) {
		use_own_number(self);
		sched_yield();
	}
}

/* The life of a thread in the house, for run_crew. */
__attribute__((unused)) static void house_live(unsigned index, void *arg)
{
	struct house *house = arg;
	struct dweller self;
	uint64_t turn;

	(void)index;
	house_enter(&self, house);
	for (turn = 0; !load_relaxed(&house->stop) &&
		       (!house->turns || turn < house->turns); turn++)
		house_turn(&self);
	house_leave(&self);
}

/* ---- the books, when nobody is in ---- */

static void check_numbers(struct house *house)
{
	uint64_t key, there, sum = 0;

	for (key = 0; key < SHARED; key++) {
		fh_rcu_read_lock();
		there = fh_map_lookup(house->map, fh_key_u64(key)) != NULL;
		fh_rcu_read_unlock();
		HOUSE_EXPECT(house, house->in[key] - house->out[key] == there);
		sum += there;
	}
	HOUSE_EXPECT(house, fh_map_count(house->map) == sum);
	HOUSE_EXPECT(house, map_stats(house->map).count == sum);
}

static void check_servers(struct house *house)
{
	struct fh_servers_stats stats;
	struct fh_server_info info;
	uint64_t users = 0, running = 0;
	unsigned i;

	for (i = 0; i < SITES; i++) {
		fh_server_health(house->servers, site_name[i], &info);
		users += info.users;
		running += info.state == FH_SERVER_RUNNING;
		HOUSE_EXPECT(house, house->alive[i] ==
				    (info.state == FH_SERVER_RUNNING));
		HOUSE_EXPECT(house, info.leases == 0);
	}
	fh_servers_get_stats(house->servers, &stats);
	HOUSE_EXPECT(house, users == house->users_in - house->users_out);
	HOUSE_EXPECT(house, running == house->entered);
	HOUSE_EXPECT(house, stats.started + stats.joined == house->users_in);
	HOUSE_EXPECT(house, stats.restarted == house->restarted);
	/* At the hard bound one that stopped stays, until it is replaced. */
	HOUSE_EXPECT(house, stats.registered >= running &&
			    stats.registered <= SITES);
}

static void check_arcs(struct house *house)
{
	struct fh_arcs_stats stats;

	fh_arcs_get_stats(house->arcs, &stats);
	HOUSE_EXPECT(house, stats.started == house->started);
	HOUSE_EXPECT(house, stats.ended == house->ended);
	HOUSE_EXPECT(house, stats.active == house->started - house->ended);
	HOUSE_EXPECT(house, house->told[0] == house->started);
	HOUSE_EXPECT(house, house->told[1] == house->ended);
}

static void check_log_and_gate(struct house *house)
{
	struct fh_log_range range;
	struct fh_gate_stats stats;

	fh_log_get_range(house->log, &range);
	HOUSE_EXPECT(house, range.last == house->appended);
	fh_gate_get_stats(house->gate, &stats);
	HOUSE_EXPECT(house, stats.inside == 0 && house->inside == 0);
	HOUSE_EXPECT(house, stats.admitted == house->passed);
}

/* How many checks failed, of those on the way and of those at the end. */
__attribute__((unused)) static uint64_t house_wrong(struct house *house)
{
	uint64_t version = 0;

	fh_record_read(&house->record, NULL, 0, NULL, &version);
	HOUSE_EXPECT(house, fh_status_read(&house->cell).epoch == house->sets);
	HOUSE_EXPECT(house, version == house->published);
	check_tasks(house);
	check_numbers(house);
	check_arcs(house);
	check_servers(house);
	check_log_and_gate(house);
	if (house->wrong)
		diag("house.h:%" PRIu64 ": the first that failed",
		     (uint64_t)house->line);
	return house->wrong;
}

__attribute__((unused)) static void house_close(struct house *house)
{
	rest_from_chores(house);
	fh_tasks_destroy(house->tasks);
	fh_gate_destroy(house->gate);
	fh_log_destroy(house->log);
	fh_servers_destroy(house->servers);
	fh_arcs_destroy(house->arcs);
	fh_map_destroy(house->map, item_release, NULL);
	fh_record_destroy(&house->record);
}

#endif
