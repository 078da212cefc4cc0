/* SPDX-License-Identifier: MIT */
/*
 * What lsp_manager does with bytes that a language server sends: bytes into
 * frames, a frame into a message, a message into an answer or a result.
 *
 * For libFuzzer, for AFL++ in its persistent mode, and for replay.c, which
 * feeds the corpus.  Not to crash is the least.  It must also hold that
 *
 *  - what comes out does not depend on the pieces in which the bytes come;
 *  - the buffer stays within the limits;
 *  - what is heard as JSON is UTF-8, by our own judgement too, and ours is
 *    that of the JSON library;
 *  - a request is answered once, with its own number; an answer is looked for
 *    once; and nothing is both.
 *
 * The first byte of the input says how long the pieces are.  Time stands
 * still.
 */
#include "frame.h"
#include "must.h"
#include "pump.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct frame_limits limits = {
	.body = 2000, .lines = 4, .line = 100, .patience = 1,
};

/* What a stream has led to. */
struct outcome {
	uint64_t hash;
	int error;
};

static struct {
	unsigned sent, taken, answered;
	json_t *id;		/* of the message that is being heard */
	struct call call;
} now;

/* ------------------------------ in the places of library, pump and mail */

int64_t fh_now(void)
{
	return 1;
}

int64_t fh_deadline_in(int64_t nanoseconds)
{
	return 1 + nanoseconds;
}

int pump_send(struct lsp *lsp, json_t *message)
{
	json_t *id = json_object_get(message, "id");

	(void)lsp;
	must(id && json_equal(id, now.id));
	must(!json_object_get(message, "result") !=
	     !json_object_get(message, "error"));
	now.sent++;
	json_decref(message);
	return 0;
}

/* Numbers below ten are those of requests. */
struct call *mail_take(struct lsp *lsp, json_int_t id)
{
	(void)lsp;
	now.taken++;
	return id >= 0 && id < 10 ? &now.call : NULL;
}

void mail_answer(struct call *call, int error, json_t *result, const char *why)
{
	must(call == &now.call);
	must(error ? !result && why && strlen(why) < LSP_WHY :
		     result && result->refcount == 1);
	now.answered++;
	json_decref(result);
}

/* ----------------------------------------------------------------- messages */

static void check_text(const char *body, size_t length)
{
	json_t *text = json_stringn(body, length);
	char *plain;

	must(is_utf8(body, length) == (text != NULL));
	json_decref(text);
	plain = strndup(body, length);
	must(plain);
	make_plain(plain);
	must(!strpbrk(plain, "\n\r\033") && is_utf8(plain, strlen(plain)));
	free(plain);
}

static int hear(const char *body, size_t length)
{
	json_t *message = json_loadb(body, length,
				     JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	json_t *method = json_object_get(message, "method");
	int rc;

	memset(&now, 0, sizeof(now));
	now.id = json_object_get(message, "id");
	check_text(body, length);
	rc = talk_hear(NULL, body, length);
	must(message ? rc == 0 || rc == -EPROTO : rc == -EILSEQ);
	must(!message || is_utf8(body, length));
	must(now.sent == (rc == 0 && json_is_string(method) && now.id));
	must(now.taken <= !json_is_string(method));
	must(now.answered == (rc == 0 && now.taken));
	json_decref(message);
	return rc;
}

/* ------------------------------------------------------------------- frames */

static int hear_all(struct frame_reader *reader, struct outcome *outcome)
{
	const char *body;
	size_t length, i;
	int rc;

	while (!(rc = frame_next(reader, &body, &length))) {
		for (i = 0; i < length; i++)
			outcome->hash = outcome->hash * 31 +
					(unsigned char)body[i];
		rc = hear(body, length);
		if (rc)
			return rc;
	}
	return rc == -EAGAIN ? 0 : rc;
}

static void read_stream(const uint8_t *data, size_t size, size_t most,
			struct outcome *outcome)
{
	struct frame_reader reader = { .limits = limits };
	int ends[2];
	size_t piece;

	*outcome = (struct outcome){ 0 };
	must(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
	while (!outcome->error) {
		piece = size < most ? size : most;
		if (piece)
			must(write(ends[1], data, piece) == (ssize_t)piece);
		else if (ends[1] >= 0)
			ends[1] = close(ends[1]) - 1;
		data += piece;
		size -= piece;
		outcome->error = frame_fill(&reader, ends[0]);
		must(reader.size <= 32768);
		if (!outcome->error)
			outcome->error = hear_all(&reader, outcome);
	}
	frame_reset(&reader);
	close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, pieces;

	if (size < 1 || size > 16384)
		return 0;
	read_stream(data + 1, size - 1, 16384, &whole);
	read_stream(data + 1, size - 1, data[0] % 40u + 1, &pieces);
	must(whole.error == pieces.error && whole.hash == pieces.hash);
	return 0;
}
