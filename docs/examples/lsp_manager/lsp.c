/* SPDX-License-Identifier: MIT */
/*
 * lsp: what callers do: write a letter, and wait for a cell.
 */
#include "pump.h"
#include "text.h"
#include "uri.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ----------------------------------------------------------------- letters */

/* The pump always reads, so the pipe is never full for long. */
static void post(struct lsp *lsp, struct letter *letter)
{
	ssize_t count;

	do
		count = write(lsp->post[1], &letter, sizeof(letter));
	while (count < 0 && errno == EINTR);
}

/* A copy is posted; on failure all that it holds is freed. */
static int post_copy(struct lsp *lsp, const struct letter *letter)
{
	struct letter *copy = malloc(sizeof(*copy));

	if (!copy) {
		json_decref(letter->params);
		if (letter->document)
			document_free(letter->document);
		return -ENOMEM;
	}
	*copy = *letter;
	post(lsp, copy);
	return 0;
}

static int note(struct lsp *lsp, const char *method, json_t *params)
{
	return post_copy(lsp, &(struct letter){ .kind = LETTER_NOTE,
			 .method = method, .params = params });
}

static struct document *document_new(const char *uri, const char *language,
				     const char *text, size_t length)
{
	struct document *document = calloc(1, sizeof(*document));

	if (!document)
		return NULL;
	document->uri = strdup(uri);
	document->language = strdup(language);
	document->text = malloc(length + 1);
	document->length = length;
	if (!document->uri || !document->language || !document->text) {
		document_free(document);
		return NULL;
	}
	memcpy(document->text, text, length);
	return document;
}

static int post_document(struct lsp *lsp, enum letter_kind kind,
			 const char *uri, const char *language,
			 const char *text, size_t length)
{
	struct letter letter = { .kind = kind };

	letter.document = document_new(uri, language, text, length);
	return letter.document ? post_copy(lsp, &letter) : -ENOMEM;
}

static int post_text(struct lsp *lsp, enum letter_kind kind, const char *uri,
		     const char *language, const char *text, size_t length)
{
	if (!is_utf8(text, length))
		return -EILSEQ;
	return post_document(lsp, kind, uri, language, text, length);
}

int lsp_open(struct lsp *lsp, const char *uri, const char *language,
	     const char *text, size_t length)
{
	return post_text(lsp, LETTER_OPEN, uri, language, text, length);
}

int lsp_reopen(struct lsp *lsp, const char *uri, const char *language,
	       const char *text, size_t length)
{
	return post_text(lsp, LETTER_REOPEN, uri, language, text, length);
}

int lsp_close(struct lsp *lsp, const char *uri)
{
	return post_document(lsp, LETTER_CLOSE, uri, "", "", 0);
}

/* ------------------------------------------------------------------- calls */

static void call_free(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct call, rcu));
}

static int finish(struct call *call, json_t **result, char why[LSP_WHY])
{
	int error = call->error;

	if (why)
		memcpy(why, call->why, LSP_WHY);
	if (result && !error)
		*result = call->result;
	else
		json_decref(call->result);
	fh_rcu_retire(&call->rcu, call_free);
	return error;
}

static int call(struct lsp *lsp, enum letter_kind kind, const char *method,
		json_t *params, int64_t deadline, json_t **result,
		char why[LSP_WHY])
{
	struct call *call = calloc(1, sizeof(*call));

	if (why)
		why[0] = 0;
	if (!call) {
		json_decref(params);
		return -ENOMEM;
	}
	call->send = (struct letter){ .kind = kind, .method = method,
				      .params = params, .call = call };
	call->cancel = (struct letter){ .kind = LETTER_CANCEL, .call = call };
	post(lsp, &call->send);
	if (fh_status_wait(&call->state, FH_STATE(CALL_ANSWERED), deadline,
			   NULL) == 0)
		return finish(call, result, why);
	post(lsp, &call->cancel);
	return -ETIMEDOUT;
}

int lsp_call(struct lsp *lsp, const char *method, json_t *params,
	     int64_t deadline, json_t **result, char why[LSP_WHY])
{
	return call(lsp, LETTER_CALL, method, params, deadline, result, why);
}

/* ----------------------------------------------------------------- its end */

int lsp_wait(struct lsp *lsp, int64_t deadline)
{
	return fh_status_wait(&lsp->life, FH_STATE(LIFE_ENDED), deadline,
			      NULL);
}

int lsp_why(struct lsp *lsp, char why[LSP_WHY])
{
	why[0] = 0;
	if (fh_status_get(&lsp->life) == LIFE_RUNS)
		return 0;
	memcpy(why, lsp->why, LSP_WHY);
	return lsp->cause;
}

/* The letter is the client's own: the last resort must not need memory. */
static int force(struct lsp *lsp, struct letter *letter, int64_t deadline)
{
	post(lsp, letter);
	return lsp_wait(lsp, deadline);
}

static int ask_to_leave(struct lsp *lsp, int64_t deadline)
{
	int rc = call(lsp, LETTER_SHUTDOWN, "shutdown", NULL, deadline, NULL,
		      NULL);

	if (rc == 0 || rc == -EREMOTEIO)
		rc = note(lsp, "exit", NULL);
	if (rc)
		return lsp_wait(lsp, 0);
	return lsp_wait(lsp, deadline);
}

/* A quarter of the time is for SIGTERM. */
int lsp_stop(struct lsp *lsp, int64_t deadline)
{
	int64_t left = deadline == FH_FOREVER ? 0 : deadline - fh_now();

	if (ask_to_leave(lsp, deadline - left / 4) == 0)
		return 0;
	return force(lsp, &lsp->term, deadline);
}

int lsp_kill(struct lsp *lsp, int64_t deadline)
{
	return force(lsp, &lsp->kill, deadline);
}

/* Letters that are on their way are still delivered. */
void lsp_free(struct lsp *lsp)
{
	close(lsp->post[1]);
	pthread_join(lsp->pump, NULL);
	close(lsp->post[0]);
	close(lsp->ended);
	child_close(&lsp->child);
	free(lsp);
}

int lsp_watch(const struct lsp *lsp)
{
	return lsp->ended;
}

pid_t lsp_pid(const struct lsp *lsp)
{
	return lsp->child.pid;
}

/* ----------------------------------------------------------- its beginning */

/* A process without a pump: as if it had never been. */
static void undo_spawn(struct lsp *lsp)
{
	child_signal(&lsp->child, SIGKILL);
	while (child_reap(&lsp->child))
		poll(&(struct pollfd){ lsp->child.pidfd, POLLIN, 0 }, 1, -1);
	child_close(&lsp->child);
}

static int spawn_and_pump(struct lsp *lsp)
{
	char mark[LSP_WHY + LSP_NAME];
	const char *const marks[] = { mark, NULL };
	int rc;

	snprintf(mark, sizeof(mark), "FREEHOLD_SERVER=%s", lsp->server->name);
	rc = child_spawn(&lsp->child, lsp->server->argv, marks);
	if (rc)
		return rc;
	rc = -pthread_create(&lsp->pump, NULL, pump_main, lsp);
	if (rc)
		undo_spawn(lsp);
	return rc;
}

static void close_mail(struct lsp *lsp)
{
	int fds[] = { lsp->post[0], lsp->post[1], lsp->ended };
	size_t i;

	for (i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int open_mail(struct lsp *lsp)
{
	if (pipe2(lsp->post, O_CLOEXEC) ||
	    fcntl(lsp->post[0], F_SETFL, O_NONBLOCK))
		return -errno;
	lsp->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return lsp->ended < 0 ? -errno : 0;
}

static struct lsp *lsp_new(const struct lsp_server *server)
{
	struct lsp *lsp = calloc(1, sizeof(*lsp));

	if (!lsp)
		return NULL;
	lsp->server = server;
	lsp->reader.limits = server->limits;
	lsp->last_parcel = &lsp->parcels;
	lsp->post[0] = lsp->post[1] = lsp->ended = -1;
	lsp->term = (struct letter){ .kind = LETTER_SIGNAL,
				     .signal = SIGTERM };
	lsp->kill = (struct letter){ .kind = LETTER_SIGNAL,
				     .signal = SIGKILL };
	return lsp;
}

int lsp_spawn(struct lsp **made, const struct lsp_server *server)
{
	struct lsp *lsp = lsp_new(server);
	int rc;

	if (!lsp)
		return -ENOMEM;
	rc = open_mail(lsp);
	if (!rc)
		rc = spawn_and_pump(lsp);
	if (rc) {
		close_mail(lsp);
		free(lsp);
		return rc;
	}
	*made = lsp;
	return 0;
}

static json_t *introduction(const char *root)
{
	char uri[URI_SIZE];
	json_t *where = json_null();

	if (root && uri_of_path(uri, root) == 0)
		where = json_string(uri);
	return json_pack("{s:i, s:{s:s}, s:o, s:{s:{s:{s:b}, s:{}}}}",
			 "processId", (int)getpid(),
			 "clientInfo", "name", "lsp_manager",
			 "rootUri", where, "capabilities", "textDocument",
			 "documentSymbol", "hierarchicalDocumentSymbolSupport",
			 1, "synchronization");
}

int lsp_greet(struct lsp *lsp, int64_t deadline, char why[LSP_WHY])
{
	json_t *answer = NULL;
	int rc = lsp_call(lsp, "initialize", introduction(lsp->server->root),
			  deadline, &answer, why);

	if (rc)
		return rc;
	rc = json_is_object(json_object_get(answer, "capabilities")) ?
	     note(lsp, "initialized", json_object()) : -EPROTO;
	json_decref(answer);
	return rc;
}

const struct lsp_server *lsp_server(const struct lsp *lsp)
{
	return lsp->server;
}
