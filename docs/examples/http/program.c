/* SPDX-License-Identifier: MIT */
/* What the programs around an HTTP server have in common. */
#include "program.h"

#include "number.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY 86400000		/* milliseconds */

void program_fail(int status, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(status);
}

uint64_t program_number(const char *option, const char *text, uint64_t least,
			uint64_t most)
{
	uint64_t value;

	if (http_number(text, most, &value) < 0 || value < least)
		program_fail(PROGRAM_MISUSED, "--%s: not a number, or too "
			     "small, or too large", option);
	return value;
}

int64_t program_milliseconds(const char *option, const char *text)
{
	return (int64_t)program_number(option, text, 0, DAY) * HTTP_MS;
}

static void take_http(struct http_options *http, const char *option,
		      const char *text)
{
	if (!strcmp(option, "port")) {
		program_number(option, text, 0, 65535);
		http->port = text;
	} else if (!strcmp(option, "address")) {
		http->address = text;
	} else if (!strcmp(option, "loops")) {
		http->loops = (unsigned)program_number(option, text, 1, 64);
	} else if (!strcmp(option, "connections")) {
		http->connections = (unsigned)program_number(option, text, 1,
							     1000000);
	} else {
		http->patience_ms = (unsigned)program_number(option, text, 1,
							     DAY);
	}
}

static void take(const struct program *program, int which, const char *option)
{
	switch (which) {
	case PROGRAM_HTTP:
		take_http(program->http, option, optarg);
		break;
	case PROGRAM_HELP:
		fputs(program->usage, stdout);
		exit(0);
	case '?':
		fputs(program->usage, stderr);
		exit(PROGRAM_MISUSED);
	default:
		program->take(program->arg, which, option, optarg);
	}
}

void program_options(const struct program *program, int argc, char **argv)
{
	const struct option *options = program->options;
	int which, at = 0;

	while ((which = getopt_long(argc, argv, "", options, &at)) != -1)
		take(program, which, options[at].name);
	if (optind < argc)
		program_fail(PROGRAM_MISUSED, "%s: not understood; --help "
			     "lists the options", argv[optind]);
}

static void ending_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
}

void program_hold_signals(void)
{
	sigset_t signals;

	ending_signals(&signals);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void program_await_end(void)
{
	sigset_t signals;
	int which;

	ending_signals(&signals);
	sigwait(&signals, &which);
}

void program_announce(const char *address, unsigned port)
{
	address = address ? address : "127.0.0.1";
	printf(strchr(address, ':') ? "listening on http://[%s]:%u\n" :
	       "listening on http://%s:%u\n", address, port);
	fflush(stdout);
}
