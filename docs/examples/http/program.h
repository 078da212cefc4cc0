/* SPDX-License-Identifier: MIT */
/*
 * What the programs around an HTTP server have in common: how they tell that
 * something is wrong, the options that are the server's, the signals that end
 * them, and the line that says where they listen.
 *
 * All of it is for main, before there are other threads or after.
 */
#ifndef HTTP_PROGRAM_H
#define HTTP_PROGRAM_H

#include "http.h"

#include <getopt.h>

/* The status to exit with. */
enum { PROGRAM_UNABLE = 1, PROGRAM_MISUSED = 2, PROGRAM_CUT_OFF = 3 };

/** program_fail - say what is wrong, behind the program's name, and exit */
void program_fail(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/** program_number - the number that an option was given, or the end */
uint64_t program_number(const char *option, const char *text, uint64_t least,
			uint64_t most);

/** program_milliseconds - likewise, a time of at most a day: nanoseconds */
int64_t program_milliseconds(const char *option, const char *text);

/* What --help says of the options that are the server's. */
#define PROGRAM_LISTENING \
"  --port N           listen on this port; 0, the default: any\n" \
"  --address A        listen there; by default on loopback alone\n"
#define PROGRAM_SERVING \
"  --loops N          threads that read and answer: 2\n" \
"  --connections N    at once; as many as there are descriptors\n" \
"  --patience MS      for a client to send a request, or take an answer\n"

/* These, --help, and the end of a table of options. */
enum { PROGRAM_HTTP = 1000, PROGRAM_HELP };
#define PROGRAM_OPTIONS \
	{ "port", 1, NULL, PROGRAM_HTTP }, \
	{ "address", 1, NULL, PROGRAM_HTTP }, \
	{ "loops", 1, NULL, PROGRAM_HTTP }, \
	{ "connections", 1, NULL, PROGRAM_HTTP }, \
	{ "patience", 1, NULL, PROGRAM_HTTP }, \
	{ "help", 0, NULL, PROGRAM_HELP }, \
	{ NULL, 0, NULL, 0 }

/** What a program can be told. */
struct program {
	const char *usage;
	const struct option *options;
	/* Take one of its own, by the number that the table gives it. */
	void (*take)(void *arg, int which, const char *option, char *text);
	void *arg;
	struct http_options *http;	/* for the server's */
};

/** program_options - take all that the command line says, or exit */
void program_options(const struct program *program, int argc, char **argv);

/**
 * program_hold_signals - let SIGTERM and SIGINT wait for program_await_end
 *
 * Threads that are started later hold them back too.  Who writes to a client
 * that has hung up learns it from the write, not from SIGPIPE.
 */
void program_hold_signals(void);

/** program_await_end - until one of them comes, or has come */
void program_await_end(void);

/** program_announce - print where the program listens; NULL: on loopback */
void program_announce(const char *address, unsigned port);

#endif
