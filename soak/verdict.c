/* SPDX-License-Identifier: MIT */
/* What holds is counted; what does not ends the run with an account of it. */
#include "soak.h"

#include <stdarg.h>

_Thread_local struct soak_worker *soak_me;
_Thread_local const struct soak_room *soak_my_room;
struct soak_counts soak_others;
bool soak_is_child;

static struct soak_counts *my_counts(void)
{
	return soak_me ? &soak_me->counts : &soak_others;
}

void soak_begin(struct soak_worker *worker, unsigned operation)
{
	const struct soak_room *room = load_relaxed(&worker->room);

	store_relaxed(&worker->operation, operation);
	add_relaxed(&worker->counts.operations[room->id][operation], 1);
	add_relaxed(&worker->turns, 1);
}

/* Threads of the library run reclaim functions of no room in particular. */
void soak_checked(void)
{
	unsigned id = soak_my_room ? soak_my_room->id : SOAK_ROOMS - 1;

	add_relaxed(&my_counts()->checks[id], 1);
}

static const char *operation_now(void)
{
	const struct soak_room *room = soak_me ? load_relaxed(&soak_me->room) :
						 NULL;

	if (soak_me == &soak_conductor || !room)
		return "at rest, or a thread of the library";
	return room->operations[load_relaxed(&soak_me->operation)];
}

/*
 * The first failure speaks; the others sleep until it has ended the process.
 * Writing the report touches the library's statistics, and what is broken may
 * hold their lock: the alarm ends that.
 */
void soak_fail(const char *format, ...)
{
	static _Atomic(bool) failing;
	static char why[700];
	char text[400];
	va_list list;
	bool first = false;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (soak_is_child) {
		dprintf(2, "soak: in a child: %s\n", text);
		_exit(77);
	}
	if (!atomic_compare_exchange_strong(&failing, &first, true))
		for (;;)
			pause();
	snprintf(why, sizeof(why), "room %s, operation %s, after %.1f s: %s",
		 soak_my_room ? soak_my_room->name : "(none)",
		 operation_now(), soak_elapsed(), text);
	alarm(20);
	fprintf(stderr, "soak: FAILED: %s\n", why);
	fflush(stderr);
	soak_report(false, why);
	_exit(1);
}

#define SOON (20 * SECONDS)

void soak_expect_soon(bool (*holds)(void), const char *otherwise)
{
	int64_t until = fh_deadline_in(SOON);

	while (!holds() && fh_now() < until)
		sleep_ns(MILLISECONDS / 10);
	soak_expect(holds(), "%s", otherwise);
}
