/* SPDX-License-Identifier: MIT */
/*
 * errors: see errors.h.
 */
#include "errors.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
	int error;
	const char *text;
} texts[] = {
	/* of the registry */
	{ ENOENT, "there is no such server" },
	{ EEXIST, "a server of this name is there already" },
	{ EINPROGRESS, "RESTARTING: another is at it; ask again, or wait" },
	{ EHOSTDOWN, "it does not run" },
	{ ESTALE, "it is another generation by now" },
	{ ETIMEDOUT, "the deadline passed" },
	{ EOWNERDEAD, "the thread that was at it has ended" },
	{ ENOBUFS, "too much waits to be sent, or there is no thread" },
	/* of a client */
	{ ESHUTDOWN, "it is being shut down" },
	{ ECHILD, "its process has ended" },
	{ EBUSY, "too many requests wait for it" },
	{ EREMOTEIO, "the server answered with an error" },
	/* of frames */
	{ EPIPE, "the server closed its output" },
	{ ECONNRESET, "the server's output ended in the middle of a message" },
	{ ETIME, "the server stopped in the middle of a message" },
	{ EMSGSIZE, "a message longer than the limit was announced" },
	{ ERANGE, "a message of negative length was announced" },
	{ EDOM, "the length of a message is no number" },
	{ ENOMSG, "a message has no Content-Length" },
	{ ENOTUNIQ, "a message has more than one Content-Length" },
	{ E2BIG, "a header has more lines than the limit" },
	{ ENAMETOOLONG, "a line is longer than the limit" },
	{ EBADMSG, "a header is malformed" },
	{ EPROTONOSUPPORT, "a message is in another charset than UTF-8" },
	/* of messages */
	{ EILSEQ, "the text is no JSON, or no UTF-8" },
	{ EPROTO, "a message breaks the protocol" },
	{ EFBIG, "the file is too large" },
};

const char *error_text(int error)
{
	const char *text = strerrordesc_np(-error);
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i].error == -error)
			return texts[i].text;
	return text ? text : "unknown error";
}
