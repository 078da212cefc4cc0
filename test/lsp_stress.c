/* SPDX-License-Identifier: MIT */
/*
 * Many threads on a few real language servers (TAP).
 *
 *     lsp_stress [--seconds N] [--threads N] [--crashes] [--naive]
 *                [-- COMMAND WORD...]
 *
 * Eight servers run throughout: every thread gets, looks at, restarts, joins
 * and leaves them.  A ninth is also started and shut down by all, so that it
 * comes and goes.  With --crashes some are killed, and a policy restarts
 * them.
 *
 * What would be seen if the registry were wrong: a name that is registered is
 * not found while it restarts; two processes have one name; a start finds the
 * process before alive; somebody waits until the deadline, or for ever; a
 * process, a zombie or a descriptor is left in the end.  With --naive the
 * registry is the one that deletes and inserts again, and most of that is
 * seen.
 */
#include "descriptors.h"
#include "lsp_stress.h"
#include "tap.h"

#include "../docs/examples/lsp_manager/pump.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define SECOND INT64_C(1000000000)
#define PATIENCE (90 * SECOND)	/* nobody may wait that long */
#define PROMPT (SECOND / 10)

char stress_name[NAMES][32];

static struct {
	const struct registry *registry;
	struct service *service[NAMES];
	unsigned threads, seconds;
	int crashes;
	tally stop;
	tally done[5], lost, lost_in_restart, late, odd, odd_rc, longest;
	tally slow_health, killed, stale;
} run;

enum act { GET, HEALTH, RESTART, START, STOP };

static const char *const act_name[] = { "get", "health", "restart", "start",
					"stop" };

/* -------------------------------------------------- ours, by the interface */

static struct fh_servers *servers;
static struct fh_server_policy policy;

static int ours_open(const struct fh_server_policy *wanted)
{
	policy = *wanted;
	return fh_servers_create(&servers, NULL);
}

static int ours_start(struct service *service, int64_t deadline, int *joined)
{
	const struct fh_server_request request = {
		.name = service->name, .ops = &checked_ops, .arg = service,
		.policy = policy,
		.limits = { .start = PATIENCE, .lease = SECOND,
			    .stop = 4 * SECOND },
	};
	struct fh_server_info info = { 0 };
	int rc = fh_server_start_wait(servers, &request, deadline, &info);

	*joined = info.joined;
	return rc;
}

static int ours_restart(const char *name, int64_t deadline)
{
	return fh_server_restart_wait(servers, name, FH_SERVER_ANY, deadline,
				      NULL);
}

static int ours_stop(const char *name, int64_t deadline)
{
	return fh_server_stop_wait(servers, name, deadline, NULL);
}

static int ours_get(const char *name, int64_t deadline, void **lease)
{
	struct fh_server_lease *taken;
	int rc = deadline ? fh_server_get_wait(servers, name, deadline, &taken,
					       NULL) :
			    fh_server_get(servers, name, &taken, NULL);

	*lease = rc ? NULL : taken;
	return rc;
}

static struct lsp *ours_client(void *lease)
{
	return fh_lease_client(lease);
}

static void ours_put(void *lease)
{
	add_relaxed(&run.stale, fh_lease_is_stale(lease) != 0);
	fh_lease_return(lease);
}

static int ours_health(const char *name)
{
	struct fh_server_info info;

	return fh_server_health(servers, name, &info);
}

static int ours_close(void)
{
	struct fh_servers_stats stats;
	int rc = fh_servers_stop_all_wait(servers, fh_deadline_in(PATIENCE));

	fh_servers_get_stats(servers, &stats);
	diag("restarted %lu (%lu of them by the policy), joined %lu, crashed "
	     "%lu, stopped %lu, killed %lu, overdue leases %lu",
	     stats.restarted, stats.recovered, stats.joined, stats.crashed,
	     stats.stopped, stats.killed, stats.overdue);
	fh_servers_destroy(servers);
	return rc;
}

const struct registry ours = {
	ours_open, ours_start, ours_restart, ours_stop, ours_get, ours_client,
	ours_put, ours_health, ours_close,
};

/* -------------------------------------------------------------- one thread */

struct actor {
	uint64_t random;
	unsigned users[NAMES];	/* references of its own */
};

static void raise_to(tally *most, uint64_t value)
{
	uint64_t seen = load_relaxed(most);

	while (seen < value && !cas_relaxed(most, &seen, value))
		;
}

/*
 * What a result means.  A name that this thread holds a reference to is
 * registered: it must be found, whatever else goes on.
 */
static void judge(const struct actor *self, unsigned name, uint64_t ticket,
		  int rc)
{
	if (rc == -ETIMEDOUT)
		add_relaxed(&run.late, 1);
	if (rc != -ENOENT)
		return;
	if (name < CALM || self->users[name])
		add_relaxed(&run.lost, 1);
	if (ticket && ticket == restart_ticket(name))
		add_relaxed(&run.lost_in_restart, 1);
}

/* A request that costs a server little, and is refused by it. */
static void use(struct lsp *lsp)
{
	json_t *answer = NULL;
	char why[LSP_WHY];
	int rc = lsp_call(lsp, "freehold/nothing", NULL,
			  fh_deadline_in(PATIENCE), &answer, why);

	json_decref(answer);
	if (rc == -ETIMEDOUT)
		add_relaxed(&run.late, 1);
}

/* By its pidfd: the number of a process that is gone may be another's. */
static void shoot(const struct lsp *lsp)
{
	if (pidfd_send_signal(lsp->child.pidfd, SIGKILL, NULL, 0) == 0)
		add_relaxed(&run.killed, 1);
}

static void get(struct actor *self, unsigned name, int64_t deadline)
{
	uint64_t ticket = restart_ticket(name);
	void *lease;
	int rc = run.registry->get(stress_name[name], deadline, &lease);

	judge(self, name, ticket, rc);
	if (rc)
		return;
	if (random_below(&self->random, 4) == 0)
		use(run.registry->client(lease));
	if (random_below(&self->random, 50) == 0)
		sleep_ns(SECOND / 50);
	if (run.crashes && random_below(&self->random, 400) == 0)
		shoot(run.registry->client(lease));
	run.registry->put(lease);
}

/* For how long this thread has been ready and had no processor. */
static int64_t starved(void)
{
	FILE *file = fopen("/proc/thread-self/schedstat", "r");
	long long ran, waited = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lld %lld", &ran, &waited) != 2)
		waited = 0;
	fclose(file);
	return waited;
}

/* Slow is what sleeps or works, and not what a busy machine holds up. */
static void health(struct actor *self, unsigned name)
{
	uint64_t ticket = restart_ticket(name);
	int64_t lost = starved(), before = fh_now();

	judge(self, name, ticket, run.registry->health(stress_name[name]));
	if (fh_now() - before - (starved() - lost) > PROMPT)
		add_relaxed(&run.slow_health, 1);
}

/* Results that a caller must expect of a name that others use, too. */
static void expect(int rc, unsigned name)
{
	int usual = rc == 0 || rc == -ETIMEDOUT || rc == -ENOENT ||
		    (rc == -ESHUTDOWN && name == CALM) ||
		    (rc == -EHOSTDOWN && run.crashes);

	if (!usual && add_relaxed(&run.odd, 1) == 0)
		store_relaxed(&run.odd_rc, (uint64_t)-rc);
}

static void start(struct actor *self, unsigned name)
{
	int joined, rc = run.registry->start(run.service[name],
					     fh_deadline_in(PATIENCE),
					     &joined);

	judge(self, name, 0, rc);
	expect(rc, name);
	self->users[name] += rc == 0;
}

static void stop(struct actor *self, unsigned name)
{
	int rc;

	if (!self->users[name])
		return;
	rc = run.registry->stop(stress_name[name], fh_deadline_in(PATIENCE));
	judge(self, name, 0, rc);
	expect(rc, name);
	self->users[name]--;
}

static void restart(struct actor *self, unsigned name)
{
	uint64_t ticket = restart_ticket(name);
	int rc = run.registry->restart(stress_name[name],
				       fh_deadline_in(PATIENCE));

	judge(self, name, ticket, rc);
	expect(rc, name);
}

/*
 * Restarts are what all wait for: one in sixty.  The ninth is left soon by
 * whoever has joined it, so that it ends, and starts again, all the time.
 */
static enum act choose(struct actor *self, unsigned name)
{
	uint64_t chance = random_below(&self->random, 60);
	unsigned starts = name == CALM ? 3 : 10;

	if (name == CALM && self->users[name] && chance < 50)
		return STOP;
	return chance == 0 ? RESTART : chance <= starts ? START :
	       chance < 20 ? STOP : chance < 40 ? HEALTH : GET;
}

static void turn(struct actor *self)
{
	unsigned name = (unsigned)random_below(&self->random, NAMES + 4);
	int64_t before = fh_now();
	enum act act;

	name = name < NAMES ? name : CALM;
	act = choose(self, name);
	switch (act) {
	case GET:
		get(self, name, random_below(&self->random, 2) ?
		    fh_deadline_in(PATIENCE) : 0);
		break;
	case HEALTH:
		health(self, name);
		break;
	case RESTART:
		restart(self, name);
		break;
	case START:
		start(self, name);
		break;
	default:
		stop(self, name);
	}
	add_relaxed(&run.done[act], 1);
	raise_to(&run.longest, (uint64_t)(fh_now() - before));
}

static void act(unsigned index, void *arg)
{
	struct actor self = { .random = random_seed(index) };
	unsigned name;

	(void)arg;
	while (!load_relaxed(&run.stop)) {
		turn(&self);
		sleep_ns(500000);
	}
	for (name = 0; name < NAMES; name++)
		while (self.users[name])
			stop(&self, name);
}

/* --------------------------------------------------------------- the whole */

static void make_services(char *const *words, size_t count)
{
	unsigned i;

	for (i = 0; i < NAMES; i++) {
		snprintf(stress_name[i], sizeof(stress_name[i]), "%s-%u-%d",
			 i < CALM ? "calm" : "fight", i, (int)getpid());
		if (service_new(&run.service[i], stress_name[i], words, count,
				NULL, &frame_default_limits))
			bail_out("no memory");
	}
}

static void start_calm(void)
{
	int rc = 0, joined;
	unsigned i;

	for (i = 0; i < CALM && !rc; i++)
		rc = run.registry->start(run.service[i],
					 fh_deadline_in(PATIENCE), &joined);
	is(rc, 0, "%u servers start", CALM);
	if (rc)
		bail_out("no server starts: there is nothing to test");
}

static void fight(void)
{
	pthread_t scanner;
	struct crew crew;
	unsigned i;

	if (pthread_create(&scanner, NULL, scan_processes, &run.stop))
		bail_out("no thread");
	crew_start(&crew, run.threads, act, NULL);
	sleep_ns(run.seconds * SECOND);
	store_relaxed(&run.stop, 1);
	crew_join(&crew);
	pthread_join(scanner, NULL);
	for (i = 0; i < 5; i++)
		diag("%s: %lu", act_name[i], load_relaxed(&run.done[i]));
	diag("%lu processes were started, at most %lu at a time in %lu scans; "
	     "%lu were killed", load_relaxed(&findings.starts),
	     load_relaxed(&findings.most), load_relaxed(&findings.scans),
	     load_relaxed(&run.killed));
	diag("%lu leases were stale when they were returned; the longest call "
	     "took %lu ms", load_relaxed(&run.stale),
	     load_relaxed(&run.longest) / 1000000);
}

static void stop_calm(void)
{
	int rc = 0;
	unsigned i;

	for (i = 0; i < CALM; i++)
		rc = run.registry->stop(stress_name[i],
					fh_deadline_in(PATIENCE)) ?: rc;
	is(rc, 0, "each of them is stopped by its last user");
}

static void report(void)
{
	is(load_relaxed(&run.lost), 0, "a name with a user is always found");
	is(load_relaxed(&run.lost_in_restart), 0,
	   "no name is lost while it restarts");
	is(load_relaxed(&findings.twice), 0,
	   "never two processes for one name in /proc");
	is(load_relaxed(&findings.overlaps), 0,
	   "each start finds the process before it gone");
	is(load_relaxed(&run.late), 0, "every waiter was woken");
	ok(load_relaxed(&run.slow_health) * 100 <=
	   load_relaxed(&run.done[HEALTH]), "health took %ld ms %lu times: "
	   "less than once in a hundred", (long)(PROMPT / 1000000),
	   load_relaxed(&run.slow_health));
	is(load_relaxed(&run.odd), 0, "no call had a result that is not its "
	   "own (%s)", strerrorname_np((int)load_relaxed(&run.odd_rc)) ?: "");
}

static void check_remains(unsigned descriptors)
{
	int status;

	ok(waitpid(-1, &status, WNOHANG) < 0 && errno == ECHILD,
	   "no child is left, and no zombie");
	is(count_processes(), 0, "no process has one of our names");
	is(count_descriptors(), descriptors, "no descriptor is left");
}

static void usage(void)
{
	fputs("lsp_stress [--seconds N] [--threads N] [--crashes] [--naive] "
	      "[-- COMMAND WORD...]\n", stderr);
	exit(2);
}

/* Returns where the command begins. */
static int read_arguments(int argc, char **argv)
{
	int at = 1;

	run.registry = &ours;
	run.threads = 16;
	run.seconds = 4;
	for (; at < argc && strcmp(argv[at], "--"); at++) {
		if (strcmp(argv[at], "--naive") == 0)
			run.registry = &naive;
		else if (strcmp(argv[at], "--crashes") == 0)
			run.crashes = 1;
		else if (strcmp(argv[at], "--seconds") == 0 && at + 1 < argc)
			run.seconds = (unsigned)atoi(argv[++at]);
		else if (strcmp(argv[at], "--threads") == 0 && at + 1 < argc)
			run.threads = (unsigned)atoi(argv[++at]);
		else
			usage();
	}
	if (!run.seconds || !run.threads)
		usage();
	return at + 1;
}

int main(int argc, char **argv)
{
	static char *clangd[] = { "clangd", "--background-index=false", "-j=1",
				  "--log=error", NULL };
	const struct fh_server_policy recovery = {
		.most = FH_SERVER_RESTARTS_MOST, .window = SECOND,
		.delay = SECOND / 1000, .longest = SECOND / 10, .jitter = 50,
	};
	int at = read_arguments(argc, argv);
	unsigned i, descriptors;

	signal(SIGPIPE, SIG_IGN);
	watchdog(run.seconds + 200);
	make_services(at < argc ? argv + at : clangd,
		      at < argc ? (size_t)(argc - at) : 4);
	open_checks();
	descriptors = count_descriptors();
	if (run.registry->open(&recovery))
		bail_out("no registry");
	diag("%s, %s build, %u threads, %u s", run.registry == &ours ?
	     "our registry" : "delete and insert", fh_build(), run.threads,
	     run.seconds);
	start_calm();
	fight();
	stop_calm();
	is(run.registry->close(), 0, "the registry ends");
	report();
	check_remains(descriptors);
	for (i = 0; i < NAMES; i++)
		service_free(run.service[i]);
	return done_testing();
}
