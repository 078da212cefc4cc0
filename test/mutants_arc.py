# SPDX-License-Identifier: MIT
"""Mutants of the arc registry: claims, steps, ends, walks, observers."""

from mutant import apart, rows, weaker

ARC = rows(
    'src/arc.c',
    ('arc_drop_torn', 'references are dropped by load and store',
     'shaken-asan:arc_brawl@5 schedule:arc',
     *apart('if ([[sub_acq_rel(&arc->refs, 1)]] == 1)')),
    ('arc_drop_no_release', 'an arc is freed before its users are done',
     'schedule:arc', *weaker('if ([[sub_acq_rel(&arc->refs, 1)]] == 1)',
                             'acquire')),
    ('arc_drop_no_acquire', 'an arc is freed by who sees less than its users',
     'schedule:arc', *weaker('if ([[sub_acq_rel(&arc->refs, 1)]] == 1)',
                             'release')),
    ('arc_drop_early', 'an arc is freed one reference early', 'asan:arc',
     'if (sub_acq_rel(&arc->refs, 1) == 1)',
     'if (sub_acq_rel(&arc->refs, 1) <= 2)'),
    ('arc_record_leaks', 'the last record of an arc is lost', 'asan:arc',
     'if (last != &arc->first) free(last);', '(void)last;'),
    ('arc_superseded_leaks', 'the record before the last is lost',
     'asan:arc', 'if (arc->superseded != &arc->first) '
     'free(arc->superseded);', ''),
    ('arc_reclaimed_at_once', 'an arc is dropped while readers may find it',
     'shaken-asan:arc_brawl@5 asan:arc_brawl',
     'fh_rcu_retire(&arc->rcu, fh_arc_reclaim);', 'fh_arc_drop(arc);'),
    ('arc_not_retired', 'an arc that is over is lost', 'asan:arc',
     'fh_rcu_retire(&arc->rcu, fh_arc_reclaim);', ';'),
    ('arc_retired_always', 'an arc that others took out is retired again',
     'asan:arc_brawl shaken-asan:arc_brawl@5',
     'if (fh_map_remove_entry(arc->arcs->map, &arc->entry) == 0) '
     'fh_rcu_retire', 'fh_map_remove_entry(arc->arcs->map, &arc->entry); '
     'fh_rcu_retire'),
    ('arc_get_outside', 'a snapshot is taken outside of any read section',
     'schedule:arc',
     'fh_rcu_read_lock(); entry = fh_map_lookup(arcs->map, key.bytes);',
     'entry = fh_map_lookup(arcs->map, key.bytes);',
     'fh_arc_describe(arc_of(entry), word, info); fh_rcu_read_unlock();',
     'fh_arc_describe(arc_of(entry), word, info);'),
    ('arc_look_outside', 'a record is read outside of any read section',
     'schedule:arc_steps',
     'uintptr_t word; fh_rcu_read_lock();', 'uintptr_t word;',
     'fh_arc_describe(arc, word, info); fh_rcu_read_unlock(); '
     'fh_arc_look_at_age', 'fh_arc_describe(arc, word, info); '
     'fh_arc_look_at_age'),
    ('arc_get_claimed', 'an arc is shown before it has started',
     'arc_start', 'if (life_of(word) == LIFE_ACTIVE) '
     'fh_arc_describe(arc_of(entry), word, info);',
     'if (life_of(word) <= LIFE_ACTIVE) '
     'fh_arc_describe(arc_of(entry), word, info);',
     'if (life_of(word) != LIFE_ACTIVE) return -ENOENT; '
     'fh_arc_look_at_age(arcs, info); return 0;',
     'if (life_of(word) > LIFE_ACTIVE) return -ENOENT; '
     'fh_arc_look_at_age(arcs, info); return 0;'),
    ('arc_get_relaxed', 'a snapshot follows a word before its record is '
     'there', 'schedule:arc',
     *weaker('word = [[load_acquire(&arc_of(entry)->word)]];')),
    ('arc_look_relaxed', 'a look follows a word before its record is there',
     'schedule:arc_steps', *weaker('word = [[load_acquire(&arc->word)]]; '
                             'fh_arc_describe')),
    ('arc_key_unchecked', 'long names without memory are written to',
     'arc_oom', 'if (!key->joined) return -ENOMEM;', ''),
    ('arc_key_leaks', 'long names are lost', 'asan:arc',
     'if (key->joined != key->room) free(key->joined);', ''),
    ('arcs_unchecked', 'a registry that is not there is written to',
     'arc_oom oom', 'if (!fresh) return -ENOMEM; fresh->options',
     'fresh->options'),
    ('arcs_create_leaks', 'a registry that could not be made is lost',
     'asan:arc_oom asan:oom', 'if (rc) { free(fresh); return rc; } *arcs',
     'if (rc) return rc; *arcs'),
    ('arcs_destroy_keeps', 'destroy forgets the arcs', 'asan:arc',
     'fh_map_destroy(arcs->map, drop_entry, NULL);',
     'fh_map_destroy(arcs->map, NULL, NULL); (void)drop_entry;'),
)

INTERNAL = rows(
    'src/arc_internal.h',
    ('arc_hold_nothing', 'a reference is not counted', 'asan:arc_brawl',
     'add_relaxed(&arc->refs, 1);', '(void)arc;'),
    ('arc_hold_torn', 'references are taken by load and store',
     'shaken-asan:arc_brawl@5 schedule:arc',
     *apart('[[add_relaxed(&arc->refs, 1)]];')),
)

RULES = rows(
    'src/arc_rules.c',
    ('arc_pair_unordered', 'the two orders of a pair are two pairs', 'arc',
     'if (order > 0) {', 'if (0) {'),
    ('arc_expires_early', 'an arc expires after its duration, not twice it',
     'arc', 'return age - info->duration > info->duration;',
     'return age > info->duration;'),
    ('arc_any_phase', 'every phase may follow every other', 'arc',
     'return next == phase || type->allowed[phase] >> next & 1;',
     'return true;'),
)

START = rows(
    'src/arc_start.c',
    ('arc_published_before_start', 'an arc is active before it was '
     'initialised', 'arc_start',
     'store_relaxed(&arc->word, claimed_word(arc));',
     'store_relaxed(&arc->word, word_of(&arc->first, LIFE_ACTIVE));'),
    ('arc_published_late', 'observers hear of an arc before it is active',
     'gap_arc',
     'store_release(&arc->word, word); fh_status_set(&arc->claim, '
     'CLAIM_SETTLED); fh_arc_notify(arc, FH_ARC_STARTED, &active, NULL, '
     'NULL);',
     'fh_arc_notify(arc, FH_ARC_STARTED, &active, NULL, NULL); '
     'store_release(&arc->word, word); fh_status_set(&arc->claim, '
     'CLAIM_SETTLED);'),
    ('arc_publish_unwoken', 'who waits for a start is not woken',
     'schedule:arc gap_arc', 'store_release(&arc->word, word); '
     'fh_status_set(&arc->claim, CLAIM_SETTLED);',
     'store_release(&arc->word, word);'),
    ('arc_settled_first', 'who waits for a start is woken before it',
     'schedule:arc',
     'store_release(&arc->word, word); fh_status_set(&arc->claim, '
     'CLAIM_SETTLED);', 'fh_status_set(&arc->claim, CLAIM_SETTLED); '
     'store_release(&arc->word, word);'),
    ('arc_publish_relaxed', 'an arc is active before what init did is there',
     'schedule:arc',
     *weaker('[[store_release(&arc->word, word)]];')),
    ('arc_abandon_unwoken', 'who waits for a start is not told that it '
     'failed',
     'schedule:arc gap_arc', 'fh_arc_detach(arc); '
     'fh_status_set(&arc->claim, CLAIM_SETTLED);', 'fh_arc_detach(arc);'),
    ('arc_abandon_stays', 'an arc that never ran stays in the map',
     'gap_arc',
     'fh_arc_detach(arc); fh_status_set(&arc->claim, CLAIM_SETTLED);',
     'fh_status_set(&arc->claim, CLAIM_SETTLED);'),
    ('arc_abandon_active', 'an arc whose init failed runs', 'arc_start',
     'word_of(&arc->first, LIFE_ABANDONED)',
     'word_of(&arc->first, LIFE_ACTIVE)'),
    ('arc_start_in_two', 'a start over an arc that ended deletes, then '
     'inserts',
     'explained: an arc that is over looks as none does, and who loses '
     'the second step tries again',
     'rc = fh_map_replace_entry(arcs->map, entry, &fresh->entry);',
     '{ rc = fh_map_remove_entry(arcs->map, entry); if (rc == 0) { '
     'fh_rcu_retire(&arc_of(entry)->rcu, fh_arc_reclaim); '
     'entry = NULL; rc = fh_map_insert(arcs->map, &fresh->entry, NULL); } }'),
    ('arc_start_blind', 'a start looks, then puts', 'shaken:arc_race@5',
     'rc = fh_map_insert(arcs->map, &fresh->entry, NULL);',
     'rc = fh_map_put(arcs->map, &fresh->entry, &entry);'),
    ('arc_start_not_retired', 'an arc that a start replaced is lost',
     'shaken-asan:arc_brawl@5 shaken-asan:arc_race@5',
     'if (rc == 0 && entry) fh_rcu_retire(&arc_of(entry)->rcu, '
     'fh_arc_reclaim);', ''),
    ('arc_start_over_refused', 'an arc that is over is in the way',
     'schedule:arc',
     'if (is_over(life_of(word))) return 0;',
     'if (is_over(life_of(word))) { fh_arc_describe(arc, word, '
     'obstacle->info); return -EEXIST; }'),
    ('arc_start_twice', 'an arc that runs is replaced', 'arc',
     'if (is_over(life_of(word))) return 0; if (life_of(word) == '
     'LIFE_ACTIVE)', 'if (life_of(word) != LIFE_CLAIMED) return 0; if '
     '(life_of(word) == LIFE_ACTIVE)'),
    ('arc_waits_without_hold', 'who waits for a start holds no reference',
     'asan:arc_start', 'arc_hold(arc); *obstacle->starting = arc;',
     '*obstacle->starting = arc;'),
    ('arc_loser_leaks', 'the arc of a start that lost is lost',
     'shaken-asan:arc_race@5', 'else if (fresh) fh_arc_free(fresh); '
     'return rc;', 'return rc;'),
    ('arc_unchecked', 'an arc that is not there is written to', 'arc_oom oom',
     'if (!arc) return NULL; memcpy', 'memcpy'),
    ('arc_refusals_uncounted', 'refusals are not counted', 'arc',
     'if (rc == -EEXIST || rc == -EINPROGRESS) '
     'fh_counter_add(&arcs->refused, 1);', '(void)arcs;'),
    ('arc_generation_torn', 'two arcs have one generation',
     'shaken:arc_race@5 shaken:arc_brawl@5 gap_arc',
     *apart('[[add_relaxed(&arcs->generation, 1)]] + 1;')),
    ('arc_meet_relaxed', 'who is refused sees an arc before its record',
     'schedule:arc',
     *weaker('uintptr_t word = [[load_acquire(&arc->word)]]; if (is_over')),
    ('arc_join_forgets', 'a join is counted as a start of its own',
     'arc_start', 'found.joined = 1;', ''),
)

END = ('} while (![[cas_acq_rel_acquire(&arc->word, word, '
       '(*word & ~LIFE_BITS) | how)]]);')
INSTALL = '[[cas_acq_rel_relaxed(&arc->word, &word, word_of(next, life))]];'

STEP = rows(
    'src/arc_step.c',
    ('arc_end_torn', 'two enders win', 'shaken:arc_brawl@5', *apart(END)),
    ('arc_end_relaxed', 'an end sees and publishes nothing', 'schedule:arc',
     *weaker(END)),
    ('arc_install_torn', 'a step is a load and a store',
     'schedule:arc_steps shaken:arc_brawl@5', *apart(INSTALL)),
    ('arc_install_no_release', 'a record is published before it is there',
     'schedule:arc_steps', *weaker(INSTALL, 'acquire')),
    ('arc_install_no_acquire', 'a step takes over a record too early',
     'schedule:arc_steps', *weaker(INSTALL, 'release'),
     *weaker('word = [[load_acquire(&arc->word)]]; *old')),
    ('arc_revived', 'progress revives an arc that ended',
     'shaken:arc_brawl@5 arc_brawl',
     'won = life_of(word) == LIFE_ACTIVE &&', 'won ='),
    ('arc_step_uncounted', 'a step is installed over one that it did not '
     'see', 'shaken:arc_brawl@5 arc_brawl',
     '(*old)->events + 1 == next->events &&', ''),
    ('arc_step_outside', 'a step compares outside of any read section',
     'schedule:arc_steps',
     'bool won; fh_rcu_read_lock();', 'bool won;',
     'fh_rcu_read_unlock(); return won;', 'return won;'),
    ('arc_end_stays', 'an arc that ended stays in the map',
     'gap_arc',
     'if (rc == 0) fh_arc_detach(arc);', ''),
    ('arc_final_stays', 'an arc that a step ended stays in the map',
     'gap_arc', 'if (life != LIFE_ACTIVE) fh_arc_detach(arc);', ''),
    ('arc_end_backwards', 'an end takes the arc out of the map before it is '
     'over',
     'explained: only who found the arc before can still touch it, and '
     'overlaps the end',
     'rc = mark_over(arc, how, &word); fh_point("arc_ended"); if (rc == 0) '
     'fh_arc_detach(arc);',
     'fh_arc_detach(arc); rc = mark_over(arc, how, &word);'),
    ('arc_end_wins_always', 'who ends an arc that is over wins as well',
     'arc_brawl shaken:arc_brawl@5',
     'if (life_of(*word) != LIFE_ACTIVE) return -ENOENT;', ''),
    ('arc_record_kept', 'a superseded record is lost', 'asan:arc',
     'fh_rcu_retire(&old->rcu, reclaim_progress);', ';'),
    ('arc_record_freed_at_once', 'a record is freed under its readers',
     'asan:arc_brawl schedule:arc_steps',
     'fh_rcu_retire(&old->rcu, reclaim_progress);',
     'free(old);'),
    ('arc_first_freed', 'the record inside of an arc is freed', 'asan:arc',
     'if (old == &arc->first) return;', ''),
    ('arc_find_unheld', 'an arc that was found is not held',
     'asan:arc', 'arc_hold(arc); return arc;', 'return arc;'),
    ('arc_end_needs_memory', 'an end fails for lack of memory', 'arc_oom',
     'if (rc == -ENOMEM) { arc = find_by_names(arcs, first, second); rc = '
     'arc ? 0 : -ENOENT; }', ''),
    ('arc_other_generation', 'an end meant for another arc ends this one',
     'arc', 'rc = -ESTALE; if (is_meant(arc, generation))', ''),
    ('arc_step_other_generation', 'a step meant for another arc moves this '
     'one', 'arc', 'if (step && !is_meant(arc, step->generation)) '
     'return -ESTALE;', ''),
    ('arc_step_expired', 'an arc that expired goes on', 'arc',
     'if (info->expired) return -ETIME;', ''),
    ('arc_step_unchecked', 'a record that is not there is written to',
     'arc_oom', 'if (!next) return -ENOMEM;', ''),
    ('arc_step_leaks', 'the record of a step that failed is lost',
     'asan:arc', 'if (rc) { free(next); return rc; }', 'if (rc) return rc;'),
    ('arc_end_untold', 'observers do not hear of an end', 'arc_observe',
     'fh_arc_notify(arc, FH_ARC_ENDED, info, NULL, reason);',
     '(void)info, (void)reason;'),
    ('arc_end_told_early', 'observers hear of an end before it counts',
     'gap_arc', 'fh_counter_add(&arc->arcs->ended, 1); '
     'fh_arc_notify(arc, FH_ARC_ENDED, info, NULL, reason);',
     'fh_arc_notify(arc, FH_ARC_ENDED, info, NULL, reason); '
     'fh_counter_add(&arc->arcs->ended, 1);'),
    ('arc_end_no_room', 'an end asks for no room', 'rcu_room arc_start',
     'int rc = fh_room_take(&room, 2); if (rc) return rc; rc = mark_over',
     'int rc; room.bounded = false; rc = mark_over'),
)

WALK = rows(
    'src/arc_walk.c',
    ('arc_haul_resume', 'a walk that was cut goes on behind what it left',
     'arc_haul', 'cursor->next = haul->rest;', ''),
    ('arc_haul_done', 'a walk that was cut is done', 'gap_haul',
     'cursor->done = 0;', ''),
    ('arc_haul_highest_kept', 'a walk that is cut keeps a part of what it '
     'visits again', 'arc_haul',
     'if (haul->arc[i]->entry.hash < highest)',
     'if (haul->arc[i]->entry.hash <= highest && kept < HAUL - 1)'),
    ('arc_haul_leaks', 'what a cut leaves is never dropped', 'asan:arc_haul',
     'else fh_arc_drop(haul->arc[i]);', ''),
    ('arc_haul_beyond', 'a walk that was cut takes what lies beyond',
     'arc_haul', 'if (haul->cut && entry->hash >= haul->rest) return 0; '
     'arc_hold', 'arc_hold'),
    ('arc_walk_drops_nothing', 'a walk keeps all that it visits',
     'asan:arc_walk', 'stop = visit(&arc->names, &info, arg); } '
     'fh_arc_drop(arc);', 'stop = visit(&arc->names, &info, arg); }'),
    ('arc_walk_claimed', 'a walk shows arcs that have not started',
     'gap_arc', 'if (life != LIFE_ACTIVE || (haul->cut',
     'if (life > LIFE_ACTIVE || (haul->cut',
     'fh_arc_look(arc, &info) == LIFE_ACTIVE)',
     'fh_arc_look(arc, &info) <= LIFE_ACTIVE)'),
    ('arc_walk_helps_not', 'a walk leaves arcs that are over in the map',
     'schedule:arc_steps', 'if (is_over(life)) fh_arc_detach(arc);', ''),
    ('arc_expired_processed', 'an arc that expired is put to the policy',
     'arc_walk', 'if (info.expired) { tally_end(arc, LIFE_EXPIRED, tally); '
     'return; }', ''),
    ('arc_tally_wrong', 'an arc that another ended is counted',
     'gap_arc', 'struct fh_arc_info info; int rc = '
     'fh_arc_finish(arc, how, NULL, &info); if (rc == -ENOENT) return;',
     'struct fh_arc_info info; int rc = fh_arc_finish(arc, how, NULL, '
     '&info);'),
)

BEGIN = ('} while (![[cas_acq_rel_relaxed(&observer->calls, &calls, '
         'calls + UNIT)]]);')
END_CALL = 'if ([[sub_acq_rel(&observer->calls, UNIT)]] != (DEAD | UNIT))'
DIE = 'won = observer && !([[or_acq_rel(&observer->calls, DEAD)]] & DEAD);'
ADD = 'if (![[cas_release_relaxed(&observers->list, &old, list)]]) {'

OBSERVERS = rows(
    'src/observers.c',
    ('observer_begin_torn', 'a call begins by load and store',
     'shaken-asan:arc_brawl@5 schedule:arc_observers', *apart(BEGIN)),
    ('observer_begin_dead', 'a call begins after the removal',
     'shaken:arc_brawl@5 arc_observe', 'if (calls & DEAD) return false;', ''),
    ('observer_end_torn', 'a call ends by load and store',
     'shaken-asan:arc_brawl@5 schedule:arc_observers', *apart(END_CALL)),
    ('observer_end_relaxed', 'an argument is released before its calls are '
     'over', 'schedule:arc_observers', *weaker(END_CALL)),
    ('observer_remove_torn', 'an observer is removed by load and store',
     'shaken-asan:arc_brawl@5 schedule:arc_observers', *apart(DIE)),
    ('observer_removed_twice', 'two removals of one observer succeed',
     'arc_observe', DIE.replace('[[', '').replace(']]', ''),
     'won = observer != NULL; if (won) or_acq_rel(&observer->calls, DEAD);'),
    ('observer_released_early', 'an argument is released during a call',
     'shaken-asan:arc_brawl@5 arc_observe arc_brawl',
     END_CALL.replace('[[', '').replace(']]', ''),
     'if (!(sub_acq_rel(&observer->calls, UNIT) & DEAD))'),
    ('observer_never_released', 'an argument is not released', 'arc_observe',
     'if (observer->release) observer->release(observer->arg);', ''),
    ('observer_id_late', 'an observer is called before its id is told',
     'schedule:arc_observers', 'if (id) *id = added->id;', '',
     'if (old) retire_list(old, list); return 0;',
     'if (old) retire_list(old, list); fh_point("observers.added"); '
     'if (id) *id = added->id; return 0;'),
    ('observer_add_torn', 'two additions, one list', 'shaken-asan:arc_brawl@5 '
     'shaken:arc_brawl@5 schedule:arc_observers', *apart(ADD)),
    ('observer_add_relaxed', 'a list is published before it is there',
     'schedule:arc_observers', *weaker(ADD)),
    ('observer_list_relaxed', 'a notifier follows a list before it is there',
     'schedule:arc_observers',
     *weaker('list = [[load_acquire(&observers->list)]]; if (list')),
    ('observer_list_freed_at_once', 'a list is freed under its notifiers',
     'asan:arc_brawl shaken-asan:arc_brawl@5',
     'fh_rcu_retire(&old->rcu, reclaim_list);', 'reclaim_list(&old->rcu);'),
    ('observer_list_kept', 'an old list is lost', 'asan:arc_observe',
     'fh_rcu_retire(&old->rcu, reclaim_list);', ';'),
    ('observer_not_dropped', 'a removed observer is lost',
     'asan:arc_observe', 'old->of[i]->next_dropped = old->dropped; '
     'old->dropped = old->of[i];', ''),
    ('observer_marked_meanwhile', 'one that dies while the list is made is '
     'dropped and stays', 'shaken-asan:arc_brawl@5 schedule:arc_observers',
     'if (list->of[kept] == old->of[i]) {',
     'if (!is_dead(old->of[i])) {'),
    ('observer_loser_leaks', 'a list that came second is lost',
     'shaken-asan:arc_brawl@5', 'free(list); return 1;', 'return 1;'),
    ('observer_list_unchecked', 'a list that is not there is filled',
     'arc_oom', 'if (!list) return NULL; list->count = 0;',
     'list->count = 0;'),
    ('observer_unchecked', 'an observer that is not there is filled',
     'arc_oom', 'if (!observer) return NULL; observer->changes',
     'observer->changes'),
    ('observer_add_leaks', 'an observer that could not be added is lost',
     'asan:arc_oom', 'if (rc) free(observer); return rc;', 'return rc;'),
    ('observer_endless', 'an observer that adds observers is an endless loop',
     'schedule:arc_observers arc_observe',
     'if (list && !*limit)', 'if (list)'),
    ('observer_again', 'an observer is called twice for one change',
     'schedule:arc_observers arc_observe', 'from = observer->id + 1;',
     'from = observer->id + (limit == 0);'),
    ('observer_notify_outside', 'a notifier searches outside of any read '
     'section',
     'shaken-asan:arc_brawl@5 asan:arc_brawl '
     'schedule:arc_observers',
     'struct observer *observer = NULL; fh_rcu_read_lock();',
     'struct observer *observer = NULL;',
     'fh_rcu_read_unlock(); return observer; }', 'return observer; }'),
)

# What schedules alone can see.

MORE_INTERNAL = rows(
    'src/arc_internal.h',
    ('arc_life_relaxed', 'an arc is over before its end is seen',
     'schedule:arc_steps',
     *weaker('return life_of([[load_acquire(&arc->word)]]);')),
)

MORE_START = rows(
    'src/arc_start.c',
    ('arc_abandon_relaxed', 'an arc is abandoned in no order', 'schedule:arc',
     *weaker('[[store_release(&arc->word, word_of(&arc->first, '
             'LIFE_ABANDONED))]];')),
    ('arc_told_after_drop', 'a start is told of after the arc was let go',
     'schedule:arc',
     'fh_arc_notify(arc, FH_ARC_STARTED, &active, NULL, NULL); if (info) '
     '*info = active; fh_arc_drop(arc);',
     'fh_arc_drop(arc); fh_arc_notify(arc, FH_ARC_STARTED, &active, NULL, '
     'NULL); if (info) *info = active;'),
    ('arc_abandon_drops_first', 'an abandoned arc is used after it was let go',
     'schedule:arc',
     'fh_status_set(&arc->claim, CLAIM_SETTLED); '
     'fh_counter_add(&arc->arcs->abandoned, 1); fh_arc_drop(arc);',
     'fh_arc_drop(arc); fh_status_set(&arc->claim, CLAIM_SETTLED); '
     'fh_counter_add(&arc->arcs->abandoned, 1);'),
    ('arc_enter_outside', 'a start looks outside of any read section',
     'schedule:arc',
     'fh_rcu_read_lock(); rc = try_enter(arcs, key, fresh, obstacle); '
     'fh_rcu_read_unlock();', 'rc = try_enter(arcs, key, fresh, obstacle);'),
)

MORE_STEP = rows(
    'src/arc_step.c',
    ('arc_end_load_relaxed', 'an end judges a word before its record is there',
     'schedule:arc', *weaker('*word = [[load_acquire(&arc->word)]]; do')),
    ('arc_end_failure_relaxed', 'an end that lost tells of a record too early',
     'schedule:arc',
     '} while (!cas_acq_rel_acquire(&arc->word, word, (*word & ~LIFE_BITS) | '
     'how));',
     '} while (!cas_acq_rel_relaxed(&arc->word, word, (*word & ~LIFE_BITS) | '
     'how));'),
    ('arc_end_no_release', 'an end publishes nothing', 'schedule:arc',
     *weaker(END, 'acquire')),
    ('arc_end_no_acquire', 'an end sees nothing', 'schedule:arc_steps',
     *weaker(END, 'release')),
    ('arc_install_load_relaxed', 'a step copies a record too early',
     'schedule:arc_steps',
     *weaker('word = [[load_acquire(&arc->word)]]; *old')),
    ('arc_find_outside', 'an arc is found outside of any read section',
     'schedule:arc',
     'fh_rcu_read_lock(); *arc = hold_active(fh_map_lookup(arcs->map, '
     'key.bytes)); fh_rcu_read_unlock();',
     '*arc = hold_active(fh_map_lookup(arcs->map, key.bytes));'),
)

MORE_WALK = rows(
    'src/arc_walk.c',
    ('arc_walk_unheld', 'a walk does not hold what it gathered',
     'schedule:arc_steps', 'arc_hold(arc); haul->arc', 'haul->arc'),
    ('arc_walk_shows_over', 'a walk shows arcs that are over',
     'schedule:arc_steps',
     'if (!stop && fh_arc_look(arc, &info) == LIFE_ACTIVE) {',
     'if (fh_arc_look(arc, &info), !stop) {'),
    ('arc_process_over', 'processing takes arcs that are over',
     'schedule:arc_steps',
     'if (fh_arc_look(arc, &info) != LIFE_ACTIVE) return;',
     'fh_arc_look(arc, &info);'),
)

LET = 'if ([[sub_acq_rel(&observer->holders, 1)]] == 1)'

MORE_OBSERVERS = rows(
    'src/observers.c',
    ('observer_end_no_release', 'a call that ended is not seen to have',
     'schedule:arc_observers', *weaker(END_CALL, 'acquire')),
    ('observer_end_no_acquire', 'the last call does not see the others',
     'schedule:arc_observers', *weaker(END_CALL, 'release')),
    ('observer_hold_torn', 'observers are let go by load and store',
     'schedule:arc_observers', *apart(LET)),
    ('observer_hold_no_release', 'an observer is freed under its last user',
     'schedule:arc_observers', *weaker(LET, 'acquire')),
    ('observer_hold_no_acquire', 'an observer is freed by who sees too little',
     'schedule:arc_observers', *weaker(LET, 'release')),
    ('observer_one_holder', 'an observer is held once', 'schedule:arc_observers',
     'store_relaxed(&observer->holders, 2);',
     'store_relaxed(&observer->holders, 1);'),
    ('observer_release_keeps', 'an observer that is done is lost',
     'schedule:arc_observers',
     'observer->release(observer->arg); let_go(observer);',
     'observer->release(observer->arg);'),
    ('observer_add_load_relaxed', 'a list is copied before it is there',
     'schedule:arc_observers',
     *weaker('old = [[load_acquire(&observers->list)]]; list = extend')),
    ('observer_remove_load_relaxed', 'a list is searched before it is there',
     'schedule:arc_observers',
     *weaker('observer = by_id([[load_acquire(&observers->list)]], id);')),
    ('observer_add_outside', 'a list is copied outside of any read section',
     'schedule:arc_observers',
     'fh_rcu_read_lock(); rc = try_add(observers, observer, id); '
     'fh_rcu_read_unlock();', 'rc = try_add(observers, observer, id);'),
    ('observer_remove_outside', 'a list is searched outside of any section',
     'schedule:arc_observers', 'bool won; fh_rcu_read_lock();', 'bool won;',
     'fh_rcu_read_unlock(); if (!won)', 'if (!won)'),
    ('observer_no_limit', 'observers added meanwhile are told too',
     'schedule:arc_observers',
     'observer->id >= from && observer->id < *limit &&',
     'observer->id >= from &&'),
    ('observer_any_change', 'observers are told of what they did not ask for',
     'schedule:arc_observers', 'observer->changes & change && begin_call',
     'begin_call'),
    ('observer_ended_early', 'a call is over before it was made',
     'schedule:arc_observers',
     'if (observer->call(notice, observer->arg) < 0)',
     'uint64_t id = observer->id; end_call(observer); '
     'if (observer->call(notice, observer->arg) < 0)',
     'from = observer->id + 1; end_call(observer);', 'from = id + 1;'),
)

MUTANTS = (ARC + INTERNAL + RULES + START + STEP + WALK + OBSERVERS +
           MORE_INTERNAL + MORE_START + MORE_STEP + MORE_WALK +
           MORE_OBSERVERS)
