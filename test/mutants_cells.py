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
     'shaken:status_wait',
     *apart('![[cas_acq_rel_acquire(atomic_word(&cell->word), &seen, '
            'seen | WAITERS)]])')),
    ('status_announce_forgotten', 'a waiter sleeps without the waiters bit',
     'status_wait', 'if (!(seen & WAITERS) &&', 'if (0 &&'),
    ('status_wake_omitted', 'a change wakes nobody', 'status_wait',
     'if (*seen & WAITERS) fh_wake_all(low_half(cell));', ''),
    ('status_wake_one', 'a change wakes one waiter of several',
     'status_wait', 'fh_wake_all(low_half(cell))',
     'fh_wake_one(low_half(cell))'),
    ('status_wake_before', 'the waiters are woken before the change',
     'shaken:status_wait', 'if (!cas_acq_rel_acquire',
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
     'status_wait', '(goal->states & FH_STATE(now.state)) != 0',
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
     'shaken:status_wait status_wait',
     'seen, timeout, NULL,',
     '*(const volatile uint32_t *)word, timeout, NULL,'),
    ('wait_timeout_unsaid', 'a deadline that passed is "look again"',
     'rcu_bounds rcu',
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
     'shaken:record', *apart(SWAP_IN)),
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

MUTANTS = STATUS + WAIT + BASE + RECORD + COUNTER
