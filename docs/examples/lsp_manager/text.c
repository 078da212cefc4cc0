/* SPDX-License-Identifier: MIT */
/*
 * text: see text.h.
 */
#include "text.h"

#include <string.h>

/*
 * The first byte says how many follow, and which the second may be: that
 * excludes what is longer than it need be, surrogates, and what lies beyond
 * the last character.
 */
static const struct lead {
	unsigned char first, last, follow, least, most;
} leads[] = {
	{ 0x00, 0x7f, 0, 0x00, 0x00 },
	{ 0xc2, 0xdf, 1, 0x80, 0xbf },
	{ 0xe0, 0xe0, 2, 0xa0, 0xbf },
	{ 0xe1, 0xec, 2, 0x80, 0xbf },
	{ 0xed, 0xed, 2, 0x80, 0x9f },
	{ 0xee, 0xef, 2, 0x80, 0xbf },
	{ 0xf0, 0xf0, 3, 0x90, 0xbf },
	{ 0xf1, 0xf3, 3, 0x80, 0xbf },
	{ 0xf4, 0xf4, 3, 0x80, 0x8f },
};

#define LEADS (sizeof(leads) / sizeof(*leads))

/* The length of the character there, or 0. */
static size_t character(const unsigned char *at, size_t left)
{
	const struct lead *lead = leads;
	size_t i;

	while (lead < leads + LEADS && (*at < lead->first || *at > lead->last))
		lead++;
	if (lead == leads + LEADS || left <= lead->follow)
		return 0;
	if (lead->follow && (at[1] < lead->least || at[1] > lead->most))
		return 0;
	for (i = 2; i <= lead->follow; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return lead->follow + 1u;
}

bool is_utf8(const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t step;

	for (; length; at += step, length -= step) {
		step = character(at, length);
		if (!step)
			return false;
	}
	return true;
}

/* Without an end of line, and without anything that moves a cursor. */
void make_plain(char *text)
{
	size_t length = strlen(text);
	unsigned char most;

	while (length && text[length - 1] == '\n')
		text[--length] = 0;
	most = is_utf8(text, length) ? 0xff : 0x7e;
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f ||
		    (unsigned char)*text > most)
			*text = '?';
}
