# SPDX-License-Identifier: MIT
"""The servers, broken on purpose: the faults that the originals had, and
those that came close.

A row is as test/mutant.py says, but for the programs: that which is broken
and, behind the colon, the check of it that must fail.
"""

from mutant import rows

STATUS, BRIDGE, HTTP = ('docs/examples/' + name for name in (
    'status_server/', 'bridge/', 'http/'))

# Only noticed by waiting in vain for what never comes.
SLOW = set('''
    no_wake no_notify hang_up_unseen no_sweep no_reserve expire_held evict_held
    no_claim no_timeout no_reap
'''.split())

MUTANTS = [
    *rows(
        STATUS + 'server.c',
        ('served_by_plus_one', 'requests are counted without protection',
         'status_server:with_wrk',
         'fh_counter_add(&server->counts.served[route][i], 1);',
         '{ volatile int64_t *sum = &server->counts.served[route][i]'
         '.stripe[0].value; *sum = *sum + 1; }'),
        ('reply_before_store', 'a POST is answered before it is stored',
         'status_server:answers',
         'else if (board_publish(&server->board, word, strlen(word), &epoch) '
         '< 0) say(server, request, route, 500, "no memory\\n", NULL, NULL); '
         'else say_epoch(server, request, route, 200, epoch);',
         'else { say_epoch(server, request, route, 200, '
         'board_epoch(&server->board) + 1); '
         'request->mine = (void *)(uintptr_t)word; epoch = 0; (void)epoch; }',
         'if (!delivered)',
         'if (request->mine && request->mine != server) { usleep(2000); '
         'board_publish(&server->board, request->mine, '
         'strlen(request->mine), NULL); } if (!delivered)',
         '#include "internal.h"', '#include "internal.h"\n'
         '#include <unistd.h>\n'),
        ('publish_after_accept', 'the first text is put up after accepting '
         'began, over what is there', 'status_torture:torture',
         'rc = board_publish_first(&server->board, server->options.text, '
         'server->options.length); if (rc == 0 || rc == -EEXIST) '
         'rc = http_open(server->http);',
         'rc = http_open(server->http); if (rc == 0) rc = '
         'board_publish(&server->board, server->options.text, '
         'server->options.length, NULL);'),
        ('token_prefix', 'the beginning of the token will do',
         'status_server:tokens',
         'volatile unsigned char differ = given_length != length;',
         'volatile unsigned char differ = given_length < length;'),
        ('no_drain', 'the end does not wait for answers to be taken',
         'status_server:drains',
         'rc = http_drain_wait(server->http, deadline);', 'rc = 0;')),
    *rows(
        STATUS + 'board.c',
        ('epoch_behind', 'a text is given the epoch of the one before',
         'status_torture:torture',
         '*epoch = version + 1;', '*epoch = version ? version : 1;'),
        ('any_version', 'whoever comes last wins, whatever he had seen',
         'status_torture:torture',
         'rc = fh_record_publish_if(&board->current, version, &sheet, '
         'sizeof(sheet));',
         'rc = fh_record_publish(&board->current, &sheet, sizeof(sheet));'),
        ('wait_reads_late', 'a waiter reads `changes` after the text',
         'explained: the window is between two loads; the order is that of '
         'fh_status_wait_change, whose own mutants are caught',
         'before = fh_status_read(&board->changes); '
         'now = board_epoch(board);',
         'now = board_epoch(board); '
         'before = fh_status_read(&board->changes);'),
        ('no_wake', 'nobody is told of a new text', 'status_torture:torture',
         'fh_status_set(&board->changes, 0);', ';')),
    *rows(
        HTTP + 'server.c',
        ('ends_before_counted', 'a request counts once it was not refused',
         'status_server:last_answers',
         'fh_counter_add(&http->busy, 1);', ';',
         'request->refused = fh_status_get(&http->phase) != SERVING;',
         'request->refused = fh_status_get(&http->phase) != SERVING; '
         'if (!request->refused) usleep(3000); '
         'fh_counter_add(&http->busy, 1);')),
    *rows(
        HTTP + 'reply.c',
        ('foreign_in_part', 'the beginning of an origin will do',
         'status_server:foreign', 'strcasecmp(origin + 3, host);',
         'strncasecmp(origin + 3, host, strlen(host));')),
    *rows(
        HTTP + 'park.c',
        ('parked_too_late', 'what is parked at the end is not waited for',
         'status_server:late_waits', 'if (word & SHUT)', 'if (0)',
         '!= SHUT)', '< SHUT)'),
        ('no_notify', 'what is parked is not looked at', 'bridge:long_poll',
         'store(&lot->dirty, 1);', ';'),
        ('hang_up_unseen', 'nobody looks whether a parked client is there',
         'bridge:long_poll', '.events = EPOLLRDHUP,', '.events = 0,')),
    *rows(
        HTTP + 'keeper.c',
        ('no_sweep', 'who is slow may stay', 'bridge:bad_guests',
         'shutdown(fd, SHUT_RDWR);', ';'),
        ('no_reserve', 'without a descriptor nobody is refused, nor accepted',
         'status_server:descriptors',
         'if (http_refuse_one(http) == 0) return 0;', '')),
    *rows(
        BRIDGE + 'registry.c',
        ('check_then_insert', 'a session is looked for, then put',
         'bridge:one_session',
         'rc = fh_map_insert(registry->map, &item->entry, &present);',
         'present = fh_map_lookup(registry->map, item->entry.key); '
         'sched_yield(); '
         'rc = present ? -EEXIST : fh_map_put(registry->map, &item->entry, '
         'NULL);', '#include "registry.h"',
         '#include "registry.h"\n#include <sched.h>\n'),
        ('expire_held', 'a session that is in use expires', 'bridge:expires',
         'if (word & (OVER | HOLDERS) || (word & TIME) > visit->before ||',
         'if (word & OVER || (word & TIME) > visit->before ||'),
        ('evict_held', 'a session in use makes room', 'bridge:evicts',
         'if (word & (OVER | HOLDERS)) return; if (at == OLDEST',
         'if (word & OVER) return; if (at == OLDEST'),
        ('evict_newest', 'the one used last makes room', 'bridge:evicts',
         'for (; at > 0 && oldest->of[at - 1].word > word; at--)',
         'for (; at > 0 && oldest->of[at - 1].word < word; at--)'),
        ('evict_by_time_of_making', 'being used does not make it newer',
         'bridge:evicts',
         '(word & TIME) < now ? (word & ~TIME) | now : word;', 'word;'),
        ('place_for_each', 'each of those who race makes room',
         'bridge:evicts',
         'int rc; if (!item) return -ENOMEM;',
         'int rc; if (!item) return -ENOMEM; item->placed = '
         'take_place(registry); usleep(5000);',
         '#include "registry.h"',
         '#include "registry.h"\n#include <unistd.h>\n',
         'static int make(struct registry *registry, const char *name,',
         'static bool take_place(struct registry *registry);\n'
         'static int make(struct registry *registry, const char *name,',
         'item->placed = take_place(registry); if (item->placed) {',
         'if (item->placed) {')),
    *rows(
        BRIDGE + 'bridge.c',
        ('leave_then_join', 'a move goes through nowhere', 'bridge:moves',
         'if (move->from != move->to) rc =',
         'if (move->from != move->to && move->from) { struct room *none = '
         'NULL; rc = fh_record_publish_if(&session->room, version++, &none, '
         'sizeof(none)); sched_yield(); } '
         'if (rc == 0 && move->from != move->to) rc =',
         '#include "bridge.h"', '#include "bridge.h"\n#include <sched.h>\n')),
    *rows(
        BRIDGE + 'rate.c',
        ('rate_check_then_take', 'a slot is looked at, then taken',
         'bridge:rate',
         'return seen <= now && __atomic_compare_exchange_n('
         '&rate->slots[slot], &seen, end, false, __ATOMIC_RELAXED, '
         '__ATOMIC_RELAXED);',
         'if (seen > now) return false; sched_yield(); '
         '__atomic_store_n(&rate->slots[slot], end, __ATOMIC_RELAXED); '
         'return true;',
         '#include "rate.h"', '#include "rate.h"\n#include <sched.h>\n'),
        ('rate_not_returned', 'what was refused is charged', 'bridge:full',
         'if (!mine) return;', 'return;')),
    *rows(
        BRIDGE + 'mailbox.c',
        ('look_then_empty', 'letters are read, then the box is emptied',
         'bridge:mailboxes',
         'letter = __atomic_exchange_n(&mailbox->newest, NULL, '
         '__ATOMIC_ACQUIRE);',
         'letter = __atomic_load_n(&mailbox->newest, __ATOMIC_ACQUIRE); '
         'sched_yield(); '
         '__atomic_store_n(&mailbox->newest, NULL, __ATOMIC_RELEASE);',
         '#include "mailbox.h"', '#include "mailbox.h"\n#include <sched.h>\n'),
        ('mailbox_unbounded', 'a mailbox takes any number',
         'bridge:full_mailbox', 'if (count >= limit) return false;', ';')),
    *rows(
        BRIDGE + 'chat.c',
        ('say_on_thread', 'messages are numbered on their threads',
         'bridge:own_order',
         'rc = say(call); if (rc < 0) {', 'rc = 0; if (rc < 0) {',
         'struct backend_call *backend = &call->backend;',
         'struct backend_call *backend = &call->backend; '
         'usleep(rand() % 20000); say(call);',
         'static void ask_back_end(struct call *call) {',
         'static int say(struct call *call); '
         'static void ask_back_end(struct call *call) {',
         '#include "bridge.h"', '#include "bridge.h"\n#include <unistd.h>\n'),
        ('say_before_gate', 'what is refused has been said already',
         'bridge:full',
         'rc = enter_gate(bridge, call); if (rc < 0) { release(call); '
         'return rc; } rc = say(call);',
         'rc = say(call); if (rc == 0) rc = enter_gate(bridge, call);'),
        ('no_claim', 'at the end requests are not told', 'bridge:gives_up',
         'if (fh_status_get(&call->go) != GO || !claim(call)) return 0;',
         'if (*count < 1000000) return 0;')),
    *rows(
        BRIDGE + 'backend.c',
        ('no_timeout', 'a process may take for ever', 'bridge:late_commands',
         'if (now >= deadline) return -ETIMEDOUT; poll(', 'poll('),
        ('no_reap', 'a process that has ended stays', 'bridge:commands',
         'while (waitpid(call->pid, &status, 0) < 0 && errno == EINTR) ;',
         'status = 0;')),
]
