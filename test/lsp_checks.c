/* SPDX-License-Identifier: MIT */
/*
 * lsp_checks: what lsp_stress sees from outside, in /proc.
 *
 * A process has a name of ours if its environment says so: until its program
 * has been loaded it still has the environment of this one, and once it has
 * ended it has none, though it may not be reaped.
 *
 * Two entries of /proc are read one after the other, so that one process may
 * end and the next begin in between.  Two are alive at the same time only if
 * the first still is after the second was seen.
 */
#include "lsp_stress.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

struct findings findings;
struct fh_server_ops checked_ops;

static tally ticket[NAMES];
static tally last_pid[NAMES];

/* The first of ours that stands in its environment, or NAMES. */
static unsigned name_of(pid_t pid)
{
	static const char mark[] = "FREEHOLD_SERVER=";
	char path[64], text[16384], *at;
	ssize_t count;
	unsigned i;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NAMES;
	count = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (count <= 0)
		return NAMES;
	text[count] = 0;
	for (at = text; at < text + count; at += strlen(at) + 1)
		for (i = 0; i < NAMES; i++)
			if (strncmp(at, mark, sizeof(mark) - 1) == 0 &&
			    strcmp(at + sizeof(mark) - 1, stress_name[i]) == 0)
				return i;
	return NAMES;
}

static void find_pair(unsigned name, pid_t first, pid_t second)
{
	if (name_of(first) != name)
		return;
	if (add_relaxed(&findings.twice, 1) == 0)
		printf("# %d and %d are both %s\n", first, second,
		       stress_name[name]);
}

unsigned count_processes(void)
{
	pid_t seen[NAMES] = { 0 }, pid;
	unsigned count = 0, name;
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	if (!proc)
		bail_out("no /proc");
	while ((entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		pid = (pid_t)atoi(entry->d_name);
		name = name_of(pid);
		if (name == NAMES)
			continue;
		count++;
		if (seen[name])
			find_pair(name, seen[name], pid);
		seen[name] = pid;
	}
	closedir(proc);
	return count;
}

void *scan_processes(void *arg)
{
	tally *stop = arg;
	unsigned count;

	while (!load_relaxed(stop)) {
		count = count_processes();
		add_relaxed(&findings.scans, 1);
		if (count > load_relaxed(&findings.most))
			store_relaxed(&findings.most, count);
		sleep_ns(5000000);
	}
	return NULL;
}

/* --------------------------------------------------- around each operation */

static unsigned index_of(const struct fh_server_job *job)
{
	unsigned i = 0;

	while (strcmp(stress_name[i], job->name))
		i++;
	return i;
}

uint64_t restart_ticket(unsigned name)
{
	return load_acquire(&ticket[name]);
}

/* The one before must be gone; and a restart tells that it is at it. */
static int checked_start(struct fh_server_job *job, void **client)
{
	unsigned i = index_of(job);
	pid_t before = (pid_t)load_relaxed(&last_pid[i]);
	int rc;

	add_relaxed(&findings.starts, 1);
	if (job->cause == FH_SERVER_RESTART)
		store_release(&ticket[i], job->generation);
	if (before && name_of(before) == i)
		add_relaxed(&findings.overlaps, 1);
	rc = service_ops.start(job, client);
	if (rc)
		store_release(&ticket[i], 0);
	else
		store_relaxed(&last_pid[i], (uint64_t)lsp_pid(*client));
	return rc;
}

static int checked_handshake(struct fh_server_job *job, void *client)
{
	int rc = service_ops.handshake(job, client);

	store_release(&ticket[index_of(job)], 0);
	return rc;
}

void open_checks(void)
{
	checked_ops = service_ops;
	checked_ops.start = checked_start;
	checked_ops.handshake = checked_handshake;
}
