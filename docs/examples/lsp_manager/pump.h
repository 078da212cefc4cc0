/* SPDX-License-Identifier: MIT */
/*
 * pump: the thread that owns a server's process, and what it is handed.
 * Internal to the client.
 */
#ifndef LSP_PUMP_H
#define LSP_PUMP_H

#include "lsp.h"
#include "child.h"

#include <freehold/rcu.h>
#include <freehold/status.h>

#include <pthread.h>

enum letter_kind {
	LETTER_CALL,		/* method, params; it is the call's own */
	LETTER_SHUTDOWN,	/* the same, after documents were closed */
	LETTER_CANCEL,		/* it is the call's own; ends the call */
	LETTER_NOTE,		/* method, params */
	LETTER_OPEN,		/* document */
	LETTER_REOPEN,		/* document; nothing, if it is open */
	LETTER_CLOSE,		/* document, of which only the uri */
	LETTER_SIGNAL		/* signal; it is the client's own */
};

struct document {
	char *uri;
	char *language;
	char *text;
	size_t length;
	json_int_t version;
	struct document *next;
};

struct letter {
	enum letter_kind kind;
	const char *method;
	json_t *params;
	struct call *call;
	struct document *document;
	int signal;
};

/*
 * A request on its way.  It is its caller's, who lends it to the pump by the
 * letter `send` until the state is CALL_ANSWERED.  A caller who will not wait
 * any longer gives it away for good, by the letter `cancel`.
 */
enum call_state { CALL_WAITING, CALL_ANSWERED };

struct call {
	struct fh_status state;
	struct fh_rcu_head rcu;
	struct letter send, cancel;
	json_t *result;		/* written before CALL_ANSWERED, as are these */
	int error;
	char why[LSP_WHY];
	json_int_t id;		/* the pump's, as are these */
	bool cancelled;
	struct call *next;
};

/* Bytes on their way to the server. */
struct parcel {
	struct parcel *next;
	size_t size, sent;
	char bytes[];
};

enum life { LIFE_RUNS, LIFE_BROKEN, LIFE_ENDED };

#define TAIL 72u		/* bytes of its last words that are kept */

/*
 * life, cause and why: the pump writes cause and why once, before it leaves
 * LIFE_RUNS; others read them after they saw that.  Below, all is the
 * pump's alone.
 */
struct lsp {
	pthread_t pump;
	int post[2];		/* pointers to letters; its end is the pump's */
	struct fh_status life;
	int cause;
	char why[LSP_WHY];
	struct letter term, kill; /* that need no memory */
	int ended;		/* an eventfd: readable from LIFE_ENDED on */
	const struct lsp_server *server;

	struct child child;
	struct frame_reader reader;
	struct call *calls;	/* sent, and not answered */
	size_t waiting;		/* how many */
	json_int_t next_id;
	struct parcel *parcels, **last_parcel;
	size_t queued;		/* bytes in them */
	struct document *documents;
	int output_end;		/* how its output ended, see frame_fill */
	int64_t last_words;	/* then: how long its end may take; else 0 */
	bool leaving;		/* shutdown was asked for */
	char tail[TAIL];	/* of its standard error */
	size_t tail_length;
};

/* pump.c: the thread, and what it does with descriptors. */
void *pump_main(void *lsp);
void pump_break(struct lsp *lsp, int cause, const char *why);
int pump_send(struct lsp *lsp, json_t *message);

/* mail.c: letters, calls and documents. */
void mail_deliver(struct lsp *lsp, struct letter *letter);
void mail_answer(struct call *call, int error, json_t *result,
		 const char *why);
struct call *mail_take(struct lsp *lsp, json_int_t id);
void mail_fail_all(struct lsp *lsp);
void mail_forget_documents(struct lsp *lsp);
void document_free(struct document *document);

/* talk.c: what the server says; 0, or what is wrong with it. */
int talk_hear(struct lsp *lsp, const char *body, size_t length);

#endif
