/* SPDX-License-Identifier: MIT */
/*
 * signal: what the contracts allow in a handler, done there.  The sentinel
 * sends SIGUSR1 to workers wherever they are, without SA_RESTART; a handler
 * that meets its thread inside a read section of this room looks a key up as
 * well.  Of the mutex build nothing may be called in a handler.
 */
#include "soak.h"

#define KEYS 64

enum { SECTION };
static const char *const operations[] = {
	"read section to be interrupted", NULL,
};

static struct fh_map *map;
static struct fh_map_entry entries[KEYS];
static struct fh_status cell;
static struct fh_counter counter;
static tally changes, lookups;

static _Thread_local volatile sig_atomic_t soak_in_section;
tally soak_signals_sent, soak_signals_handled;

static void use_library(uint64_t number)
{
	struct fh_map_entry *entry;
	uint64_t before = fh_status_read(&cell).epoch;

	soak_expect(fh_status_set(&cell, number % 64) == 0,
		    "a set in a handler failed");
	soak_expect(fh_status_read(&cell).epoch > before,
		    "a set in a handler changed nothing");
	fh_counter_add(&counter, 3);
	add_relaxed(&changes, 1);
	if (!soak_in_section)
		return;
	entry = fh_map_lookup(map, fh_key_u64(number % KEYS));
	soak_expect(entry == &entries[number % KEYS],
		    "a lookup in a handler found something else");
	add_relaxed(&lookups, 1);
}

static void handle(int signal)
{
	int saved = errno;
	uint64_t number = add_relaxed(&soak_signals_handled, 1);

	(void)signal;
	if (!SOAK_MUTEX)
		use_library(number);
	errno = saved;
}

static void work(struct soak_worker *worker)
{
	uint64_t first = soak_random(worker, KEYS);

	soak_begin(worker, SECTION);
	fh_rcu_read_lock();
	soak_in_section = 1;
	for (uint64_t i = first; i < first + 2000; i++)
		if (fh_map_lookup(map, fh_key_u64(i % KEYS)) !=
		    &entries[i % KEYS])
			soak_fail("key %llu is not found",
				  (unsigned long long)i % KEYS);
	soak_in_section = 0;
	soak_checked();
	fh_rcu_read_unlock();
}

static void setup(void)
{
	struct sigaction action = { .sa_handler = handle };

	if (fh_map_create(&map, NULL))
		soak_fail("cannot create a table");
	for (uint64_t i = 0; i < KEYS; i++) {
		entries[i].key = fh_key_u64(i);
		if (fh_map_insert(map, &entries[i], NULL))
			soak_fail("cannot insert");
	}
	sigaction(SIGUSR1, &action, NULL);
}

/* The sentinel goes on sending: what is counted after is not less. */
static void check(void)
{
	uint64_t before = load_seq_cst(&changes);
	uint64_t epoch = fh_status_read(&cell).epoch;
	int64_t value = fh_counter_read(&counter);
	uint64_t after = load_seq_cst(&changes) + soak_options.threads;

	soak_expect(epoch >= before && epoch <= after,
		    "handlers made %llu changes, the epoch is %llu",
		    (unsigned long long)before, (unsigned long long)epoch);
	soak_expect(value % 3 == 0 && value >= (int64_t)(3 * before) &&
		    value <= (int64_t)(3 * (after + soak_options.threads)),
		    "handlers added 3 %llu times, the counter is %lld",
		    (unsigned long long)before, (long long)value);
}

static void report(FILE *out)
{
	fprintf(out, "%llu lookups in handlers.\n",
		(unsigned long long)load_relaxed(&lookups));
}

static void teardown(void)
{
	fh_map_destroy(map, NULL, NULL);
}

struct soak_room soak_signal = {
	.name = "signal", .operations = operations, .weight = 2,
	.setup = setup, .work = work, .check = check, .report = report,
	.teardown = teardown,
};
