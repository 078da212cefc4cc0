/* SPDX-License-Identifier: MIT */
/* options: the command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "worker.h"

/* Fills them in; what makes no sense ends the program with status 2. */
void options_parse(struct options *options, int argc, char **argv);

#endif
