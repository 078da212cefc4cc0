/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the server registry's supervisor share: servers whose
 * client ends when an eventfd says so, which is what the supervisor watches.
 */
#ifndef FH_TEST_WATCHED_H
#define FH_TEST_WATCHED_H

#include "servers.h"

#include <sys/eventfd.h>
#include <unistd.h>

static int watch_site(void *client, void *arg)
{
	struct site *site = arg;
	int rc = act(site, AT_WATCH);

	check_fake(client);
	return rc < 0 ? rc : load_relaxed(&site->watched);
}

static int exited_of(struct fh_server_job *job, void *client)
{
	struct site *site = job->arg;
	uint64_t rings;

	if (read(load_relaxed(&site->watched), &rings, sizeof(rings)) < 0)
		add_relaxed(&site->wrong, 1);
	return fake_exited(job, client);
}

static const struct fh_server_ops watched_ops = {
	FAKE_OPS, .watch = watch_site, .exited = exited_of,
};

/* A fresh site, and what starts a server of this name there. */
static struct fh_server_request site_open(struct site *site, const char *name)
{
	struct fh_server_request request = request_for(name, site);

	memset(site, 0, sizeof(*site));
	site->watched = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (site->watched < 0)
		bail_out("no eventfd");
	request.ops = &watched_ops;
	return request;
}

/* The client has ended. */
static void end_one(struct site *site)
{
	const uint64_t one = 1;

	if (write(load_relaxed(&site->watched), &one, sizeof(one)) < 0)
		bail_out("no end");
}

/* The end of the registry, and of the site, of which nothing may be left. */
__attribute__((unused)) static void site_close(struct fh_servers *servers,
					       struct site *site)
{
	fh_servers_destroy(servers);
	ok(is_clean(site), "nothing is left");
	close(site->watched);
}

#endif
