/* SPDX-License-Identifier: MIT */
/*
 * The text and its epoch are one: the record's version, which the swap of the
 * record proves, and which is written into the ready-made answer before that.
 * So an answer cannot pair a text with another's epoch, and no reader can see
 * an epoch go back.
 *
 * `changes` only says that there is something new.  Publishers move it after
 * the swap; a waiter reads it before it reads the record.  What it says does
 * not matter, because two publishers may move it in another order than that
 * of their texts.
 */
#include "board.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH "X-Status-Epoch"
#define DIGITS 24

/* The last of those who send it is done. */
static void sheet_sent(void *text)
{
	free((char *)text - offsetof(struct sheet, text));
}

static void sheet_free(struct fh_rcu_head *head)
{
	MHD_destroy_response(((struct sheet *)head)->response);
}

/* The text as an answer; it lives as long as anybody still sends it. */
static struct MHD_Response *answer_new(struct sheet *sheet)
{
	struct MHD_Response *answer =
		MHD_create_response_from_buffer_with_free_callback(
			sheet->length, sheet->text, sheet_sent);

	if (!answer) {
		free(sheet);
		return NULL;
	}
	if (MHD_add_response_header(answer, "Content-Type",
				    "text/plain; charset=utf-8") == MHD_YES &&
	    MHD_add_response_header(answer, "Cache-Control", "no-store") ==
		    MHD_YES)
		return answer;
	MHD_destroy_response(answer);
	return NULL;
}

static struct sheet *sheet_new(const char *text, size_t length)
{
	struct sheet *sheet;
	struct MHD_Response *answer;

	if (length > SIZE_MAX - sizeof(*sheet) - 1)
		return NULL;
	sheet = malloc(sizeof(*sheet) + length + 1);
	if (!sheet)
		return NULL;
	sheet->epoch = 0;
	sheet->length = length;
	memcpy(sheet->text, text, length);
	sheet->text[length] = '\0';
	answer = answer_new(sheet);
	if (!answer)
		return NULL;
	sheet->response = answer;
	return sheet;
}

/* Write the epoch, also into the answer; nobody else sees the sheet yet. */
static int sheet_number(struct sheet *sheet, uint64_t epoch)
{
	char digits[DIGITS];

	if (sheet->epoch == epoch)
		return 0;
	snprintf(digits, DIGITS, "%" PRIu64, sheet->epoch);
	MHD_del_response_header(sheet->response, EPOCH, digits);
	snprintf(digits, DIGITS, "%" PRIu64, epoch);
	sheet->epoch = epoch;
	return MHD_add_response_header(sheet->response, EPOCH, digits) ==
		MHD_YES ? 0 : -ENOMEM;
}

static struct sheet *current(const struct board *board, uint64_t *version)
{
	struct sheet *const *at = fh_record_get(&board->current, NULL,
						version);

	return at ? *at : NULL;
}

/* One attempt: -ESTALE, another came first; -EEXIST, one was there. */
static int put_up(struct board *board, struct sheet *sheet, bool first,
		  uint64_t *epoch)
{
	struct sheet *old;
	uint64_t version;
	int rc;

	fh_rcu_read_lock();
	old = current(board, &version);
	*epoch = version + 1;
	rc = old && first ? -EEXIST : sheet_number(sheet, *epoch);
	if (rc == 0)
		rc = fh_record_publish_if(&board->current, version, &sheet,
					  sizeof(sheet));
	if (rc == 0 && old)
		fh_rcu_retire(&old->rcu, sheet_free);
	fh_rcu_read_unlock();
	return rc;
}

static int publish(struct board *board, const char *text, size_t length,
		   bool first, uint64_t *epoch)
{
	struct sheet *sheet = sheet_new(text, length);
	uint64_t mine;
	int rc;

	if (!sheet)
		return -ENOMEM;
	do
		rc = put_up(board, sheet, first, &mine);
	while (rc == -ESTALE);
	if (rc < 0) {
		sheet_free(&sheet->rcu);
		return rc;
	}
	board_wake(board);
	if (epoch)
		*epoch = mine;
	return 0;
}

int board_publish(struct board *board, const char *text, size_t length,
		  uint64_t *epoch)
{
	return publish(board, text, length, false, epoch);
}

int board_publish_first(struct board *board, const char *text, size_t length)
{
	return publish(board, text, length, true, NULL);
}

const struct sheet *board_read(const struct board *board)
{
	return current(board, NULL);
}

uint64_t board_epoch(const struct board *board)
{
	uint64_t epoch;

	fh_rcu_read_lock();
	current(board, &epoch);
	fh_rcu_read_unlock();
	return epoch;
}

int board_wait(struct board *board, uint64_t seen, int64_t deadline,
	       uint64_t *epoch)
{
	struct fh_status_snapshot before;
	uint64_t now;
	int rc = 0;

	for (;;) {
		before = fh_status_read(&board->changes);
		now = board_epoch(board);
		if (now != seen || rc < 0)
			break;
		rc = fh_status_wait_change(&board->changes, before.epoch,
					   deadline, NULL);
	}
	if (epoch)
		*epoch = now;
	return now != seen ? 0 : rc;
}

void board_wake(struct board *board)
{
	fh_status_set(&board->changes, 0);
	if (board->http)
		http_notify(board->http, &board->lot);
}

void board_clear(struct board *board)
{
	struct sheet *last;

	fh_rcu_read_lock();
	last = current(board, NULL);
	fh_rcu_read_unlock();
	fh_record_destroy(&board->current);
	if (last)
		fh_rcu_retire(&last->rcu, sheet_free);
}
