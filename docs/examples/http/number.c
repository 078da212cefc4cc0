/* SPDX-License-Identifier: MIT */
/* Numbers that others have written: headers, queries, options. */
#include "number.h"

#include <errno.h>

int http_number(const char *text, uint64_t most, uint64_t *value)
{
	uint64_t sum = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		unsigned digit = (unsigned)(*text - '0');

		if (digit > 9 || digit > most || sum > (most - digit) / 10)
			return -EINVAL;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return 0;
}
