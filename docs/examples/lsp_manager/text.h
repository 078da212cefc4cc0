/* SPDX-License-Identifier: MIT */
/*
 * text: what may stand in a line, and in a message.
 */
#ifndef LSP_TEXT_H
#define LSP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* What a server wrote must not look like a line of ours. */
void make_plain(char *text);

/* Is it UTF-8, as RFC 3629 has it? */
bool is_utf8(const char *text, size_t length);

#endif
