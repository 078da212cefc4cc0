/* SPDX-License-Identifier: MIT */
/*
 * observers: callbacks that come and go while others are being called.
 *
 *     list --> [ next_id 6 | #2 | #4 | #5 ]        immutable, by rising id
 *                            |    |    |
 *                            v    v    v
 *                          { calls, holders, function, arg, release }
 *
 * Adding publishes a new list by one compare-exchange and retires the old
 * one.  Removing marks the observer's own word and touches no list, so that
 * it needs no memory; the next addition leaves the dead out.  At most as many
 * dead observers stay around as were there at the last addition.
 *
 * The word `calls`
 *
 *     bits   meaning                      set by            cleared by
 *     0      DEAD: no call may begin      remove            nobody
 *     1..63  calls that run, and one for  add, notify       notify; remove
 *            being registered
 *
 * Law 1.  A call begins by a compare-exchange that finds DEAD clear and adds
 *   a unit; so none begins after DEAD was set, and the count, which then only
 *   falls, passes zero once: whoever brings it there releases the argument.
 * Law 2.  An observer's memory has two holders: being in the present list,
 *   given up one grace period after a list without it was published, and not
 *   being released yet.  A notifier looks at it either inside a read section
 *   in which it found it in the list, or between the beginning and the end of
 *   a call: each keeps one holder in place.
 * Law 3.  The compare-exchange of `list` runs in the read section that loaded
 *   the old list: the old list's memory cannot have come back as another one,
 *   so success means that nobody published in between.
 * Law 4.  Lists form one sequence, and ids rise along it.  The one whose list
 *   first lacks an observer drops it, with the old list: it compares its two
 *   lists, because a mark may have been set since it built the new one.
 *
 * Notifying holds no list.  It finds the next observer by id, leaves the read
 * section, calls, and looks again, up to the highest id that it saw at the
 * beginning; an observer that adds observers is no endless loop.
 *
 * Progress: lock-free.  An addition retries because another one succeeded; a
 * call's beginning because another call began or ended.
 */
#include "observers.h"
#include "rcu_internal.h"

#include <errno.h>
#include <stdlib.h>

#define DEAD UINT64_C(1)
#define UNIT UINT64_C(2)

#define ALL_CHANGES (FH_ARC_STARTED | FH_ARC_PROGRESSED | FH_ARC_ENDED)

struct observer {
	struct observer *next_dropped;
	uint64_t id;
	unsigned changes;
	fh_arc_observer call;
	void *arg;
	void (*release)(void *arg);
	_Atomic(uint64_t) calls;
	_Atomic(uint64_t) holders;
};

struct observer_list {
	struct fh_rcu_head rcu;
	struct observer *dropped;	/* written when the list is retired */
	uint64_t next_id;
	size_t count;
	struct observer *of[];
};

static void let_go(struct observer *observer)
{
	/* pairs with: observers.holders (releases to the last holder) */
	if (sub_acq_rel(&observer->holders, 1) == 1)
		/* pairs with: observers.holders (acquired from the others) */
		free(observer);
}

static void reclaim_list(struct fh_rcu_head *head)
{
	struct observer_list *list;
	struct observer *dropped;

	list = (struct observer_list *)((char *)head -
					offsetof(struct observer_list, rcu));
	while ((dropped = list->dropped)) {
		list->dropped = dropped->next_dropped;
		let_go(dropped);
	}
	free(list);
}

static bool begin_call(struct observer *observer)
{
	uint64_t calls = load_relaxed(&observer->calls);

	do {
		if (calls & DEAD)
			return false;
		/* pairs with: observers.calls */
	} while (!cas_acq_rel_relaxed(&observer->calls, &calls, calls + UNIT));
	return true;
}

/* Law 1: what every call did comes before the release, whoever runs it. */
static void end_call(struct observer *observer)
{
	/* pairs with: observers.calls */
	if (sub_acq_rel(&observer->calls, UNIT) != (DEAD | UNIT))
		return;
	if (observer->release)
		observer->release(observer->arg);
	let_go(observer);
}

static bool is_dead(struct observer *observer)
{
	return load_relaxed(&observer->calls) & DEAD;
}

/* A list of those in @old that live, with @added behind them. */
static struct observer_list *extend(const struct observer_list *old,
				    struct observer *added)
{
	size_t count = old ? old->count : 0;
	struct observer_list *list;

	list = malloc(sizeof(*list) + (count + 1) * sizeof(list->of[0]));
	if (!list)
		return NULL;
	list->count = 0;
	list->dropped = NULL;
	for (size_t i = 0; i < count; i++)
		if (!is_dead(old->of[i]))
			list->of[list->count++] = old->of[i];
	added->id = old ? old->next_id : 1;
	list->of[list->count++] = added;
	list->next_id = added->id + 1;
	return list;
}

/*
 * Law 4: retire @old with those of it that @list lacks, as one object, so
 * that an addition needs the same room under the hard bound however many
 * died.
 */
static void retire_list(struct observer_list *old,
			const struct observer_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < old->count; i++) {
		if (list->of[kept] == old->of[i]) {
			kept++;
			continue;
		}
		old->of[i]->next_dropped = old->dropped;
		old->dropped = old->of[i];
	}
	fh_rcu_retire(&old->rcu, reclaim_list);
}

/*
 * One attempt, within a read section: 1 when another addition was faster.
 * The id is told before the observer can be seen, because its first call may
 * come at once and want to remove itself.
 */
static int try_add(struct fh_observers *observers, struct observer *added,
		   uint64_t *id)
{
	struct observer_list *old, *list;

	/* pairs with: observers.list */
	old = load_acquire(&observers->list);
	list = extend(old, added);
	if (!list)
		return -ENOMEM;
	if (id)
		*id = added->id;
	/* pairs with: observers.list */
	if (!cas_release_relaxed(&observers->list, &old, list)) {
		free(list);
		return 1;
	}
	if (old)
		retire_list(old, list);
	return 0;
}

static struct observer *observer_new(unsigned changes, fh_arc_observer call,
				     void *arg, void (*release)(void *arg))
{
	struct observer *observer = calloc(1, sizeof(*observer));

	if (!observer)
		return NULL;
	observer->changes = changes;
	observer->call = call;
	observer->arg = arg;
	observer->release = release;
	store_relaxed(&observer->calls, UNIT);
	store_relaxed(&observer->holders, 2);
	return observer;
}

int fh_observers_add(struct fh_observers *observers, unsigned changes,
		     fh_arc_observer call, void *arg,
		     void (*release)(void *arg), uint64_t *id)
{
	struct observer *observer;
	struct fh_room room;
	int rc;

	if (!call || !changes || changes & ~(unsigned)ALL_CHANGES)
		return -EINVAL;
	observer = observer_new(changes, call, arg, release);
	if (!observer)
		return -ENOMEM;
	rc = fh_room_take(&room, 1);
	while (rc >= 0) {
		fh_rcu_read_lock();
		rc = try_add(observers, observer, id);
		fh_rcu_read_unlock();
		if (rc <= 0)
			break;
	}
	fh_room_leave(&room, 0);
	if (rc)
		free(observer);
	return rc;
}

static struct observer *by_id(const struct observer_list *list, uint64_t id)
{
	for (size_t i = 0; list && i < list->count; i++)
		if (list->of[i]->id == id)
			return list->of[i];
	return NULL;
}

int fh_observers_remove(struct fh_observers *observers, uint64_t id)
{
	struct observer *observer;
	bool won;

	fh_rcu_read_lock();
	/* pairs with: observers.list */
	observer = by_id(load_acquire(&observers->list), id);
	won = observer && !(or_acq_rel(&observer->calls, DEAD) & DEAD);
	fh_rcu_read_unlock();
	if (!won)
		return -ENOENT;
	end_call(observer);
	return 0;
}

/*
 * The first observer of the change with an id in [*from, *limit), its call
 * begun; *limit 0 stands for the end of the list as it is now.
 */
static struct observer *next_call(struct fh_observers *observers,
				  unsigned change, uint64_t from,
				  uint64_t *limit)
{
	const struct observer_list *list;
	struct observer *observer = NULL;

	fh_rcu_read_lock();
	/* pairs with: observers.list */
	list = load_acquire(&observers->list);
	if (list && !*limit)
		*limit = list->next_id;
	for (size_t i = 0; list && i < list->count; i++) {
		observer = list->of[i];
		if (observer->id >= from && observer->id < *limit &&
		    observer->changes & change && begin_call(observer))
			break;
		observer = NULL;
	}
	fh_rcu_read_unlock();
	return observer;
}

void fh_observers_notify(struct fh_observers *observers,
			 const struct fh_arc_notice *notice)
{
	uint64_t from = 1, limit = 0;
	struct observer *observer;

	while ((observer = next_call(observers, notice->change, from,
				     &limit))) {
		if (observer->call(notice, observer->arg) < 0)
			fh_counter_add(&observers->failures, 1);
		from = observer->id + 1;
		end_call(observer);
	}
}

void fh_observers_destroy(struct fh_observers *observers)
{
	/* pairs with: observers.list */
	struct observer_list *list = load_acquire(&observers->list);

	for (size_t i = 0; list && i < list->count; i++) {
		if (!(or_acq_rel(&list->of[i]->calls, DEAD) & DEAD))
			end_call(list->of[i]);
		let_go(list->of[i]);
	}
	free(list);
}
