# SPDX-License-Identifier: MIT
"""Mutants of the server registry: claims, users, leases, jobs, supervision."""

from mutant import apart, rows, weaker

OWN = ('while (rc == 0 && [[fh_status_compare_exchange(&server->cell, from, '
       'claim->to)]]);')

SERVER = rows(
    'src/server.c',
    ('server_ref_torn', 'references are taken by load and store',
     'schedule:server', *apart(
         '} while (![[cas_acq_rel_relaxed(refs, &seen, seen + 1)]]);')),
    ('server_ref_from_zero', 'what is on its way out is taken hold of',
     'schedule:server', 'if (seen == 0) return false;', ''),
    ('server_drop_no_release', 'a server is freed before its users are done',
     'schedule:server', *weaker('if ([[sub_acq_rel(&server->refs, 1u)]] != 1)',
                                'acquire')),
    ('server_drop_no_acquire', 'a server is freed by who sees less than its '
     'users', 'schedule:server',
     *weaker('if ([[sub_acq_rel(&server->refs, 1u)]] != 1)', 'release')),
    ('server_freed_at_once', 'a server is freed while readers may see it',
     'schedule:server', 'fh_rcu_retire(&server->rcu, free_server);',
     'free_server(&server->rcu);'),
    ('server_face_kept', 'the last face of a server is lost', 'asan:server',
     'fh_client_drop(load_relaxed(&server->face)->home);', ''),
    ('server_arg_kept', 'what a server was started with is not given back',
     'server', 'if (release) release(arg); }', '(void)release; }'),
    ('server_find_outside', 'a server is looked for outside of sections',
     'schedule:server',
     'struct fh_map_entry *entry; fh_rcu_read_lock(); entry = '
     'fh_map_lookup(servers->map, fh_key_string(name)); if (entry && '
     'fh_server_look', 'struct fh_map_entry *entry; entry = '
     'fh_map_lookup(servers->map, fh_key_string(name)); if (entry && '
     'fh_server_look',
     'found = server_of(entry); fh_rcu_read_unlock();',
     'found = server_of(entry);'),
    ('server_enters_blindly', 'a start looks, then puts', 'schedule:server',
     'rc = fh_map_insert(servers->map, &fresh->entry, NULL);',
     'rc = fh_map_put(servers->map, &fresh->entry, NULL);'),
    ('server_stopped_in_the_way', 'one that is stopped keeps its name',
     'schedule:server',
     'if (fh_server_look(server_of(entry)).state != FH_SERVER_STOPPED) {',
     'if (1) {'),
    ('server_replaced_kept', 'one that is replaced is lost',
     'schedule:server', 'if (replaced) fh_server_drop(replaced);',
     '(void)replaced;'),
    ('server_removed_twice', 'one that is replaced is dropped again',
     'schedule:server',
     'if (fh_map_remove_entry(servers->map, &server->entry) == 0) '
     'fh_server_drop(server);',
     'fh_map_remove_entry(servers->map, &server->entry); '
     'fh_server_drop(server);'),
    ('server_face_first', 'a look reads the face, then the cell',
     'schedule:server',
     'struct fh_status_snapshot seen = fh_status_read(&server->cell); '
     'struct look look;', 'struct look look = { .face = '
     'load_acquire(&server->face) }; struct fh_status_snapshot seen = '
     'fh_status_read(&server->cell);',
     'look.face = load_acquire(&server->face); look.state',
     'look.state'),
    ('server_face_relaxed', 'a look follows a face before it is there',
     'schedule:server',
     *weaker('look.face = [[load_acquire(&server->face)]];')),
    ('server_claim_unseen', 'a claim is not seen before its face',
     'schedule:server', 'if (look.epoch == seen.epoch) {', 'if (0) {'),
    ('server_get_outside', 'a lease is taken outside of sections',
     'schedule:server', 'do { fh_rcu_read_lock(); rc = try_get(servers, '
     'name, lease, info); fh_rcu_read_unlock(); }',
     'do { rc = try_get(servers, name, lease, info); }'),
    ('server_health_outside', 'health is read outside of sections',
     'schedule:server', 'fh_rcu_read_lock(); entry = '
     'fh_map_lookup(servers->map, fh_key_string(name)); if (entry) look =',
     'entry = fh_map_lookup(servers->map, fh_key_string(name)); if (entry) '
     'look =',
     'describe(server_of(entry), look, info); fh_rcu_read_unlock(); if '
     '(look.state',
     'describe(server_of(entry), look, info); if (look.state'),
    ('server_get_any_state', 'a get does not look at the state', 'server',
     'if (look.state != FH_SERVER_RUNNING) return '
     'fh_server_verdict(look.state);', ''),
)

LIFE = rows(
    'src/server_life.c',
    ('server_restart_deletes', 'a restart deletes the entry and inserts it '
     'again', 'server_race history_server schedule:server',
     'fh_point("server.claimed");',
     'if (claim->to == FH_SERVER_RESTARTING) '
     'fh_map_remove_entry(server->base.servers->map, &server->entry);',
     'publish(server, face); fh_point("server.settling");',
     'publish(server, face); if (busy.state == FH_SERVER_RESTARTING) '
     'fh_map_insert(server->base.servers->map, &server->entry, NULL);'),
    ('server_publish_relaxed', 'a face is seen before it is complete',
     'schedule:server', *weaker('[[store_release(&server->face, face)]];')),
    ('server_home_kept', 'superseded faces are lost', 'asan:server',
     'if (before != home) fh_client_drop(before);', '(void)before;'),
    ('server_home_late', 'a face is looked at when it is another\'s',
     'schedule:server', 'struct client *home = face->home; /* pairs with: '
     'server.face */ store_release(&server->face, face); if (before != home)',
     'store_release(&server->face, face); if (before != face->home)'),
    ('server_claim_torn', 'two own a server', 'schedule:server',
     'while (rc == 0 && fh_status_compare_exchange(&server->cell, from, '
     'claim->to));', 'while (rc == 0 && fh_status_set(&server->cell, '
     'claim->to));'),
    ('server_claim_any_state', 'a claim does not look at the state',
     'server_wait history_server schedule:server',
     'if (!fh_server_may_follow((enum fh_server_state)seen.state, claim->to)) '
     'return -EAGAIN;', ''),
    ('server_claim_any_epoch', 'another backoff is recovered from',
     'schedule:server',
     'if (claim->epoch && claim->epoch != seen.epoch + 1) return -EAGAIN;',
     ''),
    ('server_claim_any_client', 'another client is said to have crashed',
     'server', 'if (claim->generation && claim->generation != '
     'face->info.generation) return -ESTALE;', ''),
    ('server_faces_used_twice', 'a face is written that readers see',
     'schedule:server', 'return faces == FACES_STOP &&',
     'return 0 && faces == FACES_STOP &&'),
    ('server_spins', 'a claim waits for the owner to change the cell',
     'schedule:server', 'if (face->info.epoch != seen.epoch + 2) return seen;',
     'if (face) return seen;'),
    ('server_helps_with_anything', 'a claim makes the cell follow any face',
     'schedule:server', 'if (face->info.epoch != seen.epoch + 2)',
     'if (face->info.epoch == seen.epoch + 1)'),
    ('server_catch_up_relaxed', 'a claim helps by a face that is not there',
     'schedule:server', *weaker(
         'for (;;) { /* pairs with: server.face */ face = '
         '[[load_acquire(&server->face)]];')),
    ('server_object_relaxed', 'a claim is judged by a face that is not there',
     'schedule:server', *weaker(
         'return -EAGAIN; /* pairs with: server.face */ face = '
         '[[load_acquire(&server->face)]];')),
    ('server_told_late', 'what is told is read when it is another\'s',
     'schedule:server',
     'tell(server, face, busy.state, event); publish(server, face);',
     'publish(server, face); tell(server, face, busy.state, event);'),
    ('server_cell_first', 'waiters are woken before there is a face',
     'schedule:server', 'publish(server, face); fh_point("server.settling"); '
     'fh_status_compare_exchange(&server->cell, &busy, outcome->to);',
     'fh_status_compare_exchange(&server->cell, &busy, outcome->to); '
     'publish(server, face);'),
    ('server_settles_over', 'who settles does not look for who has helped',
     'schedule:server',
     'fh_status_compare_exchange(&server->cell, &busy, outcome->to);',
     'fh_status_set(&server->cell, outcome->to);'),
    ('server_waits_short', 'a wait ends with the state that it saw',
     'schedule:server', 'seen.epoch + 1 <= epoch', 'seen.epoch + 1 < epoch'),
    ('server_join_torn', 'users are counted by load and store',
     'schedule:server', *apart(
         '} while (![[cas_acq_rel_relaxed(&server->users, &users, users + '
         'USER)]]);')),
    ('server_join_closed', 'users join a server that its last one has left',
     'schedule:server', 'if (users & CLOSED) return -ESHUTDOWN; /* pairs '
     'with: server.users */ } while (!cas_acq_rel_relaxed(&server->users, '
     '&users, users + USER));', '} while (!cas_acq_rel_relaxed('
     '&server->users, &users, users + USER));'),
    ('server_leave_torn', 'two are the last user', 'schedule:server', *apart(
        '} while (![[cas_acq_rel_relaxed(&server->users, &users, left)]]);')),
    ('server_leave_open', 'the last user leaves the door open',
     'schedule:server', 'left = users < 2 * USER ? CLOSED : users - USER;',
     'left = users < USER ? CLOSED : users - USER;'),
    ('server_closed_by_load', 'an owner may miss that its server was closed',
     'schedule:server', 'return add_acq_rel(&server->users, 0u) & CLOSED;',
     'return load_acquire(&server->users) & CLOSED;'),
    ('server_leave_no_acquire', 'who closes may miss that it was settled',
     'explained: law 5 needs it; it takes four older values at once to see, '
     'which the bounds of the short form leave out (--stale 4)', *weaker(
         'left = users < 2 * USER ? CLOSED : users - USER; /* pairs with: '
         'server.users */ } while (![[cas_acq_rel_relaxed(&server->users, '
         '&users, left)]]);', 'release')),
    ('server_unjoin_below', 'a user is taken away that is not there',
     'server_wait', 'if (users < USER) return;', ''),
    ('server_not_reopened', 'one that could not be stopped stays closed',
     'server_fail', 'store_relaxed(&server->users, 0u);', '(void)server;'),
    ('server_walk_cut', 'a walk forgets what it had no room for',
     'server_haul',
     'cursor->next = haul->rest; cursor->done = 0;', ''),
    ('server_walk_unheld', 'a walk holds what is on its way out',
     'schedule:server',
     'if (fh_ref_unless_zero(&haul->server[i]->refs)) haul->server[held++] '
     '= haul->server[i];', '{ fh_server_hold(haul->server[i]); '
     'haul->server[held++] = haul->server[i]; }'),
)

RETURN = 'left = [[sub_acq_rel(&client->leases, LEASE)]] - LEASE;'

LEASE = rows(
    'src/server_lease.c',
    ('server_client_no_release', 'a client is freed before its users are done',
     'schedule:server', *weaker('if ([[sub_acq_rel(&client->refs, 1u)]] == 1)',
                                'acquire')),
    ('server_client_no_acquire', 'a client is freed by who sees less than '
     'its users', 'schedule:server',
     *weaker('if ([[sub_acq_rel(&client->refs, 1u)]] == 1)', 'release')),
    ('server_client_at_once', 'a client is freed while readers may see it',
     'schedule:server', 'fh_rcu_retire(&client->rcu, free_client);',
     'free_client(&client->rcu);'),
    ('server_lease_torn', 'leases are counted by load and store',
     'schedule:server', *apart(
         '} while (![[cas_acq_rel_acquire(&client->leases, &leases, leases + '
         'LEASE)]]);')),
    ('server_lease_stale', 'leases are given on a client that is to end',
     'schedule:server', 'if (leases & STALE) return false;', ''),
    ('server_lease_relaxed', 'who finds a client stale may not find the claim',
     'explained: then it looks at the server once more', *weaker(
         'uint64_t leases = [[load_acquire(&client->leases)]]; do {')),
    ('server_return_torn', 'leases are returned by load and store',
     'schedule:server', *apart(RETURN)),
    ('server_return_no_release', 'a client is ended before its users are done',
     'schedule:server', *weaker(RETURN, 'acquire')),
    ('server_return_no_acquire', 'a client is released by who sees less than '
     'its users', 'schedule:server', *weaker(RETURN, 'release')),
    ('server_return_unheard', 'nobody is told of the last lease',
     'server schedule:server', 'look_after(client, left); '
     'fh_rcu_read_unlock();', 'fh_rcu_read_unlock();'),
    ('server_return_outside', 'a lease is returned outside of sections',
     'schedule:server', 'fh_rcu_read_lock(); /* pairs with: server.lease */ '
     'left =', 'left =', 'look_after(client, left); fh_rcu_read_unlock();',
     'look_after(client, left);'),
    ('server_return_keeps', 'the last lease does not release', 'server',
     'if (left == STALE) fh_client_release(client);', ''),
    ('server_expire_torn', 'a client is made stale by load and store',
     'schedule:server', *apart(
         'uint64_t left = [[or_acq_rel(&client->leases, STALE)]] | STALE;')),
    ('server_expire_no_release', 'who finds a client stale may not find the '
     'claim', 'schedule:server', *weaker(
         'uint64_t left = [[or_acq_rel(&client->leases, STALE)]] | STALE;',
         'acquire')),
    ('server_expire_no_acquire', 'a client is ended by who sees less than '
     'its users', 'schedule:server', *weaker(
         'uint64_t left = [[or_acq_rel(&client->leases, STALE)]] | STALE;',
         'release')),
    ('server_expire_waits', 'leases that nobody has are waited for',
     'server', 'look_after(client, left); } int fh_client_wait',
     '(void)left; } int fh_client_wait'),
    ('server_end_keeps', 'who ends a client does not release it', 'server',
     'if (sub_acq_rel(&client->leases, OWNED) == (STALE | OWNED)) '
     'fh_client_release(client);', 'sub_acq_rel(&client->leases, OWNED);'),
    ('server_end_torn', 'a client is ended by load and store',
     'schedule:server server_race', *apart(
         'if ([[sub_acq_rel(&client->leases, OWNED)]] == (STALE | OWNED))')),
    ('server_released_in_use', 'a client is released under a lease', 'server',
     'if (sub_acq_rel(&client->leases, OWNED) == (STALE | OWNED))',
     'if (sub_acq_rel(&client->leases, OWNED))'),
    ('server_unmade_kept', 'a client that was never made is lost',
     'asan:server', 'fh_client_drop(client); fh_server_drop(server); } static '
     'void drop_server', '(void)server; } static void drop_server'),
)

JOB = rows(
    'src/server_job.c',
    ('server_stop_forgotten', 'a restart forgets that the last user has left',
     'server_wait history_server schedule:server',
     'if (claim_stop(job) == 0)', 'if (0 && claim_stop(job) == 0)'),
    ('server_stops_later', 'a stop claims what it saw closed at another epoch',
     'schedule:server_three',
     '{ .to = FH_SERVER_STOPPING, .epoch = epoch }',
     '{ .to = FH_SERVER_STOPPING }; (void)epoch'),
    ('server_stops_open', 'a late stop ends what others have started',
     'shaken:history_server@500 shaken:history_server@2000',
     'if (claim_stop(job) == 0)',
     'if (fh_server_is_closed(job->server) && claim_stop(job) == 0)',
     'if (!fh_server_may_follow(info.state, FH_SERVER_STOPPING) || '
     '!fh_server_is_closed(job->server)) return -EAGAIN;',
     'if (!fh_server_may_follow(info.state, FH_SERVER_STOPPING)) return '
     '-EAGAIN;'),
    ('server_end_forgotten', 'an end that was seen too early is forgotten',
     'schedule:server', 'return gone && fh_server_claim(job->server, &claim, '
     '&job->event) == 0;', 'return 0 && gone;'),
    ('server_guest_stays', 'a start that failed leaves a user behind',
     'server history_server', 'if (job->error && job->guest)', 'if (0)'),
    ('server_job_dies', 'a thread that ends takes its job with it',
     'server_fail', 'pthread_cleanup_push(thread_ended, job);',
     'pthread_cleanup_push((void (*)(void *))free, NULL); '
     '(void)thread_ended;', '#include <stdio.h>',
     '#include <stdio.h>\n#include <stdlib.h>'),
    ('server_dies_making', 'what a dead thread had started runs on',
     'server_fail', 'job->made = of_client(job->fresh)->handle; return '
     'job->made ? fh_job_harshest(job) : SETTLE;', 'return SETTLE;'),
    ('server_hook_lease', 'the hook keeps its lease', 'server',
     'if (lease) fh_lease_return(lease); } /* The next job',
     '(void)lease; } /* The next job'),
    ('server_unmade_made', 'what could not be started is taken for a client',
     'server_fail', 'if (server->client == fresh) server->client = NULL;', ''),
    ('server_backs_off_for_good', 'the supervisor is not told of a backoff',
     'server_watch', 'if (outcome.to == FH_SERVER_BACKOFF) '
     'fh_supervisor_kick', 'if (0) fh_supervisor_kick'),
    ('server_stays_listed', 'one that is stopped stays in the registry',
     'server', 'if (outcome.to == FH_SERVER_STOPPED) '
     'fh_server_remove(job->server);', ''),
    ('server_waits_for_itself', 'a job may wait for its own server',
     'server_fail', 'if (job->owns && job->server == server) return true;',
     ''),
    ('server_lease_given_late', 'the hook\'s lease is taken when others may '
     'have ended the client', 'schedule:server',
     'if (job->kind != JOB_START && ops_of(job)->restarted) job->lease = '
     'fh_client_lease(job->running);', '',
     'fh_server_settle(job->server, &outcome, &job->event);',
     'fh_server_settle(job->server, &outcome, &job->event); if (outcome.to '
     '== FH_SERVER_RUNNING && job->kind != JOB_START && '
     'ops_of(job)->restarted) job->lease = fh_client_lease(job->running);'),
    ('server_running_unheld', 'what was settled is looked at unheld',
     'schedule:server', 'fh_client_hold(job->running);', '',
     'fh_client_drop(running); return gone', 'return gone'),
)

STEP = rows(
    'src/server_step.c',
    ('server_impatient', 'leases are not waited for', 'server schedule:server',
     'if (limits->lease > 0 && !job->brutal)', 'if (0)'),
    ('server_kill_left_out', 'one that does not stop is not killed',
     'server_fail', 'return job->step == STOP && ops_of(job)->kill ? KILL : '
     'keep(job);', 'return keep(job);'),
    ('server_two_at_once', 'the next is started before the last has ended',
     'server_fail schedule:server',
     'return rc < 0 ? fh_job_not_ended(job, rc, text) : PART; } /* It has',
     'return PART; } /* It has',
     'return rc < 0 ? fh_job_not_ended(job, rc, text) : PART; } enum step '
     'fh_step_reap', 'return PART; } enum step fh_step_reap'),
    ('server_last_error', 'the last thing that failed is kept', 'server_fail',
     'if (job->error) return; job->error = error;', 'job->error = error;'),
    ('server_handshake_failed', 'one that does not shake hands is not ended',
     'server_fail', 'fh_job_note(job, rc, text); return '
     'fh_job_harshest(job); } enum step fh_step_watch',
     'fh_job_note(job, rc, text); return SETTLE; } enum step fh_step_watch'),
    ('server_ended_twice', 'a client that has ended is ended again',
     'server schedule:server', 'of_server(job->server)->client = NULL; if '
     '(client == job->fresh)', 'if (client == job->fresh)'),
    ('server_crash_fresh', 'leases on a crashed client are not stale',
     'server', 'fh_client_unwatch(client_of(job)); '
     'fh_client_expire(client_of(job)); if (ops_of(job)->exited)',
     'fh_client_unwatch(client_of(job)); if (ops_of(job)->exited)'),
)

WATCH = rows(
    'src/server_watch.c',
    ('server_gone_unsaid', 'the supervisor does not say that a client is gone',
     'schedule:server', 'or_acq_rel(&of_client(client)->gone, 1u);', ';'),
    ('server_gone_by_load', 'an owner may miss that its client is gone',
     'schedule:server', 'return or_acq_rel(&of_client(client)->gone, 0u) != '
     '0;', 'return load_acquire(&of_client(client)->gone) != 0;'),
    ('server_gone_no_acquire', 'the supervisor may miss that it was settled',
     'explained: law 5 needs it; no schedule of two switches and two older '
     'values shows it', *weaker(
         '[[or_acq_rel(&of_client(client)->gone, 1u)]];', 'release')),
    ('server_watched_after', 'a descriptor stays with epoll when its client '
     'has gone', 'server_watch',
     'epoll_ctl(supervisor_of(servers)->epoll, EPOLL_CTL_DEL, base->watch, '
     'NULL); close_quietly(&base->watch);', 'base->watch = -1;'),
    ('server_supervisor_dies', 'a supervisor that ends is not replaced',
     'server_watch', 'if (create(servers)) fh_status_set',
     'if (1) fh_status_set'),
    ('server_recovers_twice', 'a backoff is given to several threads',
     'explained: each claims that very backoff, and one of them gets it',
     'base->taken = epoch;', 'base->taken = 0;'),
    ('server_recovers_at_once', 'a backoff is not waited for', 'server_watch',
     'if (due <= agenda->now) {', 'if (1) {'),
    ('server_not_put_off', 'a recovery without memory is given up',
     'server_oom', 'if (rc != -ENOMEM && rc != -EDQUOT) break;', 'break;'),
)

RULES = rows(
    'src/server_rules.c',
    ('server_any_life', 'any state may follow any other', 'server_wait',
     'return (follows[from] & FH_STATE(to)) != 0;', 'return true;'),
    ('server_one_more', 'one restart more than the policy allows',
     'server_watch', 'if (before >= policy->most)',
     'if (before > policy->most)'),
    ('server_no_window', 'what lies before the window counts',
     'server_watch', 'if (!policy->window || now - recovery->due[i] < '
     'policy->window)', 'if (1)'),
    ('server_no_backoff', 'delays do not grow', 'server_watch',
     'while (restarts-- && delay < longest)', 'while (0)'),
    ('server_no_jitter', 'delays are all the same', 'server_rules',
     'return delay - most + (int64_t)((draw(random) >> 1) % width);',
     '(void)width; (void)draw; (void)random; return delay;'),
)

STOP = rows(
    'src/server_stop.c',
    ('server_stops_in_turn', 'all are stopped one after the other',
     'server_wait', 'if (fh_server_thread_start(thread)) {', 'if (1) {'),
    ('server_stops_newer', 'what was registered later is stopped too',
     'explained: that a walk meets one that came later is a matter of luck',
     'if (of_server(server)->serial > sweep->last) return true; '
     'fh_server_close(server);', 'fh_server_close(server);'),
    ('server_stop_unhelped', 'one that nobody shuts down stays for ever',
     'server_oom', 'look(*held, report); if (left > 0) return 0;',
     'look(*held, report); if (left > 0) return 0; if (left < 0 && !waits) '
     'return -ESHUTDOWN;'),
    ('server_stopped_not_removed', 'who waits for a stop finds it listed',
     'explained: the owner removes it a moment later',
     'fh_server_remove(server); return 0;', 'return 0;'),
)

START = rows(
    'src/server_start.c',
    ('server_joins_early', 'a start joins what does not run yet',
     'server_wait', 'case FH_SERVER_RUNNING: return join(*held, start);',
     'case FH_SERVER_STARTING: case FH_SERVER_RUNNING: return join(*held, '
     'start);'),
    ('server_restarts_twice', 'who waits for a restart makes another',
     'server_wait', 'return restart->waits ? share(server, restart) : '
     '-EINPROGRESS;', 'if (!restart->waits) return -EINPROGRESS; '
     'share(server, restart); return AGAIN;'),
    ('server_revives_in_vain', 'a failed start counts a join',
     'server_race',
     'if (rc == 0 && joined) fh_server_count(job.servers, JOINED);',
     'fh_server_count(job.servers, JOINED);'),
    ('server_revives_too_soon', 'a start is a user before it is one',
     'shaken:history_server@500 shaken:history_server@2000',
     'if (fh_server_is_closed(*held)) return -ESHUTDOWN;',
     'if (fh_server_join(*held)) return -ESHUTDOWN; '
     'fh_point("server.joined");',
     'if (rc) return rc == -EAGAIN ? AGAIN : rc; joined = job.guest = '
     'fh_server_join(*held) == 0;',
     'if (rc) { fh_server_unjoin(*held); return rc == -EAGAIN ? AGAIN : rc; '
     '} joined = job.guest = true;'),
    ('server_not_exclusive', 'an exclusive start joins', 'server',
     'if (start->request->exclusive) return -EEXIST;', ''),
    ('server_closed_restarts', 'one that its last user has left is restarted',
     'server_wait', 'if (fh_server_is_closed(server)) return '
     'restart->report.info.state', 'if (0) return restart->report.info.state'),
)

MUTANTS = [*SERVER, *LIFE, *LEASE, *JOB, *STEP, *WATCH, *RULES, *STOP, *START]
