/* SPDX-License-Identifier: MIT */
/*
 * Lists of scenarios that are written as scripts: all threads run one function
 * of the program, act(), and it looks up in the scenario's data what the
 * thread of that number is to do.  The scenarios are made by loops, and named
 * by what their threads do.
 *
 *     struct setting { int add[2]; };
 *
 *     void act(unsigned me)
 *     {
 *             const struct setting *setting = scenario_now()->data;
 *
 *             fh_counter_add(&counter, setting->add[me]);
 *     }
 *
 *     static const struct scenario frame = { .setup = setup };
 *
 *     static void add(struct setting setting)
 *     {
 *             struct scenario *scenario = add_scenario(&frame, &setting,
 *                                                      sizeof(setting));
 *             add_actor(scenario, "add %d", setting.add[0]);
 *             add_actor(scenario, "add %d", setting.add[1]);
 *     }
 *
 * Two scenarios that differ must differ in name; one that is listed again as
 * it is, which happens where loops overlap, is left out.
 *
 * The list is not among the program's variables, which the machine sets back
 * before each execution: it may be long.
 */
#ifndef FH_SCRIPT_H
#define FH_SCRIPT_H

#include "schedule.h"

/* The program's: what the thread of this number does, from 0. */
void act(unsigned me);

/*
 * A copy of @frame at the end of the list, with a copy of @setting as its
 * data; NULL: it has none.
 */
struct scenario *add_scenario(const struct scenario *frame,
			      const void *setting, size_t size);

/* Its name goes on with this. */
__attribute__((format(printf, 2, 3)))
void name_scenario(struct scenario *scenario, const char *format, ...);

/* One more thread, which acts; the name goes on with what it does. */
__attribute__((format(printf, 2, 3)))
void add_actor(struct scenario *scenario, const char *format, ...);

/* What one thread does in turn: operations of the program, up to a 0. */
#define ACTIONS 4
struct script {
	int action[ACTIONS];
};
#define DO(...) { { __VA_ARGS__ } }

/* A thread for each of the scripts, up to an empty one. */
#define ACTORS 4
void add_scripts(struct scenario *scenario, const struct script *scripts,
		 const char *const *operation_name);

/* With three threads, fewer switches; in the long form as well. */
struct scenario *small(struct scenario *scenario);

/* A futex wait may end without a cause; an allocation may fail.  So named. */
void restless(struct scenario *scenario);
void without_memory(struct scenario *scenario);

/* Explores the list. */
int script_main(int argc, char **argv);

#endif
