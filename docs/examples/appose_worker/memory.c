/* SPDX-License-Identifier: MIT */
/*
 * memory: see memory.h.
 *
 * The JSON library takes its memory through two functions.  Ours count, per
 * thread, what they may still hand out.
 *
 * Where the library builds values it copes with a NULL.  Where it parses it
 * does not: its lexer goes on after a failed allocation with a text that lacks
 * a byte, and then writes beyond the end of another one.  So within a parse a
 * lack of memory is never told to the library.  The parse is left by a long
 * jump, and all the blocks that it holds are freed, which are in a list:
 *
 *     scope --> [ next, prior | block ] <--> [ next, prior | block ]
 *
 * Nothing but the parse allocates or frees on its thread meanwhile; so a free
 * within a scope is one of a block in the list.  When the parse is over the
 * list is forgotten, and blocks that live on are ordinary ones.
 */
#include "memory.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct block {
	alignas(max_align_t) struct block *next;
	struct block *prior;
	alignas(max_align_t) char content[];
};

struct scope {
	jmp_buf way_out;
	struct block *first;
};

static _Thread_local struct scope *present;
static _Thread_local bool counting;
static _Thread_local size_t allowed;
static _Thread_local enum memory_answer answer;

void memory_allow(size_t bytes)
{
	counting = bytes != SIZE_MAX;
	allowed = bytes;
	answer = MEMORY_GRANTED;
}

enum memory_answer memory_answer(void)
{
	return answer;
}

static void enter(struct scope *scope, struct block *block)
{
	block->prior = NULL;
	block->next = scope->first;
	if (scope->first)
		scope->first->prior = block;
	scope->first = block;
}

static void leave(struct scope *scope, struct block *block)
{
	if (block->next)
		block->next->prior = block->prior;
	if (block->prior)
		block->prior->next = block->next;
	else
		scope->first = block->next;
}

static void *refuse(enum memory_answer why)
{
	answer = why;
	if (present)
		longjmp(present->way_out, 1);
	return NULL;
}

static void *take(size_t size)
{
	struct block *block;

	if (size > SIZE_MAX - sizeof(*block) || (counting && size > allowed))
		return refuse(MEMORY_REFUSED);
	block = malloc(sizeof(*block) + size);
	if (!block)
		return refuse(MEMORY_SHORT);
	allowed -= size;
	if (present)
		enter(present, block);
	return block->content;
}

static void give_back(void *content)
{
	struct block *block;

	if (!content)
		return;
	block = (struct block *)((char *)content -
				 offsetof(struct block, content));
	if (present)
		leave(present, block);
	free(block);
}

void memory_setup(void)
{
	json_set_alloc_funcs(take, give_back);
	/* Otherwise the threads that make the first objects race for it. */
	json_object_seed(0);
}

/* ---------------------------------------------------------------- a parse */

static void free_all(struct scope *scope)
{
	struct block *block, *next;

	for (block = scope->first; block; block = next) {
		next = block->next;
		free(block);
	}
}

json_t *memory_parse(const char *text, size_t length, size_t flags,
		     json_error_t *error)
{
	struct scope scope = { .first = NULL };
	json_t *root;

	present = &scope;
	if (setjmp(scope.way_out)) {
		present = NULL;
		free_all(&scope);
		return NULL;
	}
	root = json_loadb(text, length, flags, error);
	present = NULL;
	return root;
}
