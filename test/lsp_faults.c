/* SPDX-License-Identifier: MIT */
/*
 * Each thing that a manager of language servers needs fails in turn (TAP):
 * each allocation, its own and the JSON library's, on whatever thread; each
 * pipe, process, thread, watch.
 *
 * One life of a server is led again and again: start, query, restart, query,
 * stop.  In the n-th life the n-th request for anything is refused.  What
 * would be seen if an error path were wrong: a result that is none of those
 * of a lack, a wait that does not end, and after the life a process, a zombie
 * or a descriptor that is left; and a leak, under the address sanitizer.
 *
 * Run with --serve it is the server, which takes no time to start.
 */
#include "../docs/examples/lsp_manager/query.h"
#include "../docs/examples/lsp_manager/service.h"

#include "descriptors.h"
#include "tap.h"
#include "threads.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#define PATIENCE INT64_C(60000000000)

/* What fails: memory, or anything else. */
enum kind { NOTHING, MEMORY, OTHER };

static _Atomic(enum kind) failing;
static tally countdown, refused;

static int refuses(enum kind kind)
{
	if (load_relaxed(&failing) != kind ||
	    add_relaxed(&countdown, UINT64_MAX) != 1)
		return 0;
	add_relaxed(&refused, 1);
	return 1;
}

#define REAL(result, name, ...) \
	result __real_##name(__VA_ARGS__); \
	result __wrap_##name(__VA_ARGS__); \
	result __wrap_##name(__VA_ARGS__)

REAL(void *, malloc, size_t size)
{
	errno = ENOMEM;
	return refuses(MEMORY) ? NULL : __real_malloc(size);
}

REAL(void *, calloc, size_t count, size_t size)
{
	errno = ENOMEM;
	return refuses(MEMORY) ? NULL : __real_calloc(count, size);
}

REAL(void *, realloc, void *old, size_t size)
{
	errno = ENOMEM;
	return refuses(MEMORY) ? NULL : __real_realloc(old, size);
}

REAL(char *, strdup, const char *text)
{
	errno = ENOMEM;
	return refuses(MEMORY) ? NULL : __real_strdup(text);
}

REAL(int, pipe2, int ends[2], int flags)
{
	errno = EMFILE;
	return refuses(OTHER) ? -1 : __real_pipe2(ends, flags);
}

REAL(int, eventfd, unsigned value, int flags)
{
	errno = EMFILE;
	return refuses(OTHER) ? -1 : __real_eventfd(value, flags);
}

REAL(int, pidfd_open, pid_t pid, unsigned flags)
{
	errno = EMFILE;
	return refuses(OTHER) ? -1 : __real_pidfd_open(pid, flags);
}

REAL(int, posix_spawnp, pid_t *pid, const char *file,
     const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *with,
     char *const argv[], char *const environment[])
{
	return refuses(OTHER) ? EAGAIN :
	       __real_posix_spawnp(pid, file, actions, with, argv,
				   environment);
}

REAL(int, pthread_create, pthread_t *thread, const pthread_attr_t *with,
     void *(*run)(void *), void *arg)
{
	return refuses(OTHER) ? EAGAIN :
	       __real_pthread_create(thread, with, run, arg);
}

/* ------------------------------------------------------------ the server */

static void reply(long id)
{
	char body[256];
	int length = snprintf(body, sizeof(body),
			      "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":"
			      "{\"capabilities\":{}}}", id);

	printf("Content-Length: %d\r\n\r\n%s", length, body);
	fflush(stdout);
}

/* An answer to a query that has symbols in it. */
static void reply_symbols(long id)
{
	char body[256];
	int length = snprintf(body, sizeof(body),
			      "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":"
			      "[{\"name\":\"f\",\"kind\":12}]}", id);

	printf("Content-Length: %d\r\n\r\n%s", length, body);
	fflush(stdout);
}

/* It knows its only client, and reads no JSON. */
static int serve(void)
{
	char line[256], body[65536], *id;
	size_t length = 0;

	while (fgets(line, sizeof(line), stdin)) {
		sscanf(line, "Content-Length: %zu", &length);
		if (strcmp(line, "\r\n"))
			continue;
		if (length >= sizeof(body) ||
		    fread(body, 1, length, stdin) != length)
			return 1;
		body[length] = 0;
		if (strstr(body, "\"method\":\"exit\""))
			return 0;
		id = strstr(body, "\"id\":");
		if (id && strstr(body, "documentSymbol\","))
			reply_symbols(atol(id + 5));
		else if (id && !strstr(body, "cancelRequest"))
			reply(atol(id + 5));
	}
	return 0;
}

/* -------------------------------------------------------------- one life */

static char *self[] = { "/proc/self/exe", "--serve", NULL };
static char here[4096];
static FILE *nowhere;
static unsigned wrong;

/* Of a call in which something was refused; or it found what that left. */
static void expect(int rc, const char *what)
{
	static const int lacks[] = { ENOMEM, EMFILE, EAGAIN, ENOBUFS,
				     EHOSTDOWN, ECHILD, ENOENT };
	size_t i;

	if (rc >= 0)
		return;
	for (i = 0; i < sizeof(lacks) / sizeof(*lacks); i++)
		if (rc == -lacks[i])
			return;
	if (wrong++ == 0)
		diag("%s is %s", what, strerrorname_np(-rc));
}

static void ask(struct fh_servers *servers)
{
	char why[QUERY_WHY];

	expect(query_symbols(servers, "one", here, fh_deadline_in(PATIENCE),
			     nowhere, why), "query");
}

static int start(struct fh_servers *servers)
{
	struct fh_server_request request = { .name = "one",
		.ops = &service_ops, .arg_release = service_free };
	struct fh_server_info info = { 0 };
	struct service *service;
	int rc = service_new(&service, "one", self, 2, NULL,
			     &frame_default_limits);

	if (rc)
		return rc;
	request.arg = service;
	rc = fh_server_start_wait(servers, &request, fh_deadline_in(PATIENCE),
				  &info);
	if (info.joined || (rc && rc != -EHOSTDOWN))
		service_free(service);
	return rc;
}

static void live(void)
{
	int64_t deadline = fh_deadline_in(PATIENCE);
	struct fh_servers *servers;
	int rc = fh_servers_create(&servers, NULL);

	expect(rc, "create");
	if (rc)
		return;
	expect(start(servers), "start");
	ask(servers);
	expect(fh_server_restart_wait(servers, "one", FH_SERVER_ANY, deadline,
				      NULL), "restart");
	ask(servers);
	expect(fh_server_stop_wait(servers, "one", deadline, NULL), "stop");
	expect(fh_servers_stop_all_wait(servers, deadline), "stop all");
	fh_servers_destroy(servers);
}

/* Every how many-th allocation: all of them in the long form. */
static uint64_t stride(enum kind kind)
{
	return kind == OTHER || getenv("FH_PROVE") ? 1 : SANITIZED ? 13 : 3;
}

/* Until a life needs less than is refused. */
static void fail_in_turn(enum kind kind, const char *what)
{
	uint64_t n = 1, lives = 0;
	unsigned before = count_descriptors(), left = 0;
	uint64_t refused_before = load_relaxed(&refused);

	wrong = 0;
	for (;; n += stride(kind), lives++) {
		store_relaxed(&countdown, n);
		store_relaxed(&failing, kind);
		live();
		store_relaxed(&failing, NOTHING);
		left += waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
		left += count_descriptors() != before;
		if ((int64_t)load_relaxed(&countdown) > 0)
			break;
	}
	ok(lives > 10 && load_relaxed(&refused) - refused_before == lives,
	   "%s: %lu lives, in each something was refused", what, lives);
	is(wrong, 0, "%s: every result tells of a lack", what);
	is(left, 0, "%s: no process and no descriptor was left", what);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--serve") == 0)
		return serve();
	watchdog(280);
	signal(SIGPIPE, SIG_IGN);
	json_set_alloc_funcs(__wrap_malloc, free);
	nowhere = fopen("/dev/null", "w");
	snprintf(here, sizeof(here), "%s", argc > 1 ? argv[1] : __FILE__);
	if (!nowhere || access(here, R_OK))
		bail_out("no file to ask about");
	live();
	fail_in_turn(OTHER, "pipes, processes, threads");
	fail_in_turn(MEMORY, "memory");
	fclose(nowhere);
	return done_testing();
}
