/* SPDX-License-Identifier: MIT */
/* What must hold of every input: a target that it does not hold for crashes. */
#ifndef FH_FUZZ_MUST_H
#define FH_FUZZ_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define must(condition)                                                  \
	do {                                                             \
		if (!(condition)) {                                      \
			fprintf(stderr, "%s:%d: %s does not hold\n",     \
				__FILE__, __LINE__, #condition);         \
			abort();                                         \
		}                                                        \
	} while (0)

#endif
