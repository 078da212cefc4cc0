/* SPDX-License-Identifier: MIT */
/*
 * talk: what a server says, which is one of four things.
 *
 *     method and id    a request of its own, which is answered at once
 *     method           a notification, which is no news to us
 *     id and result    an answer
 *     id and error     an answer, too
 *
 * Anything else breaks the protocol.
 */
#include "pump.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One null for each setting that it asks for: we have no opinion. */
static json_t *no_settings(json_t *params)
{
	size_t count = json_array_size(json_object_get(params, "items"));
	json_t *result = json_array();

	while (result && count--)
		json_array_append_new(result, json_null());
	return result;
}

/* The result of a request that a server makes of us, or NULL. */
static json_t *our_result(const char *method, json_t *params)
{
	static const char *const harmless[] = {
		"client/registerCapability", "client/unregisterCapability",
		"window/workDoneProgress/create", "window/showMessageRequest",
		"workspace/workspaceFolders", "workspace/codeLens/refresh",
		"workspace/semanticTokens/refresh",
	};
	size_t i;

	if (strcmp(method, "workspace/configuration") == 0)
		return no_settings(params);
	if (strcmp(method, "workspace/applyEdit") == 0)
		return json_pack("{s:b, s:s}", "applied", 0, "failureReason",
				 "this client edits nothing");
	if (strcmp(method, "window/showDocument") == 0)
		return json_pack("{s:b}", "success", 0);
	for (i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
		if (strcmp(method, harmless[i]) == 0)
			return json_null();
	return NULL;
}

static int answer_request(struct lsp *lsp, const char *method, json_t *message)
{
	json_t *result = our_result(method, json_object_get(message, "params"));
	json_t *id = json_object_get(message, "id"), *answer;

	if (!json_is_integer(id) && !json_is_string(id)) {
		json_decref(result);
		return -EPROTO;
	}
	if (result)
		answer = json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id",
				   id, "result", result);
	else
		answer = json_pack("{s:s, s:O, s:{s:i, s:s}}", "jsonrpc",
				   "2.0", "id", id, "error", "code", -32601,
				   "message", "no such method here");
	return answer ? pump_send(lsp, answer) : -ENOMEM;
}

static void answer_error(struct call *call, json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "message"));
	json_t *code = json_object_get(error, "code");
	char why[LSP_WHY];

	snprintf(why, sizeof(why), "%s (%lld)", text ? text : "no message",
		 (long long)json_integer_value(code));
	mail_answer(call, -EREMOTEIO, NULL, why);
}

/* The result leaves the message, and is the caller's alone. */
static int take_answer(struct lsp *lsp, json_t *message)
{
	json_t *id = json_object_get(message, "id");
	json_t *result = json_object_get(message, "result");
	json_t *error = json_object_get(message, "error");
	struct call *call;

	if (!json_is_integer(id) || (!result && !json_is_object(error)))
		return -EPROTO;
	call = mail_take(lsp, json_integer_value(id));
	if (!call)
		return -EPROTO;
	if (json_is_object(error)) {
		answer_error(call, error);
		return 0;
	}
	json_incref(result);
	json_object_del(message, "result");
	mail_answer(call, 0, result, NULL);
	return 0;
}

int talk_hear(struct lsp *lsp, const char *body, size_t length)
{
	json_error_t error;
	json_t *message = json_loadb(body, length,
				     JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	const char *method;
	int rc = 0;

	if (!message)
		return json_error_code(&error) == json_error_out_of_memory ?
		       -ENOMEM : -EILSEQ;
	method = json_string_value(json_object_get(message, "method"));
	if (!json_is_object(message))
		rc = -EPROTO;
	else if (!method)
		rc = take_answer(lsp, message);
	else if (json_object_get(message, "id"))
		rc = answer_request(lsp, method, message);
	json_decref(message);
	return rc;
}
