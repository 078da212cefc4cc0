/* SPDX-License-Identifier: MIT */
/*
 * outlet: a descriptor that one thread writes to, a line at a time.
 *
 * Any thread puts lines in; one thread takes them out in the order in which
 * they came and gives each to one write, with its newline, going on where the
 * pipe took only a part.  So lines never mix, whatever their length, and a
 * thread that dies or is stopped never leaves half of one.
 *
 * What waits to be written is bounded.  Beyond the bound a put waits for the
 * reader, or, if the caller does not want to, drops the line and counts it.
 */
#ifndef OUTLET_H
#define OUTLET_H

#include "response.h"

#include <stdbool.h>
#include <stdint.h>

struct outlet;

/*
 * @bound:  bytes
 * @broken: called once, on the outlet's thread, with a negative errno value,
 *          if the descriptor cannot be written to any more; all lines are
 *          dropped from then on
 *
 * -ENOMEM, -EAGAIN: no memory, or no thread.
 */
int outlet_open(struct outlet **outlet, int fd, size_t bound,
		void (*broken)(int error, void *arg), void *arg);

enum outlet_put {
	OUTLET_WAIT,
	OUTLET_DROP
};

/* @line passes to the outlet; NULL does nothing. */
void outlet_put(struct outlet *outlet, struct response *line,
		enum outlet_put how);

/* How many lines were dropped since the last call, by OUTLET_DROP. */
uint64_t outlet_dropped(struct outlet *outlet);

/* Write what is left, end.  Nobody may put any more. */
void outlet_close(struct outlet *outlet);

#endif
