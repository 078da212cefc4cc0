/* SPDX-License-Identifier: MIT */
/* GET /metrics, in the text format of Prometheus, version 0.0.4. */
#include "internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void head(FILE *out, const char *name, const char *type,
		 const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void figure(FILE *out, const char *name, const char *type,
		   const char *help, uint64_t value)
{
	head(out, name, type, help);
	fprintf(out, "%s %" PRIu64 "\n", name, value);
}

/* Words have no character that a label would have to escape. */
static void served(FILE *out, struct status_server *server)
{
	static const char *const paths[] = {
		[ROOT] = "", [WAIT] = "wait", [METRICS] = "metrics",
	};

	head(out, "status_requests_served_total", "counter",
	     "Requests answered, by path and code.");
	for (unsigned route = 0; route < ROUTES; route++)
		for (unsigned i = 0; i < CODES; i++) {
			int64_t count = fh_counter_read(
				&server->counts.served[route][i]);

			if (!count)
				continue;
			if (route == OTHER)
				fputs("status_requests_served_total"
				      "{path=\"other\"", out);
			else
				fprintf(out, "status_requests_served_total"
					"{path=\"/%s\"", route >= WORD ?
					server->options.words[route - WORD] :
					paths[route]);
			fprintf(out, ",code=\"%u\"} %" PRId64 "\n",
				status_codes[i], count);
		}
}

static void connections(FILE *out, struct status_server *server)
{
	struct http_stats stats;

	http_get_stats(server->http, &stats);
	figure(out, "status_waiters", "gauge",
	       "Requests that wait for the status to change.", stats.parked);
	figure(out, "status_connections", "gauge", "Connections that are open.",
	       stats.open);
	figure(out, "status_connections_accepted_total", "counter",
	       "Connections that were accepted.", stats.accepted);
	figure(out, "status_connections_refused_total", "counter",
	       "Connections that were told 503 at the door.", stats.refused);
	figure(out, "status_connections_dropped_total", "counter",
	       "Connections that were ended because they took too long.",
	       stats.dropped);
}

char *status_metrics(struct status_server *server, size_t *length)
{
	uint64_t epoch = board_epoch(&server->board);
	char *text = NULL;
	FILE *out = open_memstream(&text, length);

	if (!out)
		return NULL;
	served(out, server);
	figure(out, "status_undelivered_total", "counter",
	       "Of these, answers that the client did not stay to take.",
	       (uint64_t)fh_counter_read(&server->counts.undelivered));
	figure(out, "status_transitions_total", "counter",
	       "Changes of the status since its first.", epoch - 1);
	figure(out, "status_epoch", "gauge",
	       "The epoch of the present status.", epoch);
	connections(out, server);
	for (unsigned i = 0; i < server->figure_count; i++) {
		struct status_figure *more = &server->figures[i];

		figure(out, more->name, "counter", more->help,
		       more->value(more->arg));
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

int status_server_show(struct status_server *server,
		       const struct status_figure *figure)
{
	if (server->figure_count == FIGURES)
		return -ENOSPC;
	server->figures[server->figure_count++] = *figure;
	return 0;
}
