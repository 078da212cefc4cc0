/* SPDX-License-Identifier: MIT */
/*
 * lsp: a client of one language server, which is a process of its own.
 *
 *     lsp_spawn(&lsp, &server);
 *     lsp_greet(lsp, deadline, why);
 *     lsp_open(lsp, uri, "c", text, length);
 *     lsp_call(lsp, "textDocument/documentSymbol", params, deadline, &answer);
 *     lsp_stop(lsp, deadline);
 *     lsp_free(lsp);
 *
 * Any number of threads may call at once.  One thread of the client's own,
 * the pump, owns the process and its pipes; the others hand it letters and
 * wait for a status cell.  So no call waits for another's, a server that
 * reads nothing blocks nobody, and there is no lock.
 *
 * Errors are those of error_text; a call that fails for what the server did
 * leaves words for it, see lsp_why.
 */
#ifndef LSP_LSP_H
#define LSP_LSP_H

#include "frame.h"

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

struct lsp;

/* Room for the words that explain an error. */
#define LSP_WHY 128

/* The longest name, its zero byte included. */
#define LSP_NAME 256

/**
 * struct lsp_server - what to start; must outlive the client
 * @name:   goes into the process's environment, as FREEHOLD_SERVER
 * @argv:   the command, looked for in PATH
 * @root:   the directory that it is to work in, or NULL
 * @limits: for what it sends
 */
struct lsp_server {
	const char *name;
	char *const *argv;
	const char *root;
	struct frame_limits limits;
};

/* lsp_spawn - start the process; on failure nothing is left behind. */
int lsp_spawn(struct lsp **lsp, const struct lsp_server *server);

/*
 * lsp_greet - initialize and initialized
 * @why: receives words if it fails
 */
int lsp_greet(struct lsp *lsp, int64_t deadline, char why[LSP_WHY]);

/*
 * lsp_call - a request, and the answer to it
 * @params: passes to the call; may be NULL
 * @result: receives the result, for json_decref
 *
 * -ETIMEDOUT: no answer in time; the server is told to forget it.
 * -EREMOTEIO: it answered with an error.  -EBUSY: too much waits for it
 * already.  Or why it is broken, or gone.
 */
int lsp_call(struct lsp *lsp, const char *method, json_t *params,
	     int64_t deadline, json_t **result, char why[LSP_WHY]);

/*
 * lsp_open - let the server know a document, or its new text
 *
 * Calls that this thread makes from now on see it.  To open what is open
 * with the same text does nothing.  -EILSEQ: it is no UTF-8.
 */
int lsp_open(struct lsp *lsp, const char *uri, const char *language,
	     const char *text, size_t length);

/* The same, unless it is open already, whatever its text. */
int lsp_reopen(struct lsp *lsp, const char *uri, const char *language,
	       const char *text, size_t length);

/* Let the server forget a document; one that is not open is no matter. */
int lsp_close(struct lsp *lsp, const char *uri);

/*
 * lsp_stop - close what is open, then shutdown and exit, then SIGTERM
 *
 * 0: the process has ended and is reaped; -ETIMEDOUT: it is still there.
 */
int lsp_stop(struct lsp *lsp, int64_t deadline);

/* SIGKILL; 0: it is reaped; -ETIMEDOUT: the kernel cannot end it yet. */
int lsp_kill(struct lsp *lsp, int64_t deadline);

/* When the process has ended, and no other thread uses the client. */
void lsp_free(struct lsp *lsp);

/* A descriptor for poll(2): readable once the process is reaped. */
int lsp_watch(const struct lsp *lsp);
pid_t lsp_pid(const struct lsp *lsp);
const struct lsp_server *lsp_server(const struct lsp *lsp);

/* What is wrong with it: 0 while it runs; words for it. */
int lsp_why(struct lsp *lsp, char why[LSP_WHY]);

/* Wait until the process is reaped; -ETIMEDOUT. */
int lsp_wait(struct lsp *lsp, int64_t deadline);

#endif
