/* SPDX-License-Identifier: MIT */
/* text: what JSON demands of it, and what a program says of errors. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Is all of it UTF-8? */
bool text_is_utf8(const char *text, size_t length);

/*
 * A terminated copy in UTF-8: each byte that does not fit, and each NUL,
 * becomes U+FFFD.  NULL: no memory.
 */
char *text_clean(const char *text, size_t length);

#endif
