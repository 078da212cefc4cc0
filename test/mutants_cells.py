# SPDX-License-Identifier: MIT
"""Mutants of the small rooms: status, record, counter, wait, time."""

from mutant import apart, rows, weaker

STATUS = rows(
    'src/status.c',
    ('status_change_torn', 'a change is a load and a store',
     'shaken:status@2',
     *apart('if (![[cas_acq_rel_acquire(atomic_word(&cell->word), seen, '
            'changed(*seen, state))]])')),
    ('status_change_no_release', 'a change publishes nothing',
     'schedule:status',
     *weaker('if (![[cas_acq_rel_acquire(atomic_word(&cell->word), seen, '
             'changed(*seen, state))]])', 'acquire')),
    ('status_change_no_acquire', 'a change sees nothing of those before it',
     'schedule:status',
     *weaker('if (![[cas_acq_rel_acquire(atomic_word(&cell->word), seen, '
             'changed(*seen, state))]])', 'release')),
    ('status_word_relaxed', 'what the writers and waiters judge is stale',
     'schedule:status',
     *weaker('return [[load_acquire(atomic_word(&cell->word))]];')),
    ('status_announce_torn', 'the waiters bit is set by load and store',
     'schedule:status shaken:status_wait',
     *apart('![[cas_acq_rel_acquire(atomic_word(&cell->word), &seen, '
            'seen | WAITERS)]])')),
    ('status_announce_forgotten', 'a waiter sleeps without the waiters bit',
     'schedule:status', 'if (!(seen & WAITERS) &&', 'if (0 &&'),
    ('status_wake_omitted', 'a change wakes nobody',
     'schedule:status status_wait',
     'if (*seen & WAITERS) fh_wake_all(low_half(cell));', ''),
    ('status_wake_one', 'a change wakes one waiter of several',
     'schedule:status status_wait', 'fh_wake_all(low_half(cell))',
     'fh_wake_one(low_half(cell))'),
    ('status_wake_before', 'the waiters are woken before the change',
     'schedule:status shaken:status_wait', 'if (!cas_acq_rel_acquire',
     'if (*seen & WAITERS) fh_wake_all(low_half(cell));'
     'if (!cas_acq_rel_acquire',
     'if (*seen & WAITERS) fh_wake_all(low_half(cell)); return true;',
     'return true;'),
    ('status_waiters_bit_stays', 'a change leaves the waiters bit set',
     'gap_cells', '& ~STATE_MASK & ~WAITERS;', '& ~STATE_MASK;'),
    ('status_epoch_stays', 'a change does not count', 'status',
     '(seen + EPOCH_ONE)', '(seen)'),
    ('status_epoch_ignored', 'compare-exchange compares states alone',
     'gap_cells', 'now.state != expected->state || now.epoch != '
     'expected->epoch', 'now.state != expected->state'),
    ('status_table_ignored', 'every transition is legal', 'status',
     'legal = now.state < table->states && (table->allowed[now.state] & '
     'FH_STATE(state));', 'legal = true;'),
    ('status_table_once', 'a transition that is overtaken is not judged '
     'again', 'shaken:status@2',
     '} while (legal && !change(cell, &seen, state));',
     '} while (0); while (legal && !change(cell, &seen, state)) ;'),
    ('status_poll_announces', 'a poll leaves the waiters bit behind',
     'gap_cells',
     'if (deadline != FH_FOREVER && fh_now() >= deadline) '
     'return -ETIMEDOUT;', ''),
    ('status_wait_any_change', 'a wait for states ends by any change',
     'schedule:status status_wait',
     '(goal->states & FH_STATE(now.state)) != 0',
     'now.epoch != goal->epoch'),
    ('status_state_unchecked', 'a state beyond 63 is taken', 'status',
     'uint64_t seen = load_relaxed(atomic_word(&cell->word)); '
     'if (state >= FH_STATUS_STATES) return -EINVAL;',
     'uint64_t seen = load_relaxed(atomic_word(&cell->word));'),
) + rows(
    'include/freehold/status.h',
    ('status_get_relaxed', 'a reader sees a state before what led to it',
     'schedule:status',
     'return (unsigned)(FH_INLINE_LOAD_ACQUIRE(&cell->word) >>',
     'return (unsigned)(__atomic_load_n(&cell->word, __ATOMIC_RELAXED) >>'),
    ('status_read_relaxed', 'a reader sees an epoch before what led to it',
     'schedule:status',
     'return fh_status_unpack_(FH_INLINE_LOAD_ACQUIRE(&cell->word));',
     'return fh_status_unpack_('
     '__atomic_load_n(&cell->word, __ATOMIC_RELAXED));'),
)

WAIT = rows(
    'src/wait.c',
    ('wait_relative', 'the deadline is taken for a length of time',
     'status_wait', 'FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG',
     'FUTEX_WAIT | FUTEX_PRIVATE_FLAG'),
    ('wait_clock', 'the deadline is taken for a time of day', 'status_wait',
     'FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG',
     'FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME | FUTEX_PRIVATE_FLAG'),
    ('wait_signal_ends', 'a signal counts as a deadline', 'status_wait',
     'return rc == -1 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;',
     'return rc == -1 ? -ETIMEDOUT : 0;'),
    ('wait_not_compared', 'the kernel is not told what was seen',
     'schedule:wait shaken:status_wait status_wait',
     'seen, timeout, NULL,',
     '*(const volatile uint32_t *)word, timeout, NULL,'),
    ('wait_timeout_unsaid', 'a deadline that passed is "look again"',
     'schedule:wait rcu_bounds rcu',
     'return rc == -1 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;',
     '(void)rc; return 0;'),
)

BASE = rows(
    'src/base.c',
    ('base_clock', 'time jumps with the clock on the wall', 'base',
     'CLOCK_MONOTONIC', 'CLOCK_REALTIME'),
    ('base_overflow', 'a deadline beyond the end of time wraps', 'base',
     'if (__builtin_add_overflow(fh_now(), nanoseconds, &deadline)) '
     'return nanoseconds > 0 ? FH_FOREVER : 0;',
     '(void)__builtin_add_overflow(fh_now(), nanoseconds, &deadline);'),
)

SWAP_IN = '} while (![[cas_acq_rel_acquire(current_of(record), &old, value)]])'

RECORD = rows(
    'src/record.c',
    ('record_publish_torn', 'publication is a load and a store',
     'schedule:record shaken:record', *apart(SWAP_IN)),
    ('record_publish_no_release', 'a pointer is published before its value',
     'schedule:record', *weaker(SWAP_IN, 'acquire')),
    ('record_publish_no_acquire', "a publisher reads the old value's "
     'version too early', 'schedule:record',
     'struct value *old = load_acquire(current_of(record));',
     'struct value *old = load_relaxed(current_of(record));',
     *weaker(SWAP_IN, 'release')),
    ('record_get_relaxed', 'a reader follows a pointer before its value is '
     'there', 'schedule:record',
     *weaker('const struct value *value = '
             '[[load_acquire(current_of(record))]];')),
    ('record_version_stays', 'a new value has the old version', 'record',
     'value->version = found + 1;', 'value->version = found;'),
    ('record_version_ignored', 'publish_if publishes whatever the version',
     'record', 'if (version != FH_RECORD_ANY && version != found)', 'if (0)'),
    ('record_version_once', 'the version is judged before the first attempt '
     'alone', 'shaken:record',
     'if (version != FH_RECORD_ANY && version != found) return -ESTALE;',
     'if (version != FH_RECORD_ANY && version != found) return -ESTALE; '
     'version = FH_RECORD_ANY;'),
    ('record_not_retired', 'a value that was replaced is lost',
     'asan:record',
     '} while (!cas_acq_rel_acquire(current_of(record), &old, value)); '
     'if (old) fh_rcu_retire(&old->rcu, value_free);',
     '} while (!cas_acq_rel_acquire(current_of(record), &old, value));'),
    ('record_freed_at_once', 'a value is freed under its readers',
     'asan:record', '&old, value)); if (old) fh_rcu_retire(&old->rcu, '
     'value_free);', '&old, value)); if (old) free(old);'),
    ('record_destroyed_at_once', 'the last value is freed under its readers',
     'asan:record', 'NULL); if (old) fh_rcu_retire(&old->rcu, value_free);',
     'NULL); if (old) free(old);'),
    ('record_read_outside', 'a read runs outside of any read section',
     'asan:record shaken-asan:record schedule:record',
     'int rc = 0; fh_rcu_read_lock();', 'int rc = 0;',
     'memcpy(buffer, data, found); fh_rcu_read_unlock();',
     'memcpy(buffer, data, found);'),
    ('record_stale_leaks', 'what was not published is lost', 'asan:record',
     'if (rc < 0) free(value); return rc;', 'return rc;'),
    ('record_unchecked', 'memory that is not there is written to', 'oom',
     'if (!value) return NULL; value->size = size;', 'value->size = size;'),
    ('record_no_room', 'publication asks nobody for room', 'rcu_bounds record',
     'rc = fh_room_take(&room, 1);', 'room.bounded = false; rc = 0;'),
    ('record_torn_copy', 'too short a buffer is filled', 'record asan:record',
     'else if (found > size) rc = -ENOSPC;', ''),
)

COUNTER = rows(
    'src/counter.c',
    ('counter_add_torn', 'an addition is a load and a store',
     'shaken:gap_cells',
     *apart('(uint64_t)[[add_relaxed(value, amount)]]')),
    ('counter_one_stripe_less', 'reading leaves out a stripe', 'counter',
     'for (i = 0; i < FH_COUNTER_STRIPES; i++)',
     'for (i = 0; i < FH_COUNTER_STRIPES - 1; i++)'),
    ('counter_stripes_moved', 'a thread does not keep its stripe',
     'gap_cells', 'if (unlikely(mine == 0))', 'if (1)'),
)

# What schedules alone can see.

MORE_STATUS = rows(
    'src/status.c',
    ('status_change_failure_relaxed', 'who is overtaken does not see by what',
     'schedule:status',
     'if (!cas_acq_rel_acquire(atomic_word(&cell->word), seen, '
     'changed(*seen, state)))',
     'if (!cas_acq_rel_relaxed(atomic_word(&cell->word), seen, '
     'changed(*seen, state)))'),
    ('status_state_stays', 'the old state stays in the word',
     'schedule:status', '(seen + EPOCH_ONE) & ~STATE_MASK & ~WAITERS',
     '(seen + EPOCH_ONE) & ~WAITERS'),
    ('status_epoch_overflows', 'the last epoch carries into the state',
     'schedule:status', '(seen + EPOCH_ONE) & ~STATE_MASK & ~WAITERS',
     '((seen & ~STATE_MASK) + EPOCH_ONE) & ~WAITERS'),
    ('status_wake_by_first_look', 'the waiters bit is judged before the '
     'change', 'schedule:status', 'while (!change(cell, &seen, state)) ; '
     'return 0;', 'uint64_t first = seen; while (!cas_acq_rel_acquire('
     'atomic_word(&cell->word), &seen, changed(seen, state))) ; '
     'if (first & WAITERS) fh_wake_all(low_half(cell)); return 0;'),
    ('status_set_once', 'a set that is overtaken gives up',
     'schedule:status', 'while (!change(cell, &seen, state)) ;',
     'change(cell, &seen, state);'),
    ('status_cas_once', 'an announcement makes a compare-exchange fail',
     'schedule:status', 'if (change(cell, &seen, state)) return 0; }',
     'if (change(cell, &seen, state)) return 0; return -EAGAIN; }'),
    ('status_cas_not_told', 'who lost is not told what there is',
     'schedule:status', '*expected = now; return -EAGAIN;',
     'return -EAGAIN;'),
    ('status_from_late', 'a transition tells what came after it',
     'schedule:status', 'if (from) *from = now;',
     'if (from) *from = fh_status_read(cell);'),
    ('status_announce_stored', 'a waiter may undo a change',
     'schedule:status',
     '!cas_acq_rel_acquire(atomic_word(&cell->word), &seen, '
     'seen | WAITERS)) return 0;',
     '(store_release(atomic_word(&cell->word), seen | WAITERS), false)) '
     'return 0;'),
    ('status_sleep_judges_late', 'a waiter sleeps on what it did not judge',
     'schedule:status', '(uint32_t)(seen | WAITERS), deadline',
     '(uint32_t)load_relaxed(atomic_word(&cell->word)), deadline'),
    ('status_other_half', 'waiters sleep on the half with the state',
     'schedule:status', '(const void *)bytes;', '(const void *)(bytes + 4);'),
    ('status_timeout_wins', 'a deadline hides the state that is there',
     'schedule:status',
     'if (reached(goal, now)) { rc = 0; break; } if (rc < 0) break;',
     'if (rc < 0) break; if (reached(goal, now)) break;'),
    ('status_woken_is_done', 'a waiter that woke does not look again',
     'schedule:status', 'rc = sleep_on(cell, word, deadline);',
     'rc = sleep_on(cell, word, deadline); if (rc == 0) { '
     'now = fh_status_unpack_(word_of(cell)); break; }'),
    ('status_change_by_state', 'a wait for change waits for a state',
     'schedule:status', 'goal->change ? now.epoch != goal->epoch',
     'goal->change ? now.state != 0'),
    ('status_seen_late', 'a wait tells what came after it',
     'schedule:status', 'if (seen) *seen = now; return rc;',
     'if (seen) *seen = fh_status_read(cell); return rc;'),
)
MORE_WAIT = rows(
    'src/wait.c',
    ('wait_poll_sleeps', 'a poll goes to sleep', 'schedule:wait',
     'if (deadline <= 0) return -ETIMEDOUT;',
     'if (deadline < 0) return -ETIMEDOUT;'),
    ('wait_wake_none', 'waking one wakes none', 'schedule:wait',
     'wake(word, 1);', 'wake(word, 0);'),
    ('wait_wake_all_one', 'waking all wakes one',
     'schedule:wait schedule:status', 'wake(word, INT_MAX);',
     'wake(word, 1);'),
    ('wait_no_deadline', 'no deadline is passed on',
     'schedule:wait schedule:status', 'timeout = &until;', ''),
)
MORE_RECORD = rows(
    'src/record.c',
    ('record_publish_failure_relaxed', 'a publisher that is overtaken reads '
     'a version too early', 'schedule:record',
     '} while (!cas_acq_rel_acquire(current_of(record), &old, value));',
     '} while (!cas_acq_rel_relaxed(current_of(record), &old, value));'),
    ('record_first_look_relaxed', 'a publisher reads a version too early',
     'schedule:record',
     'struct value *old = load_acquire(current_of(record));',
     'struct value *old = load_relaxed(current_of(record));'),
    ('record_publish_outside', 'a publisher reads a version outside of any '
     'section', 'schedule:record',
     'fh_rcu_read_lock(); rc = swap_in(record, version, value); '
     'fh_rcu_read_unlock();', 'rc = swap_in(record, version, value);'),
    ('record_copied_late', 'a value is filled after it is published',
     'schedule:record',
     'if (size) memcpy(value->data, data, size); return value;',
     'return value;', 'rc = swap_in(record, version, value);',
     'rc = swap_in(record, version, value); '
     'if (rc == 0) memcpy(value->data, data, size);'),
    ('record_versioned_late', 'a version is counted after publication',
     'schedule:record', 'value->version = found + 1;',
     'value->version = found;',
     'if (old) fh_rcu_retire(&old->rcu, value_free); return 0;',
     'value->version++; if (old) fh_rcu_retire(&old->rcu, value_free); '
     'return 0;'),
    ('record_in_place', 'a value of the same length is overwritten',
     'schedule:record', 'struct value *value = value_new(data, size);',
     'struct value *value = value_new(data, size); '
     'struct value *same = load_acquire(current_of(record)); '
     'if (value && same && size && same->size == size && '
     'version == FH_RECORD_ANY) { memcpy(same->data, data, size); '
     'same->version++; free(value); return 0; }'),
    ('record_read_leaves_early', 'a read leaves its section before the copy',
     'schedule:record', 'data = fh_record_get(record, &found, version);',
     'data = fh_record_get(record, &found, version); fh_rcu_read_unlock();',
     'memcpy(buffer, data, found); fh_rcu_read_unlock();',
     'memcpy(buffer, data, found);'),
    ('record_retired_twice', 'a value that was replaced is retired twice',
     'schedule:record',
     'value)); if (old) fh_rcu_retire(&old->rcu, value_free);',
     'value)); if (old) fh_rcu_retire(&old->rcu, value_free); '
     'if (old) fh_rcu_retire(&old->rcu, value_free);'),
    ('record_refused_leaks', 'what had no room is lost', 'schedule:record',
     'if (rc < 0) free(value);', 'if (rc == -ESTALE) free(value);'),
    ('record_destroy_leaves', 'a destroyed record still points at its value',
     'schedule:record', 'swap_acq_rel(current_of(record), NULL)',
     'load_acquire(current_of(record))'),
)
MORE_COUNTER = rows(
    'src/counter.c',
    ('counter_read_relaxed', 'a read acquires nothing', 'schedule:counter',
     'load_acquire(value_of(counter, i))',
     'load_relaxed(value_of(counter, i))'),
    ('counter_stripe_beyond', 'a stripe is dealt that no read adds',
     'schedule:counter', '% FH_COUNTER_STRIPES + 1;',
     '% (FH_COUNTER_STRIPES + 1) + 1;'),
    ('counter_add_old', 'an addition tells what was there before',
     'schedule:counter',
     'return (int64_t)((uint64_t)add_relaxed(value, amount) + '
     '(uint64_t)amount);', 'return add_relaxed(value, amount);'),
)

MUTANTS = (STATUS + WAIT + BASE + RECORD + COUNTER +
           MORE_STATUS + MORE_WAIT + MORE_RECORD + MORE_COUNTER)
