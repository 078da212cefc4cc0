/* SPDX-License-Identifier: MIT */
/*
 * service: the steps of a server's life, as the registry calls them.
 *
 *     start      spawn, with a pump      stop   shutdown, exit, SIGTERM
 *     handshake  initialize, initialized kill   SIGKILL
 *     watch      the pump's event        exited why it ended
 *     restarted  open what was open      release
 *
 * The pump reaps: when its event comes the process is gone, and the pump has
 * said why.  So nothing here waits but where the registry gives a deadline.
 */
#include "service.h"

#include "documents.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(LSP_WHY <= FH_SERVER_TEXT, "words fit into the registry");
_Static_assert(offsetof(struct service, server) == 0, "service_of");

static int start(struct fh_server_job *job, void **client)
{
	struct service *service = job->arg;
	struct lsp *lsp;
	int rc = lsp_spawn(&lsp, &service->server);

	if (rc)
		snprintf(job->text, FH_SERVER_TEXT, "cannot run %.80s: %s",
			 service->argv[0], strerrordesc_np(-rc));
	else
		*client = lsp;
	return rc;
}

static int handshake(struct fh_server_job *job, void *client)
{
	return lsp_greet(client, job->deadline, job->text);
}

static int stop(struct fh_server_job *job, void *client)
{
	return lsp_stop(client, job->deadline);
}

static int kill_client(struct fh_server_job *job, void *client)
{
	return lsp_kill(client, job->deadline);
}

static int exited(struct fh_server_job *job, void *client)
{
	return lsp_why(client, job->text);
}

static void release(void *client, void *arg)
{
	(void)arg;
	lsp_free(client);
}

static void restarted(struct fh_server_job *job, void *client)
{
	struct service *service = job->arg;

	documents_reopen(service->documents, client);
}

static int watch(void *client, void *arg)
{
	(void)arg;
	return lsp_watch(client);
}

const struct fh_server_ops service_ops = {
	.start = start,
	.handshake = handshake,
	.stop = stop,
	.kill = kill_client,
	.exited = exited,
	.release = release,
	.restarted = restarted,
	.watch = watch,
};

static size_t size_of(char *const *words, size_t count)
{
	size_t size = (count + 1) * sizeof(*words), i;

	for (i = 0; i < count; i++)
		size += strlen(words[i]) + 1;
	return size;
}

static void copy_words(struct service *service, char *const *words,
		       size_t count)
{
	char *text;
	size_t i;

	service->argv = (char **)(service + 1);
	text = (char *)(service->argv + count + 1);
	for (i = 0; i < count; i++) {
		service->argv[i] = text;
		text = stpcpy(text, words[i]) + 1;
	}
}

int service_new(struct service **made, const char *name, char *const *words,
		size_t count, const char *root,
		const struct frame_limits *limits)
{
	struct service *service;
	int rc;

	service = calloc(1, sizeof(*service) + size_of(words, count));
	if (!service)
		return -ENOMEM;
	rc = documents_create(&service->documents);
	if (rc) {
		free(service);
		return rc;
	}
	snprintf(service->name, sizeof(service->name), "%s", name);
	copy_words(service, words, count);
	service->server = (struct lsp_server){
		.name = service->name, .argv = service->argv, .root = root,
		.limits = *limits,
	};
	*made = service;
	return 0;
}

void service_free(void *arg)
{
	struct service *service = arg;

	documents_destroy(service->documents);
	free(service);
}
