/* SPDX-License-Identifier: MIT */
/*
 * The walk over all servers with so little room in a haul that buckets are
 * cut: still each server is visited, and each of them once.
 */
#define HAUL 2
#include "../src/server_life.c"

#include "servers.h"

#define CROWD 3000

static unsigned char seen[CROWD];

static int tick_off(const char *name, const struct fh_server_info *info,
		    void *arg)
{
	(void)info;
	(void)arg;
	seen[strtoul(name, NULL, 10)]++;
	return 0;
}

int main(void)
{
	struct fh_servers *servers = registry();
	struct site site = { 0 };
	struct fh_server_request request = request_for("", &site);
	unsigned i, once = 0;
	char name[16];

	watchdog(240);
	for (i = 0; i < CROWD; i++) {
		snprintf(name, sizeof(name), "%u", i);
		request.name = name;
		store_relaxed(&site.alive, 0);
		if (fh_server_start(servers, &request, NULL))
			bail_out("a server does not start");
	}
	is(fh_server_for_each(servers, tick_off, NULL), CROWD,
	   "so many are visited");
	for (i = 0; i < CROWD; i++)
		once += seen[i] == 1;
	is(once, CROWD, "each of them once");
	fh_servers_destroy(servers);
	is(site.freed, CROWD, "all are gone");
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
