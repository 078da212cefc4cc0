/* SPDX-License-Identifier: MIT */
/*
 * query: the symbols of a file, as a language server sees them.
 */
#ifndef LSP_QUERY_H
#define LSP_QUERY_H

#include <freehold/server.h>

#include <stdio.h>

/* Room for what went wrong, beside the error. */
#define QUERY_WHY 256

/*
 * query_symbols - ask the server @name for the symbols of a file
 * @to: receives one line for each, indented
 *
 * Returns how many there are.  A server that ends in the middle is asked
 * once more, if it is restarted by the deadline.  Errors: those of the file,
 * of fh_server_get_wait, of lsp_call.
 */
int query_symbols(struct fh_servers *servers, const char *name,
		  const char *path, int64_t deadline, FILE *to,
		  char why[QUERY_WHY]);

/* Let the server @name forget a file; -ENODATA: it is not open. */
int query_close(struct fh_servers *servers, const char *name, const char *path,
		int64_t deadline);

#endif
