/* SPDX-License-Identifier: MIT */
/* map_log: removal from blocks too long for a mask.  Internal. */
#ifndef FH_MAP_LOG_H
#define FH_MAP_LOG_H

#include "map_word.h"

/*
 * Take position @i out of the long block that *at named when it was @seen.
 * True: the caller removed it.  False: the word has changed; start again.
 */
bool fh_log_remove(atomic_u64 *at, word seen, unsigned i);

/*
 * To be called before any compare-exchange that takes a content out of its
 * word; of no effect unless it is a long block.
 */
void fh_log_commit(word seen);

#endif
