/* SPDX-License-Identifier: MIT */
/* options: see options.h. */
#include "options.h"
#include "lines.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

static const char usage[] =
	"usage: appose_worker [OPTION...]\n"
	"Runs Lua scripts for an Appose service: requests on standard input,\n"
	"responses on standard output, one JSON object on a line.\n"
	"\n"
	"  --max-line=BYTES     the longest request (16M)\n"
	"  --max-tasks=COUNT    tasks that have not ended (4096)\n"
	"  --threads=COUNT      run so many at a time, the others wait (one\n"
	"                       thread for each task)\n"
	"  --max-memory=BYTES   of a script, and of a parsed request (512M)\n"
	"  --max-waiting=BYTES  of responses that are not read; beyond it\n"
	"                       tasks wait (64M)\n"
	"  --cancel-grace=SECONDS\n"
	"                       stop a script that has not ended so long\n"
	"                       after it was asked to (never)\n"
	"  --hello=VERSION      begin with HELLO, as Appose of that version\n"
	"                       expects it\n"
	"  --help\n"
	"\n"
	"BYTES and COUNT may end with K, M or G.\n";

enum {
	MAX_LINE, MAX_TASKS, THREADS, MAX_MEMORY, MAX_WAITING, GRACE, HELLO,
	HELP
};

static const struct option known[] = {
	{ "max-line", required_argument, NULL, MAX_LINE },
	{ "max-tasks", required_argument, NULL, MAX_TASKS },
	{ "threads", required_argument, NULL, THREADS },
	{ "max-memory", required_argument, NULL, MAX_MEMORY },
	{ "max-waiting", required_argument, NULL, MAX_WAITING },
	{ "cancel-grace", required_argument, NULL, GRACE },
	{ "hello", required_argument, NULL, HELLO },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

__attribute__((noreturn))
static void reject(const char *name, const char *text, const char *wanted)
{
	fprintf(stderr, "appose_worker: --%s=%s: %s\n", name, text, wanted);
	exit(2);
}

static size_t size_of(const char *name, const char *text, size_t least,
		      size_t most)
{
	static const char units[] = "KMG";
	char wanted[80], *end;
	unsigned long long number;
	const char *unit;
	int shift = 0;

	errno = 0;
	number = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (int)(unit - units + 1);
		end++;
	}
	snprintf(wanted, sizeof(wanted), "a number from %zu to %zu is wanted",
		 least, most);
	if (errno || *end || end == text || *text == '-' ||
	    number > most >> shift || number << shift < least)
		reject(name, text, wanted);
	return (size_t)number << shift;
}

static int64_t nanoseconds_of(const char *name, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (*end || end == text || !(seconds >= 0 && seconds < 1e9))
		reject(name, text, "a number of seconds is wanted");
	return (int64_t)(seconds * 1e9);
}

static void take(struct options *options, int option, const char *name)
{
	switch (option) {
	case MAX_LINE:
		options->max_line = size_of(name, optarg, LINES_KEPT,
					    1024 * MIB);
		break;
	case MAX_TASKS:
		options->max_tasks = size_of(name, optarg, 1, 65536);
		break;
	case THREADS:
		options->threads = size_of(name, optarg, 1, FH_TASKS_THREADS);
		break;
	case MAX_MEMORY:
		options->max_memory = size_of(name, optarg, MIB,
					      SIZE_MAX / 2);
		break;
	case MAX_WAITING:
		options->max_waiting = size_of(name, optarg, 1, SIZE_MAX / 2);
		break;
	case GRACE:
		options->grace = nanoseconds_of(name, optarg);
		break;
	case HELLO:
		options->hello = optarg;
		break;
	case HELP:
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

void options_parse(struct options *options, int argc, char **argv)
{
	int option, which = 0;

	options->max_line = 16 * MIB;
	options->max_tasks = 4096;
	options->threads = 0;
	options->max_memory = 512 * MIB;
	options->max_waiting = 64 * MIB;
	options->grace = FH_FOREVER;
	options->hello = NULL;
	while ((option = getopt_long(argc, argv, "", known, &which)) != -1)
		take(options, option, option == '?' ? "" : known[which].name);
	if (optind == argc)
		return;
	fputs(usage, stderr);
	exit(2);
}
