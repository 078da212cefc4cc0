/* SPDX-License-Identifier: MIT */
/*
 * reply: servers and errors in words.
 */
#include "reply.h"

#include "errors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Negative: an error, which is told in words and by its name. */
void reply(const struct call *call, int rc, const char *format, ...)
{
	const char *name = rc < 0 ? strerrorname_np(-rc) : NULL;
	va_list args;

	if (rc < 0)
		fprintf(call->to, "error %s: ", name ? name : "UNKNOWN");
	else
		fputs("ok ", call->to);
	va_start(args, format);
	vfprintf(call->to, format, args);
	va_end(args);
	putc('\n', call->to);
}

static double seconds_since(int64_t time)
{
	return (double)(fh_now() - time) / 1e9;
}

static void put_error(FILE *to, const struct fh_server_info *info)
{
	const char *name = strerrorname_np(-info->error);

	if (info->error)
		fprintf(to, " error=%s (%s%s%s)", name ? name : "UNKNOWN",
			error_text(info->error), info->text[0] ? ": " : "",
			info->text);
}

void put_info(FILE *to, const char *name,
		     const struct fh_server_info *info)
{
	fprintf(to, "%s state=%s generation=%lu restarts=%lu crashes=%lu "
		"users=%lu leases=%lu since=%.3fs", name,
		fh_server_state_name(info->state), info->generation,
		info->restarts, info->crashes, info->users, info->leases,
		seconds_since(info->since));
	if (info->retry_at)
		fprintf(to, " retry_in=%.3fs",
			-seconds_since(info->retry_at));
	put_error(to, info);
}

void reply_info(const struct call *call, int rc,
		const struct fh_server_info *info)
{
	if (rc) {
		const char *name = strerrorname_np(-rc);

		fprintf(call->to, "error %s: %s: %s", name ? name : "UNKNOWN",
			call->word[0], error_text(rc));
		if (rc == -EHOSTDOWN)
			put_error(call->to, info);
	} else {
		fputs("ok ", call->to);
		put_info(call->to, call->word[0], info);
	}
	putc('\n', call->to);
}

void print_event(const struct fh_server_event *event, void *arg)
{
	const struct session *session = arg;
	char *text = NULL;
	size_t size;
	FILE *to;

	if (!session->settings.events)
		return;
	to = open_memstream(&text, &size);
	if (!to)
		return;
	fprintf(to, "event %s %s -> %s at=%.6f epoch=%lu generation=%lu",
		event->name, fh_server_state_name(event->from),
		fh_server_state_name(event->to),
		(double)event->info.since / 1e9, event->info.epoch,
		event->info.generation);
	if (event->to == FH_SERVER_FAILED || event->to == FH_SERVER_BACKOFF)
		put_error(to, &event->info);
	putc('\n', to);
	fclose(to);
	fputs(text, stdout);
	fflush(stdout);
	free(text);
}
