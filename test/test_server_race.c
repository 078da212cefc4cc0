/* SPDX-License-Identifier: MIT */
/*
 * The race that the registry is there to end: a restart that deletes the
 * entry, restarts for a while, and inserts it again, and a start that checks,
 * starts and then inserts.  Both are driven by the body that drives the
 * registry, and must fail where the registry does not.
 *
 * Then all operations at once, on a few names that everybody fights for.
 */
#include "servers.h"

#include <freehold/map.h>

#include <stdio.h>

#define NAME "clangd"
#define RESTART_TAKES (MS / 5)

/* ---- the original ---- */

struct original_server {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
};

/* Each step by itself is safe; what is wrong is that they are several. */
struct original {
	struct fh_map *servers;
	struct site site;
};

static void run_process(struct site *site)
{
	sleep_ns(RESTART_TAKES);
	if (add_seq_cst(&site->alive, 1) != 0)
		add_relaxed(&site->twice, 1);
}

static void end_process(struct site *site)
{
	add_seq_cst(&site->alive, UINT64_MAX);
}

static void reclaim(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct original_server, rcu));
}

static void original_insert(struct original *original)
{
	struct original_server *server = calloc(1, sizeof(*server));
	struct fh_map_entry *old;

	server->entry.key = fh_key_string(NAME);
	if (fh_map_put(original->servers, &server->entry, &old) == 0 && old)
		fh_rcu_retire(&((struct original_server *)old)->rcu, reclaim);
}

static int original_get(void *self)
{
	struct original *original = self;
	int there;

	fh_rcu_read_lock();
	there = fh_map_lookup(original->servers, fh_key_string(NAME)) != NULL;
	fh_rcu_read_unlock();
	return there ? 0 : -ENOENT;
}

static int original_start(void *self)
{
	struct original *original = self;

	if (original_get(self) == 0)
		return 0;
	run_process(&original->site);
	original_insert(original);
	return 0;
}

static int original_restart(void *self)
{
	struct original *original = self;
	struct fh_map_entry *old;

	if (fh_map_remove(original->servers, fh_key_string(NAME), &old))
		return -ENOENT;
	fh_rcu_retire(&((struct original_server *)old)->rcu, reclaim);
	end_process(&original->site);
	run_process(&original->site);
	original_insert(original);
	return 0;
}

/* ---- ours ---- */

struct ours {
	struct fh_servers *servers;
	struct site site;
};

static int ours_get(void *self)
{
	struct ours *ours = self;
	struct fh_server_lease *lease;
	int rc = fh_server_get(ours->servers, NAME, &lease, NULL);

	if (rc == 0)
		fh_lease_return(lease);
	return rc == -EINPROGRESS ? 0 : rc;
}

/* It is joined, and left again: the server has one user for good. */
static int ours_start(void *self)
{
	struct ours *ours = self;
	const struct fh_server_request request = request_for(NAME,
							     &ours->site);
	int rc = fh_server_start(ours->servers, &request, NULL);

	if (rc == 0)
		rc = fh_server_stop(ours->servers, NAME, NULL);
	return rc == -EINPROGRESS ? 0 : rc;
}

static int ours_restart(void *self)
{
	struct ours *ours = self;
	int rc = fh_server_restart(ours->servers, NAME, FH_SERVER_ANY, NULL);

	return rc == -EINPROGRESS ? 0 : rc;
}

/* ---- the body that drives both ---- */

struct contest {
	void *self;
	struct site *site;
	int (*get)(void *self);
	int (*start)(void *self);
	int (*restart)(void *self);
	size_t rounds;
	int64_t until;		/* go on so long for what is to go wrong */
	tally not_found, other, finished;
};

static void judge(struct contest *contest, int rc)
{
	if (rc == -ENOENT)
		add_relaxed(&contest->not_found, 1);
	else if (rc)
		add_relaxed(&contest->other, 1);
}

static bool goes_on(struct contest *contest, size_t round)
{
	return round < contest->rounds ||
	       ((!load_relaxed(&contest->not_found) ||
		 !load_relaxed(&contest->site->twice)) &&
		fh_now() < contest->until);
}

/* One restarts all the time, one starts, the others look. */
static void contend(unsigned index, void *arg)
{
	struct contest *contest = arg;
	size_t i;

	if (index == 0) {
		for (i = 0; goes_on(contest, i); i++)
			judge(contest, contest->restart(contest->self));
		store_release(&contest->finished, 1);
	}
	while (!load_acquire(&contest->finished)) {
		judge(contest, index == 1 ? contest->start(contest->self) :
					    contest->get(contest->self));
		sleep_ns(MS / 50);
	}
}

static void drive(struct contest *contest)
{
	contest->rounds = scaled(100, 30);
	if (contest->start(contest->self))
		bail_out("no server");
	run_crew(4, contend, contest);
	diag("not found %u, two at once %u, alive in the end %u",
	     (unsigned)contest->not_found, (unsigned)contest->site->twice,
	     (unsigned)contest->site->alive);
}

static void release_original(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	free(entry);
}

static void test_original(void)
{
	const struct fh_map_options keys = { .keys = FH_KEYS_BYTES };
	struct original original = { 0 };
	struct contest contest = {
		.self = &original, .site = &original.site,
		.get = original_get, .start = original_start,
		.restart = original_restart, .until = fh_deadline_in(LONG),
	};

	if (fh_map_create(&original.servers, &keys))
		bail_out("no map");
	drive(&contest);
	ok(contest.not_found > 0, "deleted, then inserted: not found");
	ok(original.site.twice > 0, "and two processes of one name");
	fh_map_destroy(original.servers, release_original, NULL);
}

static void test_ours(void)
{
	struct ours ours = { .servers = registry() };
	struct contest contest = {
		.self = &ours, .site = &ours.site, .get = ours_get,
		.start = ours_start, .restart = ours_restart,
	};
	const struct fh_server_request request = request_for(NAME, &ours.site);

	ours.site.nap[AT_START] = RESTART_TAKES;
	fh_server_start(ours.servers, &request, NULL);
	drive(&contest);
	is(contest.not_found, 0, "an entry that stays: always found");
	is(ours.site.twice, 0, "and never two processes");
	is(contest.other, 0, "nor anything else");
	is(ours.site.alive, 1, "one is alive in the end");
	ok(stats_of(ours.servers).restarted >= contest.rounds,
	   "%u restarts", (unsigned)stats_of(ours.servers).restarted);
	fh_servers_destroy(ours.servers);
	ok(is_clean(&ours.site), "nothing is left");
}

/* ---- everything at once ---- */

#define NAMES 3
#define THREADS 8

/* What everybody was told adds up with what the registry counts. */
struct brawl {
	struct fh_servers *servers;
	struct site site[NAMES];
	tally entered[FH_SERVER_STATES], left[FH_SERVER_STATES];
	tally started, joined, restarted, crashed, wrong, line, turns;
	size_t rounds;
};

#define EXPECT(brawl, holds)                                                  \
	do {                                                                  \
		if (!(holds) && add_relaxed(&(brawl)->wrong, 1) == 0)         \
			store_relaxed(&(brawl)->line, __LINE__);              \
	} while (0)

static const char *const names[NAMES] = { "clangd", "gopls", "pylsp" };

static void listen(const struct fh_server_event *event, void *arg)
{
	struct brawl *brawl = arg;

	add_relaxed(&brawl->left[event->from], 1);
	add_relaxed(&brawl->entered[event->to], 1);
	EXPECT(brawl, event->info.state == event->to);
	EXPECT(brawl, (event->info.epoch == 1) ==
			      (event->from == FH_SERVER_ABSENT));
}

static void brawl_start(struct brawl *brawl, unsigned which, bool waits)
{
	struct fh_server_request request = request_for(names[which],
						       &brawl->site[which]);
	struct fh_server_info info;
	int rc;

	request.policy = (struct fh_server_policy){
		.most = FH_SERVER_RESTARTS_MOST, .window = 1 };
	request.limits.lease = LONG; /* no lease is ever overdue */
	if (waits)
		rc = fh_server_start_wait(brawl->servers, &request,
					  fh_deadline_in(LONG), &info);
	else
		rc = fh_server_start(brawl->servers, &request, &info);
	EXPECT(brawl, rc == 0 || rc == -EHOSTDOWN ||
		      (!waits && (rc == -EINPROGRESS || rc == -ESHUTDOWN)));
	if (rc == 0)
		add_relaxed(info.joined ? &brawl->joined : &brawl->started, 1);
}

static void brawl_stop(struct brawl *brawl, unsigned which, bool waits)
{
	int rc;

	if (waits)
		rc = fh_server_stop_wait(brawl->servers, names[which],
					 fh_deadline_in(LONG), NULL);
	else
		rc = fh_server_stop(brawl->servers, names[which], NULL);
	EXPECT(brawl, rc == 0 || rc == -ENOENT || (!waits &&
						   rc == -ESHUTDOWN));
}

static void brawl_restart(struct brawl *brawl, unsigned which, bool waits)
{
	struct fh_server_info info;
	int rc;

	if (waits)
		rc = fh_server_restart_wait(brawl->servers, names[which],
					    FH_SERVER_ANY,
					    fh_deadline_in(LONG), &info);
	else
		rc = fh_server_restart(brawl->servers, names[which],
				       FH_SERVER_ANY, &info);
	EXPECT(brawl, rc == 0 || rc == -ENOENT || rc == -ESHUTDOWN ||
		      rc == -EHOSTDOWN || (!waits && rc == -EINPROGRESS));
	if (rc == 0 && !info.joined)
		add_relaxed(&brawl->restarted, 1);
}

/* A client that has ended is seen to be stale; its memory is there. */
static void use_lease(struct brawl *brawl, struct fh_server_lease *lease,
		      unsigned which)
{
	const struct fake *fake = fh_lease_client(lease);
	uint64_t generation = fh_lease_generation(lease);
	bool alive;

	EXPECT(brawl, fake->magic == FAKE_ALIVE &&
		      fake->generation == generation &&
		      fake->site == &brawl->site[which]);
	alive = load_seq_cst(&fake->alive);
	EXPECT(brawl, alive || fh_lease_is_stale(lease));
	if (fh_server_crashed(brawl->servers, names[which], generation / 8 * 8,
			      0, NULL, NULL) == 0)
		add_relaxed(&brawl->crashed, 1);
	fh_lease_return(lease);
}

static void brawl_get(struct brawl *brawl, unsigned which, bool waits)
{
	struct fh_server_lease *lease;
	int rc;

	if (waits)
		rc = fh_server_get_wait(brawl->servers, names[which],
					fh_deadline_in(LONG), &lease, NULL);
	else
		rc = fh_server_get(brawl->servers, names[which], &lease, NULL);
	EXPECT(brawl, rc == 0 || rc == -ENOENT || rc == -ESHUTDOWN ||
		      rc == -EHOSTDOWN || (!waits && rc == -EINPROGRESS));
	if (rc == 0)
		use_lease(brawl, lease, which);
}

static int look_at(const char *name, const struct fh_server_info *info,
		   void *arg)
{
	struct brawl *brawl = arg;

	EXPECT(brawl, name[0] && info->state > FH_SERVER_ABSENT &&
		      info->state < FH_SERVER_STOPPED && info->epoch);
	return 0;
}

static void look(struct brawl *brawl, unsigned which)
{
	struct fh_server_info info;
	int rc = fh_server_health(brawl->servers, names[which], &info);

	EXPECT(brawl, rc == 0 || (rc == -ENOENT &&
				  info.state == FH_SERVER_ABSENT));
	EXPECT(brawl, rc || info.state != FH_SERVER_RUNNING ||
		      info.generation);
	EXPECT(brawl, fh_server_for_each(brawl->servers, look_at, brawl) <=
			      NAMES);
}

static void fight(unsigned index, void *arg)
{
	struct brawl *brawl = arg;
	uint64_t random = random_seed(index);
	size_t i;

	for (i = 0; i < brawl->rounds; i++) {
		unsigned which = (unsigned)random_below(&random, NAMES);
		bool waits = random_below(&random, 2);

		switch (random_below(&random, 8)) {
		case 0:
		case 1:
			brawl_start(brawl, which, waits);
			break;
		case 2:
			brawl_stop(brawl, which, waits);
			break;
		case 3:
			brawl_restart(brawl, which, waits);
			break;
		case 4:
			look(brawl, which);
			break;
		default:
			brawl_get(brawl, which, waits);
		}
		if (random_below(&random, 64) == 0)
			go_wrong(&brawl->site[which],
				 (enum act)random_below(&random, AT_KILL),
				 FAIL, -EIO, 1);
		add_relaxed(&brawl->turns, 1);
	}
}

/* A thread that stopped one may tell and count that a little later. */
static struct fh_servers_stats stats_at_rest(const struct brawl *brawl)
{
	int64_t until = fh_deadline_in(LONG);
	struct fh_servers_stats stats = stats_of(brawl->servers);

	while ((stats.registered ||
		load_relaxed(&brawl->entered[FH_SERVER_STOPPED]) <
		load_relaxed(&brawl->left[FH_SERVER_ABSENT]) ||
		stats.stopped <
		load_relaxed(&brawl->entered[FH_SERVER_STOPPED])) &&
	       fh_now() < until) {
		sleep_ns(MS / 10);
		stats = stats_of(brawl->servers);
	}
	return stats;
}

/* When all threads have ended that may have something to tell. */
static void check_books(struct brawl *brawl,
			const struct fh_servers_stats *stats)
{
	int i, uneven = 0;

	for (i = FH_SERVER_STARTING; i < FH_SERVER_STOPPED; i++)
		uneven += brawl->entered[i] != brawl->left[i];
	is(uneven, 0, "each state was entered as often as it was left");
	is(brawl->entered[FH_SERVER_STOPPED], brawl->left[FH_SERVER_ABSENT],
	   "and each server that came has gone");
	is(stats->registered, 0, "none is registered");
	is(stats->started, brawl->started, "starts");
	is(stats->joined, brawl->joined, "joins");
	is(stats->stopped, brawl->entered[FH_SERVER_STOPPED], "stops");
	is(stats->crashed, brawl->crashed, "crashes");
	ok(stats->restarted >= brawl->restarted + stats->recovered,
	   "restarts: %u by hand, %u by policy",
	   (unsigned)brawl->restarted, (unsigned)stats->recovered);
	is(stats->overdue, 0, "no lease was given up");
}

static void test_brawl(void)
{
	struct brawl *brawl = calloc(1, sizeof(*brawl));
	struct fh_servers_stats stats;
	int i;

	brawl->servers = registry_with(listen, brawl);
	brawl->rounds = scaled(2500, 300);
	for (i = 0; i < NAMES; i++) {
		brawl->site[i].nap[AT_START] = MS / 10;
		brawl->site[i].nap[AT_EXITED] = MS / 10;
	}
	run_crew(THREADS, fight, brawl);
	is(fh_servers_stop_all_wait(brawl->servers, fh_deadline_in(LONG)), 0,
	   "all are stopped, after %u turns", (unsigned)brawl->turns);
	stats = stats_at_rest(brawl);
	fh_servers_destroy(brawl->servers);
	check_books(brawl, &stats);
	is(brawl->wrong, 0, "nothing else was wrong (line %u)",
	   (unsigned)brawl->line);
	for (i = 0; i < NAMES; i++)
		ok(is_clean(&brawl->site[i]), "nothing is left of %s",
		   names[i]);
	free(brawl);
}

int main(void)
{
	watchdog(240);
	test_original();
	test_ours();
	test_brawl();
	fh_rcu_drain_wait(FH_FOREVER);
	is(fakes, 0, "no client is left");
	return done_testing();
}
