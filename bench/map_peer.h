/* SPDX-License-Identifier: MIT */
/* map_peer: the program of a table that is not ours, behind its adapter. */
#ifndef FH_BENCH_MAP_PEER_H
#define FH_BENCH_MAP_PEER_H

#include "map_cases.h"

static const struct bench_case cases[] = { TABLE_CASES };

int main(int argc, char **argv)
{
	return bench_main("map", cases, ARRAY_LENGTH(cases), argc, argv);
}

#endif
