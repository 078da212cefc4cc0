/* SPDX-License-Identifier: MIT */
/*
 * documents: what is open in a server, remembered across its restarts.
 */
#ifndef LSP_DOCUMENTS_H
#define LSP_DOCUMENTS_H

#include "lsp.h"

#include <freehold/map.h>

/* 0, -ENOMEM or another error of fh_map_create. */
int documents_create(struct fh_map **documents);
void documents_destroy(struct fh_map *documents);

/* Remember a document with this text, then open it in @lsp. */
int documents_open(struct fh_map *documents, struct lsp *lsp, const char *uri,
		   const char *language, const char *text, size_t length);

/* Forget it, then close it in @lsp; -ENOENT: it was not open. */
int documents_close(struct fh_map *documents, struct lsp *lsp,
		    const char *uri);

/* Open all in a fresh client, beside others that use it already. */
void documents_reopen(struct fh_map *documents, struct lsp *lsp);

#endif
