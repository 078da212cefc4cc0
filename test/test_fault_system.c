/* SPDX-License-Identifier: MIT */
/*
 * faults: the system gives no randomness and no descriptors.  The linker puts
 * ours under the calls that ask for either; each can be told to fail at its
 * n-th call, as the real one may.
 *
 * What would be seen if the library were wrong: a seed with holes, or with
 * bytes that nobody gave, would be taken where the system answers in pieces;
 * a table would be made with a seed that is known to all; what cannot be made
 * would leave memory or a descriptor behind, a server that is registered and
 * does not run, or a registry that never has a supervisor again.
 */
#include "descriptors.h"
#include "watched.h"

#include "hash.h"

#include <freehold/arc.h>
#include <freehold/task.h>

#include <fcntl.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/random.h>

#define NAME "clangd"

enum call { GETRANDOM, EPOLL_CREATE, EVENTFD, EPOLL_CTL, FCNTL, CALLS };

static const char *const call_name[CALLS] = {
	"getrandom", "epoll_create1", "eventfd", "epoll_ctl", "fcntl",
};

ssize_t __real_getrandom(void *to, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *to, size_t size, unsigned flags);
int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);
int __real_epoll_ctl(int epoll, int operation, int descriptor,
		     struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int operation, int descriptor,
		     struct epoll_event *event);
int __real_fcntl(int descriptor, int command, ...);
int __wrap_fcntl(int descriptor, int command, ...);

/* The @after-th call of this kind from now on fails; 0: none does. */
static struct {
	tally after;
	_Atomic(int) error;
} refusal[CALLS];

static void refuse(enum call call, int error, uint64_t after)
{
	store_relaxed(&refusal[call].error, error);
	store_seq_cst(&refusal[call].after, after);
}

/* Back to normal; not 0: it never came to that. */
static uint64_t relent(enum call call)
{
	return swap_acq_rel(&refusal[call].after, 0);
}

static int is_refused(enum call call)
{
	uint64_t after = load_seq_cst(&refusal[call].after);

	do
		if (after == 0)
			return 0;
	while (!cas_acq_rel_relaxed(&refusal[call].after, &after, after - 1));
	if (after > 1)
		return 0;
	errno = load_relaxed(&refusal[call].error);
	return 1;
}

int __wrap_epoll_create1(int flags)
{
	return is_refused(EPOLL_CREATE) ? -1 : __real_epoll_create1(flags);
}

int __wrap_eventfd(unsigned count, int flags)
{
	return is_refused(EVENTFD) ? -1 : __real_eventfd(count, flags);
}

int __wrap_epoll_ctl(int epoll, int operation, int descriptor,
		     struct epoll_event *event)
{
	return is_refused(EPOLL_CTL) ?
		       -1 : __real_epoll_ctl(epoll, operation, descriptor,
					     event);
}

int __wrap_fcntl(int descriptor, int command, ...)
{
	va_list args;
	long value;

	va_start(args, command);
	value = va_arg(args, long);
	va_end(args);
	return is_refused(FCNTL) ? -1 : __real_fcntl(descriptor, command,
						     value);
}

/* ---- randomness ---- */

/* If not 0: so many bytes at a time, 1, 2, 3 and so on, after an EINTR. */
static size_t piece;
static unsigned char given;
static unsigned interruptions;

static ssize_t give_piece(unsigned char *to, size_t size)
{
	size_t i;

	if (interruptions++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	for (i = 0; i < size && i < piece; i++)
		to[i] = ++given;
	return (ssize_t)i;
}

ssize_t __wrap_getrandom(void *to, size_t size, unsigned flags)
{
	if (is_refused(GETRANDOM))
		return load_relaxed(&refusal[GETRANDOM].error) ? -1 : 0;
	return piece ? give_piece(to, size) :
		       __real_getrandom(to, size, flags);
}

/* What comes in pieces is put together, all of it and in its order. */
static void test_pieces(size_t size)
{
	struct fh_hash hash;
	unsigned char bytes[sizeof(hash.seed)];
	size_t i, wrong = 0;

	memset(&hash, 0xff, sizeof(hash));
	given = 0;
	interruptions = 0;
	piece = size;
	is(fh_hash_seed(&hash), 0, "a seed in pieces of %zu", size);
	piece = 0;
	memcpy(bytes, hash.seed, sizeof(bytes));
	for (i = 0; i < sizeof(bytes); i++)
		wrong += bytes[i] != i + 1;
	is(wrong, 0, "each byte was given, and is in its place");
	is(given, sizeof(bytes), "and none was asked for twice");
	is(interruptions, 2 * ((sizeof(bytes) + size - 1) / size),
	   "an interruption is no answer");
}

static int make_map(void)
{
	struct fh_map *map = NULL;
	int rc = fh_map_create(&map, NULL);

	if (!rc != (map != NULL))
		return 1;
	fh_map_destroy(map, NULL, NULL);
	return rc;
}

static int make_arcs(void)
{
	static const uint64_t allowed[1];
	static const struct fh_arc_type type = { .name = "plain", .phases = 1,
						 .allowed = allowed };
	const struct fh_arcs_options options = { .types = &type,
						 .type_count = 1 };
	struct fh_arcs *arcs = NULL;
	int rc = fh_arcs_create(&arcs, &options);

	if (!rc != (arcs != NULL))
		return 1;
	fh_arcs_destroy(arcs);
	return rc;
}

static int make_servers(void)
{
	struct fh_servers *servers = NULL;
	int rc = fh_servers_create(&servers, NULL);

	if (!rc != (servers != NULL))
		return 1;
	fh_servers_destroy(servers);
	return rc;
}

static int make_tasks(void)
{
	struct fh_tasks *tasks = NULL;
	int rc = fh_tasks_create(&tasks, NULL);

	if (!rc != (tasks != NULL))
		return 1;
	fh_tasks_destroy(tasks);
	return rc;
}

static const struct maker {
	const char *name;
	int (*make)(void);
	int refused;
} makers[] = {
	{ "a table", make_map, -EIO },
	{ "a registry of arcs", make_arcs, -EIO },
	{ "a registry of servers", make_servers, -EIO },
	{ "a supervisor of tasks", make_tasks, -ENOMEM },
};

/* With the n-th call refused, until it gets through with fewer calls. */
static void test_no_randomness(const struct maker *maker, int error)
{
	unsigned wrong = 0;
	uint64_t n;
	int rc;

	for (n = 1;; n++) {
		refuse(GETRANDOM, error, n);
		rc = maker->make();
		if (relent(GETRANDOM))
			break;
		wrong += rc != maker->refused;
	}
	ok(n > 1 && wrong == 0, "%s: refused %u times, %s", maker->name,
	   (unsigned)n - 1, error ? strerror(error) : "with nothing");
	is(rc, 0, "%s: made when there is randomness", maker->name);
}

static void test_randomness(void)
{
	size_t i;

	test_pieces(1);
	test_pieces(7);
	test_pieces(64);
	for (i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		test_no_randomness(&makers[i], ENOSYS);
		test_no_randomness(&makers[i], EAGAIN);
		test_no_randomness(&makers[i], 0);
	}
}

/* ---- descriptors ---- */

/* The supervisor cannot be: the n-th call that it needs is refused. */
static void test_no_supervisor(enum call call, int error)
{
	struct fh_servers *servers = registry();
	struct fh_server_info info;
	struct site site;
	struct fh_server_request request = site_open(&site, NAME);
	const char *name = call_name[call];
	unsigned before = count_descriptors();

	refuse(call, error, 1);
	is(fh_server_start(servers, &request, &info), -ENOBUFS,
	   "%s: no descriptor for the supervisor", name);
	is(relent(call), 0, "%s: it was asked for", name);
	refuse(call, error, 1);
	is(fh_server_start_wait(servers, &request, fh_deadline_in(LONG),
				NULL), -ENOBUFS, "%s: nor does it wait", name);
	relent(call);
	is(health_of(servers, NAME).state, FH_SERVER_ABSENT,
	   "%s: nothing is registered", name);
	is(site.calls[AT_START], 0, "%s: nor started", name);
	is(count_descriptors(), before, "%s: nor left open", name);
	is(fh_server_start(servers, &request, NULL), 0, "%s: the next start "
	   "works", name);
	end_one(&site);
	is(fh_server_wait(servers, NAME, FH_SERVER_STATE(FH_SERVER_FAILED),
			  fh_deadline_in(LONG / 3), NULL), 0,
	   "%s: and is supervised", name);
	fh_servers_destroy(servers);
	is(count_descriptors(), before, "%s: no descriptor is left over", name);
	ok(is_clean(&site), "%s: nothing is left", name);
	close(site.watched);
}

/* One client cannot be watched: its start fails, and says why. */
static void test_no_watch(enum call call, int error)
{
	struct fh_servers *servers = registry();
	struct site first, site;
	struct fh_server_request request = site_open(&first, "first");
	struct fh_server_info info;
	const char *name = call_name[call];
	unsigned before;

	is(fh_server_start(servers, &request, NULL), 0, "a supervisor");
	request = site_open(&site, NAME);
	before = count_descriptors();
	refuse(call, error, 1);
	is(fh_server_start(servers, &request, &info), -EHOSTDOWN,
	   "%s: a client that cannot be watched", name);
	is(relent(call), 0, "%s: that was tried", name);
	is(info.error, -error, "%s: the reason is told", name);
	is(info.state, FH_SERVER_FAILED, "%s: it is failed", name);
	is(site.alive, 0, "%s: and was ended", name);
	is(count_descriptors(), before, "%s: nothing is left open", name);
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, NULL), 0,
	   "%s: the next restart works", name);
	/* The old client is taken out of the instance before. */
	refuse(call, error, call == EPOLL_CTL ? 2 : 1);
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, &info), -EHOSTDOWN,
	   "%s: another one does not", name);
	relent(call);
	is(info.error, -error, "%s: for the same reason", name);
	is(count_descriptors(), before, "%s: again nothing is left open", name);
	fh_servers_destroy(servers);
	ok(is_clean(&first) && is_clean(&site), "%s: nothing is left", name);
	close(first.watched);
	close(site.watched);
}

int main(void)
{
	watchdog(120);
	test_randomness();
	test_no_supervisor(EPOLL_CREATE, EMFILE);
	test_no_supervisor(EVENTFD, ENFILE);
	test_no_supervisor(EPOLL_CTL, ENOSPC);
	test_no_watch(FCNTL, EMFILE);
	test_no_watch(EPOLL_CTL, ENOMEM);
	fh_rcu_drain_wait(FH_FOREVER);
	is(fakes, 0, "no client is left");
	return done_testing();
}
