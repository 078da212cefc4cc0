/* SPDX-License-Identifier: MIT */
/* Small answers, and what stands behind the question mark. */
#include "internal.h"
#include "number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct MHD_Response *http_response(const char *text, size_t length,
				   const char *type)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		length, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);

	if (response && MHD_add_response_header(response, "Content-Type",
						type) == MHD_YES)
		return response;
	if (response)
		MHD_destroy_response(response);
	return NULL;
}

void http_text(struct http_request *request, unsigned code, const char *text)
{
	struct MHD_Response *response;
	char line[256];
	int length = snprintf(line, sizeof(line), "%s\n", text);

	if (length >= (int)sizeof(line))
		length = sizeof(line) - 1;
	response = http_response(line, (size_t)length,
				 "text/plain; charset=utf-8");
	http_answer(request, code, response);
	if (response)
		MHD_destroy_response(response);
}

int http_argument(struct http_request *request, const char *name,
		  uint64_t most, uint64_t otherwise, uint64_t *value)
{
	const char *text = MHD_lookup_connection_value(
		request->connection, MHD_GET_ARGUMENT_KIND, name);

	*value = otherwise;
	return text ? http_number(text, most, value) : 0;
}

static const char *header(const struct http_request *request,
			  const char *name)
{
	return MHD_lookup_connection_value(request->connection,
					   MHD_HEADER_KIND, name);
}

/* An origin is http://HOST:PORT, the Host that it should be HOST:PORT. */
bool http_foreign(const struct http_request *request)
{
	const char *site = header(request, "Sec-Fetch-Site");
	const char *origin = header(request, MHD_HTTP_HEADER_ORIGIN);
	const char *host = header(request, MHD_HTTP_HEADER_HOST);

	if (site && strcmp(site, "same-origin") && strcmp(site, "none"))
		return true;
	if (!origin)
		return false;
	origin = strstr(origin, "://");
	return !origin || !host || strcasecmp(origin + 3, host);
}

size_t http_body_limit(const struct http_request *request)
{
	return request->http->options.body;
}
