/* SPDX-License-Identifier: MIT */
/*
 * options: each is a row of a table: a number with its unit and its limits,
 * and where it goes.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
#define DAY (INT64_C(86400) * 1000)

static char *default_command[] = {
	"clangd", "--background-index=false", "-j=1", "--log=error", NULL
};

static const struct settings defaults = {
	.command = default_command,
	.words = 4,
	.limits = { .start = 10000 * MS, .stop = 4000 * MS,
		    .lease = 2000 * MS },
	.policy = { .jitter = 20, .window = 60000 * MS, .delay = 100 * MS,
		    .longest = 10000 * MS },
	.patience = 30000 * MS,
};

enum kind { TIME, SIZE, COUNT, FLAG, PATH };

static const struct row {
	const char *name;
	enum kind kind;
	int64_t least, most;
	size_t at;
	const char *what;
} rows[] = {
#define AT(member) offsetof(struct settings, member)
	{ "restarts", COUNT, 0, FH_SERVER_RESTARTS_MOST, AT(policy.most),
	  "automatic restarts allowed in the window; 0: none" },
	{ "window", TIME, 0, DAY, AT(policy.window), "0: for ever" },
	{ "delay", TIME, 0, DAY, AT(policy.delay),
	  "before the first of them; then doubled" },
	{ "longest", TIME, 1, DAY, AT(policy.longest), "and up to this" },
	{ "jitter", COUNT, 0, 100, AT(policy.jitter),
	  "percent by which delays vary" },
	{ "start-time", TIME, 1, DAY, AT(limits.start),
	  "until a server must have answered initialize" },
	{ "stop-time", TIME, 1, DAY, AT(limits.stop),
	  "for shutdown, exit and SIGTERM; then comes SIGKILL" },
	{ "lease-time", TIME, 1, DAY, AT(limits.lease),
	  "that a restart waits for those who use the old process" },
	{ "patience", TIME, 1, DAY, AT(patience),
	  "of a command that waits, and for stopping all at the end" },
	{ "message-time", TIME, 1, DAY, AT(frames.patience),
	  "from the first byte of a message to its last" },
	{ "body", SIZE, 2, INT64_C(1) << 30, AT(frames.body),
	  "bytes in a message" },
	{ "lines", SIZE, 1, 1000, AT(frames.lines), "lines in its header" },
	{ "line", SIZE, 20, 65536, AT(frames.line), "bytes in one of them" },
	{ "events", FLAG, 0, 0, AT(events), "print each transition" },
	{ "root", PATH, 0, 0, AT(root), "the directory to work in" },
#undef AT
};

#define ROWS (sizeof(rows) / sizeof(*rows))
#define HELP 'h'

static const char *unit(const struct row *row)
{
	static const char *const units[] = {
		[TIME] = "MS", [SIZE] = "N", [COUNT] = "N", [FLAG] = "",
		[PATH] = "PATH",
	};

	return units[row->kind];
}

static long long shown(const struct settings *settings, const struct row *row)
{
	const char *at = (const char *)settings + row->at;

	switch (row->kind) {
	case TIME:
		return *(const int64_t *)at / MS;
	case SIZE:
		return (long long)*(const size_t *)at;
	default:
		return *(const unsigned *)at;
	}
}

static void print_help(const struct settings *settings)
{
	size_t i;

	puts("Usage: lsp_manager [OPTION...] [-- COMMAND WORD...]\n"
	     "Keep language servers running, and ask them.  Commands are read "
	     "from standard\ninput, one a line; COMMAND is what `start` "
	     "starts: by default clangd.\n\nOptions, times in milliseconds:");
	for (i = 0; i < ROWS; i++) {
		printf("  --%s%s%-*s%s", rows[i].name,
		       rows[i].kind == FLAG ? " " : "=",
		       (int)(16 - strlen(rows[i].name)), unit(&rows[i]),
		       rows[i].what);
		if (rows[i].kind < FLAG)
			printf(" [%lld]", shown(settings, &rows[i]));
		putchar('\n');
	}
	puts("\nCommands; one that begins with @TAG runs beside others, and "
	     "its reply begins\nwith the same:");
	print_commands(stdout);
}

static int complain(const char *name, const char *what)
{
	fprintf(stderr, "lsp_manager: --%s: %s\n", name, what);
	return -1;
}

static int set_number(struct settings *settings, const struct row *row,
		      const char *text)
{
	char *at = (char *)settings + row->at, *end, what[80];
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || *end || end == text || number < row->least ||
	    number > row->most) {
		snprintf(what, sizeof(what), "%lld to %lld, please",
			 (long long)row->least, (long long)row->most);
		return complain(row->name, what);
	}
	if (row->kind == TIME)
		*(int64_t *)at = number * MS;
	else if (row->kind == SIZE)
		*(size_t *)at = (size_t)number;
	else
		*(unsigned *)at = (unsigned)number;
	return 0;
}

static int set(struct settings *settings, const struct row *row,
	       const char *text)
{
	char real[PATH_MAX];

	if (row->kind == FLAG) {
		settings->events = 1;
		return 0;
	}
	if (row->kind != PATH)
		return set_number(settings, row, text);
	if (!realpath(text, real))
		return complain(row->name, strerrordesc_np(errno));
	free(settings->root);
	settings->root = strdup(real);
	return settings->root ? 0 : complain(row->name, "no memory");
}

int read_options(struct settings *settings, int argc, char **argv)
{
	struct option options[ROWS + 2] = { { 0 } };
	size_t i;
	int rc = 0, chosen;

	*settings = defaults;
	settings->frames = frame_default_limits;
	for (i = 0; i < ROWS; i++)
		options[i] = (struct option){ rows[i].name,
			rows[i].kind == FLAG ? no_argument :
			required_argument, NULL, (int)i + 256 };
	options[ROWS] = (struct option){ "help", no_argument, NULL, HELP };
	while (!rc && (chosen = getopt_long(argc, argv, "", options,
					    NULL)) >= 0) {
		if (chosen == '?')
			rc = -1;
		else if (chosen == HELP)
			rc = 1;
		else
			rc = set(settings, &rows[chosen - 256], optarg);
	}
	if (rc > 0)
		print_help(settings);
	if (optind < argc) {
		settings->command = argv + optind;
		settings->words = (size_t)(argc - optind);
	}
	return rc;
}
