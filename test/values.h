/* SPDX-License-Identifier: MIT */
/*
 * Values that tell whether they are whole: one number, as often as the number
 * itself says, and @most times at the most.  What is mixed from two of them
 * has words that differ, or another length than its number.
 */
#ifndef FH_TEST_VALUES_H
#define FH_TEST_VALUES_H

#include <stddef.h>
#include <stdint.h>

#define MIXED UINT64_MAX	/* no value has this number */

static size_t value_size(uint64_t number, size_t most)
{
	return (1 + number % most) * sizeof(uint64_t);
}

static void value_make(uint64_t *words, uint64_t number, size_t most)
{
	size_t i;

	for (i = 0; i < most; i++)
		words[i] = number;
}

static uint64_t value_in(const uint64_t *words, size_t size, size_t most)
{
	size_t i;

	if (size != value_size(words[0], most))
		return MIXED;
	for (i = 1; i < size / sizeof(*words); i++)
		if (words[i] != words[0])
			return MIXED;
	return words[0];
}

#endif
