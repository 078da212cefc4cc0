/* SPDX-License-Identifier: MIT */
/*
 * record: values of all lengths, each word of which follows from the first,
 * so that a mixture of two shows.  In the chained records every publication
 * names the version it follows and writes its own into the value.
 */
#include "soak.h"

#define CHAINED 4
#define FREE 4
#define WORDS 250

enum { READ, GET, PUBLISH, PUBLISH_IF, TOO_SMALL };
static const char *const operations[] = {
	"read", "get", "publish", "publish_if", "read into too little", NULL,
};

static struct fh_record chained[CHAINED], record[FREE];
static tally chained_done[CHAINED], record_done[FREE];
static tally stale, refused;

static _Thread_local uint64_t chained_seen[CHAINED], record_seen[FREE];

static size_t fill(uint64_t *value, uint64_t first, size_t words)
{
	value[0] = first;
	for (size_t i = 1; i < words; i++)
		value[i] = soak_mix(first, i ^ words << 32);
	return words * sizeof(*value);
}

static void look_at(const uint64_t *value, size_t size)
{
	size_t words = size / sizeof(*value);

	soak_expect(words && size % sizeof(*value) == 0 && words <= WORDS,
		    "a value of %zu bytes", size);
	for (size_t i = 1; i < words; i++)
		if (value[i] != soak_mix(value[0], i ^ words << 32))
			soak_fail("a torn value: word %zu of %zu", i, words);
	soak_checked();
}

static void never_back(uint64_t *seen, uint64_t version)
{
	soak_expect(version >= *seen, "a version went back from %llu to %llu",
		    (unsigned long long)*seen, (unsigned long long)version);
	*seen = version;
}

static void look_at_chained(size_t i, const uint64_t *value, size_t size,
			    uint64_t version)
{
	look_at(value, size);
	soak_expect(value[0] == version, "version %llu holds the value of %llu",
		    (unsigned long long)version,
		    (unsigned long long)value[0]);
	never_back(&chained_seen[i], version);
}

static void read_copy(struct soak_worker *worker)
{
	size_t i = soak_random(worker, FREE), size = 0;
	uint64_t value[WORDS], version = 0;
	int rc;

	soak_begin(worker, READ);
	rc = fh_record_read(&record[i], value, sizeof(value), &size, &version);
	soak_expect(rc == 0, "a read gave %d", rc);
	look_at(value, size);
	never_back(&record_seen[i], version);
	i = soak_random(worker, CHAINED);
	rc = fh_record_read(&chained[i], value, sizeof(value), &size, &version);
	soak_expect(rc == 0, "a read of a chained record gave %d", rc);
	look_at_chained(i, value, size, version);
}

/* In place, and twice: it must not change under the reader. */
static void get(struct soak_worker *worker)
{
	size_t i = soak_random(worker, CHAINED), size = 0;
	const uint64_t *value;
	uint64_t version = 0;

	soak_begin(worker, GET);
	fh_rcu_read_lock();
	value = fh_record_get(&chained[i], &size, &version);
	soak_expect(value, "a record lost its value");
	look_at_chained(i, value, size, version);
	soak_dawdle(worker);
	look_at_chained(i, value, size, version);
	fh_rcu_read_unlock();
}

static void read_too_little(struct soak_worker *worker)
{
	size_t i = soak_random(worker, FREE), size = 0;
	uint64_t value[2] = { 7, 7 };
	int rc;

	soak_begin(worker, TOO_SMALL);
	rc = fh_record_read(&record[i], value, sizeof(uint64_t), &size, NULL);
	soak_expect(rc == (size > sizeof(uint64_t) ? -ENOSPC : 0) &&
		    value[1] == 7 && (rc == 0 || value[0] == 7),
		    "a read of %zu bytes into 8 gave %d", size, rc);
}

static void publish(struct soak_worker *worker)
{
	size_t i = soak_random(worker, FREE);
	size_t words = 1 + soak_random(worker, WORDS);
	uint64_t value[WORDS];
	int rc;

	soak_begin(worker, PUBLISH);
	rc = fh_record_publish(&record[i], value,
			       fill(value, random_next(&worker->random),
				    words));
	soak_expect(rc == 0 || rc == -EAGAIN, "a publication gave %d", rc);
	add_relaxed(rc ? &refused : &record_done[i], 1);
}

static void publish_next(struct soak_worker *worker)
{
	size_t i = soak_random(worker, CHAINED);
	size_t words = 1 + soak_random(worker, WORDS);
	uint64_t value[WORDS], version = 0;
	int rc;

	soak_begin(worker, PUBLISH_IF);
	fh_rcu_read_lock();
	fh_record_get(&chained[i], NULL, &version);
	fh_rcu_read_unlock();
	soak_dawdle(worker);
	rc = fh_record_publish_if(&chained[i], version, value,
				  fill(value, version + 1, words));
	soak_expect(rc == 0 || rc == -EAGAIN || rc == -ESTALE,
		    "a publication after version %llu gave %d",
		    (unsigned long long)version, rc);
	if (rc == 0)
		add_relaxed(&chained_done[i], 1);
	else
		add_relaxed(rc == -ESTALE ? &stale : &refused, 1);
}

static void work(struct soak_worker *worker)
{
	static void (*const what[])(struct soak_worker *) = {
		read_copy, read_copy, get, get, publish, publish_next,
		publish_next, read_too_little,
	};

	what[soak_random(worker, 8)](worker);
}

static void setup(void)
{
	uint64_t value[WORDS];

	for (size_t i = 0; i < CHAINED; i++, add_relaxed(&chained_done[i - 1],
							 1))
		if (fh_record_publish(&chained[i], value, fill(value, 1, 9)))
			soak_fail("cannot publish");
	for (size_t i = 0; i < FREE; i++, add_relaxed(&record_done[i - 1], 1))
		if (fh_record_publish(&record[i], value, fill(value, 1, 9)))
			soak_fail("cannot publish");
}

static void expect_version(const struct fh_record *of, uint64_t done)
{
	uint64_t value[WORDS], version = 0;
	size_t size = 0;

	fh_record_read(of, value, sizeof(value), &size, &version);
	look_at(value, size);
	soak_expect(version == done, "at rest a version is %llu after %llu "
		    "publications", (unsigned long long)version,
		    (unsigned long long)done);
}

static void check(void)
{
	for (size_t i = 0; i < CHAINED; i++)
		expect_version(&chained[i], load_relaxed(&chained_done[i]));
	for (size_t i = 0; i < FREE; i++)
		expect_version(&record[i], load_relaxed(&record_done[i]));
}

/* Values of one length: a deep rest compares the memory in use. */
static void clear(void)
{
	uint64_t value[WORDS];

	for (size_t i = 0; i < CHAINED; i++) {
		fill(value, load_relaxed(&chained_done[i]) + 1, 9);
		if (fh_record_publish(&chained[i], value, 72))
			soak_fail("cannot publish");
		add_relaxed(&chained_done[i], 1);
	}
	for (size_t i = 0; i < FREE; i++) {
		if (fh_record_publish(&record[i], value, fill(value, 1, 9)))
			soak_fail("cannot publish");
		add_relaxed(&record_done[i], 1);
	}
}

static void report(FILE *out)
{
	fprintf(out, "%llu publications came too late for their version; %llu "
		"were refused at the hard bound.\n",
		(unsigned long long)load_relaxed(&stale),
		(unsigned long long)load_relaxed(&refused));
}

static void teardown(void)
{
	for (size_t i = 0; i < CHAINED; i++)
		fh_record_destroy(&chained[i]);
	for (size_t i = 0; i < FREE; i++)
		fh_record_destroy(&record[i]);
}

struct soak_room soak_record = {
	.name = "record", .operations = operations, .weight = 10,
	.setup = setup, .work = work, .check = check, .clear = clear,
	.report = report, .teardown = teardown,
};
