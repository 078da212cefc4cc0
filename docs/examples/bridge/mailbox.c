/* SPDX-License-Identifier: MIT */
/*
 * A put looks into no letter but its own: it links to the newest and
 * exchanges that.  Should the newest have been taken and another have come at
 * the same address meanwhile, then linking to that one is right.
 */
#include "mailbox.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct news *news_new(const char *text)
{
	size_t size = strlen(text) + 1;
	struct news *news = malloc(sizeof(*news) + size);

	if (!news)
		return NULL;
	news->holders = 1;
	memcpy(news->text, text, size);
	return news;
}

void news_release(struct news *news)
{
	if (__atomic_sub_fetch(&news->holders, 1, __ATOMIC_ACQ_REL) == 0)
		free(news);
}

static bool count_one(struct mailbox *mailbox, size_t limit)
{
	uint64_t count = __atomic_load_n(&mailbox->count, __ATOMIC_RELAXED);

	do
		if (count >= limit)
			return false;
	while (!__atomic_compare_exchange_n(&mailbox->count, &count, count + 1,
					    true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED));
	return true;
}

static void link_in(struct mailbox *mailbox, struct letter *letter)
{
	letter->next = __atomic_load_n(&mailbox->newest, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&mailbox->newest, &letter->next,
					    letter, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

void mailbox_put(struct mailbox *mailbox, struct news *news, size_t limit)
{
	struct letter *letter = NULL;

	if (count_one(mailbox, limit)) {
		letter = malloc(sizeof(*letter));
		if (!letter)
			__atomic_sub_fetch(&mailbox->count, 1,
					   __ATOMIC_RELAXED);
	}
	if (!letter) {
		__atomic_add_fetch(&mailbox->missed, 1, __ATOMIC_RELAXED);
		return;
	}
	__atomic_add_fetch(&news->holders, 1, __ATOMIC_RELAXED);
	letter->news = news;
	link_in(mailbox, letter);
}

struct letter *mailbox_empty(struct mailbox *mailbox, uint64_t *missed)
{
	struct letter *letter, *next, *turned = NULL;
	uint64_t count = 0;

	letter = __atomic_exchange_n(&mailbox->newest, NULL, __ATOMIC_ACQUIRE);
	for (; letter; letter = next, count++) {
		next = letter->next;
		letter->next = turned;
		turned = letter;
	}
	__atomic_sub_fetch(&mailbox->count, count, __ATOMIC_RELAXED);
	*missed = __atomic_exchange_n(&mailbox->missed, 0, __ATOMIC_RELAXED);
	return turned;
}

void letters_free(struct letter *letters)
{
	struct letter *next;

	for (; letters; letters = next) {
		next = letters->next;
		news_release(letters->news);
		free(letters);
	}
}
