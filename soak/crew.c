/* SPDX-License-Identifier: MIT */
/*
 * The workers.  Each place has a keeper, which starts one thread after
 * another in it: a life of a few turns or of many, so that threads are born
 * and exit all the time, with half-full batches, inside of what others do.
 * The keeper itself never touches the library.
 *
 * A rest: the conductor raises the gate, and each life stops before its next
 * turn.  At a deep rest lives end instead, so that what the allocator and the
 * library keep for each thread is given back.
 *
 * The sentinel is one more thread: it samples memory, sends signals, and sees
 * to it that nobody is stuck.
 */
#include "soak.h"

#define STUCK_SECONDS 60

enum gate { OPEN, REST, DEEP, END };

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static _Atomic(enum gate) gate;
static unsigned arrived;

static unsigned total_weight;
static pthread_t sentinel;
static _Atomic(bool) sentinel_ends;

/* ---- the gate ---- */

static void set_gate(enum gate wanted)
{
	pthread_mutex_lock(&gate_lock);
	store_seq_cst(&gate, wanted);
	pthread_cond_broadcast(&gate_moved);
	pthread_mutex_unlock(&gate_lock);
}

/* Stand at the gate until it opens. */
static void stand(struct soak_worker *worker)
{
	store_relaxed(&worker->waiting, true);
	pthread_mutex_lock(&gate_lock);
	arrived++;
	pthread_cond_broadcast(&gate_moved);
	while (load_relaxed(&gate) == REST || load_relaxed(&gate) == DEEP)
		pthread_cond_wait(&gate_moved, &gate_lock);
	arrived--;
	pthread_mutex_unlock(&gate_lock);
	store_relaxed(&worker->waiting, false);
}

void soak_crew_rest(bool deep)
{
	set_gate(deep ? DEEP : REST);
	pthread_mutex_lock(&gate_lock);
	while (arrived < soak_options.threads)
		pthread_cond_wait(&gate_moved, &gate_lock);
	pthread_mutex_unlock(&gate_lock);
}

/* Whoever stood has left when this returns: the next rest counts anew. */
void soak_crew_resume(void)
{
	bool left = false;

	set_gate(OPEN);
	while (!left) {
		pthread_mutex_lock(&gate_lock);
		left = arrived == 0;
		pthread_mutex_unlock(&gate_lock);
		sched_yield();
	}
}

/* ---- lives ---- */

static struct soak_room *pick(struct soak_worker *worker)
{
	uint64_t place = soak_random(worker, total_weight);
	struct soak_room *const *room = soak_rooms;

	while (place >= (*room)->weight)
		place -= (*room++)->weight;
	return *room;
}

static void turn(struct soak_worker *worker)
{
	struct soak_room *room = pick(worker);

	soak_my_room = room;
	store_relaxed(&worker->operation, 0);
	store_relaxed(&worker->room, room);
	room->work(worker);
	add_relaxed(&worker->turns, 1);
}

/* A quarter of the lives are of a few turns, and some are long. */
static uint64_t length_of_life(struct soak_worker *worker)
{
	switch (soak_random(worker, 4)) {
	case 0:
		return 1 + soak_random(worker, 10);
	case 1:
		return 1 + soak_random(worker, 1000);
	default:
		return 1 + soak_random(worker, 200000);
	}
}

static void set_alive(struct soak_worker *worker, bool alive)
{
	pthread_mutex_lock(&worker->lock);
	if (alive)
		worker->life = pthread_self();
	worker->alive = alive;
	pthread_mutex_unlock(&worker->lock);
}

static void *live(void *arg)
{
	struct soak_worker *worker = arg;
	uint64_t left = length_of_life(worker);

	soak_me = worker;
	set_alive(worker, true);
	for (; left && load_relaxed(&gate) < DEEP; left--) {
		if (load_relaxed(&gate) == REST)
			stand(worker);
		else
			turn(worker);
	}
	set_alive(worker, false);
	return NULL;
}

static void *keep(void *arg)
{
	struct soak_worker *worker = arg;
	pthread_t life;

	while (load_relaxed(&gate) != END) {
		if (load_relaxed(&gate) != OPEN) {
			stand(worker);
			continue;
		}
		if (pthread_create(&life, NULL, live, worker))
			soak_fail("cannot create a thread");
		pthread_join(life, NULL);
		add_relaxed(&worker->lives, 1);
	}
	return NULL;
}

void soak_crew_start(void)
{
	struct soak_worker *worker;

	for (unsigned i = 0; soak_rooms[i]; i++)
		total_weight += soak_rooms[i]->weight;
	for (unsigned i = 0; i < soak_options.threads; i++) {
		worker = &soak_workers[i];
		worker->index = i;
		worker->random = random_seed(i) ^ soak_mix(soak_options.seed,
							   i);
		pthread_mutex_init(&worker->lock, NULL);
		if (pthread_create(&worker->keeper, NULL, keep, worker))
			soak_fail("cannot create a thread");
	}
}

void soak_crew_end(void)
{
	set_gate(END);
	for (unsigned i = 0; i < soak_options.threads; i++)
		pthread_join(soak_workers[i].keeper, NULL);
}

/* ---- the sentinel ---- */

/* When this place was last seen to move, and with how many turns. */
struct seen {
	uint64_t turns;
	int64_t at;
};

static void look_after(struct soak_worker *worker, struct seen *seen)
{
	const struct soak_room *room = load_relaxed(&worker->room);
	uint64_t turns = load_relaxed(&worker->turns);

	if (!seen->at || turns != seen->turns ||
	    load_relaxed(&worker->waiting)) {
		seen->turns = turns;
		seen->at = fh_now();
	} else if (fh_now() - seen->at > STUCK_SECONDS * SECONDS) {
		soak_fail("place %u is stuck: no progress for %d s in room %s, "
			  "operation %s", worker->index, STUCK_SECONDS,
			  room ? room->name : "(none)", room ?
			  room->operations[load_relaxed(&worker->operation)] :
			  "(none)");
	}
}

static void look_after_all(void)
{
	static struct seen seen[SOAK_THREADS + 1];

	for (unsigned i = 0; i < soak_options.threads; i++)
		look_after(&soak_workers[i], &seen[i]);
	look_after(&soak_conductor, &seen[SOAK_THREADS]);
}

/* Whom a signal meets, it meets anywhere; waits see EINTR. */
static void send_signal(uint64_t *random)
{
	struct soak_worker *worker =
		&soak_workers[random_below(random, soak_options.threads)];

	pthread_mutex_lock(&worker->lock);
	if (worker->alive && pthread_kill(worker->life, SIGUSR1) == 0)
		add_relaxed(&soak_signals_sent, 1);
	pthread_mutex_unlock(&worker->lock);
}

static void progress_line(void)
{
	static int64_t next;
	struct fh_rcu_stats stats;
	int64_t every = isatty(2) ? 10 * SECONDS : 60 * SECONDS;

	if (next == 0)
		next = soak_started + every;
	if (fh_now() < next)
		return;
	next += every;
	fh_rcu_get_stats(&stats);
	fprintf(stderr, "soak: %.0f of %.0f s, %.1f million operations, "
		"%llu checks, %llu rests, garbage %llu, resident %llu kB\n",
		soak_elapsed(), soak_options.seconds,
		(double)soak_all_operations() / 1e6,
		(unsigned long long)soak_all_checks(),
		(unsigned long long)load_relaxed(&soak_rests),
		(unsigned long long)stats.pending,
		(unsigned long long)soak_rss_kb());
}

static void tick_rooms(void)
{
	for (unsigned i = 0; soak_rooms[i]; i++)
		if (soak_rooms[i]->tick)
			soak_rooms[i]->tick();
}

static void *watch(void *arg)
{
	uint64_t random = random_seed(SOAK_THREADS) ^ soak_options.seed;
	int64_t next = fh_now();

	(void)arg;
	while (!load_relaxed(&sentinel_ends)) {
		tick_rooms();
		for (unsigned i = 0; i < 4; i++)
			send_signal(&random);
		if (fh_now() >= next) {
			next += SECONDS;
			soak_sample();
			look_after_all();
			progress_line();
		}
		sleep_ns(10 * MILLISECONDS);
	}
	return NULL;
}

void soak_sentinel_start(void)
{
	if (pthread_create(&sentinel, NULL, watch, NULL))
		soak_fail("cannot create a thread");
}

void soak_sentinel_end(void)
{
	store_relaxed(&sentinel_ends, true);
	pthread_join(sentinel, NULL);
}
