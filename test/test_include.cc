/* SPDX-License-Identifier: MIT */
/*
 * A C++11 program on the C library: every room is called, the inline ones
 * too, with what a C++ programmer would put around them.
 */
#include <freehold/freehold.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "tap.h"

namespace {

const int THREADS = 4;
const uint64_t KEYS = 500;

struct item {
	fh_map_entry entry;
	fh_rcu_head rcu;
	uint64_t value;
};

struct read_section {
	read_section() { fh_rcu_read_lock(); }
	~read_section() { fh_rcu_read_unlock(); }
	read_section(const read_section &) = delete;
	read_section &operator=(const read_section &) = delete;
};

fh_counter reclaimed;

/* An item is of standard layout: its entry is at its very beginning. */
item *item_of(fh_map_entry *entry)
{
	return reinterpret_cast<item *>(entry);
}

void item_free(fh_rcu_head *rcu)
{
	char *base = reinterpret_cast<char *>(rcu) - offsetof(item, rcu);

	delete reinterpret_cast<item *>(base);
	fh_counter_add(&reclaimed, 1);
}

template <class Work> void on_threads(Work work)
{
	std::vector<std::thread> threads;

	for (int i = 0; i < THREADS; i++)
		threads.emplace_back(work);
	for (std::thread &thread : threads)
		thread.join();
}

void test_map()
{
	fh_counter won = {}, found = {};
	fh_map *map;

	is(fh_map_create(&map, nullptr), 0, "a table");
	on_threads([&] {
		for (uint64_t key = 0; key < KEYS; key++) {
			std::unique_ptr<item> mine(new item());

			mine->entry.key = fh_key_u64(key);
			mine->value = key;
			if (fh_map_insert(map, &mine->entry, nullptr) == 0) {
				mine.release();
				fh_counter_add(&won, 1);
			}
		}
	});
	is(fh_counter_read(&won), KEYS, "each key has one winner");
	on_threads([&] {
		for (uint64_t key = 0; key < KEYS; key++) {
			read_section section;
			fh_map_entry *entry =
				fh_map_lookup(map, fh_key_u64(key));

			fh_counter_add(&found, entry &&
					       item_of(entry)->value == key);
		}
	});
	is(fh_counter_read(&found), THREADS * KEYS, "every thread finds them");
	on_threads([&] {
		fh_map_entry *entry;

		for (uint64_t key = 0; key < KEYS; key++)
			if (!fh_map_remove(map, fh_key_u64(key), &entry))
				fh_rcu_retire(&item_of(entry)->rcu, item_free);
	});
	is(fh_map_count(map), 0, "all are removed");
	fh_map_destroy(map, nullptr, nullptr);
	is(fh_rcu_drain_wait(FH_FOREVER), 0, "drain");
	is(fh_counter_read(&reclaimed), KEYS, "each is reclaimed once");
}

void test_status()
{
	static fh_status cell = FH_STATUS_INIT(3);
	fh_status_snapshot seen = fh_status_read(&cell);

	is(fh_status_get(&cell), 3, "a cell with a first state");
	is(seen.epoch, 0, "nobody has changed it");
	std::thread setter([] { fh_status_set(&cell, 5); });
	is(fh_status_wait(&cell, FH_STATE(5), FH_FOREVER, &seen), 0,
	   "wait for another thread's change");
	setter.join();
	is(seen.epoch, 1, "which was the first");
	is(fh_status_compare_exchange(&cell, &seen, 6), 0, "and the second");
	is(fh_status_get(&cell), 6, "is ours");
}

void test_record()
{
	static fh_record record;
	char text[16] = "";
	uint64_t version = 0;

	is(fh_record_read(&record, text, sizeof(text), nullptr, nullptr),
	   -ENODATA, "an empty record");
	is(fh_record_publish(&record, "value", sizeof("value")), 0, "publish");
	is(fh_record_read(&record, text, sizeof(text), nullptr, &version), 0,
	   "read");
	ok(std::strcmp(text, "value") == 0, "the value is whole");
	is(version, 1, "its version");
	fh_record_destroy(&record);
}

int count_change(const fh_arc_notice *, void *arg)
{
	fh_counter_add(static_cast<fh_counter *>(arg), 1);
	return 0;
}

void test_arc()
{
	const uint64_t allowed[] = { FH_STATE(1), 0 };
	fh_arc_type type = {};
	fh_arcs_options options = {};
	fh_arc_request request = {};
	fh_counter changes = {}, won = {};
	fh_arc_info info;
	fh_arcs *arcs;

	type.name = "talk";
	type.phases = 2;
	type.allowed = allowed;
	options.types = &type;
	options.type_count = 1;
	request.first = "ada";
	request.second = "bob";
	is(fh_arcs_create(&arcs, &options), 0, "a registry");
	is(fh_arc_observe(arcs, FH_ARC_STARTED | FH_ARC_ENDED, count_change,
			  &changes, nullptr, nullptr), 0, "an observer");
	on_threads([&] {
		if (fh_arc_start(arcs, &request, nullptr) == 0)
			fh_counter_add(&won, 1);
	});
	is(fh_counter_read(&won), 1, "one starter wins");
	is(fh_arc_get(arcs, "bob", "ada", &info), 0, "in either order");
	is(fh_arc_end(arcs, "ada", "bob", info.generation, FH_ARC_COMPLETED,
		      nullptr, nullptr), 0, "it ends");
	is(fh_counter_read(&changes), 2, "the observer saw both changes");
	fh_arcs_destroy(arcs);
}

} // namespace

int main()
{
	ok(fh_build() != nullptr, "the %s build", fh_build());
	ok(fh_deadline_in(1000) > fh_now() - 1000000000, "time goes on");
	test_map();
	test_status();
	test_record();
	test_arc();
	is(fh_rcu_drain_wait(FH_FOREVER), 0, "drain");
	return done_testing();
}
