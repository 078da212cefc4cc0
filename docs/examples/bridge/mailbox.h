/* SPDX-License-Identifier: MIT */
/*
 * A mailbox: anybody puts letters in, and whoever empties it has them alone.
 *
 *     newest --> letter --> letter --> oldest
 *
 * Putting one in is one compare-exchange, emptying one exchange; so each
 * letter is in one emptying, however many race.  A letter is counted before it
 * is put in, and until it has been taken out: so the count bounds them.  What
 * comes when it is full is counted too, and dropped.
 *
 * One text may go to many mailboxes; it is kept once.
 */
#ifndef MAILBOX_H
#define MAILBOX_H

#include <stddef.h>
#include <stdint.h>

struct news {
	uint64_t holders;
	char text[];
};

struct letter {
	struct letter *next;
	struct news *news;
};

/** All-zero bytes are an empty one. */
struct mailbox {
	struct letter *newest;
	uint64_t count, missed;
};

/** news_new - held by the caller; NULL: no memory */
struct news *news_new(const char *text);
void news_release(struct news *news);

/** mailbox_put - put it in, or count it as missed */
void mailbox_put(struct mailbox *mailbox, struct news *news, size_t limit);

/** mailbox_empty - the letters, the oldest first; they are the caller's
 * @missed: receives how many were dropped since the last time */
struct letter *mailbox_empty(struct mailbox *mailbox, uint64_t *missed);

void letters_free(struct letter *letters);

#endif
