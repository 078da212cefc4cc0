/* SPDX-License-Identifier: MIT */
/* status_client: get_status and wait_status for the command line. */
#include "../http/number.h"
#include "get_status.h"

#include <errno.h>
#include <freehold/base.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
"usage: status_client [--epoch] [--wait EPOCH] [--timeout MS] ADDRESS\n"
"\n"
"Prints the status that a status server shows, and nothing else.\n"
"\n"
"  --epoch        print the epoch and a line break before it\n"
"  --wait EPOCH   wait until the epoch is another one\n"
"  --timeout MS   give up after so long, a day at most: 5000\n";

static void misused(void)
{
	fputs(usage, stderr);
	exit(2);
}

static uint64_t number(const char *text, uint64_t most)
{
	uint64_t value;

	if (!text || http_number(text, most, &value) < 0)
		misused();
	return value;
}

int main(int argc, char **argv)
{
	uint64_t seen = 0, timeout = 5000;
	int wait = 0, epoch = 0, at, rc;
	struct status_text status;
	int64_t deadline;

	for (at = 1; at < argc && argv[at][0] == '-'; at++) {
		if (!strcmp(argv[at], "--epoch")) {
			epoch = 1;
		} else if (!strcmp(argv[at], "--wait")) {
			wait = 1;
			seen = number(argv[++at], UINT64_MAX);
		} else if (!strcmp(argv[at], "--timeout")) {
			timeout = number(argv[++at], 86400000);
		} else {
			misused();
		}
	}
	if (at != argc - 1)
		misused();
	deadline = fh_deadline_in((int64_t)timeout * 1000000);
	rc = wait ? wait_status(argv[at], seen, deadline, &status) :
		get_status(argv[at], deadline, &status);
	if (rc < 0) {
		fprintf(stderr, "status_client: %s: %s\n", argv[at],
			strerror(-rc));
		return 1;
	}
	if (epoch)
		printf("%" PRIu64 "\n", status.epoch);
	fwrite(status.text, 1, status.length, stdout);
	free(status.text);
	return fflush(stdout) ? 1 : 0;
}
