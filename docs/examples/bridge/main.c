/* SPDX-License-Identifier: MIT */
/* bridge: the program. */
#include "../http/program.h"
#include "bridge.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static const char usage[] =
"usage: bridge [OPTION...]\n"
"\n"
"A chat over HTTP in front of a slow back end; a page to chat with is at /.\n"
"\n"
PROGRAM_LISTENING
"  --delay MS[:MS]    how long the back end takes, at least and at most;\n"
"                     by default 5000:10000\n"
"  --backend COMMAND  run this for each message instead: it gets a line of\n"
"                     JSON, and says the reply\n"
"  --backend-ms MS    kill it after so long: 30000\n"
"  --threads N        requests at the back end at once: 2000\n"
"  --sessions N       at most: 10000; then the one least recently used ends\n"
"  --rooms N          at most: 1000; likewise, if nobody is in it\n"
"  --history N        messages that a room keeps: 1000\n"
"  --message BYTES    of a message at most: 4000\n"
"  --letters N        events that a mailbox keeps: 256\n"
"  --rate N[:MS]      requests of one user in so long: 60:60000; 0: any\n"
"  --idle MS          until a session that nobody uses ends, and a room\n"
"                     that nobody is in: 1800000\n"
PROGRAM_SERVING
"  --drain MS         for requests to end, after SIGTERM: 15000\n"
"  --single-threaded  one request at a time, as the original did\n";

struct arguments {
	struct bridge_options bridge;
	struct http_options http;
	int64_t drain;
};

/* The second of two numbers, which a colon divides; NULL: there is one. */
static char *divide(char *text)
{
	char *colon = strchr(text, ':');

	if (!colon)
		return NULL;
	*colon = '\0';
	return colon + 1;
}

enum { DELAY, BACKEND, BACKEND_MS, THREADS, SESSIONS, ROOMS, HISTORY,
       MESSAGE, LETTERS, RATE, IDLE, DRAIN, ALONE };

static const struct option options[] = {
	{ "delay", 1, NULL, DELAY },
	{ "backend", 1, NULL, BACKEND },
	{ "backend-ms", 1, NULL, BACKEND_MS },
	{ "threads", 1, NULL, THREADS },
	{ "sessions", 1, NULL, SESSIONS },
	{ "rooms", 1, NULL, ROOMS },
	{ "history", 1, NULL, HISTORY },
	{ "message", 1, NULL, MESSAGE },
	{ "letters", 1, NULL, LETTERS },
	{ "rate", 1, NULL, RATE },
	{ "idle", 1, NULL, IDLE },
	{ "drain", 1, NULL, DRAIN },
	{ "single-threaded", 0, NULL, ALONE },
	PROGRAM_OPTIONS
};

static void take_size(struct bridge_options *bridge, int which,
		      const char *name, const char *text)
{
	size_t value = (size_t)program_number(name, text, 1, 1000000);

	if (which == THREADS)
		bridge->threads = value;
	else if (which == SESSIONS)
		bridge->sessions = value;
	else if (which == ROOMS)
		bridge->rooms = value;
	else if (which == HISTORY)
		bridge->history = value;
	else if (which == MESSAGE)
		bridge->message = value;
	else
		bridge->letters = value;
}

static void take_time(struct arguments *arguments, int which,
		      const char *name, const char *text)
{
	int64_t value = program_milliseconds(name, text);

	if (which == BACKEND_MS)
		arguments->bridge.backend.timeout = value;
	else if (which == IDLE)
		arguments->bridge.idle = value;
	else
		arguments->drain = value;
}

static void take_delay(struct backend *backend, char *text)
{
	char *most = divide(text);

	backend->least = program_milliseconds("delay", text);
	backend->most = backend->least;
	if (most)
		backend->most = program_milliseconds("delay", most);
	if (backend->most < backend->least)
		program_fail(PROGRAM_MISUSED,
			     "--delay: at least more than at most");
}

static void take_rate(struct rate_limit *rate, char *text)
{
	char *window = divide(text);

	rate->count = (size_t)program_number("rate", text, 0, RATE_MOST);
	if (window)
		rate->window = program_milliseconds("rate", window);
}

static void take(void *arg, int which, const char *name, char *text)
{
	struct arguments *arguments = arg;

	switch (which) {
	case DELAY:
		take_delay(&arguments->bridge.backend, text);
		break;
	case BACKEND:
		arguments->bridge.backend.command = text;
		break;
	case RATE:
		take_rate(&arguments->bridge.rate, text);
		break;
	case ALONE:
		arguments->bridge.alone = true;
		break;
	case BACKEND_MS:
	case IDLE:
	case DRAIN:
		take_time(arguments, which, name, text);
		break;
	default:
		take_size(&arguments->bridge, which, name, text);
	}
}

static void parse(int argc, char **argv, struct arguments *arguments)
{
	program_options(&(struct program){ usage, options, take, arguments,
					   &arguments->http }, argc, argv);
	if (arguments->bridge.alone)
		arguments->http.loops = 1;
	/* Even if each byte of a message is written as \u00xx. */
	arguments->http.body = arguments->bridge.message * 6 + 4096;
	arguments->http.spare = 64;
	if (arguments->bridge.backend.command)
		arguments->http.spare += 8 * 64;
}

/* ---- the janitor ---- */

struct janitor {
	struct bridge *bridge;
	struct fh_status end;
	pthread_t thread;
};

/* Ends what nobody has used for long, soon after its time has come. */
static void *tend(void *arg)
{
	struct janitor *janitor = arg;
	struct bridge *bridge = janitor->bridge;
	int64_t idle = bridge->options.idle, pause = idle / 8 + HTTP_MS;

	if (pause > 10 * SECOND)
		pause = 10 * SECOND;
	while (fh_status_wait(&janitor->end, FH_STATE(1),
			      fh_deadline_in(pause), NULL) == -ETIMEDOUT) {
		registry_expire(&bridge->users, idle);
		registry_expire(&bridge->rooms, idle);
		fh_rcu_flush();
	}
	return NULL;
}

/* ---- the end ---- */

/*
 * Nothing new comes in; what is at the back end has until the deadline; then
 * its requests are told that the end came first.  Its threads may still be
 * there: that is told by the return.
 */
static size_t end(struct bridge *bridge, int64_t deadline)
{
	size_t left = 0, abandoned = 0;

	http_close(bridge->http);
	if (fh_gate_drain_wait(bridge->gate, deadline, &left) < 0) {
		abandoned = chat_abandon(bridge);
		/* A process that was killed lets its thread go at once. */
		fh_gate_drain_wait(bridge->gate, fh_deadline_in(SECOND / 2),
				   &left);
	}
	http_drain_wait(bridge->http, fh_deadline_in(5 * SECOND));
	printf("%" PRId64 " messages, %" PRId64 " replies, %zu abandoned\n",
	       fh_counter_read(&bridge->messages),
	       fh_counter_read(&bridge->replies), abandoned);
	fflush(stdout);
	if (http_stop(bridge->http) < 0 || left)
		_exit(PROGRAM_CUT_OFF);
	return abandoned;
}

static void start(struct arguments *arguments, struct bridge *bridge)
{
	char why[256];

	json_object_seed(0);
	if (bridge_create(bridge, &arguments->bridge) < 0)
		program_fail(PROGRAM_UNABLE, "no memory");
	arguments->http.serve = bridge_serve;
	arguments->http.arg = bridge;
	if (http_start(&bridge->http, &arguments->http, why,
		       sizeof(why)) < 0)
		program_fail(PROGRAM_UNABLE, "%s", why);
	if (http_open(bridge->http) < 0)
		program_fail(PROGRAM_UNABLE, "no thread can be had");
}

static struct arguments defaults(void)
{
	return (struct arguments){
		.bridge = {
			.sessions = 10000, .rooms = 1000, .history = 1000,
			.message = 4000, .letters = 256, .threads = 2000,
			.rate = { 60, 60 * SECOND }, .idle = 1800 * SECOND,
			.backend = { NULL, 5 * SECOND, 10 * SECOND,
				     30 * SECOND },
		},
		.drain = 15 * SECOND,
	};
}

int main(int argc, char **argv)
{
	static struct bridge bridge;
	static struct janitor janitor = { .bridge = &bridge };
	struct arguments arguments = defaults();
	size_t abandoned;

	parse(argc, argv, &arguments);
	program_hold_signals();
	http_raise_descriptors();
	start(&arguments, &bridge);
	if (pthread_create(&janitor.thread, NULL, tend, &janitor))
		program_fail(PROGRAM_UNABLE, "no thread can be had");
	program_announce(arguments.http.address, http_port(bridge.http));
	program_await_end();

	abandoned = end(&bridge, fh_deadline_in(arguments.drain));
	fh_status_set(&janitor.end, 1);
	pthread_join(janitor.thread, NULL);
	bridge_destroy(&bridge);
	fh_rcu_drain_wait(fh_deadline_in(5 * SECOND));
	return abandoned ? PROGRAM_CUT_OFF : 0;
}
