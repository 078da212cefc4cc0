# SPDX-License-Identifier: MIT
"""Mutants of the supervisor: queues, ends, threads, pools, submission."""

from mutant import apart, rows, weaker

QUEUE = rows(
    'src/task_queue.c',
    ('task_push_torn', 'a push enters its node by load and store',
     'schedule:task_queue',
     *apart('if (![[cas_acq_rel_acquire(&last->next, &next, node)]])')),
    ('task_push_no_release', 'a task is popped before it is written',
     'schedule:task_queue', *weaker(
         'if (![[cas_acq_rel_acquire(&last->next, &next, node)]])',
         'acquire')),
    ('task_pop_torn', 'a pop moves the head by load and store',
     'schedule:task_queue', *apart(
         'while (![[cas_acq_rel_acquire(&queue->head, &first, next)]])')),
    ('task_pop_relaxed', 'a task is read before its node is there',
     'schedule:task_queue',
     *weaker('next = [[load_acquire(&first->next)]];')),
    ('task_tail_left', 'the head passes the tail', 'schedule:task_queue',
     'pull_tail(queue, first, next);', ''),
    ('task_pop_outside', 'a pop runs outside of any read section',
     'schedule:task_queue',
     'struct task_node *first, *next; fh_rcu_read_lock();',
     'struct task_node *first, *next;',
     'first, next)); fh_rcu_read_unlock();', 'first, next));'),
    ('task_node_kept', 'what a pop passes is held for ever',
     'schedule:task_queue', 'pass(queue, first); return', 'return'),
    ('task_place_kept', 'one that was taken out keeps its place',
     'schedule:task_queue@1 task_end',
     'fh_task_give_back(task->tasks, GATE_PLACE); fh_task_release(task); } '
     'return task;', 'fh_task_release(task); break; } return task;'),
)

MEMORY = rows(
    'src/task.c',
    ('task_release_torn', 'references are given back by load and store',
     'schedule-task:task',
     *apart('if ([[sub_acq_rel(&task->refs, 1)]] != 1)')),
    ('task_release_no_release', 'content goes before its users are done',
     'schedule-task:task',
     *weaker('if ([[sub_acq_rel(&task->refs, 1)]] != 1)', 'acquire')),
    ('task_hold_nothing', 'a task is found that nobody refers to',
     'schedule-task:task', 'if (refs == 0) return false;', ''),
    ('task_output_twice', 'what was taken is released too', 'task_end',
     'if (result && !load_relaxed(&task->taken))', 'if (result)'),
    ('task_output_lost', 'what an overruled function gave is lost',
     'task_end', 'if (result != &task->own) '
     'fh_task_release_output(&task->own.report);', ''),
    ('task_taken_twice', 'two take the same output', 'task_end',
     'if (swap_relaxed(&task->taken, true)) return -EALREADY;',
     'store_relaxed(&task->taken, true);'),
)

STATE = rows(
    'src/task_state.c',
    ('task_result_torn', 'two reports win', 'schedule-task:task',
     *apart('if (![[cas_acq_rel_acquire(&task->result, &none, result)]])')),
    ('task_place_late', 'who has seen an end is refused the place',
     'schedule-task:task',
     'fh_task_give_back(tasks, GATE_PLACE); seen = fh_status_read(&task->cell);',
     'seen = fh_status_read(&task->cell);',
     'ended(task, seen, state); return true;',
     'ended(task, seen, state); fh_task_give_back(tasks, GATE_PLACE); '
     'return true;'),
    ('task_watch_forgotten', 'who waits for several is not woken',
     'schedule-task:task_death',
     'if (seen.state & TASK_WATCHED) fh_watch_wake();', ''),
    ('task_told_at_once', 'observers are told out of order',
     'schedule-task:task', 'if (add_acq_rel(&task->telling, 1)) return;',
     'add_acq_rel(&task->telling, 1);'),
    ('task_told_wrongly', 'who is taken out was asked before, too',
     'schedule-task:task task_end', '&& !was_taken_out(task, *seen);', ';'),
    ('task_runs_cancelled', 'one that was asked before runs all the same',
     'schedule-task:task_pool task_brawl',
     'next = FH_TASK_CANCELLED | (next & TASK_FLAGS);', ''),
    ('task_unlisted_early', 'a thread is taken from the map while it runs',
     'schedule-task:task', 'if (!task_has_thread(task)) '
     'fh_task_unlist(task);', 'fh_task_unlist(task);'),
) + rows(
    'src/task_rules.c',
    ('task_cancelled_outside', 'a thread may be cancelled in the library',
     'task_thread', 'pthread_setcancelstate(state, NULL); '
     'pthread_setcanceltype', 'pthread_setcanceltype'),
)

THREAD = rows(
    'src/task_thread.c',
    ('task_death_unseen', 'the end of a thread is not observed',
     'schedule-task:task_death task_thread',
     'crash(thread); fh_task_set_self(NULL);',
     'fh_task_set_self(NULL);'),
    ('task_thread_presumed', 'a thread is dead because it has not started',
     'task_race', 'if (!tid || load_relaxed(&thread->fate) != THREAD_THERE) '
     'return false;', 'if (load_relaxed(&thread->fate) != THREAD_THERE) '
     'return false; if (!tid) return cas_acq_rel_relaxed(&thread->fate, '
     '&there, THREAD_VANISHED);',
     'if (task_has_thread(task)) { if', 'if (task->alone) { if'),
    ('task_vanished_twice', 'two sweeps clear the same thread away',
     'schedule-task:task_death', *apart(
         'return [[cas_acq_rel_relaxed(&thread->fate, &there, '
         'THREAD_VANISHED)]];')),
    ('task_vanished_joined', 'a sweep looks at a thread that has left',
     'schedule-task:task_death',
     'if (!tid || load_relaxed(&thread->fate) != THREAD_THERE) '
     'return false;', 'if (!tid) return false;',
     'return cas_acq_rel_relaxed(&thread->fate, &there, THREAD_VANISHED);',
     'there = swap_acq_rel(&thread->fate, THREAD_VANISHED); return true;'),
    ('task_gone_torn', 'a thread that leaves is lost', 'schedule-task:task',
     *apart('while (![[cas_release_relaxed(&tasks->gone, &first, '
            'thread)]]);')),
    ('task_gone_unsaid', 'a shutdown is not told that a thread leaves',
     'schedule-task:task',
     'thread)); fh_status_set(&tasks->exits, 0); return true;',
     'thread)); return true;'),
    ('task_gone_unheld', 'a thread that leaves tells a supervisor that is gone',
     'schedule-task:task_death',
     'add_relaxed(&tasks->refs, 1); /* law 4 */', '',
     'detach(thread); fh_tasks_drop(tasks);', 'detach(thread);'),
    ('task_abandoned_joinable', 'the last thread waits to be joined',
     'schedule-task:task_death',
     'if (first == ABANDONED) return false;', ''),
)

POOL = rows(
    'src/task_pool.c',
    ('task_idle_no_fence', 'a thread falls asleep beside a task',
     'schedule-task:task_pool',
     'set_bit(tasks->idle, number); fence_seq_cst();',
     'set_bit(tasks->idle, number);'),
    ('task_staff_no_fence', 'who queues a task misses who falls asleep',
     'schedule-task:task_pool',
     'int rc; fence_seq_cst(); if (wake_one(tasks))',
     'int rc; if (wake_one(tasks))'),
    ('task_idle_unchecked', 'a thread sleeps without looking again',
     'schedule-task:task_pool',
     'if (!drained && fh_task_queue_is_empty(&tasks->pooled))',
     'if (!drained)'),
    ('task_unrefused', 'without any thread, tasks wait for ever',
     'schedule-task:task_pool task_oom',
     'if (all_vacant(tasks)) refuse_all(tasks, rc);', ''),
    ('task_refused_all', 'one thread too few fails tasks that could wait',
     'task_oom', 'if (all_vacant(tasks)) refuse_all(tasks, rc);',
     'refuse_all(tasks, rc);'),
    ('task_seat_kept', 'a dead thread keeps its seat',
     'schedule-task:task_pool task_thread',
     'set_bit(tasks->vacant, seat); fence_seq_cst(); if (!fh_task_queue',
     'fence_seq_cst(); if (!fh_task_queue'),
    ('task_unreplaced', 'nobody looks when the last thread dies',
     'schedule-task:task_pool', 'if (!fh_task_queue_is_empty('
     '&tasks->pooled)) fh_pool_staff(tasks);', ''),
    ('task_cancelled_late', 'a late cancellation hits the next task',
     'task_thread', 'fh_task_run(thread, task); be_cancelled_here();',
     'fh_task_run(thread, task);'),
)

SUBMIT = rows(
    'src/task_submit.c',
    ('task_gate_torn', 'two tasks take the last place',
     'schedule-task:task', *apart(
         'while (![[cas_acq_rel_relaxed(&tasks->gate, &gate, gate + '
         'GATE_PLACE + GATE_LIVE)]]);')),
    ('task_gate_open', 'a task enters a closed supervisor',
     'task_shutdown', 'if (gate & GATE_CLOSED) return -ESHUTDOWN;', ''),
    ('task_limit_more', 'one more than the limit', 'task',
     'if (PLACES(gate) >= tasks->options.limit)',
     'if (PLACES(gate) > tasks->options.limit)'),
    ('task_seen_early', 'a task is found before it is one',
     'schedule-task:task',
     '(struct fh_status)FH_STATUS_INIT(TASK_UNSEEN);',
     '(struct fh_status)FH_STATUS_INIT(FH_TASK_QUEUED);'),
    ('task_name_of_the_dead', 'the name of one that ended is taken',
     'task_oom', 'if (!task_is_over(fh_status_read('
     '&task_by_name(present)->cell))) return -EEXIST;', 'return -EEXIST;'),
    ('task_stop_missed', 'a shutdown misses one that is being submitted',
     'schedule-task:task',
     'if (load_relaxed(&tasks->stopping)) fh_task_cancel(task);', ''),
    ('task_refusal_kept', 'a task that is refused is garbage for a while',
     'fault_reader', 'else if (rc) fh_task_reclaim(&task->rcu);',
     'else if (rc) fh_rcu_retire(&task->rcu, fh_task_reclaim);'),
)

MAIN = rows(
    'src/task_main.c',
    ('task_main_no_fence', 'the main thread falls asleep beside a task',
     'schedule-task:task_pool', 'store_relaxed(&tasks->main_park, ASLEEP); '
     'fence_seq_cst();', 'store_relaxed(&tasks->main_park, ASLEEP);'),
    ('task_main_unwoken', 'nobody wakes the main thread',
     'schedule-task:task_pool', 'fh_wake_one(&tasks->main_park);', ';'),
    ('task_main_leaves', 'the main thread returns while tasks are left',
     'schedule-task:task_pool task_main',
     'return fh_tasks_are_drained(tasks) ? 0 : rc;', 'return 0;'),
)

MUTANTS = [*QUEUE, *MEMORY, *STATE, *THREAD, *POOL, *SUBMIT, *MAIN]
