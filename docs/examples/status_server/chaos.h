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

/** chaos_end - end it, wherever it is, and join it */
void chaos_end(struct chaos *chaos);

#endif
