# SPDX-License-Identifier: MIT
"""Mutants of the map: its words, operations, migration, log and walks."""

from mutant import apart, rows, weaker

ACT = 'if (![[cas_release_relaxed(spot->at, &seen, next)]])'
RETIRE_OLD = ('if ((spot->seen & BLOCK) && !((next & BLOCK) && '
              'block_of(next) == block_of(spot->seen))) '
              'fh_rcu_retire_free(&block_of(spot->seen)->rcu);')

MAP = rows(
    'src/map.c',
    ('map_act_torn', 'insert, replace and remove are a load and a store',
     'shaken:map_race@5', *apart(ACT)),
    ('map_act_relaxed', 'a word is published before what it names',
     'schedule:map', *weaker(ACT)),
    ('map_root_relaxed', 'a writer sees a table before its words',
     'schedule:map_grow',
     *weaker('spot->table = [[load_acquire(&map->root)]];')),
    ('map_word_relaxed', 'a writer sees a word before what it names',
     'schedule:map',
     *weaker('spot->seen = [[load_acquire(spot->at)]]; if (unlikely')),
    ('map_old_word_relaxed', 'a removal without memory sees an old word '
     'before what it names', 'schedule:map_grow',
     *weaker('spot->seen = [[load_acquire(spot->at)]]; return')),
    ('map_no_sibling', 'the sibling rule is left out', 'hooks:rules',
     'if (table_migrating(table) && table->log2 > table->prev->log2 && '
     'load_relaxed(&table->word[i ^ 1]) == UNINIT) '
     'fh_migrate(map, table, i);', '(void)map, (void)table, (void)i;'),
    ('map_no_frozen', 'frozen and closed words are changed', 'hooks:rules',
     'return (w & (FROZEN | CLOSED)) != 0;', '(void)w; return false;'),
    ('map_no_closed_check', 'closed words are inserted into', 'hooks:rules',
     'return (w & (FROZEN | CLOSED)) != 0;', 'return (w & FROZEN) != 0;'),
    ('map_old_frozen', 'a removal without memory acts on a frozen word',
     'schedule:map_grow', 'return spot->seen & FROZEN ? AGAIN : 0;',
     'return 0;'),
    ('map_remove_fails', 'a removal fails for lack of memory', 'map_oom',
     'if (change->action != REMOVE) return rc; return '
     'find_old_spot(change->hash, spot);', 'return rc;'),
    ('map_exact_by_key', 'an entry is removed for one of the same hash',
     'map map_model', 'change->exact ? entry != change->target :',
     'change->exact ? entry->hash != change->hash :'),
    ('map_checked_then_acted', 'an insertion that has looked does not check',
     'schedule:map shaken:map_race@5',
     'if (i >= 0 && change->action == INSERT) return -EEXIST;', ''),
    ('map_looks_outside', 'who looks first is in no read section',
     'schedule:map', 'fh_rcu_read_lock(); entry = fh_map_find(map, key, '
     'hash); fh_rcu_read_unlock();', 'entry = fh_map_find(map, key, hash);'),
    ('map_present_untold', 'who is refused is not told by whom', 'map',
     'answer(present, there, -EEXIST)', 'answer(present, NULL, -EEXIST)'),
    ('map_absent_removed', 'what has gone meanwhile is removed again',
     'schedule:map', 'if (i < 0 && change->action != INSERT && '
     'change->action != PUT) return -ENOENT;',
     'if (i < 0 && change->action == REMOVE) return 0; '
     'if (i < 0 && change->action == REPLACE) return -ENOENT;'),
    ('map_too_long', 'the bound on the length of a block is left out',
     'map_full@50',
     'if (change->length > BLOCK_ENTRIES) '
     'return -E2BIG;', ''),
    ('map_closed_lost', 'a removal from a closed half opens it again',
     'schedule:map_shrink',
     'return other | (seen & CLOSED);', 'return other;'),
    ('map_other_lost', 'removing one of two loses the other', 'map_model',
     'if ((int)live.at != i) other = live.slot;', ''),
    ('map_mask_of_another', 'the bit of another entry is set', 'map_model',
     'seen | UPPER_ONE << i;', 'seen | UPPER_ONE << (i ? i - 1 : 1);'),
    ('map_dead_copied', 'a copy has room for the dead', 'map_model',
     'copy_block(seen, i, slot, live_count(seen))',
     'copy_block(seen, i, slot, block_length(seen))'),
    ('map_no_commit', 'a long block leaves its word uncommitted',
     'hooks:rules', 'fh_log_commit(spot->seen);', ''),
    ('map_loser_leaks', 'the block of a lost attempt is lost',
     'shaken-asan:map_race@5', 'if ((next & BLOCK) && change->action != '
     'REMOVE) free(block_of(next)); return AGAIN;', 'return AGAIN;'),
    ('map_loser_frees_all', 'a lost removal frees the block in use',
     'shaken-asan:map_race@5', 'if ((next & BLOCK) && change->action != '
     'REMOVE) free(block_of(next));', 'if (next & BLOCK) '
     'free(block_of(next));'),
    ('map_block_kept', 'a block that was replaced is lost', 'asan:map',
     RETIRE_OLD, ''),
    ('map_block_freed_at_once', 'a block is freed under its readers',
     'asan:map_race@5', RETIRE_OLD, RETIRE_OLD.replace(
         'fh_rcu_retire_free(&block_of(spot->seen)->rcu)',
         'free(block_of(spot->seen))')),
    ('map_block_retired_in_use', 'a block that stays is retired', 'map',
     RETIRE_OLD, 'if (spot->seen & BLOCK) '
     'fh_rcu_retire_free(&block_of(spot->seen)->rcu);'),
    ('map_put_counts', 'a replacement counts as one more', 'map',
     '-1 : !change->found;', '-1 : 1;'),
    ('map_never_helps', 'writers do not help a migration',
     'gap_map',
     'if (table_migrating(table)) fh_migrate_help(map, table); else if',
     'if'),
    ('map_never_resizes', 'the table keeps its size', 'map_grow',
     'fh_resize_if_due(map, table); } static int carry_out',
     '; } static int carry_out'),
    ('map_crowd_unnoticed', 'a crowded table shrinks',
     'gap_map', 'if (change->length > CROWDED) '
     'store_relaxed(&map->crowded, true);', ''),
    ('map_outside_section', 'writers run outside of any read section',
     'asan:map_race@5', 'fh_rcu_read_lock(); do', 'do',
     'follow_up(map, change); fh_rcu_read_unlock();',
     'follow_up(map, change);'),
    ('map_room_for_one', 'an operation that retires two asks room for one',
     'gap_room', 'change->action == INSERT ? 1 : 2', '1'),
    ('map_room_kept', 'the caller gets no room for what it is given',
     'gap_room', 'rc == 0 && change->found);', '0);'),
    ('map_bad_address', 'an entry that does not fit into a word is taken',
     'map', 'return ((word)(uintptr_t)entry & ~ENTRY_MASK) != 0;',
     '(void)entry; return false;'),
    ('map_replace_other_key', 'an entry is replaced by one of another key',
     'map', 'if (old == entry || !fh_key_equal(map->keys, old->key, '
     'entry->key)) return -EINVAL;', ''),
    ('map_replace_in_two', 'an entry is replaced by removing and inserting',
     'gap_map',
     'return bring_in(map, REPLACE, entry, old, NULL);',
     'int rc = fh_map_remove_entry(map, old); '
     'return rc ? rc : fh_map_insert(map, entry, NULL);'),
    ('map_put_in_two', 'put removes, then inserts', 'map_grow map_race@5',
     'return bring_in(map, PUT, entry, NULL, old);',
     'if (fh_map_remove(map, entry->key, old)) *old = NULL; '
     'return fh_map_insert(map, entry, NULL);'),
)

WORD = rows(
    'src/map_word.h',
    ('word_tag_wrong', 'tags are compared with a part of the address',
     'map', 'return (slot ^ tag) >> UPPER_SHIFT == 0;',
     'return (slot ^ tag) >> (UPPER_SHIFT - 8) == 0;'),
    ('word_tag_elsewhere', 'an entry is entered with the tag of a '
     'neighbouring slice', 'map',
     'return (word)(uintptr_t)entry | tag_of(entry->hash, tag_shift);',
     'return (word)(uintptr_t)entry | tag_of(entry->hash, tag_shift - 1);'),
    ('word_dead_live', 'what was removed from a block is still found',
     'map_model',
     'return w >> (UPPER_SHIFT + i) & 1;', 'return 0;'),
    ('word_mark_is_enough', 'an entry is dead before the word counts it',
     'schedule:map_log', 'return died && died <= removals(w);',
     'return died != 0;'),
    ('word_mark_late', 'an entry is dead one removal too late', 'map_model',
     'return died && died <= removals(w);',
     'return died && died < removals(w);'),
    ('word_count_wrong', 'removals of a long block are counted as bits',
     'map_model', '(content & LONG ? removals(content) :', '(0 ? 0 :'),
    ('word_mask_too_small', 'a block of 12 has 11 bits for its dead',
     'map_lookup', '#define SHORT_ENTRIES 11u', '#define SHORT_ENTRIES 12u'),
    ('word_long_as_short', 'the slots of a long block begin at its length',
     'map_model', 'return &block_of(w)->slot[w / LONG];',
     'return &block_of(w)->slot[0];'),
    ('word_length_lost', 'a word forgets that an entry of its block died',
     'map_model', '(unsigned)(w >> LENGTH_SHIFT) :',
     '(unsigned)(w >> LENGTH_SHIFT) - (w >> UPPER_SHIFT & 1) :'),
    ('word_removals_of_long', 'the mark of a long block counts as removals',
     'map_model', 'return (unsigned)((w & ~LONG) >> UPPER_SHIFT);',
     'return (unsigned)(w >> UPPER_SHIFT);'),
    ('word_plan_ignored', 'a plan is searched as if it were a block',
     'map_model map_grow shaken:map_grow@5 schedule:map_grow',
     'return unlikely(is_plan(w)) ? plan_of(w)->source : w;', 'return w;'),
)

TABLE_H = rows(
    'src/map_table.h',
    ('table_uninit_empty', 'readers take UNINIT for EMPTY', 'map_grow map',
     'if (unlikely(w == UNINIT)) {', 'if (w == UNINIT) w = EMPTY; if (0) {'),
    ('table_root_relaxed', 'a reader sees a table before its words',
     'schedule:map_grow',
     *weaker('struct table *t = [[load_acquire(&map->root)]];')),
    ('table_word_relaxed', 'a reader sees a word before what it names',
     'schedule:map', *weaker('word w = [[load_acquire(word_at(t, hash))]];')),
    ('table_old_word_relaxed', 'a reader sees an old word before what it '
     'names', 'schedule:map_grow',
     *weaker('w = [[load_acquire(word_at(t, hash))]]; if (*last')),
    ('table_range_of_root', "a walk skips what the old bucket does not "
     'cover', 'map_walk map_grow',
     'if (*last > (hash | (UINT64_MAX >> t->log2))) '
     '*last = hash | (UINT64_MAX >> t->log2);', ''),
    ('table_complete_relaxed', 'a migration is over before its words are '
     'seen', 'schedule:map_grow', *weaker('[[load_acquire(&table->done)]]')),
    ('table_complete_early', 'a migration is over when half of it is',
     'schedule:map_grow map_grow',
     'return load_acquire(&table->done) == (size_t)1 << table->goal_log2;',
     'return load_acquire(&table->done) >= (size_t)1 << '
     'table->goal_log2 >> 1;'),
    ('table_hash_is_key', 'equal hashes count as equal keys',
     'gap_map',
     'return entry->hash == hash && fh_key_equal(kind, entry->key, key);',
     'return entry->hash == hash;'),
)

TABLE = rows(
    'src/map_table.c',
    ('table_unchecked', 'a table that is not there is written to', 'map_oom',
     'if (!table) return NULL; table->log2 = log2;', 'table->log2 = log2;'),
    ('table_map_unchecked', 'a large table that is not there is written to',
     'fault_memory', 'return map == MAP_FAILED ? NULL :', 'return'),
    ('table_map_freed', 'a large table is given to free', 'map_grow',
     'if (table->log2 < MAPPED_LOG2) free(table); else table_unmap(table);',
     'free(table);'),
    ('table_next_unchecked', 'a successor that is not there is written to',
     'map_oom', 'if (!table) return NULL; if (!tag_worn', 'if (!tag_worn'),
    ('table_first_unchecked', 'a first table that is not there is filled',
     'map_oom', 'if (!table) return NULL; for', 'for'),
    ('table_block_unchecked', 'a block that is not there is written to',
     'map_oom', 'return block ? fh_block_word(block, n) : UNINIT;',
     'return fh_block_word(block, n);'),
    ('table_log_not_empty', 'the log of a long block begins with what was '
     'there', 'asan:map_model map_model',
     'if (block && n > SHORT_ENTRIES) memset(block, 0, size);', ''),
    ('table_log_no_room', 'a long block has no room for its log',
     'asan:map_model',
     'n * (sizeof(word) + 2 * sizeof(uint16_t))', 'n * sizeof(word)'),
    ('table_source_leaks', 'a block that was split is lost', 'asan:map',
     'if (plan->source & BLOCK) free(block_of(plan->source));', ''),
    ('table_spare_leaks', 'a reserve that was not needed is lost',
     'schedule:map_shrink',
     'if (is_join(w) && load_relaxed(&plan->spare)) free(plan->reserve);',
     ''),
    ('table_child_for_reserve', 'a plan that splits is freed as one that '
     'joins', 'asan:map_grow asan:map_model',
     'if (is_join(w) && load_relaxed', 'if (load_relaxed'),
    ('table_reserve_freed', 'a union is freed while in use',
     'asan:map_grow asan:map_model',
     'if (is_join(w) && load_relaxed(&plan->spare)) free(plan->reserve);',
     'if (is_join(w)) free(plan->reserve);'),
    ('table_blocks_leak', 'the blocks of an old table are lost', 'asan:map',
     'else if (w & BLOCK) free(block_of(w));', ''),
)

LIFE = rows(
    'src/map_life.c',
    ('walk_from_bucket', 'a walk starts over at the head of a bucket',
     'map_walk map_grow', 'if (entry->hash >= range->first && '
     'entry->hash <= range->last)', 'if (entry->hash <= range->last)'),
    ('walk_to_bucket', 'a walk goes beyond its range',
     'map_walk map_grow schedule:map_walk',
     'if (entry->hash >= range->first && entry->hash <= range->last)',
     'if (entry->hash >= range->first)'),
    ('walk_stays', 'the cursor visits its last hash again',
     'schedule:map_walk map_walk', 'cursor->next = range.last + 1;',
     'cursor->next = range.last + (range.last == UINT64_MAX);'),
    ('walk_outside', 'a walk runs outside of any read section',
     'gap_map',
     'fh_rcu_read_lock(); range = range_at(map, cursor->next);',
     'range = range_at(map, cursor->next);',
     'visited += visit_range(&range, visit, arg, &stop); '
     'fh_rcu_read_unlock();',
     'visited += visit_range(&range, visit, arg, &stop);'),
    ('walk_stop_ignored', 'a visitor cannot stop a walk', 'map_walk',
     'while (!cursor->done && !stop &&', 'while (!cursor->done &&'),
    ('settle_at_once', 'settle does not wait for a migration',
     'gap_map',
     'if (*helped > table_buckets(table) / 8 + 2) return 0;', 'return 0;'),
    ('map_unchecked', 'a map that is not there is initialised', 'map_oom',
     'if (!made) return -ENOMEM;', ''),
    ('map_no_table', 'a map without a table is handed out', 'map_oom',
     'if (!table) return -ENOMEM; store_relaxed(&map->root, table);',
     'store_relaxed(&map->root, table);'),
    ('map_create_leaks', 'a map that could not be made is lost',
     'asan:map_oom asan:map', 'free(made); return rc;', 'return rc;'),
    ('destroy_unmoved_lost', 'destroy forgets what could not be moved',
     'gap_memory', 'if (release && old) release_unmoved(table, old, release, '
     'arg);', ''),
    ('destroy_old_leaks', 'destroy forgets the old table',
     'asan:gap_memory',
     'if (old) fh_table_free(&old->rcu);', ''),
)

LOG = rows(
    'src/map_log.c',
    ('log_enter_torn', 'two removals enter the log at one place',
     'schedule:map_log',
     *apart('ours = [[cas_acq_rel_acquire(log_of(block, n) + v, &logged, '
            'mine)]];')),
    ('log_word_torn', 'the word counts removals by load and store',
     'schedule:map_log',
     *apart('if ([[cas_acq_rel_acquire(at, &seen, seen + UPPER_ONE)]])')),
    ('log_word_relaxed', 'a word counts a removal before its mark is there',
     'schedule:map_log',
     *weaker('if ([[cas_acq_rel_acquire(at, &seen, seen + UPPER_ONE)]])',
             'acquire')),
    ('log_commit_torn', 'the committed count is raised by load and store',
     'schedule:map_log',
     *apart('![[cas_acq_rel_relaxed(&block->committed, &stands, count)]])')),
    # In what order the log is entered and `committed` is raised and read does
    # not matter: both are numbers, and the word hands them on.
    ('log_no_commit', 'a block is never committed', 'hooks:rules',
     'if (!is_long(seen)) return;', 'return;'),
    ('log_no_mark', 'a removal is counted and not marked', 'map_model',
     'store_relaxed(died_of(block, n) + logged - 1, (uint16_t)(v + 1));', ''),
    ('log_mark_late', 'a removal is marked after it is counted',
     'schedule:map_log',
     'store_relaxed(died_of(block, n) + logged - 1, (uint16_t)(v + 1)); '
     'while', 'while', 'return ours; verdict',
     '{ store_relaxed(died_of(block, n) + logged - 1, (uint16_t)(v + 1)); '
     'return ours; } verdict'),
    ('log_no_help', 'a removal waits for the one before it', 'hooks:rules',
     'if (ours) logged = mine;', 'if (!ours) return false; logged = mine;'),
    ('log_counts_too_much', 'a removal that was not counted counts',
     'shaken:map_race@5 hooks:rules schedule:map_log',
     'return load_acquire(&block->committed) > v;',
     'return load_acquire(&block->committed) >= v;'),
    ('log_frozen_waits', 'a removal waits for a frozen word to move',
     'schedule:map_log', 'return now & FROZEN ? 0 : -1;',
     'return -1;'),
    ('log_helper_wins', 'who finishes the removal of another counts it as '
     'their own', 'hooks:rules shaken:map_race@5', 'return ours;',
     'return true;'),
)

FREEZE_SPLIT = 'if ([[cas_acq_rel_acquire(old, &w, f)]])'
FREEZE_EVEN = 'if ([[cas_acq_rel_acquire(even, &e, f)]])'
FREEZE_ODD = 'frozen[1] = [[or_acq_rel(odd, FROZEN)]] | FROZEN;'
CLOSE = '[[or_acq_rel(odd, CLOSED)]];'
INSTALL = 'return [[cas_release_relaxed(at, &expected, child)]] ? 1 : 0;'
COUNT = 'if (n == 0 || [[add_acq_rel(&table->done, n)]] + n != goal)'
START = 'if (![[cas_release_relaxed(&map->root, &table, next)]])'

MIGRATE = rows(
    'src/map_migrate.c',
    ('migrate_no_licence', 'old memory is touched after the bucket moved',
     'hooks:rules', 'if (load_relaxed(low) != UNINIT && load_relaxed(high) '
     '!= UNINIT) return 0;', ''),
    ('migrate_no_licence_join', 'old memory is touched after two buckets '
     'were joined', 'asan:map_grow shaken-asan:map_grow@5',
     'if (load_relaxed(&table->word[c]) != UNINIT) return 0;', ''),
    ('migrate_no_close', 'the odd half is not closed', 'hooks:rules',
     'if (!(load_acquire(odd) & (CLOSED | FROZEN))) or_acq_rel(odd, CLOSED);',
     ''),
    ('migrate_close_torn', 'the odd half is closed by load and store',
     'schedule:map_shrink', *apart(CLOSE)),
    ('migrate_freeze_torn', 'a bucket is frozen by load and store',
     'schedule:map_grow', *apart(FREEZE_SPLIT)),
    ('migrate_freeze_no_acquire', 'a frozen bucket is read too early',
     'schedule:map_grow', *weaker(FREEZE_SPLIT, 'release')),
    ('migrate_freeze_no_release', 'a plan is published before it is there',
     'schedule:map_grow', *weaker(FREEZE_SPLIT, 'acquire')),
    ('migrate_even_torn', 'the even half is frozen by load and store',
     'schedule:map_shrink', *apart(FREEZE_EVEN)),
    ('migrate_even_no_acquire', 'the frozen even half is read too early',
     'schedule:map_shrink', *weaker(FREEZE_EVEN, 'release')),
    ('migrate_even_no_release', 'a plan of a union is published before it '
     'is there', 'schedule:map_shrink', *weaker(FREEZE_EVEN, 'acquire')),
    ('migrate_odd_torn', 'the odd half is frozen by load and store',
     'schedule:map_shrink', *apart(FREEZE_ODD)),
    # A removal from a closed half brings nothing new, but in a long block it
    # leaves a mark.
    ('migrate_odd_relaxed', 'the frozen odd half is read too early',
     'schedule:map_log', *weaker(FREEZE_ODD)),
    ('migrate_odd_first', 'the odd half is frozen before the even one',
     'map_oom',
     'fh_point("map.closed");', 'or_acq_rel(odd, FROZEN);'),
    ('migrate_old_word_relaxed', 'a mover sees a word before what it names',
     'schedule:map_grow', *weaker('word w = [[load_acquire(old)]], f;')),
    ('migrate_even_word_relaxed', 'a mover sees an even half before what it '
     'names', 'schedule:map_shrink',
     *weaker('word e = [[load_acquire(even)]], f;')),
    # Any one of these three acquires what was inserted before the half was
    # closed; after that nothing comes in.  So they are broken together.
    ('migrate_odd_word_relaxed', 'a mover sees an odd half before what it '
     'names', 'schedule:map_log',
     *weaker('if (!([[load_acquire(odd)]] & (CLOSED | FROZEN)))'),
     *weaker(CLOSE),
     *weaker('f = plan_join(e, [[load_acquire(odd)]]);')),
    ('migrate_install_torn', 'a new word is installed by load and store',
     'shaken:map_grow@5 schedule:map_grow', *apart(INSTALL)),
    ('migrate_install_relaxed', 'a new word is installed before what it '
     'names', 'schedule:map_grow', *weaker(INSTALL)),
    ('migrate_install_always', 'a late helper installs over what came since',
     'shaken:map_grow@5 map_grow map_race@5', INSTALL.replace('[[', '')
     .replace(']]', ''), 'store_release(at, child); return expected == '
     'UNINIT;'),
    ('migrate_count_torn', 'installs are counted by load and store',
     'shaken:map_grow@5 schedule:map_grow', *apart(COUNT)),
    ('migrate_count_relaxed', 'installs are counted in no order',
     'schedule:map_grow', *weaker(COUNT)),
    ('migrate_half', 'one half of a bucket is not installed', 'hooks:rules',
     'installed += install(high, child[1]);', ''),
    ('migrate_retired_early', 'the old table is retired when half has moved',
     'asan:gap_map', COUNT.replace('[[', '').replace(']]', ''),
     'if (n == 0 || add_acq_rel(&table->done, n) + n != goal / 2)'),
    ('migrate_freed_at_once', 'the old table is freed under its readers',
     'asan:map_grow', 'fh_rcu_retire_later(&table->prev->rcu, '
     'fh_table_free);', 'fh_table_free(&table->prev->rcu);'),
    ('migrate_never_retired', 'the old table is lost', 'asan:map',
     'fh_rcu_retire_later(&table->prev->rcu, fh_table_free);', ''),
    ('migrate_start_torn', 'two successors are published',
     'schedule:map_grow', *apart(START)),
    ('migrate_start_relaxed', 'a successor is published before it is there',
     'schedule:map_grow', *weaker(START)),
    ('migrate_start_leaks', 'a successor that came second is lost',
     'shaken-asan:map_grow@5 shaken-asan:map_race@5',
     'next)) fh_table_discard(next);', 'next)) return 0;'),
    ('migrate_fixed_ignored', 'a table of fixed size grows', 'map map_walk',
     'if (map->fixed || !table_complete(table))',
     'if (!table_complete(table))'),
    ('migrate_unplanned', 'a bucket is frozen without memory', 'map_oom',
     'f = plan_split(new, w); if (!f) return -ENOMEM;',
     'f = plan_split(new, w); if (!f) f = w | FROZEN;'),
    ('migrate_loser_leaks', 'a plan that came second is lost',
     'shaken-asan:map_race@5 shaken-asan:map_grow@5',
     'if (cas_acq_rel_acquire(old, &w, f)) w = f; else discard(f);',
     'if (cas_acq_rel_acquire(old, &w, f)) w = f;'),
    ('migrate_join_loser_leaks', 'a plan of a union that came second is lost',
     'shaken-asan:map_grow@5 shaken-asan:map_race@5',
     'if (cas_acq_rel_acquire(even, &e, f)) e = f; else discard(f);',
     'if (cas_acq_rel_acquire(even, &e, f)) e = f;'),
    ('migrate_failure_leaks', 'a plan without all of its memory is lost',
     'asan:map_oom', 'discard(plan_word(plan)); return 0;', 'return 0;'),
    ('migrate_reserve_unchecked', 'a union is planned without room',
     'map_oom', 'if (!plan->reserve) { free(plan); return 0; }', ''),
    ('migrate_join_unchecked', 'a plan that is not there is written to',
     'map_oom', 'if (!plan) return 0; plan->reserve', 'plan->reserve'),
    ('migrate_union_limit', 'a union has room for the even half alone',
     'asan:map_grow', 'unsigned total = live_count(even) + live_count(odd);',
     'unsigned total = 2; (void)odd;'),
    ('migrate_union_of_two', 'a union of two has no block', 'map_grow map',
     'if (total < 2) return even | FROZEN;',
     'if (total < 3) return even | FROZEN;'),
    ('migrate_block_shared', 'a block that does not split is shared with '
     'the new table', 'asan:map_model asan:map_grow',
     'if (count[0] < 2 && count[1] < 2) return w | FROZEN;',
     'if (count[0] < 2 && count[1] < 2) return w | FROZEN; '
     'if (!count[1] && new->tag_shift == new->prev->tag_shift && '
     '(plan = plan_new(w))) { plan->child[0] = w; plan->child[1] = EMPTY; '
     'return plan_word(plan); }'),
    ('migrate_split_wrong', 'entries move to the other half',
     'hooks:rules',
     'return entry_of(slot)->hash >> bit & 1;',
     'return ~entry_of(slot)->hash >> bit & 1;'),
    ('migrate_tag_kept', 'entries keep a tag that no longer holds',
     'map_grow', 'return entry_word(entry_of(slot), new->tag_shift);',
     'return slot;'),
    ('migrate_shrinks_below', 'a table shrinks below what was expected of it',
     'map map_walk map_grow', 'table->log2 > map->min_log2 &&',
     'table->log2 > TABLE_LOG2_MIN &&'),
    ('migrate_shrinks_early', 'a table shrinks while half of it is in use',
     'map_grow map gap_map', '#define SHRINK_BELOW(buckets) ((buckets) / 8)',
     '#define SHRINK_BELOW(buckets) ((buckets) / 2)'),
    ('migrate_grows_late', 'a table grows when there are 8 to a bucket',
     'gap_map', '#define GROW_ABOVE(buckets) ((buckets) / 4 * 3)',
     '#define GROW_ABOVE(buckets) ((buckets) * 8)'),
    ('migrate_crowd_shrinks', 'a crowded table is made to shrink',
     'gap_map', '&& !load_relaxed(&map->crowded))', ')'),
    ('migrate_failure_unsaid', 'settle is not told that memory is short',
     'gap_memory', 'if (rc < 0) failed = rc;', '(void)rc;'),
    ('migrate_deferral_uncounted', 'a growth put off is not counted',
     'gap_memory', 'add_relaxed(&map->deferred, 1u);', ''),
    ('migrate_help_in_place', 'helpers all take the same buckets',
     'map_grow map', 'size_t first = add_relaxed(&table->cursor, share), i;',
     'size_t first = load_relaxed(&table->cursor), i;'),
)

LOOKUP = rows(
    'src/map_lookup.c',
    ('lookup_short', 'a search stops at the first entry with the tag',
     'map_model no-tags:map_lookup', 'slot_is(slot, tag, &wanted)) '
     'return entry_of(slot);',
     'true) return slot_is(slot, tag, &wanted) ? entry_of(slot) : NULL;'),
    ('lookup_dead', 'a search finds entries that are dead', 'map_lookup',
     '!is_dead(content, n, i) &&', ''),
    ('lookup_fast_dead', 'the short way finds entries that are dead',
     'map_lookup', 'return !(w & (LONG | DEAD_MASK | PLAN));',
     'return !(w & (LONG | PLAN));'),
    ('lookup_fast_plan', 'the short way takes a plan for a block',
     'explained: where a block has its slots a plan has two words of the '
     'new table; what they name was there when the bucket was frozen, and '
     'what they do not name the usual way decides',
     'return !(w & (LONG | DEAD_MASK | PLAN));',
     'return !(w & (LONG | DEAD_MASK));'),
    ('lookup_fast_empty', 'an empty word is taken for an entry',
     'map_lookup', '(uintptr_t)entry > EMPTY &&', ''),
    ('lookup_fast_any_key', 'the tag alone decides', 'map_lookup map_model',
     '&& entry->key.word[0] == number;', ';'),
    ('lookup_fast_first', 'a block of which the first is not it has nothing',
     'map_lookup', 'return entry_of(slot); } return find_u64(map, key, hash);',
     'return entry_of(slot); return NULL; } '
     'return find_u64(map, key, hash);'),
    ('lookup_fast_uninit', 'a bucket that has not moved is empty',
     'map_grow map', 'if (likely(w != UNINIT)) return NULL;',
     'return NULL;'),
    ('batch_fast_dead', 'a batch finds entries that are dead', 'map_lookup',
     'return is_plain_block(w) ? likely_slot(w, tag) | BLOCK : UNINIT;',
     'return likely_slot(w, tag) | BLOCK;'),
    ('batch_fast_first', 'a batch looks at two entries of a block',
     'map_lookup', 'else if (w[i] != UNINIT && !(w[i] & BLOCK))',
     'else if (w[i] != UNINIT)'),
    ('batch_fast_uninit', 'a batch takes what has not moved for nothing',
     'map_grow map', 'else if (w[i] != UNINIT && !(w[i] & BLOCK))',
     'else if (!(w[i] & BLOCK))'),
    ('lookup_batch_shift', "a batch looks for the root's tags in the old "
     'table',
     'gap_map',
     'probe[i].content = w;',
     'probe[i].content = w; probe[i].table = '
     'load_acquire(&map->root);'),
    ('lookup_batch_rest', 'a batch forgets its last group', 'map_walk map',
     'n = count < GROUP ? count : GROUP;',
     'n = count < GROUP ? count : GROUP; if (n < GROUP && count > 1) break;'),
)

HASH = rows(
    'src/hash.c',
    ('hash_length_ignored', 'a key equals each that begins with it', 'map',
     'if (a.word[1] != b.word[1]) return false;', ''),
    ('hash_unseeded', 'every table has the same hashes',
     'gap_map',
     'ssize_t got = getrandom(to, left, 0);', 'ssize_t got = left; '
     'for (size_t i = 0; i < left; i++) to[i] = 1 + i;'),
)

MUTANTS = (MAP + WORD + TABLE_H + TABLE + LIFE + LOG + MIGRATE + LOOKUP +
           HASH)
