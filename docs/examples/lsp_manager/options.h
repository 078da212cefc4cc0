/* SPDX-License-Identifier: MIT */
/*
 * options: the command line.
 */
#ifndef LSP_OPTIONS_H
#define LSP_OPTIONS_H

#include "session.h"

/* 0: go on; 1: all was said (--help); -1: it was wrong, and that was said. */
int read_options(struct settings *settings, int argc, char **argv);

#endif
