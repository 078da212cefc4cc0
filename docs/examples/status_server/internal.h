/* SPDX-License-Identifier: MIT */
/* What the files of the status server share. */
#ifndef STATUS_INTERNAL_H
#define STATUS_INTERNAL_H

#include "server.h"

#define FIGURES 4

struct status_server {
	struct board board;
	struct http *http;
	struct status_options options;
	struct status_counts counts;
	struct status_figure figures[FIGURES];
	unsigned figure_count;
};

#endif
