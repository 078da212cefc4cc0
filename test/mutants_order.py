# SPDX-License-Identifier: MIT
"""Mutants of order alone.

test/orders.py wants one of each ordered operation; those that the tables of
the rooms do not weaken are here.  What is left is the operation, relaxed.
"""

from mutant import rows, weaker

MUTANTS = [
    *rows(
        'src/status.c',
        ('status_announce_relaxed', 'who announces a wait orders nothing',
         'explained: who announces a wait has nothing to show, and '
         'the step hands on what the last change released',
         *weaker('[[cas_acq_rel_acquire(atomic_word(&cell->word), &seen, '
                 'seen | WAITERS)]]')),
    ),
    *rows(
        'src/record.c',
        ('record_destroy_relaxed',
         'the last value is retired before it is seen',
         'explained: no writer is left, and what told the owner so '
         'orders the value; a reader that finds none reads nothing',
         *weaker('[[swap_acq_rel(current_of(record), NULL)]]')),
    ),
    *rows(
        'src/batch.c',
        ('report_own_relaxed', "a report of a thread's own orders nothing",
         'explained: an account is a number, with nothing behind '
         'it; that both add it in turn no schedule can undo, since '
         'its stores come in the order of the program',
         *weaker('[[swap_acq_rel(&thread->reported, now)]]')),
        ('report_other_relaxed', 'a report by another orders nothing',
         'explained: as for a report of its own',
         *weaker('[[cas_acq_rel_relaxed(&thread->reported, &seen, now)]]')),
    ),
    *rows(
        'src/rcu.c',
        ('rcu_unhooked_grace_no_fence',
         'a grace period looks too early for unhooked readers',
         'explained: liburcu fences as well when it waits for any '
         'thread, and its model in the schedules always orders as '
         'much',
         *weaker('flavour_synchronize(); [[fence_seq_cst()]]')),
    ),
    *rows(
        'src/reclaim.c',
        ('room_made_relaxed', 'room is made without an order',
         'explained: it is a count, with nothing behind it, and a '
         'step reads the last one',
         *weaker('[[cas_acq_rel_relaxed(&fh_counts.pending, &sum, sum + '
                 '(int64_t)objects)]]')),
        ('stats_want_relaxed', 'statistics ask for an old grace period',
         'explained: an old number asks for what is over, and the '
         'next look at the statistics asks again',
         *weaker('[[load_seq_cst(&fh_gp_started)]]')),
    ),
    *rows(
        'src/worker.c',
        ('worker_wanted_relaxed',
         'whether one is wanted is read without an order',
         'explained: before the worker sleeps the fence of law 2 '
         'comes before it',
         *weaker('[[load_seq_cst(&gp_wanted)]]')),
        ('worker_want_relaxed', 'a wish orders nothing',
         'explained: the fence of the call to the worker follows it',
         *weaker('[[cas_acq_rel_relaxed(&gp_wanted, &wanted, cookie)]]')),
        ('worker_kick_relaxed', 'who wakes the worker orders nothing',
         'explained: the fence before it orders the work; the step '
         'only says who wakes',
         *weaker('[[swap_acq_rel(&worker_sleeps, AWAKE)]]')),
        ('worker_looks_relaxed_common',
         'the worker looks for common garbage without an order',
         'explained: the fence of law 2 comes before it',
         *weaker('[[load_seq_cst(&fh_common.open)]]')),
        ('worker_looks_relaxed',
         'the worker looks for garbage without an order',
         'explained: the fence of law 2 comes before it',
         *weaker('[[load_seq_cst(&thread->batch.open)]]')),
        ('worker_called_relaxed', 'that it was called is taken back too late',
         'explained: what it misses is found behind the fence of '
         'law 2, or who brought it finds the worker asleep',
         *weaker('[[swap_seq_cst(&worker_called, false)]]')),
        ('worker_asked_no_fence',
         'who asks for a worker tries the lock too early',
         'schedule-rcu:rcu',
         *weaker('[[fence_seq_cst()]]; while (load_relaxed(&asked) &&')),
        ('worker_left_no_fence',
         'who leaves the lock looks too early for a request',
         'schedule-rcu:rcu',
         *weaker('[[fence_seq_cst()]]; }')),
        ('worker_drain_seen_relaxed',
         'who waits for batches looks without an order',
         'explained: the kernel compares it; what is done is read '
         'again, with an acquire',
         *weaker('uint32_t seen = [[load_acquire(&fh_counts.common_done)]]')),
    ),
    *rows(
        'src/map.c',
        ('map_follow_relaxed', 'a change looks at a table before it is there',
         'schedule:map_shrink',
         *weaker('struct table *table = [[load_acquire(&map->root)]]')),
    ),
    *rows(
        'src/map_life.c',
        ('map_stats_relaxed', 'statistics look at a table before it is there',
         'schedule:map_grow',
         *weaker('add_table(stats, [[load_acquire(&map->root)]]')),
        ('map_settle_relaxed', 'settling looks at a table before it is there',
         'schedule:map_grow',
         *weaker('struct table *table = [[load_acquire(&map->root)]]')),
    ),
    *rows(
        'src/map_log.c',
        ('map_commit_relaxed', 'a commit of removals orders nothing',
         'explained: the word is moved on behind it, and releases '
         'it',
         *weaker('[[cas_acq_rel_relaxed(&block->committed, &stands, '
                 'count)]]')),
        ('map_committed_relaxed', 'what is committed is read without an order',
         'explained: it is read behind the acquire of a word that '
         'was moved on after it was raised',
         *weaker('[[load_acquire(&block->committed)]]')),
        ('map_log_relaxed', 'an entry of the log orders nothing',
         'explained: the move of the word follows it, and releases '
         'it',
         *weaker('[[cas_acq_rel_acquire(log_of(block, n) + v, &logged, '
                 'mine)]]')),
    ),
    *rows(
        'src/map_lookup.c',
        ('map_find_root_relaxed',
         'a search looks at a table before it is there',
         'schedule-tags:map_grow tsan:map_grow',
         *weaker('[[load_acquire(&map->root)]]; /* pairs with: map.word */')),
        ('map_find_word_relaxed',
         'a search looks at an entry before it is there',
         'schedule-tags:map tsan:map_grow',
         *weaker('[[load_acquire(word_at(table, hash))]]')),
        ('map_batch_root_relaxed',
         'a search for many looks at a table before it is there',
         'schedule:map_grow',
         *weaker('[[load_acquire(&map->root)]]; size_t i;')),
        ('map_group_root_relaxed',
         'a search for numbers looks at a table before it is there',
         'schedule-tags:map_grow tsan:map_grow',
         *weaker('[[load_acquire(&map->root)]]; uint64_t hash[GROUP];')),
        ('map_group_word_relaxed',
         'a search for numbers looks at an entry before it is there',
         'schedule-tags:map tsan:map_grow',
         *weaker('[[load_acquire(word_at(table, hash[i]))]]')),
    ),
    *rows(
        'src/observers.c',
        ('observer_begin_relaxed', 'the begin of a call orders nothing',
         'explained: a call that begins has nothing to show, and '
         'hands on what those that ended released',
         *weaker('[[cas_acq_rel_relaxed(&observer->calls, &calls, calls + '
                 'UNIT)]]')),
        ('observer_dies_relaxed', 'who removes an observer orders nothing',
         'explained: the end of the call of its own follows, on the '
         'same word, with both orders',
         *weaker('[[or_acq_rel(&observer->calls, DEAD)]]')),
        ('observers_destroy_list_relaxed',
         'destruction reads a list before it is there',
         'explained: nobody uses what is being destroyed, and what '
         'told its owner so orders the rest',
         *weaker('struct observer_list *list = '
                 '[[load_acquire(&observers->list)]]')),
        ('observers_destroy_relaxed', 'destruction orders nothing',
         'explained: the end of the call of its own follows, on the '
         'same word, with both orders',
         *weaker('[[or_acq_rel(&list->of[i]->calls, DEAD)]]')),
    ),
    *rows(
        'src/gate.c',
        ('gate_destroy_relaxed', 'destruction orders nothing',
         'schedule-rcu:gate',
         *weaker('[[or_acq_rel(&gate->word, CLOSED | DESTROYED)]]')),
        ('gate_close_relaxed', 'closing orders nothing',
         'schedule-rcu:gate',
         *weaker('[[cas_acq_rel_relaxed(&gate->word, &word, word ^ '
                 'CLOSED)]]')),
        ('gate_stats_relaxed', 'threads are counted without an order',
         'explained: it is a count for statistics, with nothing '
         'behind it',
         *weaker('[[load_acquire(&gate->refs)]]')),
    ),
    *rows(
        'src/server.c',
        ('server_ref_relaxed', 'a reference is taken without an order',
         'explained: who takes one has met what it counts in a read '
         'section; giving it back is what orders',
         *weaker('[[cas_acq_rel_relaxed(refs, &seen, seen + 1)]]')),
    ),
    *rows(
        'src/server_life.c',
        ('server_join_relaxed', 'who joins orders nothing',
         'explained: law 5 is of those who close and those who '
         'settle; this hands on what they released',
         *weaker('[[cas_acq_rel_relaxed(&server->users, &users, users + '
                 'USER)]]')),
        ('server_unjoin_relaxed', 'who takes back a join orders nothing',
         'explained: law 5 is of those who close and those who '
         'settle; this hands on what they released',
         *weaker('[[cas_acq_rel_relaxed(&server->users, &users, users - '
                 'USER)]]')),
        ('server_close_relaxed', 'who closes a server orders nothing',
         'explained: law 5 needs it; the schedule that shows it has two '
         'switches and two older values, and is in the long form alone '
         '(server_all: stop all beside a start)',
         *weaker('[[cas_acq_rel_relaxed(&server->users, &users, CLOSED)]]')),
        ('server_is_closed_relaxed',
         'whether it is closed is read without an order',
         'schedule:server',
         *weaker('[[add_acq_rel(&server->users, 0u)]]')),
    ),
    *rows(
        'src/server_lease.c',
        ('server_newest_relaxed',
         'the newest client is met before it is there',
         'schedule:server',
         *weaker('[[load_acquire(&server->face)]]')),
        ('server_lease_taken_relaxed', 'a lease is taken without an order',
         'explained: who takes a lease has nothing to show, has met '
         'the client in a read section, and hands on what was '
         'released',
         *weaker('[[cas_acq_rel_acquire(&client->leases, &leases, leases + '
                 'LEASE)]]')),
        ('server_end_relaxed', "the owner's end orders nothing",
         'schedule:server',
         *weaker('[[sub_acq_rel(&client->leases, OWNED)]]')),
        ('server_stale_relaxed',
         'whether a lease is stale is read without an order',
         'schedule:server',
         *weaker('[[load_acquire(&((const struct client *)lease)->leases)]]')),
    ),
    *rows(
        'src/server_thread.c',
        ('servers_count_out_relaxed',
         "a thread's last act is not seen by who waits for it",
         'explained: the count has to be seen behind the stack; in a '
         'schedule it is, since stores come in the order of the '
         'program, and joining what is in the stack orders the rest',
         *weaker('[[sub_acq_rel(&base->threads, 1u)]]')),
        ('servers_ended_relaxed',
         'a thread that ended is found before its record is written',
         'schedule:server_all',
         *weaker('[[cas_acq_rel_relaxed(&base->ended, &first, thread)]]')),
        ('servers_reap_relaxed',
         "a thread's record is read before it is written",
         'schedule:server_all',
         *weaker('[[swap_acquire(&base_of(servers)->ended, NULL)]]')),
        ('servers_wait_relaxed',
         'who waits for threads does not see what they did',
         'explained: the count has to be seen behind the stack; in a '
         'schedule it is, since stores come in the order of the '
         'program, and joining what is in the stack orders the rest',
         *weaker('[[load_acquire(threads)]]')),
    ),
    *rows(
        'src/server_view.c',
        ('servers_counts_relaxed', 'counts are read without an order',
         'explained: counts publish nothing',
         *weaker('[[load_acquire(&base->counts[i])]]')),
    ),
    *rows(
        'src/server_watch.c',
        ('server_gone_relaxed',
         'whether a client is gone is read without an order',
         'schedule:server',
         *weaker('[[or_acq_rel(&of_client(client)->gone, 0u)]]')),
    ),
    *rows(
        'src/task.c',
        ('task_unhold_relaxed', 'memory goes before its users are done',
         'schedule-task:task',
         *weaker('[[sub_acq_rel(&task->holds, 1)]]')),
        ('task_report_relaxed', 'a report is read before it is written',
         'explained: I3: the cell says that it is over behind the '
         'result, with a release, and was read with an acquire',
         *weaker('[[load_acquire(&task->result)]]')),
    ),
    *rows(
        'src/task_internal.h',
        ('task_has_thread_relaxed',
         'that a thread is there is read without an order',
         'explained: what the thread wrote before is its own id, '
         'which only who joins it reads, by way of `gone`',
         *weaker('[[load_acquire(&task->thread->tid)]]')),
    ),
    *rows(
        'src/task_life.c',
        ('tasks_drop_relaxed', 'a supervisor goes before its users are done',
         'schedule-task:task_death',
         *weaker('[[sub_acq_rel(&tasks->refs, 1)]]')),
        ('tasks_stop_no_fence', 'a shutdown walks before it is announced',
         'schedule-task:task_order',
         *weaker('[[fence_seq_cst()]]')),
        ('tasks_wait_threads_relaxed',
         'who waits for threads does not see what they did',
         'schedule-task:task_order',
         *weaker('[[load_acquire(&tasks->threads)]]')),
    ),
    *rows(
        'src/task_main.c',
        ('task_main_wake_no_fence',
         'who queues a task misses the main thread falling asleep',
         'schedule-task:task_pool',
         *weaker('[[fence_seq_cst()]]; if (load_relaxed(&tasks->main_park) '
                 '== ASLEEP &&')),
    ),
    *rows(
        'src/task_pool.c',
        ('task_bit_set_relaxed', 'a seat is left without an order',
         'explained: needed where a store may pass a later step: '
         '`park` would be set behind the wake-up; stores of a '
         'schedule come in the order of the program',
         *weaker('[[or_acq_rel(&set[seat / 64], bit_of(seat))]]')),
        ('task_bit_clear_relaxed', 'a seat is taken without an order',
         'explained: needed where a step may pass an earlier one: '
         'the wake-up would come before `park` is set; steps of a '
         'schedule come in the order of the program',
         *weaker('[[and_acq_rel(&set[seat / 64], ~bit_of(seat))]]')),
        ('task_wake_all_no_fence',
         'the end of the pool misses who falls asleep',
         'schedule-task:task_pool',
         *weaker('[[fence_seq_cst()]]; while (wake_one(tasks))')),
        ('task_unstaffed_no_fence',
         'who could not create a thread looks too early at the seats',
         'schedule-task:task_order',
         *weaker('[[fence_seq_cst()]]; if (all_vacant(tasks))')),
        ('task_seat_relaxed', 'a sweep finds a thread before it is written',
         'schedule-task:task_death',
         *weaker('[[store_release(&tasks->seat[thread->seat].thread, '
                 'thread)]]')),
        ('task_leave_no_fence',
         'who leaves a seat looks too early at the queue',
         'schedule-task:task_order',
         *weaker('[[fence_seq_cst()]]; if '
                 '(!fh_task_queue_is_empty(&tasks->pooled))')),
    ),
    *rows(
        'src/task_queue.c',
        ('task_tail_relaxed', 'a push meets the last node before it is there',
         'schedule:task_queue',
         *weaker('[[load_acquire(&queue->tail)]]')),
        ('task_tail_help_relaxed',
         'the tail is moved on for another without an order',
         'schedule:task_queue',
         *weaker('[[cas_release_relaxed(&queue->tail, &last, next)]]')),
        ('task_tail_push_relaxed', 'a push moves the tail without an order',
         'schedule:task_queue',
         *weaker('[[cas_release_relaxed(&queue->tail, &last, node)]]')),
        ('task_tail_pop_relaxed', 'a pop moves the tail without an order',
         'schedule:task_queue',
         *weaker('[[cas_release_relaxed(&queue->tail, &tail, to)]]')),
        ('task_head_relaxed', 'a pop meets the first node before it is there',
         'schedule:task_queue',
         *weaker('first = [[load_acquire(&queue->head)]]')),
        ('task_pop_no_order', 'a pop moves the head without an order',
         'schedule:task_queue',
         *weaker('[[cas_acq_rel_acquire(&queue->head, &first, next)]]')),
        ('task_empty_relaxed',
         'a look at the queue meets its node before it is there',
         'schedule-task:task_order',
         *weaker('empty = !load_relaxed(&[[load_acquire(&queue->head)]]')),
    ),
    *rows(
        'src/task_state.c',
        ('task_tell_relaxed', 'who leaves telling to another hides its change',
         'schedule-task:task',
         *weaker('[[add_acq_rel(&task->telling, 1)]]')),
        ('task_told_relaxed',
         'who tells does not see the change that was left to it',
         'schedule-task:task',
         *weaker('[[sub_acq_rel(&task->telling, 1)]]')),
        ('task_result_relaxed', 'a result wins before it is written',
         'explained: I3: the cell releases it; who only compares it '
         'with NULL reads nothing behind it',
         *weaker('[[cas_acq_rel_acquire(&task->result, &none, result)]]')),
    ),
    *rows(
        'src/task_submit.c',
        ('task_gate_relaxed', 'entering the gate orders nothing',
         'explained: who enters has nothing to show, and hands on '
         'what those who left released',
         *weaker('[[cas_acq_rel_relaxed(&tasks->gate, &gate, gate + '
                 'GATE_PLACE + GATE_LIVE)]]')),
        ('task_give_back_relaxed', 'a place is given back without an order',
         'schedule-task:task',
         *weaker('[[sub_acq_rel(&tasks->gate, what)]]')),
        ('task_close_relaxed', 'closing the gate orders nothing',
         'schedule-task:task_order',
         *weaker('[[or_acq_rel(&tasks->gate, GATE_CLOSED)]]')),
        ('task_publish_no_fence',
         'a submission looks too early for a shutdown',
         'schedule-task:task_order',
         *weaker('[[fence_seq_cst()]]')),
    ),
    *rows(
        'src/task_thread.c',
        ('task_buried_relaxed', 'a thread is buried before it is joined',
         'explained: who buries it is in a read section, and the '
         'memory goes after that',
         *weaker('[[store_release(&thread->fate, THREAD_BURIED)]]')),
        ('task_bury_relaxed', 'a thread is counted out before it is buried',
         'schedule-task:task_order',
         *weaker('[[sub_acq_rel(&tasks->threads, 1)]] == 1) '
                 'fh_status_set(&tasks->exits, 0); fh_tasks_drop(tasks); }')),
        ('task_gone_relaxed',
         'a thread that left is found before its record is written',
         'schedule-task:task_death',
         *weaker('[[cas_release_relaxed(&tasks->gone, &first, thread)]]')),
        ('task_take_gone_relaxed',
         "a thread's record is read before it is written",
         'schedule-task:task_death',
         *weaker('[[cas_acq_rel_relaxed(&tasks->gone, &first, instead)]]')),
        ('task_leaves_relaxed', 'a thread marks itself without an order',
         'explained: nobody reads anything because of it; a sweep '
         'that finds the thread dead reads what it wrote last',
         *weaker('[[store_release(&thread->fate, THREAD_LEAVES)]]')),
        ('task_there_relaxed',
         'a thread says that it is there without an order',
         'explained: what the thread wrote before is its own id, '
         'which only who joins it reads, by way of `gone`',
         *weaker('[[store_release(&thread->tid, '
                 '(int32_t)syscall(SYS_gettid))]]')),
        ('task_unstarted_relaxed',
         'a thread that was not created is counted out without an order',
         'explained: it had no thread; what others released this '
         'step hands on',
         *weaker('[[sub_acq_rel(&tasks->threads, 1)]] == 1) '
                 'fh_status_set(&tasks->exits, 0); fh_tasks_drop(tasks); '
                 'return -rc;')),
        ('task_vanished_tid_relaxed',
         'a sweep reads who is there without an order',
         'explained: what the thread wrote before is its own id, '
         'which only who joins it reads, by way of `gone`',
         *weaker('[[load_acquire(&thread->tid)]]')),
        ('task_vanished_relaxed', 'a sweep marks a thread without an order',
         'explained: one step decides which sweep clears it away; '
         'nothing else is read because of it',
         *weaker('[[cas_acq_rel_relaxed(&thread->fate, &there, '
                 'THREAD_VANISHED)]]')),
        ('task_sweep_seat_relaxed',
         'a sweep meets a thread before it is written',
         'schedule-task:task_death',
         *weaker('[[load_acquire(&tasks->seat[i].thread)]]')),
        ('task_buried_unseen',
         'a sweep reads that a thread is buried without an order',
         'explained: who buries it is in a read section, and the '
         'memory goes after that',
         *weaker('[[load_acquire(&task->thread->fate)]]')),
    ),
]
