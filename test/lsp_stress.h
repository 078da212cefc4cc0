/* SPDX-License-Identifier: MIT */
/*
 * What the parts of lsp_stress share: names, the two registries behind one
 * interface, and checks from outside.
 */
#ifndef FH_TEST_LSP_STRESS_H
#define FH_TEST_LSP_STRESS_H

#include "../docs/examples/lsp_manager/service.h"

#include "threads.h"

#define CALM 8u			/* servers that are started throughout */
#define NAMES (CALM + 1u)	/* and one that is started and stopped */

/* A name holds the process id, so that two runs do not see each other's. */
extern char stress_name[NAMES][32];

/*
 * A registry of language servers.  What takes a deadline waits; get with a
 * deadline of 0 does not.  Results are those of freehold/server.h.
 */
struct registry {
	int (*open)(const struct fh_server_policy *policy);
	int (*start)(struct service *service, int64_t deadline, int *joined);
	int (*restart)(const char *name, int64_t deadline);
	int (*stop)(const char *name, int64_t deadline);
	int (*get)(const char *name, int64_t deadline, void **lease);
	struct lsp *(*client)(void *lease);
	void (*put)(void *lease);
	int (*health)(const char *name);
	int (*close)(void);
};

extern const struct registry ours;
extern const struct registry naive;

/* service_ops, with checks around the start; to be set up first. */
extern struct fh_server_ops checked_ops;
void open_checks(void);

/* lsp_checks.c: what is seen from outside. */
struct findings {
	tally twice;		/* two processes for one name, seen in /proc */
	tally overlaps;		/* a start while the one before was alive */
	tally scans, most;	/* of /proc; most processes in one scan */
	tally starts;
};

extern struct findings findings;

/* A thread for run_crew-like use: scans until *stop. */
void *scan_processes(void *stop);

/* How many processes have one of our names. */
unsigned count_processes(void);

/* Not 0: the name is between the start and the handshake of a restart. */
uint64_t restart_ticket(unsigned name);

#endif
