/* SPDX-License-Identifier: MIT */
/*
 * service: what the registry must know to keep a language server running.
 */
#ifndef LSP_SERVICE_H
#define LSP_SERVICE_H

#include "lsp.h"

#include <freehold/map.h>
#include <freehold/server.h>

/* One for each name; outlives all its processes. */
struct service {
	struct lsp_server server;
	char name[LSP_NAME];
	struct fh_map *documents;
	char **argv;		/* all words in one block, behind this */
};

/* The clients that these make are struct lsp. */
extern const struct fh_server_ops service_ops;

/* @words: the command, @count of them; -ENOMEM or an error of fh_map. */
int service_new(struct service **service, const char *name,
		char *const *words, size_t count, const char *root,
		const struct frame_limits *limits);

/* For fh_server_request.arg_release, too. */
void service_free(void *service);

static inline struct service *service_of(const struct lsp *lsp)
{
	return (struct service *)(uintptr_t)lsp_server(lsp);
}

#endif
