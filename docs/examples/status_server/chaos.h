/* SPDX-License-Identifier: MIT */
/*
 * The loop of a chaos tool, which the status controls: it takes a step every
 * so often, holds while the status is PAUSE, and ends for good at STOP.
 */
#ifndef CHAOS_H
#define CHAOS_H

#include "board.h"

struct chaos;

/** chaos_start - a thread that follows the board; -ENOMEM, -EAGAIN */
int chaos_start(struct chaos **chaos, struct board *board, int64_t interval);

uint64_t chaos_steps(void *chaos);	/* taken so far */
uint64_t chaos_pauses(void *chaos);	/* times it held */

/**
 * chaos_end - end its thread, wherever that is, and join it
 *
 * Before the server stops, which owns the board.  What it counted can be read
 * until chaos_free, and is, by requests that the server still answers: so that
 * comes after.
 */
void chaos_end(struct chaos *chaos);
void chaos_free(struct chaos *chaos);	/* NULL is allowed */

#endif
