/* SPDX-License-Identifier: MIT */
#include "rate.h"

static int64_t until(const struct rate *rate, size_t slot)
{
	return __atomic_load_n(&rate->slots[slot], __ATOMIC_RELAXED);
}

static bool take(struct rate *rate, size_t slot, int64_t now, int64_t end)
{
	int64_t seen = until(rate, slot);

	return seen <= now &&
		__atomic_compare_exchange_n(&rate->slots[slot], &seen, end,
					    false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
}

static void look_around(const struct rate *rate,
			const struct rate_limit *limit, int64_t now,
			struct rate_answer *answer)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < limit->count; i++) {
		int64_t end = until(rate, i);

		if (end <= now)
			answer->remaining++;
		else if (end < first)
			first = end;
	}
	answer->next = first == INT64_MAX ? 0 : first - now;
}

struct rate_answer rate_take(struct rate *rate, const struct rate_limit *limit,
			     int64_t now)
{
	struct rate_answer answer = { .admitted = false };
	size_t hint = (size_t)__atomic_load_n(&rate->hint, __ATOMIC_RELAXED);

	if (!limit->count) {
		answer.admitted = true;
		return answer;
	}
	answer.until = now + limit->window;
	for (size_t i = 0; i < limit->count && !answer.admitted; i++) {
		answer.slot = (hint + i) % limit->count;
		answer.admitted = take(rate, answer.slot, now, answer.until);
	}
	if (answer.admitted)
		__atomic_store_n(&rate->hint, answer.slot + 1,
				 __ATOMIC_RELAXED);
	look_around(rate, limit, now, &answer);
	return answer;
}

void rate_return(struct rate *rate, const struct rate_answer *answer)
{
	int64_t mine = answer->until;

	if (!mine)
		return;		/* it took none: there is no limit */
	__atomic_compare_exchange_n(&rate->slots[answer->slot], &mine, 0,
				    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
