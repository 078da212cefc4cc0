/* SPDX-License-Identifier: MIT */
/*
 * A board: the text that everybody reads and anybody may replace.
 *
 * Texts have any length.  Each has an epoch, from 1 on without gaps, that
 * never goes back for any reader.  Readers look at the text in place and wait
 * for nobody; whoever wants to wait sleeps until the next one is put up.
 *
 *     struct board board = { 0 };
 *
 *     board_publish(&board, "RUN", 3, NULL);
 *     board_wait(&board, seen, fh_deadline_in(5000000000), &epoch);
 */
#ifndef BOARD_H
#define BOARD_H

#include "../http/http.h"

/** All-zero bytes are a board on which nothing was put up yet. */
struct board {
	struct fh_record current;	/* points to a sheet */
	struct fh_status changes;	/* moves on after each new one */
	struct http *http;		/* NULL: nobody parks */
	struct http_lot lot;
};

/** What is on it: constant, and whole. */
struct sheet {
	struct fh_rcu_head rcu;
	uint64_t epoch;
	struct MHD_Response *response;	/* the same as an answer */
	size_t length;
	char text[];			/* a NUL behind it */
};

/**
 * board_publish - put up a copy of @text
 * @epoch: if not NULL: its epoch
 *
 * Any number of threads at once; all see one order.
 * Errors: -ENOMEM: no memory, and the old text stands.
 */
int board_publish(struct board *board, const char *text, size_t length,
		  uint64_t *epoch);

/** board_publish_first - the same if nothing was put up yet
 *
 * Errors: -EEXIST: something was; -ENOMEM: as above. */
int board_publish_first(struct board *board, const char *text, size_t length);

/** board_read - what is up now, or NULL; valid inside the read section */
const struct sheet *board_read(const struct board *board);

/** board_epoch - the epoch of what is up now; 0: nothing */
uint64_t board_epoch(const struct board *board);

/**
 * board_wait - sleep until the epoch is another than @seen
 * @epoch: if not NULL: the one that ended the wait
 *
 * Errors: -ETIMEDOUT: the deadline passed first.
 */
int board_wait(struct board *board, uint64_t seen, int64_t deadline,
	       uint64_t *epoch);

/** board_wake - move `changes` and ask what is parked to look again; for
 *  those who wait in the lot or on `changes` for something beside the text */
void board_wake(struct board *board);

/** board_clear - end of life; nobody else uses it */
void board_clear(struct board *board);

#endif
