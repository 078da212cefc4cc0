/* SPDX-License-Identifier: MIT */
/*
 * The registry as it was before: a dictionary under a mutex, which is held
 * for each access and for none of the work.  A restart deletes the entry,
 * works for as long as it takes, and inserts it again.  A start looks, works,
 * and inserts.
 *
 * What others see meanwhile is what the tests look for: "not found", and a
 * second server started for the same name.  Those that are lost that way are
 * kept in a list, to be ended at last, so that the fault costs processes and
 * not the test itself.
 */
#include "lsp_stress.h"

#include <errno.h>
#include <string.h>

struct kept_client {
	struct lsp *lsp;
	unsigned refs;
	struct kept_client *next;
};

static struct {
	pthread_mutex_t lock;
	struct entry {
		const char *name;
		struct service *service;
		struct kept_client *client;
		unsigned users;
	} entries[NAMES];
	struct kept_client *lost;
	unsigned lost_count;
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct entry *find(const char *name)
{
	struct entry *entry = table.entries;

	for (; entry < table.entries + NAMES; entry++)
		if (entry->client && strcmp(entry->name, name) == 0)
			return entry;
	return NULL;
}

static void drop(struct kept_client *client)
{
	unsigned left;

	pthread_mutex_lock(&table.lock);
	left = --client->refs;
	pthread_mutex_unlock(&table.lock);
	if (left)
		return;
	checked_ops.release(client->lsp, NULL);
	free(client);
}

/* --------------------------------------------- the work, with nothing held */

static int begin(struct service *service, enum fh_server_cause cause,
		 struct kept_client **made)
{
	static tally generations;
	char text[FH_SERVER_TEXT] = "";
	struct fh_server_job job = {
		.name = service->name, .arg = service, .cause = cause,
		.generation = add_relaxed(&generations, 1) + 1,
		.deadline = fh_deadline_in(INT64_C(30000000000)),
		.text = text,
	};
	void *lsp;
	int rc = checked_ops.start(&job, &lsp);

	if (rc)
		return rc;
	rc = checked_ops.handshake(&job, lsp);
	*made = calloc(1, sizeof(**made));
	if (!*made)
		bail_out("no memory");
	(*made)->lsp = lsp;
	(*made)->refs = 1;
	return rc;
}

static void end(struct kept_client *client)
{
	struct fh_server_job job = {
		.deadline = fh_deadline_in(INT64_C(4000000000)),
	};

	if (checked_ops.stop(&job, client->lsp)) {
		job.deadline = FH_FOREVER;
		checked_ops.kill(&job, client->lsp);
	}
	drop(client);
}

/* As a dictionary does: whatever was there is no longer. */
static void insert(struct service *service, struct kept_client *client,
		   unsigned users)
{
	struct entry *entry;

	pthread_mutex_lock(&table.lock);
	entry = find(service->name);
	if (entry) {
		entry->client->next = table.lost;
		table.lost = entry->client;
		table.lost_count++;
	}
	for (entry = entry ? entry : table.entries; entry->client &&
	     strcmp(entry->name, service->name); entry++)
		;
	*entry = (struct entry){ service->name, service, client, users };
	pthread_mutex_unlock(&table.lock);
}

/* ----------------------------------------------------------- its interface */

static int naive_open(const struct fh_server_policy *policy)
{
	(void)policy;
	return 0;
}

static int naive_start(struct service *service, int64_t deadline, int *joined)
{
	struct kept_client *client;
	struct entry *entry;
	int rc;

	(void)deadline;
	pthread_mutex_lock(&table.lock);
	entry = find(service->name);
	if (entry)
		entry->users++;
	pthread_mutex_unlock(&table.lock);
	*joined = entry != NULL;
	if (entry)
		return 0;
	rc = begin(service, FH_SERVER_START, &client);
	if (!rc)
		insert(service, client, 1);
	return rc;
}

static int naive_restart(const char *name, int64_t deadline)
{
	struct kept_client *client;
	struct entry *found, entry = { 0 };
	int rc;

	(void)deadline;
	pthread_mutex_lock(&table.lock);
	found = find(name);
	if (found) {
		entry = *found;
		found->client = NULL;
	}
	pthread_mutex_unlock(&table.lock);
	if (!found)
		return -ENOENT;
	end(entry.client);
	rc = begin(entry.service, FH_SERVER_RESTART, &client);
	if (!rc)
		insert(entry.service, client, entry.users);
	return rc;
}

static int naive_stop(const char *name, int64_t deadline)
{
	struct kept_client *client = NULL;
	struct entry *found;

	(void)deadline;
	pthread_mutex_lock(&table.lock);
	found = find(name);
	if (found && --found->users == 0) {
		client = found->client;
		found->client = NULL;
	}
	pthread_mutex_unlock(&table.lock);
	if (client)
		end(client);
	return found ? 0 : -ENOENT;
}

static int naive_get(const char *name, int64_t deadline, void **lease)
{
	struct entry *found;

	(void)deadline;
	pthread_mutex_lock(&table.lock);
	found = find(name);
	if (found) {
		*lease = found->client;
		found->client->refs++;
	}
	pthread_mutex_unlock(&table.lock);
	return found ? 0 : -ENOENT;
}

static struct lsp *naive_client(void *lease)
{
	return ((struct kept_client *)lease)->lsp;
}

static void naive_put(void *lease)
{
	drop(lease);
}

static int naive_health(const char *name)
{
	struct entry *found;

	pthread_mutex_lock(&table.lock);
	found = find(name);
	pthread_mutex_unlock(&table.lock);
	return found ? 0 : -ENOENT;
}

static int naive_close(void)
{
	struct kept_client *client;
	unsigned i;

	printf("# %u servers were lost\n", table.lost_count);
	for (i = 0; i < NAMES; i++) {
		if (table.entries[i].client)
			end(table.entries[i].client);
		table.entries[i].client = NULL;
	}
	while ((client = table.lost)) {
		table.lost = client->next;
		end(client);
	}
	return 0;
}

const struct registry naive = {
	naive_open, naive_start, naive_restart, naive_stop, naive_get,
	naive_client, naive_put, naive_health, naive_close,
};
