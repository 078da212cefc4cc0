/* SPDX-License-Identifier: MIT */
/*
 * mail: what the pump does with the letters of others.
 *
 * Letters of one thread arrive in the order in which it sent them, and what
 * they ask for goes to the server in that order.  So a document is open
 * before the request that needs it, and the pump alone knows which are.
 */
#include "pump.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_LIMIT 1024u

/* ------------------------------------------------------------------- calls */

static void call_free(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct call, rcu));
}

/*
 * The caller may free the call as soon as it sees the answer, and waking it
 * still touches the cell: it frees by way of fh_rcu_retire.
 */
void mail_answer(struct call *call, int error, json_t *result, const char *why)
{
	if (call->cancelled) {
		json_decref(result);
		fh_rcu_retire(&call->rcu, call_free);
		return;
	}
	call->error = error;
	call->result = result;
	strncat(call->why, why ? why : "", sizeof(call->why) - 1);
	make_plain(call->why);
	fh_rcu_read_lock();
	fh_status_set(&call->state, CALL_ANSWERED);
	fh_rcu_read_unlock();
}

struct call *mail_take(struct lsp *lsp, json_int_t id)
{
	struct call **at = &lsp->calls, *call;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	call = *at;
	if (call) {
		*at = call->next;
		lsp->waiting--;
	}
	return call;
}

void mail_fail_all(struct lsp *lsp)
{
	while (lsp->calls)
		mail_answer(mail_take(lsp, lsp->calls->id), lsp->cause, NULL,
			    lsp->why);
}

static json_t *message(const char *method, json_t *params)
{
	json_t *all = json_pack("{s:s, s:s}", "jsonrpc", "2.0", "method",
				method);

	if (params && all)
		json_object_set_new(all, "params", params);
	else
		json_decref(params);
	return all;
}

/* NULL, or the reason why no request can be made. */
static int refuse(const struct lsp *lsp)
{
	if (fh_status_get(&lsp->life) != LIFE_RUNS)
		return lsp->cause;
	if (lsp->leaving)
		return -ESHUTDOWN;
	return lsp->waiting >= WAITING_LIMIT ? -EBUSY : 0;
}

static void request(struct lsp *lsp, struct letter *letter)
{
	int rc = refuse(lsp);
	json_t *all = message(letter->method, letter->params);
	struct call *call = letter->call;

	call->id = ++lsp->next_id;
	if (!rc && (!all || json_object_set_new(all, "id",
						json_integer(call->id))))
		rc = -ENOMEM;
	if (rc)
		json_decref(all);
	else
		rc = pump_send(lsp, all);
	if (rc) {
		mail_answer(call, rc, NULL, lsp->why);
		return;
	}
	call->next = lsp->calls;
	lsp->calls = call;
	lsp->waiting++;
}

static void notify(struct lsp *lsp, const char *method, json_t *params)
{
	json_t *all = message(method, params);

	if (!all || pump_send(lsp, all))
		pump_break(lsp, -ENOMEM, NULL);
}

/* The answer will come nevertheless, and its number must be known. */
static void cancel(struct lsp *lsp, struct call *call)
{
	struct call *waiting = lsp->calls;

	while (waiting && waiting != call)
		waiting = waiting->next;
	call->cancelled = true;
	if (waiting)
		notify(lsp, "$/cancelRequest",
		       json_pack("{s:I}", "id", call->id));
	else
		mail_answer(call, 0, call->result, NULL);
}

/* --------------------------------------------------------------- documents */

void document_free(struct document *document)
{
	free(document->uri);
	free(document->language);
	free(document->text);
	free(document);
}

static struct document **find(struct lsp *lsp, const char *uri)
{
	struct document **at = &lsp->documents;

	while (*at && strcmp((*at)->uri, uri))
		at = &(*at)->next;
	return at;
}

static void did_open(struct lsp *lsp, const struct document *document)
{
	notify(lsp, "textDocument/didOpen", json_pack(
		"{s:{s:s, s:s, s:I, s:s%}}", "textDocument",
		"uri", document->uri, "languageId", document->language,
		"version", document->version,
		"text", document->text, document->length));
}

static void did_change(struct lsp *lsp, const struct document *document)
{
	notify(lsp, "textDocument/didChange", json_pack(
		"{s:{s:s, s:I}, s:[{s:s%}]}", "textDocument",
		"uri", document->uri, "version", document->version,
		"contentChanges", "text", document->text, document->length));
}

static bool same_text(const struct document *one, const struct document *two)
{
	return one->length == two->length &&
	       memcmp(one->text, two->text, one->length) == 0;
}

static void open_document(struct lsp *lsp, struct document *fresh, bool again)
{
	struct document **at = find(lsp, fresh->uri), *old = *at;

	fresh->version = old ? old->version + 1 : 1;
	if (old && (again || same_text(old, fresh))) {
		document_free(fresh);
		return;
	}
	if (old)
		did_change(lsp, fresh);
	else
		did_open(lsp, fresh);
	fresh->next = old ? old->next : NULL;
	*at = fresh;
	if (old)
		document_free(old);
}

static void close_document(struct lsp *lsp, const char *uri)
{
	struct document **at = find(lsp, uri), *old = *at;

	if (!old)
		return;
	*at = old->next;
	notify(lsp, "textDocument/didClose",
	       json_pack("{s:{s:s}}", "textDocument", "uri", old->uri));
	document_free(old);
}

void mail_forget_documents(struct lsp *lsp)
{
	struct document *document;

	while ((document = lsp->documents)) {
		lsp->documents = document->next;
		document_free(document);
	}
}

/* ----------------------------------------------------------------- letters */

static void shut_down(struct lsp *lsp, struct letter *letter)
{
	while (!refuse(lsp) && lsp->documents)
		close_document(lsp, lsp->documents->uri);
	request(lsp, letter);
	lsp->leaving = true;
}

/* One that belongs to a call is freed with it. */
static void letter_free(struct letter *letter)
{
	if (letter->document)
		document_free(letter->document);
	json_decref(letter->params);
	free(letter);
}

static void deliver_to_the_living(struct lsp *lsp, struct letter *letter)
{
	struct document *document = letter->document;
	json_t *params = letter->params;

	letter->document = NULL;
	letter->params = NULL;
	switch (letter->kind) {
	case LETTER_NOTE:
		notify(lsp, letter->method, params);
		break;
	case LETTER_OPEN:
	case LETTER_REOPEN:
		open_document(lsp, document, letter->kind == LETTER_REOPEN);
		break;
	default:
		close_document(lsp, document->uri);
		document_free(document);
	}
}

void mail_deliver(struct lsp *lsp, struct letter *letter)
{
	switch (letter->kind) {
	case LETTER_CALL:
		request(lsp, letter);
		return;
	case LETTER_SHUTDOWN:
		shut_down(lsp, letter);
		return;
	case LETTER_CANCEL:
		cancel(lsp, letter->call);
		return;
	case LETTER_SIGNAL:
		child_signal(&lsp->child, letter->signal);
		return;
	default:
		if (fh_status_get(&lsp->life) == LIFE_RUNS)
			deliver_to_the_living(lsp, letter);
	}
	letter_free(letter);
}
