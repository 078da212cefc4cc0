/* SPDX-License-Identifier: MIT */
/*
 * commands: see session.h.  Each command is a row of a table; each runs on
 * whatever thread has the line, beside any other.
 */
#include "errors.h"
#include "query.h"
#include "reply.h"
#include "service.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- commands */

/* A name stands in lines and in an environment. */
static int is_name(const char *name)
{
	size_t length = strlen(name), i;

	for (i = 0; i < length; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f)
			return 0;
	return length > 0 && length < LSP_NAME && length < FH_SERVER_NAME &&
	       is_utf8(name, length);
}

static int request_of(const struct call *call,
		      struct fh_server_request *request)
{
	const struct settings *settings = &call->session->settings;
	struct service *service;
	int own = call->count > 1;
	int rc = service_new(&service, call->word[0],
			     own ? call->word + 1 : settings->command,
			     own ? (size_t)call->count - 1 : settings->words,
			     settings->root, &settings->frames);

	if (rc)
		return rc;
	*request = (struct fh_server_request){
		.name = service->name, .ops = &service_ops, .arg = service,
		.arg_release = service_free, .limits = settings->limits,
		.policy = settings->policy,
	};
	return 0;
}

static void start(const struct call *call, int exclusive)
{
	struct fh_server_request request;
	struct fh_server_info info = { 0 };
	int rc;

	if (!is_name(call->word[0])) {
		reply(call, -EINVAL, "that is no name");
		return;
	}
	rc = request_of(call, &request);
	if (rc) {
		reply(call, rc, "%s: %s", call->word[0], error_text(rc));
		return;
	}
	request.exclusive = exclusive;
	rc = fh_server_start_wait(call->session->servers, &request,
				  call->deadline, &info);
	if (info.joined || (rc && rc != -EHOSTDOWN))
		service_free(request.arg);
	reply_info(call, rc, &info);
}

static void do_start(const struct call *call)
{
	start(call, 0);
}

static void do_create(const struct call *call)
{
	start(call, 1);
}

/* Milliseconds in a word, or what the settings say. */
static int64_t patience(const struct call *call, int at)
{
	char *end;
	long long given;

	if (call->count <= at)
		return call->deadline;
	given = strtoll(call->word[at], &end, 10);
	if (*end || end == call->word[at] || given < 0 ||
	    given > INT64_MAX / 1000000)
		return -1;
	return given ? fh_deadline_in(given * 1000000) : 0;
}

static void do_get(const struct call *call)
{
	struct fh_servers *servers = call->session->servers;
	int64_t deadline = patience(call, 1);
	struct fh_server_lease *lease;
	struct fh_server_info info = { 0 };
	int rc;

	if (deadline < 0) {
		reply(call, -EINVAL, "milliseconds, please");
		return;
	}
	if (deadline)
		rc = fh_server_get_wait(servers, call->word[0], deadline,
					&lease, &info);
	else
		rc = fh_server_get(servers, call->word[0], &lease, &info);
	if (rc) {
		reply_info(call, rc, &info);
		return;
	}
	reply(call, 0, "%s generation=%lu pid=%d", call->word[0],
	      fh_lease_generation(lease), lsp_pid(fh_lease_client(lease)));
	fh_lease_return(lease);
}

static void do_health(const struct call *call)
{
	struct fh_server_info info;
	int rc = fh_server_health(call->session->servers, call->word[0],
				  &info);

	reply_info(call, rc, &info);
}

static void do_restart(const struct call *call)
{
	struct fh_server_info info = { 0 };
	uint64_t generation = FH_SERVER_ANY;
	char *end = "";
	int rc;

	if (call->count > 1)
		generation = strtoull(call->word[1], &end, 10);
	if (*end) {
		reply(call, -EINVAL, "that is no generation");
		return;
	}
	rc = fh_server_restart_wait(call->session->servers, call->word[0],
				    generation, call->deadline, &info);
	reply_info(call, rc, &info);
}

static void do_stop(const struct call *call)
{
	struct fh_server_info info = { 0 };
	int rc = fh_server_stop_wait(call->session->servers, call->word[0],
				     call->deadline, &info);

	reply_info(call, rc, &info);
}

static int list_one(const char *name, const struct fh_server_info *info,
		    void *arg)
{
	const struct call *call = arg;

	fputs("  ", call->to);
	put_info(call->to, name, info);
	putc('\n', call->to);
	return 0;
}

static void do_list(const struct call *call)
{
	size_t count = fh_server_for_each(call->session->servers, list_one,
					  (void *)(uintptr_t)call);

	reply(call, 0, "%zu", count);
}

/* The first, by name, of those that run. */
static int first_of(const char *name, const struct fh_server_info *info,
		    void *arg)
{
	char *first = arg;

	if (info->state != FH_SERVER_FAILED &&
	    (!*first || strcmp(name, first) < 0))
		snprintf(first, FH_SERVER_NAME, "%s", name);
	return 0;
}

static void do_query(const struct call *call)
{
	char why[QUERY_WHY], name[FH_SERVER_NAME] = "";
	int64_t deadline = patience(call, 2);
	int rc;

	if (call->count > 1)
		snprintf(name, sizeof(name), "%s", call->word[1]);
	else
		fh_server_for_each(call->session->servers, first_of, name);
	if (deadline < 0) {
		reply(call, -EINVAL, "milliseconds, please");
		return;
	}
	if (!*name) {
		reply(call, -ENOENT, "no server runs that could be asked");
		return;
	}
	rc = query_symbols(call->session->servers, name, call->word[0],
			   deadline, call->to, why);
	if (rc < 0)
		reply(call, rc, "%s: %s%s%s", call->word[0], error_text(rc),
		      *why ? ": " : "", why);
	else
		reply(call, 0, "%d symbols from %s", rc, name);
}

static void do_close(const struct call *call)
{
	int rc = query_close(call->session->servers, call->word[1],
			     call->word[0], call->deadline);

	reply(call, rc, "%s%s%s", call->word[0], rc ? ": " : "",
	      rc == -ENODATA ? "it is not open" : rc ? error_text(rc) : "");
}

static int state_of(const char *text)
{
	int state;

	for (state = 0; state < FH_SERVER_STATES; state++)
		if (strcmp(text, fh_server_state_name(state)) == 0)
			return state;
	return -1;
}

static void do_wait(const struct call *call)
{
	int64_t deadline = patience(call, 2);
	int rc, state = state_of(call->word[1]);
	struct fh_server_info info;

	if (state < 0 || deadline < 0) {
		reply(call, -EINVAL, "a state, and milliseconds, please");
		return;
	}
	rc = fh_server_wait(call->session->servers, call->word[0],
			    FH_SERVER_STATE(state), deadline, &info);
	reply_info(call, rc, &info);
}

static void do_stats(const struct call *call)
{
	struct fh_servers_stats stats;

	fh_servers_get_stats(call->session->servers, &stats);
	reply(call, 0, "%s registered=%lu started=%lu joined=%lu "
	      "restarted=%lu recovered=%lu failed=%lu refused=%lu "
	      "crashed=%lu stopped=%lu killed=%lu overdue=%lu", fh_build(),
	      stats.registered, stats.started, stats.joined, stats.restarted,
	      stats.recovered, stats.failed, stats.refused,
	      stats.crashed, stats.stopped, stats.killed, stats.overdue);
}

static void do_help(const struct call *call)
{
	print_commands(call->to);
	reply(call, 0, "that is all");
}

static const struct command {
	const char *name, *words, *what;
	int least, most;
	void (*run)(const struct call *call);
} commands[] = {
	{ "start", "NAME [COMMAND WORD...]", "start it, or join its users",
	  1, WORDS_LIMIT, do_start },
	{ "create", "NAME [COMMAND WORD...]", "start it, unless it is there",
	  1, WORDS_LIMIT, do_create },
	{ "get", "NAME [MS]", "lease it, and give it back; 0: without waiting",
	  1, 2, do_get },
	{ "health", "NAME", "how it is; never waits", 1, 1, do_health },
	{ "list", "", "how all are; never waits", 0, 0, do_list },
	{ "restart", "NAME [GENERATION]", "or wait for the one that runs",
	  1, 2, do_restart },
	{ "stop", "NAME", "leave it; the last user shuts it down",
	  1, 1, do_stop },
	{ "query", "FILE [NAME [MS]]", "print the symbols of a C file",
	  1, 3, do_query },
	{ "close", "FILE NAME", "let the server forget a file",
	  2, 2, do_close },
	{ "wait", "NAME STATE [MS]", "until it is in that state",
	  2, 3, do_wait },
	{ "stats", "", "what happened so far", 0, 0, do_stats },
	{ "help", "", "this", 0, 0, do_help },
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

void print_commands(FILE *to)
{
	size_t i;

	for (i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-7s %-23s %s\n", commands[i].name,
			commands[i].words, commands[i].what);
}

void run_command(struct call *call, const char *name)
{
	const struct command *command = commands;

	while (command < commands + COMMANDS && strcmp(command->name, name))
		command++;
	if (command == commands + COMMANDS)
		reply(call, -EINVAL, "no such command; see help");
	else if (call->count < command->least || call->count > command->most)
		reply(call, -EINVAL, "%s %s", command->name, command->words);
	else
		command->run(call);
}
