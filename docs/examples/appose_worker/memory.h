/* SPDX-License-Identifier: MIT */
/*
 * memory: what the JSON library may take, thread by thread.
 *
 * Parsed JSON can take fifty times the memory of its text, so that a bound on
 * the text is none on the memory.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <jansson.h>
#include <stddef.h>

/*
 * Have the library take its memory here, and make it fit for several threads;
 * to be called before anything else of it.
 */
void memory_setup(void);

/*
 * On the calling thread, from now on: at most @bytes more; SIZE_MAX for no
 * bound.  What is freed is not given back to the count, which thereby bounds
 * the work as well.
 */
void memory_allow(size_t bytes);

/* Whether all was granted since then. */
enum memory_answer {
	MEMORY_GRANTED,
	MEMORY_REFUSED,		/* beyond the bound */
	MEMORY_SHORT		/* there was none */
};

enum memory_answer memory_answer(void);

/* json_loadb, which does not survive a lack of memory by itself. */
json_t *memory_parse(const char *text, size_t length, size_t flags,
		     json_error_t *error);

#endif
