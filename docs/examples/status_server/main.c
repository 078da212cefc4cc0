/* SPDX-License-Identifier: MIT */
/* status_server: the program. */
#include "chaos.h"
#include "server.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
"usage: status_server [OPTION...]\n"
"\n"
"Shows a status over HTTP, and lets others change it.\n"
"\n"
"  --port N           listen on this port; 0, the default: any\n"
"  --address A        listen there; by default on loopback alone\n"
"  --status TEXT      to begin with; by default the first word\n"
"  --status-file F    the same from a file, byte for byte\n"
"  --word W           a status that may be POSTed, up to 16 times;\n"
"                     by default RUN, STOP and PAUSE\n"
"  --token-file F     POST takes the token in this file's first line\n"
"  --chaos MS         run a loop that the status controls: a step every MS\n"
"  --loops N          threads that serve: 2\n"
"  --connections N    at once; as many as there are descriptors\n"
"  --patience MS      for a client to send a request, or take an answer\n"
"  --drain MS         for answers to be taken, after SIGTERM: 10000\n"
"\n"
"STATUS_TOKEN in the environment is a token too.\n";

struct arguments {
	struct status_options server;
	unsigned words;
	uint64_t chaos, drain;
	char *owned_text, *owned_token;
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "status_server: %s: %s\n", what, why);
	exit(2);
}

static uint64_t number(const char *option, const char *text, uint64_t most)
{
	uint64_t value;

	if (http_number(text, most, &value) < 0)
		fail(option, "not a number, or too large");
	return value;
}

static char *contents(const char *name, size_t *length)
{
	FILE *in = fopen(name, "rb"), *out;
	char *text, piece[4096];
	size_t got;

	if (!in)
		fail(name, strerror(errno));
	out = open_memstream(&text, length);
	while (out && (got = fread(piece, 1, sizeof(piece), in)) > 0)
		fwrite(piece, 1, got, out);
	if (ferror(in) || !out || fclose(out))
		fail(name, "cannot be read");
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
		fail(name, "there is no token in it");
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
		fail("--word", "too many");
	arguments->server.words[arguments->words++] = word;
}

enum { PORT, ADDRESS, STATUS, STATUS_FILE, A_WORD, TOKEN_FILE, CHAOS, LOOPS,
       CONNECTIONS, PATIENCE, DRAIN, HELP };

static const struct option options[] = {
	{ "port", 1, NULL, PORT },
	{ "address", 1, NULL, ADDRESS },
	{ "status", 1, NULL, STATUS },
	{ "status-file", 1, NULL, STATUS_FILE },
	{ "word", 1, NULL, A_WORD },
	{ "token-file", 1, NULL, TOKEN_FILE },
	{ "chaos", 1, NULL, CHAOS },
	{ "loops", 1, NULL, LOOPS },
	{ "connections", 1, NULL, CONNECTIONS },
	{ "patience", 1, NULL, PATIENCE },
	{ "drain", 1, NULL, DRAIN },
	{ "help", 0, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

static void take_number(struct arguments *arguments, int which)
{
	struct http_options *http = &arguments->server.http;
	const char *name = options[which].name;

	if (which == CHAOS)
		arguments->chaos = number(name, optarg, 3600000);
	else if (which == LOOPS)
		http->loops = (unsigned)number(name, optarg, 64);
	else if (which == CONNECTIONS)
		http->connections = (unsigned)number(name, optarg, 1000000);
	else if (which == PATIENCE)
		http->patience_ms = (unsigned)number(name, optarg, 3600000);
	else
		arguments->drain = number(name, optarg, 3600000);
}

static void take(struct arguments *arguments, int which)
{
	switch (which) {
	case PORT:
		number("port", optarg, 65535);
		arguments->server.http.port = optarg;
		break;
	case ADDRESS:
		arguments->server.http.address = optarg;
		break;
	case STATUS:
		arguments->server.text = optarg;
		arguments->server.length = strlen(optarg);
		break;
	case STATUS_FILE:
		take_text(arguments, optarg);
		break;
	case A_WORD:
		take_word(arguments, optarg);
		break;
	case TOKEN_FILE:
		take_token(arguments, optarg);
		break;
	case HELP:
		fputs(usage, stdout);
		exit(0);
	case '?':
		fputs(usage, stderr);
		exit(2);
	default:
		take_number(arguments, which);
	}
}

static void parse(int argc, char **argv, struct arguments *arguments)
{
	const char *token = getenv("STATUS_TOKEN");
	int which;

	arguments->drain = 10000;
	if (token && *token)
		arguments->server.token = token;
	while ((which = getopt_long(argc, argv, "", options, NULL)) != -1)
		take(arguments, which);
	if (optind < argc)
		fail(argv[optind], "not understood; --help lists the options");
}

/* SIGTERM and SIGINT come to whoever asks for them: main, below. */
static void hold_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static struct chaos *chaos_of(struct status_server *server,
			      uint64_t milliseconds)
{
	struct chaos *chaos;

	if (!milliseconds)
		return NULL;
	if (chaos_start(&chaos, status_server_board(server),
			(int64_t)milliseconds * HTTP_MS) < 0)
		fail("--chaos", "no thread, or no memory");
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

	address = address ? address : "127.0.0.1";
	printf(strchr(address, ':') ? "listening on http://[%s]:%u\n" :
	       "listening on http://%s:%u\n", address,
	       status_server_port(server));
	fflush(stdout);
	if (arguments->server.http.address && !arguments->server.token)
		fprintf(stderr, "status_server: no token is set: whoever "
			"reaches %s can change the status\n", address);
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .drain = 0 };
	struct status_server *server;
	struct chaos *chaos;
	char why[256];
	sigset_t signals;
	uint64_t served;
	int signal_number, rc;

	parse(argc, argv, &arguments);
	hold_signals(&signals);
	http_raise_descriptors();
	if (status_server_new(&server, &arguments.server) < 0)
		fail("--word", "letters, digits, _, - and . make a word");
	chaos = chaos_of(server, arguments.chaos);
	if (status_server_start(server, why, sizeof(why)) < 0) {
		fprintf(stderr, "status_server: %s\n", why);
		return 1;
	}
	announce(&arguments, server);
	sigwait(&signals, &signal_number);

	if (chaos)
		chaos_end(chaos);
	rc = status_server_stop(server,
		fh_deadline_in((int64_t)arguments.drain * HTTP_MS), &served);
	printf("served %" PRIu64 " requests%s\n", served,
	       rc < 0 ? "; some answers were not taken" : "");
	fh_rcu_drain_wait(fh_deadline_in(1000 * HTTP_MS));
	free(arguments.owned_text);
	free(arguments.owned_token);
	return rc < 0 ? 3 : 0;
}
