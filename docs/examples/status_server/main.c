/* SPDX-License-Identifier: MIT */
/* status_server: the program. */
#include "../http/program.h"
#include "chaos.h"
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
"usage: status_server [OPTION...]\n"
"\n"
"Shows a status over HTTP, and lets others change it.\n"
"\n"
PROGRAM_LISTENING
"  --status TEXT      to begin with; by default the first word\n"
"  --status-file F    the same from a file, byte for byte\n"
"  --word W           a status that may be POSTed, up to 16 times;\n"
"                     by default RUN, STOP and PAUSE\n"
"  --token-file F     POST takes the token in this file's first line\n"
"  --chaos MS         run a loop that the status controls: a step every MS\n"
PROGRAM_SERVING
"  --drain MS         for answers to be taken, after SIGTERM: 10000\n"
"\n"
"STATUS_TOKEN in the environment is a token too.\n";

struct arguments {
	struct status_options server;
	unsigned words;
	int64_t chaos, drain;
	char *owned_text, *owned_token;
};

static char *contents(const char *name, size_t *length)
{
	FILE *in = fopen(name, "rb"), *out;
	char *text, piece[4096];
	size_t got;

	if (!in)
		program_fail(PROGRAM_MISUSED, "%s: %s", name,
			     strerror(errno));
	out = open_memstream(&text, length);
	while (out && (got = fread(piece, 1, sizeof(piece), in)) > 0)
		fwrite(piece, 1, got, out);
	if (ferror(in) || !out || fclose(out))
		program_fail(PROGRAM_MISUSED, "%s: cannot be read", name);
	fclose(in);
	return text;
}

static void take_token(struct arguments *arguments, const char *name)
{
	size_t length;

	free(arguments->owned_token);
	arguments->owned_token = contents(name, &length);
	arguments->owned_token[strcspn(arguments->owned_token, "\r\n")] = 0;
	if (!*arguments->owned_token)
		program_fail(PROGRAM_MISUSED, "%s: there is no token in it",
			     name);
	arguments->server.token = arguments->owned_token;
}

static void take_text(struct arguments *arguments, const char *name)
{
	free(arguments->owned_text);
	arguments->owned_text = contents(name, &arguments->server.length);
	arguments->server.text = arguments->owned_text;
}

static void take_word(struct arguments *arguments, const char *word)
{
	if (arguments->words == STATUS_WORDS)
		program_fail(PROGRAM_MISUSED, "--word: too many");
	arguments->server.words[arguments->words++] = word;
}

enum { STATUS, STATUS_FILE, A_WORD, TOKEN_FILE, CHAOS, DRAIN };

static const struct option options[] = {
	{ "status", 1, NULL, STATUS },
	{ "status-file", 1, NULL, STATUS_FILE },
	{ "word", 1, NULL, A_WORD },
	{ "token-file", 1, NULL, TOKEN_FILE },
	{ "chaos", 1, NULL, CHAOS },
	{ "drain", 1, NULL, DRAIN },
	PROGRAM_OPTIONS
};

static void take(void *arg, int which, const char *name, char *text)
{
	struct arguments *arguments = arg;

	switch (which) {
	case STATUS:
		arguments->server.text = text;
		arguments->server.length = strlen(text);
		break;
	case STATUS_FILE:
		take_text(arguments, text);
		break;
	case A_WORD:
		take_word(arguments, text);
		break;
	case TOKEN_FILE:
		take_token(arguments, text);
		break;
	case CHAOS:
		arguments->chaos = program_milliseconds(name, text);
		break;
	case DRAIN:
		arguments->drain = program_milliseconds(name, text);
		break;
	}
}

static void parse(int argc, char **argv, struct arguments *arguments)
{
	const char *token = getenv("STATUS_TOKEN");

	if (token && *token)
		arguments->server.token = token;
	program_options(&(struct program){ usage, options, take, arguments,
					   &arguments->server.http },
			argc, argv);
}

static struct chaos *chaos_of(struct status_server *server, int64_t pause)
{
	struct chaos *chaos;

	if (!pause)
		return NULL;
	if (chaos_start(&chaos, status_server_board(server), pause) < 0)
		program_fail(PROGRAM_UNABLE, "--chaos: no thread, or no "
			     "memory");
	status_server_show(server, &(struct status_figure){
		"chaos_steps_total", "Steps that the chaos loop took.",
		chaos_steps, chaos });
	status_server_show(server, &(struct status_figure){
		"chaos_pauses_total", "Times that the chaos loop held.",
		chaos_pauses, chaos });
	return chaos;
}

static void announce(struct arguments *arguments, struct status_server *server)
{
	const char *address = arguments->server.http.address;

	program_announce(address, status_server_port(server));
	if (address && !arguments->server.token)
		fprintf(stderr, "status_server: no token is set: whoever "
			"reaches %s can change the status\n", address);
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .drain = 10000 * HTTP_MS };
	struct status_server *server;
	struct chaos *chaos;
	char why[256];
	uint64_t served;
	int rc;

	parse(argc, argv, &arguments);
	program_hold_signals();
	http_raise_descriptors();
	if (status_server_new(&server, &arguments.server) < 0)
		program_fail(PROGRAM_MISUSED, "--word: letters, digits, _, - "
			     "and . make a word");
	chaos = chaos_of(server, arguments.chaos);
	if (status_server_start(server, why, sizeof(why)) < 0)
		program_fail(PROGRAM_UNABLE, "%s", why);
	announce(&arguments, server);
	program_await_end();

	if (chaos)
		chaos_end(chaos);
	rc = status_server_stop(server, fh_deadline_in(arguments.drain),
				&served);
	printf("served %" PRIu64 " requests%s\n", served,
	       rc < 0 ? "; some answers were not taken" : "");
	chaos_free(chaos);
	fh_rcu_drain_wait(fh_deadline_in(1000 * HTTP_MS));
	free(arguments.owned_text);
	free(arguments.owned_token);
	return rc < 0 ? PROGRAM_CUT_OFF : 0;
}
