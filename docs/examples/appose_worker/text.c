/* SPDX-License-Identifier: MIT */
/* text: see text.h. */
#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

/* How many bytes begin like this, and the least code point of so many. */
struct lead {
	unsigned char mask, bits;
	unsigned char bytes;
	uint32_t least;
};

static const struct lead leads[] = {
	{ 0x80, 0x00, 1, 0 },
	{ 0xe0, 0xc0, 2, 0x80 },
	{ 0xf0, 0xe0, 3, 0x800 },
	{ 0xf8, 0xf0, 4, 0x10000 },
};

static const struct lead *lead_of(unsigned char byte)
{
	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++)
		if ((byte & leads[i].mask) == leads[i].bits)
			return &leads[i];
	return NULL;
}

/* The length of the character at the beginning; 0: that is none. */
static size_t character(const char *text, size_t length)
{
	const unsigned char *bytes = (const unsigned char *)text;
	const struct lead *lead = lead_of(bytes[0]);
	uint32_t point;

	if (!lead || lead->bytes > length)
		return 0;
	point = bytes[0] & (unsigned char)~lead->mask;
	for (size_t i = 1; i < lead->bytes; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (bytes[i] & 0x3f);
	}
	if (point < lead->least || point > 0x10ffff ||
	    (point >= 0xd800 && point <= 0xdfff))
		return 0;
	return lead->bytes;
}

bool text_is_utf8(const char *text, size_t length)
{
	while (length) {
		size_t step = character(text, length);

		if (!step)
			return false;
		text += step;
		length -= step;
	}
	return true;
}

char *text_clean(const char *text, size_t length)
{
	char *copy, *to;

	if (length > SIZE_MAX / 4)
		return NULL;
	copy = to = malloc(3 * length + 1);
	while (copy && length) {
		size_t step = *text ? character(text, length) : 0;
		size_t put = step ? step : strlen(REPLACEMENT);

		memcpy(to, step ? text : REPLACEMENT, put);
		to += put;
		text += step ? step : 1;
		length -= step ? step : 1;
	}
	if (copy)
		*to = '\0';
	return copy;
}
