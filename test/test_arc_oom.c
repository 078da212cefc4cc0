/* SPDX-License-Identifier: MIT */
/*
 * arc: memory that fails at every single point.  Each operation runs on a
 * fresh scene with the n-th allocation failing, alone or with all after it,
 * for n = 1, 2, ... until it gets through without asking so often.  Each
 * time it must have happened or not have happened, and work the next time;
 * and what needs no memory must not fail.
 */
#include "arcs.h"
#include "oom.h"

/*
 * The scene: a and b two steps into an arc, the long ones in one too, g and h
 * before their last step, a claim on c and d, and an observer of all changes.
 */
struct scene {
	struct fh_arcs *arcs;
	struct fh_arc_ticket *claim;
	uint64_t observer, guest;
	int told, released, guest_released, rc;
	struct fh_arc_info info;
	struct fh_arc_tally sum;
	size_t visited;
};

/* One operation: @act runs with failing memory; @check says if all is well. */
struct operation {
	const char *name;
	void (*act)(struct scene *scene);
	int (*check)(struct scene *scene);
};

static char long_one[301], long_two[301];

static int hear(const struct fh_arc_notice *notice, void *arg)
{
	(void)notice;
	((struct scene *)arg)->told++;
	return 0;
}

static void release(void *arg)
{
	((struct scene *)arg)->released++;
}

static void guest_release(void *arg)
{
	((struct scene *)arg)->guest_released++;
}

static struct fh_arcs *quiet_registry(void)
{
	const struct fh_arcs_options options = { .types = types,
						 .type_count = TYPES };
	struct fh_arcs *arcs = NULL;

	if (fh_arcs_create(&arcs, &options))
		bail_out("no registry");
	return arcs;
}

static void set_scene(struct scene *scene)
{
	const struct fh_arc_request claim = { .first = "c", .second = "d" };

	*scene = (struct scene){ .arcs = quiet_registry() };
	start(scene->arcs, "a", "b", BEEF, NULL);
	force(scene->arcs, "jab", NULL);
	force(scene->arcs, "jab", NULL);
	start(scene->arcs, long_one, long_two, BEEF, NULL);
	start(scene->arcs, "g", "h", RIVALRY, NULL);
	for (int i = 0; i < 3; i++)
		fh_arc_progress(scene->arcs, "g", "h", NULL, NULL);
	fh_arc_claim(scene->arcs, &claim, &scene->claim, NULL);
	if (fh_arc_observe(scene->arcs, FH_ARC_STARTED | FH_ARC_PROGRESSED |
			   FH_ARC_ENDED, hear, scene, release,
			   &scene->observer))
		bail_out("no observer");
}

static void clear_scene(struct scene *scene)
{
	if (scene->claim)
		fh_arc_abandon(scene->claim);
	fh_arcs_destroy(scene->arcs);
}

static int there(struct scene *scene, const char *first, const char *second)
{
	struct fh_arc_info info;

	return fh_arc_get(scene->arcs, first, second, &info) == 0;
}

/* It happened and was told, or neither, and then it can happen. */
static void act_start(struct scene *scene)
{
	scene->rc = start(scene->arcs, "e", "f", BEEF, &scene->info);
}

static int check_start(struct scene *scene)
{
	int began = scene->rc == 0;

	if (!began && scene->rc != -ENOMEM)
		return 0;
	if (there(scene, "e", "f") != began || scene->told != began)
		return 0;
	return start(scene->arcs, "e", "f", BEEF, NULL) ==
	       (began ? -EEXIST : 0);
}

static void act_start_long(struct scene *scene)
{
	scene->rc = start(scene->arcs, "e", long_two, BEEF, NULL);
}

static int check_start_long(struct scene *scene)
{
	int began = scene->rc == 0;

	return (began || scene->rc == -ENOMEM) && scene->told == began &&
	       there(scene, long_two, "e") == began;
}

static int fail(const struct fh_arc_info *info, void *arg)
{
	(void)info;
	(void)arg;
	return -EUCLEAN;
}

static void act_failing_init(struct scene *scene)
{
	const struct fh_arc_request request = { .first = "e", .second = "f",
						.init = fail };

	scene->rc = fh_arc_start(scene->arcs, &request, NULL);
}

static int check_failing_init(struct scene *scene)
{
	return (scene->rc == -EUCLEAN || scene->rc == -ENOMEM) &&
	       scene->told == 0 && !there(scene, "e", "f") &&
	       start(scene->arcs, "e", "f", BEEF, NULL) == 0;
}

static void act_join(struct scene *scene)
{
	const struct fh_arc_request request = { .first = "b", .second = "a" };

	scene->rc = fh_arc_start_wait(scene->arcs, &request, 0, &scene->info);
}

static int check_join(struct scene *scene)
{
	if (scene->told || (scene->rc && scene->rc != -ENOMEM))
		return 0;
	return scene->rc || scene->info.joined;
}

static void act_publish(struct scene *scene)
{
	fh_arc_publish(scene->claim, NULL);
	scene->claim = NULL;
}

static int check_publish(struct scene *scene)
{
	return there(scene, "c", "d") && scene->told == 1;
}

static void act_abandon(struct scene *scene)
{
	fh_arc_abandon(scene->claim);
	scene->claim = NULL;
}

static int check_abandon(struct scene *scene)
{
	return !there(scene, "c", "d") && scene->told == 0 &&
	       start(scene->arcs, "c", "d", BEEF, NULL) == 0;
}

static void act_progress(struct scene *scene)
{
	scene->rc = fh_arc_progress(scene->arcs, "a", "b", NULL, NULL);
}

static int check_progress(struct scene *scene)
{
	int moved = scene->rc == 0;

	if (!moved && scene->rc != -ENOMEM)
		return 0;
	if (fh_arc_get(scene->arcs, "a", "b", &scene->info))
		return 0;
	return scene->info.events == 2u + (unsigned)moved &&
	       scene->told == moved &&
	       fh_arc_progress(scene->arcs, "a", "b", NULL, NULL) == 0;
}

static void act_last_step(struct scene *scene)
{
	scene->rc = fh_arc_progress(scene->arcs, "g", "h", NULL, NULL);
}

static int check_last_step(struct scene *scene)
{
	int over = scene->rc == 0;

	if (!over && scene->rc != -ENOMEM)
		return 0;
	return there(scene, "g", "h") == !over && scene->told == 2 * over &&
	       fh_arc_progress(scene->arcs, "g", "h", NULL, NULL) ==
	       (over ? -ENOENT : 0);
}

static void act_end(struct scene *scene)
{
	scene->rc = fh_arc_end(scene->arcs, "a", "b", FH_ARC_ANY,
			       FH_ARC_COMPLETED, NULL, &scene->info);
}

static int check_end(struct scene *scene)
{
	return scene->rc == 0 && scene->info.events == 2 &&
	       scene->told == 1 && !there(scene, "a", "b");
}

static void act_end_long(struct scene *scene)
{
	scene->rc = fh_arc_end(scene->arcs, long_two, long_one, FH_ARC_ANY,
			       FH_ARC_COMPLETED, NULL, NULL);
}

static int check_end_long(struct scene *scene)
{
	return scene->rc == 0 && scene->told == 1 &&
	       !there(scene, long_one, long_two);
}

static void act_get(struct scene *scene)
{
	scene->rc = fh_arc_get(scene->arcs, "a", "b", &scene->info);
}

static int check_get(struct scene *scene)
{
	return scene->rc == 0 && scene->info.events == 2;
}

static void act_get_long(struct scene *scene)
{
	scene->rc = fh_arc_get(scene->arcs, long_one, long_two, &scene->info);
}

static int check_get_long(struct scene *scene)
{
	return scene->rc == 0 || scene->rc == -ENOMEM;
}

static void act_observe(struct scene *scene)
{
	scene->rc = fh_arc_observe(scene->arcs, FH_ARC_STARTED, hear, scene,
				   guest_release, &scene->guest);
}

static int check_observe(struct scene *scene)
{
	int came = scene->rc == 0;

	if ((!came && scene->rc != -ENOMEM) || scene->guest_released)
		return 0;
	start(scene->arcs, "e", "f", BEEF, NULL);
	return scene->told == 1 + came;
}

static void act_unobserve(struct scene *scene)
{
	scene->rc = fh_arc_unobserve(scene->arcs, scene->observer);
}

static int check_unobserve(struct scene *scene)
{
	start(scene->arcs, "e", "f", BEEF, NULL);
	return scene->rc == 0 && scene->released == 1 && scene->told == 0;
}

static int look(const struct fh_arc_names *names,
		const struct fh_arc_info *info, void *arg)
{
	(void)names;
	(void)info;
	(void)arg;
	return 0;
}

static void act_for_each(struct scene *scene)
{
	scene->visited = fh_arc_for_each(scene->arcs, look, NULL);
}

static int check_for_each(struct scene *scene)
{
	return scene->visited == 3 && scene->told == 0;
}

static void act_process(struct scene *scene)
{
	fh_arc_process_all(scene->arcs, NULL, NULL, &scene->sum);
}

/* g and h end, the others progress, but for those that found no memory. */
static int check_process(struct scene *scene)
{
	const struct fh_arc_tally *sum = &scene->sum;

	return sum->processed == 3 &&
	       sum->progressed + sum->completed + sum->failed == 3 &&
	       sum->completed == !there(scene, "g", "h") &&
	       (uint64_t)scene->told == sum->progressed + 2 * sum->completed;
}

static const struct operation operations[] = {
	{ "start", act_start, check_start },
	{ "start, long names", act_start_long, check_start_long },
	{ "start, failing init", act_failing_init, check_failing_init },
	{ "join", act_join, check_join },
	{ "publish", act_publish, check_publish },
	{ "abandon", act_abandon, check_abandon },
	{ "progress", act_progress, check_progress },
	{ "last step", act_last_step, check_last_step },
	{ "end", act_end, check_end },
	{ "end, long names", act_end_long, check_end_long },
	{ "get", act_get, check_get },
	{ "get, long names", act_get_long, check_get_long },
	{ "observe", act_observe, check_observe },
	{ "unobserve", act_unobserve, check_unobserve },
	{ "for_each", act_for_each, check_for_each },
	{ "process_all", act_process, check_process },
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))
#define MANY_POINTS 1000

/* Returns how many allocations were refused. */
static uint64_t attempt(const struct operation *operation, enum oom_mode mode,
			uint64_t n, int *wrong)
{
	struct scene scene;
	uint64_t refused;

	set_scene(&scene);
	oom_arm(mode, n);
	operation->act(&scene);
	refused = oom_disarm();
	if (!refused && scene.rc == -ENOMEM)
		++*wrong;
	*wrong += !operation->check(&scene);
	clear_scene(&scene);
	*wrong += scene.released != 1;
	return refused;
}

static void test_operation(const struct operation *operation)
{
	int wrong = 0;
	uint64_t n;

	for (n = 1; n < MANY_POINTS; n++)
		if (!attempt(operation, OOM_ONCE, n, &wrong))
			break;
	for (n = 1; n < MANY_POINTS; n++)
		if (!attempt(operation, OOM_FROM, n, &wrong))
			break;
	is(wrong, 0, "%s: all or nothing (%d points)", operation->name,
	   (int)n - 1);
}

static void test_create_oom(void)
{
	const struct fh_arcs_options options = { .types = types,
						 .type_count = TYPES };
	uint64_t refused = 1, points = 0;
	int wrong = 0, rc;

	for (uint64_t n = 1; refused && n < MANY_POINTS; n++) {
		struct fh_arcs *arcs = NULL;

		oom_arm(OOM_ONCE, n);
		rc = fh_arcs_create(&arcs, &options);
		refused = oom_disarm();
		points += refused;
		wrong += rc != (refused ? -ENOMEM : 0);
		fh_arcs_destroy(arcs);
	}
	is(wrong, 0, "create: all or nothing");
	ok(points >= 2, "it has points to fail at: %d", (int)points);
}

/* An arc that starts while its registry's map wants to grow, and cannot. */
static void test_growth(void)
{
	struct fh_arcs *arcs = quiet_registry();
	int failed = 0, wrong = 0, rc;
	char name[32];

	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "agent-%d", i);
		oom_arm(OOM_RANDOM, 30);
		rc = start(arcs, name, "host", BEEF, NULL);
		oom_disarm();
		failed += rc == -ENOMEM;
		wrong += rc && rc != -ENOMEM;
		if (rc)
			rc = start(arcs, name, "host", BEEF, NULL);
		wrong += rc != 0;
	}
	ok(failed > 0, "%d of 2000 starts found no memory", failed);
	is(wrong, 0, "and succeeded when there was some");
	is(stats_of(arcs).active, 2000, "all are there");
	is(fh_arc_for_each(arcs, look, NULL), 2000, "once each");
	fh_arcs_destroy(arcs);
}

int main(void)
{
	diag("build: %s", fh_build());
	watchdog(120);
	memset(long_one, '1', sizeof(long_one) - 1);
	memset(long_two, '2', sizeof(long_two) - 1);
	test_create_oom();
	for (size_t i = 0; i < OPERATIONS; i++)
		test_operation(&operations[i]);
	test_growth();
	drain();
	return done_testing();
}
