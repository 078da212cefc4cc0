/* SPDX-License-Identifier: MIT */
/*
 * The server registry in the child of a fork: servers are the parent's.  The
 * child can look, and destroy; it must not end what is not its own, nor stop
 * the parent from seeing what ends, though they share descriptors.
 */
#include "watched.h"

#include "faults.h"

#define NAME "clangd"

static struct fh_servers *servers;
static struct fh_server_lease *held;
static struct site site;
static struct fh_server_request request;

static int count(const char *name, const struct fh_server_info *info,
		 void *arg)
{
	*(int *)arg += strcmp(name, NAME) == 0 &&
		       info->state == FH_SERVER_RUNNING;
	return 0;
}

/* Which of the calls did not say what it should; 0: none. */
static int as_child(void)
{
	struct fh_server_lease *lease;
	struct fh_server_info info;
	int seen = 0;

	if (fh_server_health(servers, NAME, &info) ||
	    info.state != FH_SERVER_RUNNING)
		return 1;
	if (fh_server_for_each(servers, count, &seen) != 1 || seen != 1)
		return 2;
	if (fh_server_start(servers, &request, NULL) != -ECHILD ||
	    fh_server_start_wait(servers, &request, 0, NULL) != -ECHILD)
		return 3;
	if (fh_server_restart(servers, NAME, FH_SERVER_ANY, NULL) != -ECHILD ||
	    fh_server_restart_wait(servers, NAME, FH_SERVER_ANY, 0, NULL) !=
		    -ECHILD)
		return 4;
	if (fh_server_stop(servers, NAME, NULL) != -ECHILD ||
	    fh_server_stop_wait(servers, NAME, 0, NULL) != -ECHILD ||
	    fh_servers_stop_all_wait(servers, 0) != -ECHILD)
		return 5;
	if (fh_server_get(servers, NAME, &lease, NULL) != -ECHILD ||
	    fh_server_get_wait(servers, NAME, 0, &lease, NULL) != -ECHILD)
		return 6;
	if (fh_server_crashed(servers, NAME, info.generation, 0, NULL, NULL) !=
	    -ECHILD)
		return 7;
	if (fh_lease_is_stale(held) ||
	    fh_lease_client(held) == NULL)
		return 8;
	return 0;
}

static int destroys(void)
{
	int rc = as_child();

	if (rc)
		return rc;
	fh_lease_return(held);
	memset(site.calls, 0, sizeof(site.calls));
	store_relaxed(&((struct fake *)fh_lease_client(held))->alive, false);
	fh_servers_destroy(servers);
	if (site.calls[AT_STOP] || site.calls[AT_KILL] ||
	    site.calls[AT_EXITED])
		return 10;
	return site.calls[AT_RELEASE] == 1 && site.freed == 1 ? 0 : 11;
}

/* A registry of its own works. */
__attribute__((unused)) static int builds(void)
{
	struct site own;
	struct fh_server_request mine = site_open(&own, NAME);
	struct fh_servers *others = registry();
	struct fh_server_info info;

	if (fh_server_start(others, &mine, NULL))
		return 1;
	end_one(&own);
	if (fh_server_wait(others, NAME, FH_SERVER_STATE(FH_SERVER_FAILED),
			   fh_deadline_in(LONG), &info))
		return 3;
	fh_servers_destroy(others);
	return is_clean(&own) ? 0 : 4;
}

/* What the children did to descriptors that are shared is not seen here. */
static void test_parent(void)
{
	struct fh_server_info info;

	is(fh_server_health(servers, NAME, &info), 0, "the parent goes on");
	ok(info.state == FH_SERVER_RUNNING && site.alive == 1,
	   "its server runs");
	end_one(&site);
	is(fh_server_wait(servers, NAME, FH_SERVER_STATE(FH_SERVER_FAILED),
			  fh_deadline_in(LONG), &info), 0,
	   "and its end is seen");
	fh_lease_return(held);
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, NULL), 0,
	   "it can be restarted");
	site_close(servers, &site);
}

int main(void)
{
	watchdog(240);
	request = site_open(&site, NAME);
	servers = registry();
	if (fh_server_start(servers, &request, NULL) ||
	    fh_server_get(servers, NAME, &held, NULL))
		bail_out("no server");
	is(in_child(as_child), 0, "a child looks");
	is(in_child(destroys), 0, "a child destroys its copy");
#ifdef FH_TSAN
	skip("the thread sanitizer takes a thread of the child for one of the "
	     "parent");
#else
	is(in_child(builds), 0, "a child has a registry of its own");
#endif
	test_parent();
	fh_rcu_drain_wait(FH_FOREVER);
	is(fakes, 0, "no client is left");
	return done_testing();
}
