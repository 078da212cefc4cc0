/* SPDX-License-Identifier: MIT */
/*
 * account: what is told of an execution that failed.
 *
 * It is run once more with its choices, and every step is written down: the
 * thread, the place in the source, what was done.  Thread 0 is setup and
 * finish.
 */
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct line {
	const void *pc;
	unsigned thread;
	char text[120];
};

struct account {
	char failure[512];
	struct line line[STEPS];
	unsigned lines;
};
static struct account *account;

void account_init(void)
{
	account = calloc(1, sizeof(*account));
}

void account_clear(void)
{
	account->lines = 0;
	account->failure[0] = '\0';
}

void schedule_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(account->failure, sizeof(account->failure), format, args);
	va_end(args);
	if (!m->scenario) {
		fprintf(stderr, "schedule: %s\n", account->failure);
		exit(99);
	}
	end_execution(FAILED);
}

void trace(const void *pc, const char *format, ...)
{
	va_list args;
	struct line *line = &account->line[account->lines];

	if (!m->tracing || account->lines == STEPS)
		return;
	account->lines++;
	line->pc = pc;
	line->thread = m->running;
	va_start(args, format);
	vsnprintf(line->text, sizeof(line->text), format, args);
	va_end(args);
}

/*
 * Names for code addresses, from the debugging information.  A command has
 * room for some thousands; of an execution that did not end, the last steps
 * are what matters.
 */
#define NAMED 4000u

static unsigned first_line(void)
{
	return account->lines > NAMED ? account->lines - NAMED : 0;
}

static FILE *symbols(void)
{
	size_t size = 64 + NAMED * 20, used;
	char *command = malloc(size);
	FILE *names;
	unsigned i;

	used = (size_t)snprintf(command, size, "addr2line -s -e /proc/%d/exe",
				(int)getpid());
	for (i = first_line(); i < account->lines; i++)
		used += (size_t)snprintf(command + used, size - used, " %#zx",
					 account->line[i].pc ?
					 (size_t)account->line[i].pc - 1 : 0);
	fflush(stdout);
	names = popen(command, "r");
	free(command);
	return names;
}

static void print_steps(void)
{
	FILE *names = symbols();
	char place[256];
	unsigned i;

	if (first_line())
		printf("#   (%u steps before)\n", first_line());
	for (i = first_line(); i < account->lines; i++) {
		if (!names || !fgets(place, sizeof(place), names))
			place[0] = '\0';
		place[strcspn(place, " \n")] = '\0';
		printf("#   %u  %-22s %s\n", account->line[i].thread,
		       account->line[i].pc ? place : "", account->line[i].text);
	}
	if (names)
		pclose(names);
}

bool account_is_of(const char *text)
{
	return strstr(account->failure, text) != NULL;
}

void account_print(void)
{
	printf("# %s\n#   thread, place, step:\n",
	       *account->failure ? account->failure : "nothing fails");
	print_steps();
}
