# SPDX-License-Identifier: MIT
"""Mutants that a look at refusals, at disturbed waits, and at pairs that no
schedule had, brought to light."""

from mutant import rows, weaker

NO_ROOM_FOR = 'if (fh_room_take(&room, 1)) return -EDQUOT;'
HALF = ('close_quietly(&supervisor->bell); close_quietly(&supervisor->epoll); '
        'return -ENOBUFS;')
LISTEN = ('if (epoll_wait(supervisor_of(servers)->epoll, &event, 1, '
          'milliseconds_until(agenda.next)) == 1) '
          'answer(servers, event.data.u64);')
# By chance a machine with much else to do keeps the garbage low by itself.
SOFT = 'rcu_bounds rcu_bounds@50 rcu_bounds@100'
STALE_BITS = '& STALE);'
MARKED = ('explained: a sweep needs it that meets the mark of a later one on a '
          'server that it has not closed itself; no schedule comes there '
          'within its bounds')

MUTANTS = [
    *rows(
        'src/hash.c',
        ('hash_seed_interrupted', 'an interruption is taken for no randomness',
         'fault_system', 'if (got < 0 && errno == EINTR) continue;', ''),
        ('hash_seed_over_itself', 'what comes in pieces lies one over the '
         'other', 'fault_system', 'to += got;', ''),
        ('hash_seed_in_part', 'a part of a seed is taken for all',
         'fault_system', 'left -= (size_t)got;', 'left = 0;'),
        ('hash_seed_none', 'a seed that nobody gave', 'fault_system',
         'if (got <= 0) return -EIO;', 'if (got <= 0) break;'),
    ),
    *rows(
        'src/reclaim.c',
        ('reclaim_no_help', 'nobody helps past the soft bound', SOFT,
         'add_relaxed(&over_soft, more); help(thread);',
         'add_relaxed(&over_soft, more);'),
        ('reclaim_no_yield', 'who helps does not yield', SOFT,
         'fh_worker_kick(); sched_yield();', 'fh_worker_kick();'),
    ),
    *rows(
        'src/observers.c',
        ('observers_no_room', 'an observer is added past the bound',
         'arc_observe', 'rc = fh_room_take(&room, 1);',
         'fh_room_take(&room, 1); rc = 0;'),
    ),
    *rows(
        'src/log_message.c',
        ('log_read_wait_late', 'a deadline is told as "no data"',
         'schedule:log', 'return rc < 0 ? rc : fh_log_read(',
         'return rc < 0 && rc != -ETIMEDOUT ? rc : fh_log_read('),
        ('log_read_wait_any', 'who reads waits for any message',
         'schedule:log', 'fh_log_wait(log, *cursor, deadline)',
         'fh_log_wait(log, 0, deadline)'),
    ),
    *rows(
        'src/task.c',
        ('task_take_apart', 'an output is given twice',
         'schedule-task:task_pairs',
         'if (swap_relaxed(&task->taken, true)) return -EALREADY;',
         'if (load_relaxed(&task->taken)) return -EALREADY; '
         'store_relaxed(&task->taken, true);'),
        ('task_output_looks_early', 'an outsider reads what the task has set',
         'schedule-task:task_pairs',
         '*own = &task->own.report, before;',
         '*own = &task->own.report, before = *own;', ' before = *own; own',
         ' own'),
    ),
    *rows(
        'src/task_submit.c',
        ('task_finds_over', 'a task that ended is found',
         'schedule-task:task_pairs',
         'if (state > FH_TASK_RUNNING || !fh_task_try_hold(task))',
         '(void)state; if (!fh_task_try_hold(task))'),
    ),
    *rows(
        'src/task_rules.c',
        ('task_waits_for_first', 'a wait for all is one for the first',
         'schedule-task:task_pairs', 'fh_task_wait(task[i], deadline, NULL)',
         'fh_task_wait(task[0], deadline, NULL)'),
        ('task_join_by_day', 'a thread is joined by the time of day',
         'fault_clock', 'CLOCK_MONOTONIC, &until)',
         'CLOCK_REALTIME, &until)'),
    ),
    *rows(
        'src/task_state.c',
        ('task_asked_twice', 'a task is asked twice',
         'schedule-task:task_pairs',
         'if (seen.state & TASK_ASKED) return -EALREADY;', ''),
    ),
    *rows(
        'src/task_life.c',
        ('task_eio', '-EIO, which nobody promised', 'fault_system',
         'return rc == -EIO ? -ENOMEM : rc;', 'return rc;'),
    ),
    *rows(
        'src/task_main.c',
        ('task_main_once', 'a wake without a cause ends the main queue',
         'fault_futex',
         'while (!fh_tasks_are_drained(tasks) && rc == 0) {',
         'if (!fh_tasks_are_drained(tasks)) {'),
    ),
    *rows(
        'src/server_stop.c',
        ('server_sweep_unmarked', 'what came meanwhile is taken for one that '
         'would not stop', 'schedule:server_all',
         'if (load_acquire(&of_server(server)->swept) < sweep->number)',
         'if (of_server(server)->serial > sweep->last)'),
        ('server_mark_relaxed', 'a mark is seen before what it marks is '
         'closed', MARKED, *weaker('if ([[cas_release_relaxed(&base->swept, '
                                   '&seen, number)]])')),
        ('server_marked_relaxed', 'who sees a mark may not see the close',
         MARKED, *weaker('if ([[load_acquire(&of_server(server)->swept)]] <')),
        ('server_stop_unawaited', 'all are stopped, and nobody waits',
         'schedule:server_all',
         'fh_server_each(servers, await_stop, &sweep);', '(void)await_stop;'),
        ('server_stop_edquot', 'a stop says what is not promised',
         'server_oom', 'rc == -EDQUOT ? -ENOMEM : rc', 'rc'),
    ),
    *rows(
        'src/server_start.c',
        ('server_start_edquot', 'a start says what is not promised',
         'server_oom', 'give(&start->report, info); '
         'return rc == -EDQUOT ? -EAGAIN : rc;',
         'give(&start->report, info); return rc;'),
        ('server_restart_edquot', 'a restart says what is not promised',
         'server_oom', 'give(&restart->report, info); '
         'return rc == -EDQUOT ? -EAGAIN : rc;',
         'give(&restart->report, info); return rc;'),
    ),
    *rows(
        'src/server_lease.c',
        ('server_client_no_room', 'a client is made past the bound',
         'server_oom', NO_ROOM_FOR, 'fh_room_take(&room, 1);'),
        ('server_lease_no_patience', 'a lease is not waited for',
         'fault_clock', 'FH_STATE(LEASES_RETURNED), deadline, NULL);',
         'FH_STATE(LEASES_RETURNED), fh_now(), NULL);'),
        ('server_lease_never_stale', 'a lease never says that it is stale',
         'schedule:server', STALE_BITS, '& STALE) & 0;'),
        ('server_lease_always_stale', 'a lease on what runs is stale',
         'schedule:server', STALE_BITS, '& (OWNED | STALE));'),
    ),
    *rows(
        'src/server_life.c',
        ('server_waits_longer', 'a wait goes on past its deadline',
         'fault_clock', 'rc = fh_status_wait_change(&server->cell, '
         'seen.epoch, deadline, &seen);',
         'rc = fh_status_wait_change(&server->cell, seen.epoch, '
         'deadline == FH_FOREVER ? deadline : deadline + 1000000, &seen);'),
    ),
    *rows(
        'src/server_thread.c',
        ('server_threads_wait_once', 'the end of a registry waits once',
         'fault_futex', 'while ((running = load_acquire(threads)))',
         'if ((running = load_acquire(threads)))'),
    ),
    *rows(
        'src/server_watch.c',
        ('watch_bell_leaks', 'a supervisor that cannot be keeps its bell',
         'fault_system', HALF,
         'close_quietly(&supervisor->epoll); return -ENOBUFS;'),
        ('watch_epoll_kept', 'half a supervisor is taken for one',
         'fault_system', HALF,
         'close_quietly(&supervisor->bell); return -ENOBUFS;'),
        ('watch_bell_unwatched', 'a bell that nobody hears is no failure',
         'fault_system',
         'add(supervisor->epoll, supervisor->bell, EPOLLIN, BELL) == 0',
         '(add(supervisor->epoll, supervisor->bell, EPOLLIN, BELL), 1)'),
        ('watch_unwatched', 'a client that cannot be watched runs',
         'fault_system', 'if (base->watch < 0) return -errno;',
         'if (base->watch < 0) return 0;'),
        ('watch_never_again', 'a supervisor that failed is taken to be there',
         'fault_system',
         'fh_status_set(&supervisor->state, rc ? NOBODY : AT_WORK);',
         'fh_status_set(&supervisor->state, AT_WORK);'),
        ('watch_edquot', 'a recovery without room is given up', 'server_oom',
         'rc != -ENOMEM && rc != -EDQUOT', 'rc != -ENOMEM'),
        ('watch_eintr', 'a supervisor that is interrupted ends',
         'fault_futex', LISTEN,
         'int n = epoll_wait(supervisor_of(servers)->epoll, &event, 1, '
         'milliseconds_until(agenda.next)); if (n < 0) break; '
         'if (n == 1) answer(servers, event.data.u64);'),
        ('watch_early', 'a restart comes before it is due', 'fault_futex',
         'due = info.retry_at > base->put_off ? info.retry_at : '
         'base->put_off; if (due <= agenda->now) {',
         'due = info.retry_at > base->put_off ? info.retry_at : '
         'base->put_off; if (1) {'),
    ),
]
