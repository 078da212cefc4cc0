/* SPDX-License-Identifier: MIT */
/*
 * explore: the executions of a scenario, within bounds; the program.
 *
 * The bounds keep the search finite: so many switches away from a thread that
 * could go on, so many loads of an older value, and so on.  The number of
 * switches is raised one by one, so that the first failure found is one of
 * the simplest.
 *
 *     schedule_NAME                     all scenarios, TAP
 *     schedule_NAME --like TEXT         those whose name contains it
 *     schedule_NAME --only NAME         the one of this very name; if there
 *                                       is none, the same as --like
 *     schedule_NAME --first             stop at the first failure
 *     schedule_NAME --tell              tell of failures that must be, too
 *     schedule_NAME --replay 'CHOICES'  one execution of the one that --only
 *                                       names in full, step by step
 *     schedule_NAME --long              the long bounds, as FH_PROVE=1 does
 *     --preemptions N, --stale N ...    a bound for all scenarios
 *
 * A failure is told with the command that replays it.  What was contended is
 * no part of that: the replay searches as before until it comes to the
 * failure, and takes as long.  FH_PROVE is a part, as lists of scenarios
 * depend on it.
 */
#include "machine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct machine *m;

/* What the program was asked for, and what it has found. */
struct program {
	const char *name, *only, *like, *replay;
	bool first, prove, tell;
	int bound[LIMITS];	/* -1: the scenario's own */
	char *globals;
	size_t globals_size;
	uint64_t executions, all_executions, all_states;
	unsigned number, failed;
};
static struct program *program;

static const char *const limit_name[] = {
	"preemptions", "stale", "failures", "timeouts", "wakeups",
};

const struct scenario *scenario_now(void)
{
	return m->scenario;
}

/* ---- one execution ---- */

void end_execution(enum ending how)
{
	_longjmp(m->over, 1 + (int)how);
}

extern char __data_start[], _end[];

static void globals_save(void)
{
	program->globals_size = (size_t)(_end - __data_start);
	program->globals = malloc(program->globals_size);
	memcpy(program->globals, __data_start, program->globals_size);
}

static void reset(const struct scenario *scenario)
{
	memcpy(__data_start, program->globals, program->globals_size);
	heap_reset();
	m->scenario = scenario;
	m->quiet = true;
	memset(m->spent, 0, sizeof(m->spent));
	m->calls = 0;
	m->calls_hash = 0;
	memory_reset();
	races_reset();
	threads_reset();
	grace_reset();
	account_clear();
}

static void play(const struct scenario *scenario)
{
	unsigned i;

	if (scenario->setup)
		scenario->setup();
	for (i = 0; i < SCENARIO_THREADS && scenario->thread[i]; i++)
		thread_add(scenario->thread[i], NULL, NULL);
	threads_run();
	if (scenario->finish)
		scenario->finish();
	if (retired_and_not_reclaimed())
		schedule_fail("%zu retired objects were never reclaimed",
			      retired_and_not_reclaimed());
	if (!scenario->leaks && heap_leaks())
		schedule_fail("%zu allocations are never freed", heap_leaks());
}

static enum ending execute(const struct scenario *scenario, bool replaying)
{
	int how;

	search_rewind(replaying);
	reset(scenario);
	how = _setjmp(m->over);
	if (how)
		return (enum ending)(how - 1);
	play(scenario);
	return DONE;
}

/* ---- one scenario ---- */

static void set_limits(const struct scenario *scenario)
{
	const int own[LIMITS] = {
		scenario->preemptions, scenario->stale, scenario->failures,
		scenario->timeouts, scenario->wakeups,
	};
	unsigned i;

	for (i = 0; i < LIMITS; i++)
		m->limit[i] = program->bound[i] >= 0 ? program->bound[i] :
			      own[i] > 0 ? own[i] : 0;
	if (program->bound[PREEMPTIONS] < 0 && !own[PREEMPTIONS])
		m->limit[PREEMPTIONS] = program->prove ? 3 : 2;
	if (program->bound[STALE] < 0 && !own[STALE])
		m->limit[STALE] = program->prove ? 2 : 1;
}

static bool explore_once(const struct scenario *scenario)
{
	search_new_round();
	do {
		program->executions++;
		if (execute(scenario, false) == FAILED)
			return false;
	} while (search_advance());
	return true;
}

/* Every execution within the limits; false: one failed. */
static bool explore(const struct scenario *scenario)
{
	do
		if (!explore_once(scenario))
			return false;
	while (search_found_more());
	return true;
}

/* The limits stay what they were when one failed: a replay needs them. */
static bool raise_limits(const struct scenario *scenario)
{
	int most, now;

	set_limits(scenario);
	most = m->limit[PREEMPTIONS];
	for (now = 0; now <= most; now++) {
		m->limit[PREEMPTIONS] = now;
		if (!explore(scenario))
			return false;
	}
	return true;
}

/* ---- what is told ---- */

/* As one word of a command, in quotes if it has to be. */
static void print_word(const char *word)
{
	const char *at = word;

	while (isalnum((unsigned char)*at) || (*at && strchr("_./-", *at)))
		at++;
	if (at > word && !*at) {
		printf("%s", word);
		return;
	}
	putchar('\'');
	for (at = word; *at; at++)
		if (*at == '\'')
			printf("'\\''");
		else
			putchar(*at);
	putchar('\'');
}

/* The command that replays it: of this list, under these limits. */
static void print_command(const struct scenario *scenario)
{
	unsigned i;

	printf("# again: %s", getenv("FH_PROVE") ? "FH_PROVE=1 " : "");
	print_word(program->name);
	for (i = 0; i < LIMITS; i++)
		printf(" --%s %d", limit_name[i], m->limit[i]);
	printf(" --only ");
	print_word(scenario->name);
	printf(" --replay '");
	trail_print(stdout);
	printf("'\n");
}

/* Once more, with all its steps; false: it does not fail. */
static bool tell(const struct scenario *scenario)
{
	enum ending how;

	m->tracing = true;
	how = execute(scenario, true);
	m->tracing = false;
	search_check_replay();
	account_print();
	print_command(scenario);
	return how == FAILED;
}

static void report(const struct scenario *scenario)
{
	printf("# %ju executions, %zu states; %d switches, %d older values"
	       "%s\n", (uintmax_t)program->executions, search_states(),
	       m->limit[PREEMPTIONS], m->limit[STALE],
	       m->limit[FAILURES] ? ", failing allocations" : "");
	if (scenario->fails)
		printf("# it fails as it must\n");
}

static void run(const struct scenario *scenario)
{
	const char *fails = scenario->fails;
	bool failed, good;

	program->executions = 0;
	search_new_scenario();
	failed = !raise_limits(scenario);
	good = fails ? failed && account_is_of(fails) : !failed;
	program->all_executions += program->executions;
	program->all_states += search_states();
	printf("%sok %u - %s\n", good ? "" : "not ", ++program->number,
	       scenario->name);
	if (good)
		report(scenario);
	else if (!failed)
		printf("# nothing fails, where \"%s\" must\n", fails);
	if (failed && (!good || program->tell) && !tell(scenario))
		printf("# it failed, and now it does not: the scenario is not "
		       "deterministic\n");
	fflush(stdout);
	program->failed += !good;
}

static int replay(const struct scenario *scenario)
{
	/*
	 * What is contended, and how far the limits were raised, is found
	 * again as it was found before.
	 */
	search_new_scenario();
	raise_limits(scenario);
	if (!trail_read(program->replay)) {
		fprintf(stderr, "schedule: that is no list of choices\n");
		return 2;
	}
	return tell(scenario) ? 1 : 0;
}

/* ---- the program ---- */

static void init(const char *name)
{
	unsigned i;

	m = calloc(1, sizeof(*m));
	program = calloc(1, sizeof(*program));
	program->name = name;
	program->prove = getenv("FH_PROVE") != NULL;
	for (i = 0; i < LIMITS; i++)
		program->bound[i] = -1;
	search_init();
	account_init();
	heap_init();
	memory_reset();
	races_reset();
}

static bool bound_argument(const char *name, const char *value)
{
	unsigned i;

	for (i = 0; i < LIMITS; i++)
		if (strcmp(name, limit_name[i]) == 0 && value) {
			program->bound[i] = atoi(value);
			return true;
		}
	return false;
}

static bool read_arguments(char **argument)
{
	for (; *argument; argument++) {
		if (strcmp(*argument, "--first") == 0)
			program->first = true;
		else if (strcmp(*argument, "--long") == 0)
			program->prove = true;
		else if (strcmp(*argument, "--tell") == 0)
			program->tell = true;
		else if (strcmp(*argument, "--only") == 0 && argument[1])
			program->only = *++argument;
		else if (strcmp(*argument, "--like") == 0 && argument[1])
			program->like = *++argument;
		else if (strcmp(*argument, "--replay") == 0 && argument[1])
			program->replay = *++argument;
		else if (strncmp(*argument, "--", 2) == 0 &&
			 bound_argument(*argument + 2, argument[1]))
			argument++;
		else
			return false;
	}
	return program->only || !program->replay;
}

/* Whoever replays names the one; others may have named a part of some. */
static void resolve_name(const struct scenario *scenarios, size_t count)
{
	size_t i;

	if (!program->only || program->replay)
		return;
	for (i = 0; i < count; i++)
		if (strcmp(scenarios[i].name, program->only) == 0)
			return;
	program->like = program->only;
	program->only = NULL;
}

static bool chosen(const struct scenario *scenario)
{
	if (program->only)
		return strcmp(scenario->name, program->only) == 0;
	return !program->like || strstr(scenario->name, program->like);
}

static int by_name(const void *a, const void *b)
{
	const struct scenario *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* A scenario is asked for by its name: no two may have the same. */
static void check_names(const struct scenario *scenarios, size_t count)
{
	const struct scenario **sorted = calloc(count + 1, sizeof(*sorted));
	size_t i, same = 0;

	if (!sorted) {
		perror("the list of scenarios");
		exit(99);
	}
	for (i = 0; i < count; i++)
		sorted[i] = &scenarios[i];
	qsort(sorted, count, sizeof(*sorted), by_name);
	for (i = 1; i < count; i++) {
		if (by_name(&sorted[i - 1], &sorted[i]) != 0)
			continue;
		same++;
		fprintf(stderr, "schedule: two scenarios have the name '%s'\n",
			sorted[i]->name);
	}
	free(sorted);
	if (same)
		exit(99);
}

int schedule_main(int argc, char **argv, const struct scenario *scenarios,
		  size_t count)
{
	size_t i;

	init(argc > 0 ? argv[0] : "schedule");
	if (argc > 0 && !read_arguments(argv + 1)) {
		fprintf(stderr, "usage: see the top of explore.c\n");
		return 2;
	}
	check_names(scenarios, count);
	resolve_name(scenarios, count);
	globals_save();
	for (i = 0; i < count; i++) {
		if (!chosen(&scenarios[i]))
			continue;
		if (program->replay)
			return replay(&scenarios[i]);
		run(&scenarios[i]);
		if (program->failed && program->first)
			break;
	}
	if (!program->number && (program->only || program->like)) {
		fprintf(stderr, "schedule: no scenario has that name\n");
		return 2;
	}
	printf("1..%u\n# in all %ju executions, %ju states\n", program->number,
	       (uintmax_t)program->all_executions,
	       (uintmax_t)program->all_states);
	return program->failed ? 1 : 0;
}
