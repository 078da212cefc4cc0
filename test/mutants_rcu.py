# SPDX-License-Identifier: MIT
"""Mutants of the rcu room: threads, batches, bounds, the worker, fork."""

from mutant import apart, rows, weaker

INLINE = rows(
    'include/freehold/rcu.h',
    ('inline_section_nothing', 'an inline section keeps nobody waiting',
     'rcu', 'FH_INLINE_STORE_RELAXED(fh_rcu_self_.count, count);',
     '(void)count;',
     'FH_INLINE_STORE_RELAXED(fh_rcu_self_.count, *fh_rcu_self_.count - 1);',
     ';'),
    ('inline_nest_lost', 'the end of an inner section ends the outer one',
     'rcu', 'count++;',
     'count = FH_INLINE_LOAD_RELAXED(fh_rcu_self_.phase);'),
    ('inline_no_wake', 'nobody tells a grace period that the last left',
     'rcu', '== -1)) fh_rcu_wake_();', '== -1)) {}'),
)

THREADS = rows(
    'src/rcu.c',
    ('rcu_section_nothing', 'a read section keeps nobody waiting',
     'schedule-rcu:rcu', 'flavour_read_lock(&thread->nest);', ';',
     'flavour_read_unlock(&self.nest);', ';'),
    ('rcu_self_kept', 'a thread that has ended its use reads the short way',
     'rcu_unhooked fault_exit rcu_edges gap_unhooked',
     'fh_rcu_self_.count = NULL;', ''),
    ('rcu_no_grace_period', 'a grace period waits for nobody', 'rcu',
     'flavour_synchronize(); fence_seq_cst();', 'fence_seq_cst();'),
    ('rcu_unhooked_uncounted', 'an unhooked reader is not counted',
     'rcu_unhooked', 'add_seq_cst(&unhooked_readers, 1u);', ';',
     'sub_acq_rel(&unhooked_readers, 1u);', ';'),
    ('rcu_unhooked_add_torn', 'unhooked readers are counted by load and '
     'store',
     'schedule-rcu:rcu',
     *apart('[[add_seq_cst(&unhooked_readers, 1u)]];')),
    ('rcu_unhooked_sub_torn', 'unhooked readers leave by load and store',
     'schedule-rcu:rcu',
     *apart('[[sub_acq_rel(&unhooked_readers, 1u)]];')),
    ('rcu_unhooked_no_fence', 'an unhooked reader counts itself too late',
     'schedule-rcu:rcu',
     *weaker('[[add_seq_cst(&unhooked_readers, 1u)]];'),
     'thread->nest++ == 0)', 'thread->nest++ == 0)',
     'fence_seq_cst(); } static __attribute__((noinline)) void '
     'unhooked_unlock', '} static __attribute__((noinline)) void '
     'unhooked_unlock'),
    ('rcu_unhooked_leaves_relaxed', 'an unhooked reader is gone before its '
     'last load', 'schedule-rcu:rcu',
     *weaker('[[sub_acq_rel(&unhooked_readers, 1u)]];')),
    ('rcu_unhooked_flat', 'an inner section of an unhooked reader ends the '
     'outer', 'rcu_unhooked', 'if (thread->nest && --thread->nest == 0)',
     'if (thread->nest && --thread->nest >= 0)'),
    ('rcu_unhooked_not_awaited', 'grace periods overlook unhooked readers',
     'rcu_unhooked', 'while (unlikely(load_seq_cst(&unhooked_readers))) '
     'nanosleep(&pause, NULL);', ''),
    ('rcu_exit_loses_batch', 'what an exiting thread had retired is lost',
     'rcu', 'fh_thread_leaves(thread);',
     'memset(&thread->batch, 0, sizeof(thread->batch));',
     '#include <time.h>', '#include <time.h>\n#include <string.h>\n'),
    ('rcu_exit_stays', 'a thread that is gone stays in the list',
     'schedule-rcu:rcu_drain rcu',
     '*thread->link = thread->next; if (thread->next) '
     'thread->next->link = thread->link;', ''),
    ('rcu_exit_registered', "liburcu's list keeps threads that are gone",
     'rcu rcu_edges', 'flavour_unregister();', ''),
    ('rcu_exit_forgotten', 'a thread whose hook has run registers again',
     'rcu_edges', 'thread->exited = true;', ''),
    ('rcu_fork_unwatched', 'the fork handlers are left out',
     'schedule-rcu:rcu_drain rcu_fork',
     'pthread_atfork(before_fork, after_fork_parent, after_fork_child);',
     '(void)before_fork, (void)after_fork_parent, (void)after_fork_child;'),
    ('rcu_fork_readers_stay', "the child waits for the parent's readers",
     'rcu_fork', 'flavour_forget(thread->reader);', ''),
    ('rcu_fork_garbage_lost', 'what threads had retired is lost in the child',
     'gap_rcu', 'fh_thread_vanished(thread);', ''),
    ('rcu_fork_not_counted', "the child keeps the parent's counts",
     'schedule-rcu:rcu_drain', 'fh_reclaim_recount(&self);', ''),
    ('rcu_fork_busy_unwatched', 'fork does not wait for busy batches',
     'schedule-rcu:rcu_drain',
     'fh_batch_wait_busy(&thread->batch);', ';',
     'fh_batch_end_busy(&thread->batch);', ';',
     'fh_batch_end_busy(&self.batch);', ';'),
    ('rcu_fork_parent_busy', 'the parent stays busy after a fork',
     'rcu_fork', 'fh_batch_end_busy(&thread->batch);', ';'),
    ('rcu_fork_child_busy', 'the child stays busy after a fork',
     'schedule-rcu:rcu_drain rcu_fork',
     'fh_batch_end_busy(&self.batch);', ';'),
    ('rcu_fork_unhooked_stay', 'the child waits for unhooked readers of the '
     'parent',
     'gap_unhooked',
     'store_relaxed(&unhooked_readers, 0u);', ''),
    ('rcu_fork_list_stays', "the child keeps the parent's threads",
     'rcu_fork', 'fh_threads = NULL; if (self.mode == FH_THREAD_REGISTERED) '
     '{ fh_threads = &self; self.next = NULL;',
     'if (self.mode == FH_THREAD_REGISTERED) {'),
)

OPEN = 'list = [[swap_acq_rel(&batch->open, NULL)]];'
PUSH = 'while (![[cas_acq_rel_relaxed(&batch->open, &top, first)]]);'

BATCH = rows(
    'src/batch.c',
    ('batch_push_torn', 'a retired object is pushed by load and store',
     'shaken:rcu schedule-rcu:rcu_drain', *apart(PUSH)),
    ('batch_push_no_release', 'an object is pushed before its link is there',
     'schedule-rcu:rcu_drain', *weaker(PUSH)),
    ('batch_take_relaxed', 'a list is taken before its links are there',
     'explained: the fence after it acquires what it read', *weaker(OPEN)),
    ('batch_take_torn', 'a list is taken by load and store',
     'schedule-rcu:rcu', *apart(OPEN)),
    ('batch_give_torn', 'a list is given away by load and store',
     'shaken:rcu schedule-rcu:rcu_drain',
     *apart('open = [[swap_acq_rel(&batch->open, NULL)]]; push_common')),
    ('batch_seal_no_fence', 'started is read before the list is taken',
     'schedule-rcu:rcu', 'fence_seq_cst(); cookie = '
     'load_seq_cst(&fh_gp_started) + 1;',
     'cookie = load_relaxed(&fh_gp_started) + 1;',
     *weaker(OPEN)),
    ('batch_cookie_early', 'a grace period that runs already is enough',
     'gap_rcu schedule-rcu:rcu', 'cookie = load_seq_cst(&fh_gp_started) + 1;',
     'cookie = load_seq_cst(&fh_gp_started); cookie += cookie == 0;'),
    ('batch_not_waited', 'no grace period is awaited',
     'gap_rcu',
     'load_acquire(&fh_gp_completed) < cookie)', '0)'),
    ('batch_completed_relaxed', 'what readers did is not ordered before '
     'reclamation', 'schedule-rcu:rcu',
     *weaker('[[load_acquire(&fh_gp_completed)]] < cookie)')),
    ('batch_busy_torn', 'two threads hold one batch',
     'schedule-rcu:rcu_drain',
     *apart('return ![[swap_acquire(&batch->busy, true)]];')),
    ('batch_busy_no_acquire', 'a batch is looked at before it is held',
     'schedule-rcu:rcu_drain',
     *weaker('return ![[swap_acquire(&batch->busy, true)]];')),
    ('batch_busy_no_release', 'a batch is let go before it is in order',
     'schedule-rcu:rcu_drain',
     *weaker('[[store_release(&batch->busy, false)]];')),
    ('batch_report_torn', 'two that report for a thread count twice',
     'schedule-rcu:rcu_bounds',
     *apart('now - [[swap_acq_rel(&thread->reported, now)]]')),
    ('batch_pending_torn', 'the pending count is raised by load and store',
     'shaken:rcu_room rcu_room',
     *apart('return [[add_relaxed(&fh_counts.pending, more)]] + more;')),
    ('batch_pending_stays', 'what was reclaimed still counts as pending',
     'rcu_bounds', 'add_relaxed(&fh_counts.pending, -(int64_t)thread->ran);',
     ''),
    ('batch_exit_keeps_room', 'a thread that is gone still holds room',
     'rcu_room', '-(int64_t)(thread->credit + thread->held)', '0'),
    ('batch_exit_unreported', 'what a thread retired is not counted when it '
     'is gone', 'rcu_stats rcu rcu_room',
     'add_relaxed(&fh_counts.retired, load_relaxed(&thread->retired));', ''),
    ('batch_room_not_aside', 'what reclaim functions retire uses up room '
     'that an operation holds',
     'gap_room',
     'thread->held = thread->credit;', 'thread->held = 0;',
     'thread->credit = 0; thread->reclaiming = true;',
     'thread->reclaiming = true;'),
    ('batch_room_lost', 'running reclaim functions loses room',
     'rcu_room', 'thread->credit += thread->held;', ''),
    ('batch_reclaims_within', 'a reclaim function is called inside another',
     'rcu', 'thread->reclaiming = true;', ''),
    ('batch_run_not_kept', 'a reclaim function that ends its thread runs '
     'twice', 'rcu_edges asan:rcu_edges',
     'store_relaxed(&batch->ready, next);', ''),
    ('batch_common_unsaid', 'a drain is not told that it is done',
     'rcu', 'add_acq_rel(&fh_counts.common_done, 1u);', ''),
    ('batch_common_unwoken', 'a drain is not woken',
     'schedule-rcu:rcu_drain rcu rcu_edges',
     'fh_wake_all(&fh_counts.common_done);', ''),
    ('batch_common_relaxed', 'a drain ends before what it waited for is seen',
     'schedule-rcu:rcu_drain',
     *weaker('[[add_acq_rel(&fh_counts.common_done, 1u)]];')),
    ('batch_ran_relaxed', 'a drain ends before a run that it waited for is '
     'seen', 'schedule-rcu:rcu_drain',
     *weaker('[[store_release(&batch->ticket, 0u)]];')),
    ('batch_no_ticket', 'nobody knows that reclaim functions are running',
     'rcu rcu_edges',
     'add_relaxed(&fh_counts.tickets, 1u) + 1);', '0);'),
    ('batch_exit_waiting_lost', 'a sealed list is lost when its thread exits',
     'rcu', 'push_common(load_relaxed(&batch->waiting));', ''),
    ('batch_exit_open_lost', 'an open list is lost when its thread exits',
     'rcu', 'push_common(open);', '(void)open;'),
    ('batch_exit_rest_lost', 'a run that an exit cut short is lost',
     'rcu_edges', 'store_relaxed(&batch->ready, NULL); push_common(rest);',
     'store_relaxed(&batch->ready, NULL); (void)rest;'),
    ('batch_exit_stray_unsaid', 'a drain does not hear of a run cut short',
     'rcu_edges', 'add_relaxed(&fh_counts.strays, 1u);', ''),
    ('batch_worker_rest_lost', 'what the worker was running is lost when a '
     'reclaim function ends it', 'rcu_edges',
     'if (thread->worker) take_over_run(&fh_common);', ''),
    ('batch_fork_done_lost', "the child's drains reckon with the parent's "
     'batches',
     'schedule-rcu:rcu_drain',
     'store_relaxed(&fh_counts.common_done, '
     '(uint32_t)load_relaxed(&fh_common.sealed) - '
     '(load_relaxed(&fh_common.waiting) != NULL));', ''),
)

RECLAIM = rows(
    'src/reclaim.c',
    ('reclaim_at_once', 'what is retired is reclaimed at once', 'rcu',
     'fh_point("rcu.retire");',
     'if (!fh_rcu_only_free(head)) { head->reclaim(head); return; }'),
    ('reclaim_bound_off_by_one', 'one object more than the hard bound',
     'rcu_bounds', 'if (sum + (int64_t)objects > (int64_t)bound)',
     'if (sum + (int64_t)objects > (int64_t)bound + 1)'),
    ('reclaim_room_torn', 'room is made by load and store',
     'shaken:rcu_room rcu_room',
     *apart('while (hold && ![[cas_acq_rel_relaxed(&fh_counts.pending, &sum, '
            'sum + (int64_t)objects)]]);')),
    ('reclaim_room_not_held', 'room is looked for and not held',
     'gap_room', 'bool hold = thread->mode == FH_THREAD_REGISTERED;',
     'bool hold = false;'),
    ('reclaim_room_per_unhooked', 'an unhooked thread holds room for ever',
     'rcu_unhooked', 'bool hold = thread->mode == FH_THREAD_REGISTERED;',
     'bool hold = true;'),
    ('reclaim_admit_all', 'admit lets everything pass', 'rcu_bounds',
     'if (likely(bound == 0)) return 0; thread = fh_thread_self(); '
     'lower_credit', 'if (1) return 0; thread = fh_thread_self(); '
     'lower_credit'),
    ('reclaim_admit_adds', 'admitting twice holds twice the room',
     'rcu_room rcu_bounds', 'make_room(objects - thread->credit, bound, hold)',
     'make_room(objects, bound, hold)'),
    ('reclaim_refused_uncounted', 'refusals are not counted', 'rcu_bounds',
     'add_relaxed(&refused, 1u);', ''),
    ('reclaim_room_not_returned', 'an operation keeps the room that it did '
     'not use',
     'gap_room',
     'lower_credit(thread, rest > keep ? rest : keep);',
     '(void)rest, (void)keep;'),
    ('reclaim_room_keeps_nothing', 'what is handed to the caller has no room',
     'gap_room',
     'lower_credit(thread, rest > keep ? rest : keep);',
     'lower_credit(thread, rest), (void)keep;'),
    ('reclaim_inner_room', "an inner operation gives back the outer's room",
     'gap_room',
     'rest = room->before > used ? room->before - used : 0;', 'rest = 0;'),
    ('reclaim_covered_uncounted', 'a retirement into room held counts twice',
     'rcu_room', 'store_relaxed(&thread->covered, '
     'load_relaxed(&thread->covered) + 1);', ''),
    ('reclaim_over_soft_uncounted', 'the excess over the soft bound is not '
     'counted', 'rcu_bounds', 'add_relaxed(&over_soft, more);', '(void)more;'),
    ('reclaim_first_unnoticed', 'nobody is told of the first retirement',
     'schedule-rcu:rcu gap_rcu', 'if (first || unlikely(!fh_worker_runs())) '
     'fh_worker_notice();',
     '(void)first;'),
    ('reclaim_later_unnoticed', 'the worker does not hear of its own work',
     'schedule-rcu:rcu gap_unhooked', 'fh_batch_push(&fh_common, head, head); '
     'fh_worker_notice();', 'fh_batch_push(&fh_common, head, head);'),
    ('reclaim_never_sealed', 'a batch is not handed on when it is full',
     'gap_rcu', 'if (unlikely(due(thread)) && '
     '!thread->reclaiming) {', 'if (0) {'),
    ('reclaim_flush_nothing', 'flush does nothing',
     'gap_rcu',
     'fh_thread_report(thread); thread->unsealed = 0; '
     'fh_batch_turn(&thread->batch);', ''),
    ('reclaim_unhooked_batch', "an unhooked thread's batch goes with it",
     'rcu_unhooked', 'if (unlikely(thread->mode != FH_THREAD_REGISTERED)) { '
     'retire_common(head); return; }', ''),
    ('reclaim_bound_of_one', 'a hard bound of one is taken', 'rcu_bounds',
     'if (hard == 1) return -EINVAL;', ''),
    ('reclaim_reader_unnamed', 'the reader in the way is not named',
     'rcu_stats', 'stats->oldest_reader = thread->tid;', ''),
    ('reclaim_reader_innocent', 'a reader that came later is blamed',
     'rcu_stats', 'if (runs && fh_thread_holds_back(thread))', 'if (runs)'),
    ('reclaim_stats_start_nothing', 'statistics name a reader for no time',
     'rcu_stats', 'fh_gp_want(load_seq_cst(&fh_gp_started) + 1);', ';'),
)

WORKER = rows(
    'src/worker.c',
    ('worker_completes_early', 'a grace period is complete before readers '
     'have left',
     'gap_rcu',
     'fh_rcu_synchronize();', 'store_release(&fh_gp_completed, number); '
     'fh_rcu_synchronize();'),
    ('worker_starts_late', 'a grace period begins after its readers were '
     'looked for',
     'gap_rcu schedule-rcu:rcu',
     'store_seq_cst(&fh_gp_started, number); fence_seq_cst(); '
     'fh_point("gp.started"); fh_rcu_synchronize();',
     'fh_rcu_synchronize(); store_seq_cst(&fh_gp_started, number); '
     'fence_seq_cst();'),
    ('worker_started_relaxed', 'started is stored after readers were looked '
     'for', 'schedule-rcu:rcu',
     'store_seq_cst(&fh_gp_started, number); fence_seq_cst();',
     'store_relaxed(&fh_gp_started, number);'),
    ('worker_completed_relaxed', 'what readers did is not ordered before '
     'the end of a grace period',
     'explained: a fence comes between the grace period and the store',
     *weaker('[[store_release(&fh_gp_completed, number)]];')),
    ('worker_want_lost', 'of two wishes the lower one may stay',
     'schedule-rcu:rcu', *apart('![[cas_acq_rel_relaxed(&gp_wanted, &wanted, '
                              'cookie)]])')),
    ('worker_never_called', 'nobody wakes the worker',
     'gap_rcu',
     'if (load_relaxed(&worker_sleeps) != AWAKE && '
     'swap_acq_rel(&worker_sleeps, AWAKE) != AWAKE) '
     'fh_wake_one(&worker_sleeps);', ''),
    ('worker_call_no_fence', 'a call looks for a sleeper before it is made',
     'schedule-rcu:rcu',
     'store_relaxed(&worker_called, true); fence_seq_cst();',
     'store_relaxed(&worker_called, true);'),
    ('worker_notice_no_fence', 'work looks for a sleeper before it is there',
     'schedule-rcu:rcu', 'void fh_worker_notice(void) { fence_seq_cst();',
     'void fh_worker_notice(void) {'),
    ('worker_sleep_no_fence', 'the worker looks for work before it has '
     'announced its sleep', 'schedule-rcu:rcu_drain',
     'store_seq_cst(&worker_sleeps, how); fence_seq_cst();',
     'store_relaxed(&worker_sleeps, how);'),
    ('worker_sleeps_blindly', 'the worker does not look once more before it '
     'sleeps',
     'schedule-rcu:rcu',
     'work = load_relaxed(&worker_called) || is_wanted() || (how == ASLEEP '
     '&& anything_retired());', 'work = false;'),
    ('worker_sweeps_nothing', 'what lies in idle batches stays there', 'rcu',
     'if (idle) { fh_thread_report_other(thread); '
     'fh_batch_give_away(batch); }',
     ''),
    ('worker_common_unturned', 'the common batch is never run', 'rcu',
     'if (is_wanted()) grace_period(); fh_batch_turn(&fh_common);',
     'if (is_wanted()) grace_period();',
     'pthread_mutex_unlock(&fh_threads_lock); fh_batch_turn(&fh_common); '
     'return left', 'pthread_mutex_unlock(&fh_threads_lock); return left'),
    ('worker_ended_unsaid', 'a worker that a reclaim function ended is not '
     'missed',
     'schedule-rcu:rcu_drain rcu_edges',
     'store_relaxed(&worker_state, ABSENT); } '
     'static void *worker_main', '} static void *worker_main'),
    ('worker_failure_sticks', 'a worker that could not be created is not '
     'tried again', 'oom', 'store_relaxed(&worker_state, ABSENT); '
     'add_relaxed(&fh_worker_failures, 1u);',
     'add_relaxed(&fh_worker_failures, 1u);'),
    ('worker_failure_uncounted', 'a worker that could not be created is not '
     'counted', 'oom', 'add_relaxed(&fh_worker_failures, 1u);', ';'),
    ('worker_takes_signals', "the program's signals reach the worker",
     'gap_rcu', 'sigfillset(&all);', 'sigemptyset(&all);'),
    ('worker_gp_unlocked', 'two grace periods run at once',
     'explained: numbers may repeat and go back, and who waits then runs '
     'another; liburcu has a lock of its own, and fork is another mutant',
     'pthread_mutex_lock(&gp_lock); '
     'number = load_relaxed', 'number = load_relaxed',
     'store_release(&fh_gp_completed, number); '
     'pthread_mutex_unlock(&gp_lock);',
     'store_release(&fh_gp_completed, number);'),
    ('drain_returns', 'a drain waits for nothing', 'rcu',
     'return (int32_t)(done - target) >= 0;',
     '(void)done, (void)target; return true;'),
    ('drain_one_short', 'a drain waits for one batch too few', 'rcu',
     '(load_relaxed(&fh_common.open) != NULL);', '0;'),
    ('drain_gathers_nothing', "a drain forgets the threads' batches", 'rcu',
     'fh_thread_report_other(thread); '
     'fh_batch_give_away(&thread->batch); } '
     'pthread_mutex_unlock', '} pthread_mutex_unlock'),
    ('drain_leaves_running', 'a drain does not wait for reclaim functions '
     'on other threads', 'rcu rcu_edges',
     'while (rc == 0 && still_running(ticket))',
     'while (0 && still_running(ticket))'),
    ('drain_forgets_strays', 'a drain does not start over when a run was '
     'cut short', 'rcu_edges',
     'while (rc == 0 && strays != load_relaxed(&fh_counts.strays));',
     'while (0);'),
    ('drain_in_section', 'a drain inside a read section waits for itself',
     'schedule-rcu:rcu_drain rcu',
     'if (fh_rcu_reading() || thread->reclaiming)',
     'if (thread->reclaiming)'),
    ('drain_in_reclaim', 'a drain inside a reclaim function waits for itself',
     'rcu', 'if (fh_rcu_reading() || thread->reclaiming)',
     'if (fh_rcu_reading())'),
    ('drain_beyond_deadline', 'a drain without worker waits for readers '
     'beyond its deadline', 'oom',
     'if (fh_now() >= deadline) return -ETIMEDOUT; nanosleep(&pause, NULL); '
     '} grace_period();', 'nanosleep(&pause, NULL); } grace_period();'),
    ('drain_too_soon', 'a drain without worker begins a grace period that '
     'its deadline does not bound', 'oom',
     'while (!all_were_idle(look)) {', 'while (0) {'),
    ('worker_fork_believed', 'the child believes that it has a worker',
     'rcu_fork', 'store_relaxed(&worker_state, ABSENT); '
     'store_relaxed(&worker_sleeps, AWAKE);', ''),
    ('worker_fork_unlocked', 'fork does not wait for a grace period',
     'rcu_fork shaken:rcu_fork@100 schedule-rcu:rcu_drain',
     'pthread_mutex_lock(&gp_lock); fh_batch_wait_busy(&fh_common);',
     'fh_batch_wait_busy(&fh_common);',
     'fh_batch_end_busy(&fh_common); pthread_mutex_unlock(&gp_lock);',
     'fh_batch_end_busy(&fh_common);'),
)

# What schedules alone can see.

GIVE = 'open = [[swap_acq_rel(&batch->open, NULL)]]; push_common'
D = 'schedule-rcu:rcu_drain'
R = 'schedule-rcu:rcu'
B = 'schedule-rcu:rcu_bounds'

MORE_BATCH = rows(
    'src/batch.c',
    ('batch_give_relaxed', 'a list is given away before its links are there',
     D, *weaker(GIVE)),
    ('batch_turn_unwished', 'what is sealed asks for no grace period', R,
     'if (cookie) fh_gp_want(cookie);', '(void)cookie;'),
    ('batch_seal_unheld', 'a batch is sealed when it is no longer held', D,
     'ripe = ripen(batch); cookie = seal(batch); fh_batch_end_busy(batch);',
     'ripe = ripen(batch); fh_batch_end_busy(batch); cookie = seal(batch);'),
    ('batch_give_twice', 'a sealed list stays where it was given away', D,
     'push_common(load_relaxed(&batch->waiting)); '
     'store_relaxed(&batch->waiting, NULL);',
     'push_common(load_relaxed(&batch->waiting));'),
    ('batch_cookie_completed', 'the cookie names a grace period that runs', R,
     'cookie = load_seq_cst(&fh_gp_started) + 1;',
     'cookie = load_relaxed(&fh_gp_completed) + 1;'),
    ('batch_ripens_twice', 'a run is overwritten by the next', B,
     'if (cookie == 0 || load_relaxed(&batch->ticket) ||',
     'if (cookie == 0 ||'),
    ('batch_common_torn', 'two ends of common runs count once', B,
     *apart('[[add_acq_rel(&fh_counts.common_done, 1u)]]')),
    ('batch_common_no_release', 'a drain ends before the run is seen', D,
     *weaker('[[add_acq_rel(&fh_counts.common_done, 1u)]]', 'acquire')),
    ('batch_ran_pending_torn', 'what ran is taken off by load and store', B,
     *apart('[[add_relaxed(&fh_counts.pending, '
            '-(int64_t)thread->ran)]];')),
    ('batch_reclaimed_torn', 'what ran is counted by load and store', B,
     *apart('[[add_relaxed(&fh_counts.reclaimed, thread->ran)]];')),
    ('batch_vanished_busy', 'a vanished thread leaves its batch busy', D,
     'close_accounts(thread); fh_batch_end_busy(&thread->batch);',
     'close_accounts(thread);'),
    ('batch_left_run', 'what an exiting thread was running is lost', D,
     'fh_batch_give_away(&thread->batch); take_over_run(&thread->batch); if',
     'fh_batch_give_away(&thread->batch); if'),
    ('batch_fork_common_run', 'a run of common stays begun in the child', D,
     'take_over_run(&fh_common); store_relaxed(&fh_counts.common_done',
     'store_relaxed(&fh_counts.common_done'),
    ('batch_other_backwards', 'an old look takes a report back', B,
     'if (more <= 0) return; add_relaxed', 'add_relaxed'),
    ('batch_other_torn', 'a report for another counts twice', B,
     *apart('if (![[cas_acq_rel_relaxed(&thread->reported, &seen, now)]])')),
    ('batch_other_no_acquire', 'room that was used up counts twice', B,
     *weaker('retired = [[load_acquire(&thread->retired)]];')),
)

MORE_RECLAIM = rows(
    'src/reclaim.c',
    ('reclaim_retired_relaxed', 'what is covered is seen after what is '
     'retired', B, *weaker('[[store_release(&thread->retired, '
                           'load_relaxed(&thread->retired) + 1)]];')),
    ('reclaim_bounds_unreported', 'a new bound forgets what was retired', B,
     'fh_thread_report_other(thread);', '(void)thread;'),
    ('reclaim_admit_unreported', 'admit forgets what the thread retired', B,
     'fh_thread_report(thread); if (raise_credit', 'if (raise_credit'),
    ('reclaim_lower_torn', 'room is given back by load and store', B,
     *apart('[[add_relaxed(&fh_counts.pending, '
            '(int64_t)objects - (int64_t)thread->credit)]];')),
    ('reclaim_lower_nothing', 'room that is given back stays counted', B,
     'add_relaxed(&fh_counts.pending, '
     '(int64_t)objects - (int64_t)thread->credit);', ''),
    ('reclaim_credit_unspent', 'a retirement does not use room up', B,
     'thread->credit--;', ';'),
)

MORE_RCU = rows(
    'src/rcu.c',
    ('rcu_unhooked_late', 'an unhooked reader counts itself too late', R,
     'add_seq_cst(&unhooked_readers, 1u); fence_seq_cst();',
     '{ add_relaxed(&unhooked_readers, 1u); }'),
    ('rcu_unhooked_seen_relaxed', 'a grace period does not see what readers '
     'did', R, *weaker('unlikely([[load_seq_cst(&unhooked_readers)]])')),
    ('rcu_enrol_within', 'an unhooked reader registers inside its section', R,
     'if (thread->nest || thread->exited)', 'if (thread->exited)'),
    ('rcu_exit_section', 'the end of a thread does not end its section',
     'fault_exit', 'while (flavour_reading(&thread->nest)) '
     'flavour_read_unlock(&thread->nest);', ''),
)

MORE_WORKER = rows(
    'src/worker.c',
    ('worker_fork_unwished', 'the child forgets the wish of who is gone', D,
     'want(load_relaxed(&fh_common.cookie));', ''),
    ('worker_kick_uncalled', 'a call is not left for a worker awake', D,
     'store_relaxed(&worker_called, true); fence', 'fence'),
    ('worker_call_taken_late', 'a call is taken after its work', D,
     'swap_seq_cst(&worker_called, false); if (is_wanted()) grace_period(); '
     'fh_batch_turn(&fh_common); now',
     'if (is_wanted()) grace_period(); fh_batch_turn(&fh_common); '
     'swap_seq_cst(&worker_called, false); now'),
    ('worker_sleep_uncalled', 'the last look forgets calls', D,
     'work = load_relaxed(&worker_called) || is_wanted() ||',
     'work = is_wanted() ||'),
    ('worker_sleep_unlooked', 'the last look forgets garbage', R,
     '|| (how == ASLEEP && anything_retired())', ''),
    ('worker_starting_trusted', 'a drain sleeps for a worker that never comes',
     B, 'fh_worker_runs(void) { return load_relaxed(&worker_state) == '
     'RUNNING;', 'fh_worker_runs(void) { return '
     'load_relaxed(&worker_state) != ABSENT;'),
    ('worker_request_lost', 'a request that meets a failing one is lost',
     'fault_create', 'store_relaxed(&asked, true);',
     'store_relaxed(&asked, load_relaxed(&worker_state) == ABSENT);'),
    ('drain_done_relaxed', 'what a drain waited for is not seen', D,
     *weaker('uint32_t done = [[load_acquire(&fh_counts.common_done)]];')),
    ('drain_ticket_relaxed', 'what ran elsewhere is not seen', D,
     *weaker('its = [[load_acquire(&thread->batch.ticket)]];')),
    ('drain_unkicked', 'a drain waits for the next tick', D,
     'fh_worker_notice(); fh_worker_kick();', 'fh_worker_notice();'),
)

MUTANTS = (INLINE + THREADS + BATCH + RECLAIM + WORKER +
           MORE_BATCH + MORE_RECLAIM + MORE_RCU + MORE_WORKER)
