/* SPDX-License-Identifier: MIT */
/*
 * It never polls: between two steps, and during a pause, it sleeps on the
 * board's `changes`.  That word is read before the text is, so what is put up
 * in between ends the sleep at once.
 */
#include "chaos.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct chaos {
	struct board *board;
	int64_t interval;
	struct fh_counter steps, pauses;
	struct fh_status end;	/* 1: wanted */
	pthread_t thread;
};

static bool shows(struct board *board, const char *word)
{
	const struct sheet *sheet;
	bool equal;

	fh_rcu_read_lock();
	sheet = board_read(board);
	equal = sheet && sheet->length == strlen(word) &&
		!memcmp(sheet->text, word, sheet->length);
	fh_rcu_read_unlock();
	return equal;
}

static void *loop(void *arg)
{
	struct chaos *chaos = arg;
	struct fh_status *changes = &chaos->board->changes;
	int64_t due = fh_now();
	bool held = false;

	for (;;) {
		uint64_t seen = fh_status_read(changes).epoch;
		bool hold = shows(chaos->board, "PAUSE");

		if (fh_status_get(&chaos->end) || shows(chaos->board, "STOP"))
			return NULL;
		if (hold && !held)
			fh_counter_add(&chaos->pauses, 1);
		held = hold;
		if (!hold && due <= fh_now()) {
			fh_counter_add(&chaos->steps, 1);
			due = fh_deadline_in(chaos->interval);
		}
		fh_status_wait_change(changes, seen, hold ? FH_FOREVER : due,
				      NULL);
	}
}

int chaos_start(struct chaos **to, struct board *board, int64_t interval)
{
	struct chaos *chaos = calloc(1, sizeof(*chaos));

	if (!chaos)
		return -ENOMEM;
	chaos->board = board;
	chaos->interval = interval;
	if (pthread_create(&chaos->thread, NULL, loop, chaos)) {
		free(chaos);
		return -EAGAIN;
	}
	*to = chaos;
	return 0;
}

uint64_t chaos_steps(void *chaos)
{
	return (uint64_t)fh_counter_read(&((struct chaos *)chaos)->steps);
}

uint64_t chaos_pauses(void *chaos)
{
	return (uint64_t)fh_counter_read(&((struct chaos *)chaos)->pauses);
}

void chaos_end(struct chaos *chaos)
{
	fh_status_set(&chaos->end, 1);
	board_wake(chaos->board);
	pthread_join(chaos->thread, NULL);
}

void chaos_free(struct chaos *chaos)
{
	free(chaos);
}
