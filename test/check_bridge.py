#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The multi-user bridge, over real HTTP, in every build of it (TAP).

In short, a check runs on the builds that CHECKS names: what is about races on
the two libraries and on some of their sanitizers' builds, most of the rest on
the release build alone.  At length, with FH_PROVE=1, all run on all builds,
one at a time.  And that is left to it: ten users and a thousand before a back
end that takes 5 s, where in short there are 10 and 200 and it takes 0.4 s;
the one thread before a back end of 7 s and clients of 30 s; and longer races,
of 60 messages each of 12 writers, 60 rounds of moves, 40 of letters and 60 of
evictions, where in short there are 15, 15, 10 and 20.

    python3 test/check_bridge.py [VARIANT...] [CHECK...]
"""

import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import browser
from served import (LONG, Held, Server, crew, differences, eventually,
                    everything, many, run_checks)

CHAT, JOIN, LEAVE = '/bridge/chat', '/bridge/join', '/bridge/leave'


def start(variant, *arguments, **more):
    """A bridge; its back end is quick unless the arguments say otherwise."""
    return Server(variant, 'bridge', *(
        [] if {'--delay', '--backend'} & set(arguments) else
        ['--delay', '0']), *arguments, **more)


def said(user, message='hello', room='lobby', **more):
    """What is posted to chat."""
    return dict(user_id=user, room=room, message=message, **more)


def codes(answers):
    """How often each code came; None for no answer."""
    return dict(collections.Counter(
        answer.code if answer else None for answer in answers))


@contextlib.contextmanager
def beside(work, *arguments):
    """Do this beside what is in the block: a list of what came of it."""
    results = []
    thread = threading.Thread(target=lambda: results.append(
        work(*arguments)))
    thread.start()
    yield results
    thread.join()


def read_log(server, room='lobby', since=0):
    """All messages of a room that are kept."""
    return server.json(f'/bridge/rooms/{room}/log?since={since}&limit=10000')


# --------------------------------------------------------------- many users


def crowd(variant):
    """ten users, and a crowd: everyone is answered in the time of one"""
    rows = []
    for users, delay, limit in ([(10, 5000, 6), (1000, 5000, 8)] if LONG else
                                [(10, 400, 20), (200, 400, 20)]):
        with start(variant, '--delay', str(delay)) as server:
            began = time.monotonic()
            answers = many(server.port, [
                ('POST', CHAT, said(f'user {i}')) for i in range(users)])
            took = time.monotonic() - began
            if LONG:
                print(f'# {variant}: {codes(answers)[200]} of {users} users '
                      f'in {took:.2f} s')
            if LONG and variant not in ('release', 'mutex'):
                limit = 60
            rows += [(f'{users} users', codes(answers), {200: users}),
                     (f'{users} in {took:.1f} s', took < limit, True),
                     ('replies', {json.loads(a.body)['response']
                                  for a in answers}, {'You said: hello'}),
                     ('seqs', len({json.loads(a.body)['seq']
                                   for a in answers}), users)]
    return differences(rows)


def single_threaded(variant):
    """one request at a time: of ten users most time out, as they did"""
    patience, delay = (30, '7000') if LONG and variant == 'release' \
        else (2.5, '550')
    # The server's own patience is not what is looked at.
    with start(variant, '--delay', delay, '--single-threaded',
               '--drain', '100000', '--patience', '200000') as server:
        done, tries = 0, 0
        while not done and tries < 5:   # a machine may stand still so long
            answers = many(server.port, [('POST', CHAT, said(f'user {i}'))
                                         for i in range(10)], patience)
            done, tries = codes(answers).get(200, 0), tries + 1
        if LONG:
            print(f'# {variant}: one thread: {done} of 10 within '
                  f'{patience} s')
        return differences([('some complete', 1 <= done <= 6, True),
                            ('the rest', codes(answers).get(None), 10 - done)])


def one_session(variant):
    """one session for each user, however many requests race for it"""
    with start(variant, '--rate', '0') as server:
        answers = many(server.port, [
            ('POST', CHAT, said(f'user {i % 5}', username=f'name {i}'))
            for i in range(200)])
        listed = server.json('/bridge/sessions')
        health = server.json('/bridge/health')
        return differences([
            ('codes', codes(answers), {200: 200}),
            ('sessions', sorted(s['user_id'] for s in listed['sessions']),
             [f'user {i}' for i in range(5)]),
            ('messages', [s['messages'] for s in listed['sessions']],
             [40] * 5),
            ('health', health['active_sessions'], 5),
            ('evicted', health['sessions_evicted'], 0)])


def rate(variant):
    """of 200 requests at once, exactly 60 are admitted; the rest get 429"""
    with start(variant) as server:
        answers = many(server.port, [('POST', CHAT, said('ann'))] * 200)
        refused = [a.headers for a in answers if a.code == 429]
        admitted = [a.headers for a in answers if a.code == 200]
        other = server.post(CHAT, said('bob'))
        rows = [
            ('codes', codes(answers), {200: 60, 429: 140}),
            ('limit', {h['X-RateLimit-Limit'] for h in refused + admitted},
             {'60'}),
            ('left', {h['X-RateLimit-Remaining'] for h in refused}, {'0'}),
            ('when', all(1 <= int(h['Retry-After']) <= 60 and
                         h['X-RateLimit-Reset'] == h['Retry-After']
                         for h in refused), True),
            ('least left', min(int(h['X-RateLimit-Remaining'])
                               for h in admitted), 0),
            ('another user', (other.code,
                              other.headers['X-RateLimit-Remaining']),
             (200, '59')),
            ('said', read_log(server)['next'], 2 * 61)]
    return differences(rows)


def window(variant):
    """who has used up the rate is admitted again when the window has passed"""
    with start(variant, '--rate', '3:1000') as server:
        for attempt in range(20):   # until all four come within a window
            user = f'ann {attempt}'
            began = time.monotonic()
            got = many(server.port, [('POST', CHAT, said(user))] * 4)
            if time.monotonic() - began < 1:
                break
        again = eventually(lambda: server.post(CHAT, said(
            user)).code == 200)
        return differences([('three', codes(got), {200: 3, 429: 1}),
                            ('later', again, True)])


def log_race(variant):
    """racing writers and readers: each number once, in order, nothing torn"""
    writers, messages = 12, 60 if LONG else 15
    with start(variant, '--rate', '0', '--history', '100000') as server:
        done = threading.Event()

        def write(index):
            client, seqs = server.client(), []
            for i in range(messages):
                text = f'{index}.{i}.' + 'x' * (index * 97 + i * 31)
                answer = client.ask('POST', CHAT, json.dumps(
                    said(f'user {index}', text)))
                if answer.code != 200:
                    return f'{answer.code}'
                seqs.append(json.loads(answer.body)['seq'])
            return '' if seqs == sorted(seqs) else 'out of order'

        def read(_):
            client, seen, texts, ended = server.client(), 0, [], False
            while not ended:
                ended = done.is_set()
                log = json.loads(client.ask(
                    'GET', f'/bridge/rooms/lobby/log?since={seen}'
                    '&wait=100').body)
                texts += log.get('messages', [])
                seen = log.get('next', 0)
            return texts

        def work(index):
            return write(index) if index < writers else read(index)

        def finish():
            eventually(lambda: server.json('/bridge/health')['replies'] ==
                       writers * messages)
            done.set()

        server.post(JOIN, dict(user_id='nobody', room='lobby'))
        threading.Thread(target=finish).start()
        results = crew(writers + 4, work)
        wrong = [r for r in results[:writers] if r]
        for texts in results[writers:]:
            wrong.append(audit(texts, writers, messages))
        return '; '.join(str(w) for w in wrong if w)


def audit(texts, writers, messages):
    """What is wrong with a log that a reader has put together."""
    if isinstance(texts, Exception):
        return repr(texts)
    if [t['seq'] for t in texts] != list(range(1, 2 * writers * messages + 1)):
        return f'numbers: {[t["seq"] for t in texts][:20]}...'
    following = collections.Counter()
    for text in texts:
        plain = text['message'].replace('You said: ', '')
        index, i, filler = plain.split('.')
        index, i = int(index), int(i)
        if filler != 'x' * (index * 97 + i * 31):
            return f'torn: {plain[:30]}'
        if text['user_id'] != f'user {index}':
            return f'{text["user_id"]} said {plain[:30]}'
        if text['kind'] == 'message':
            if following[index] != i:
                return f'{plain[:30]} out of order'
            following[index] += 1
    return ''


def own_order(variant):
    """one user's messages keep their order while the back end overtakes"""
    # With one loop, one request is taken after the other.
    with start(variant, '--delay', '0:150', '--loops', '1') as server:
        open_ = []
        for i in range(20):
            body = json.dumps(said('ann', f'{i}'))
            open_.append(server.socket(
                f'POST {CHAT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'
                f'Content-Length: {len(body)}\r\n\r\n{body}'.encode()))
            if not eventually(lambda: server.json('/bridge/health')[
                    'calls']['admitted'] > i, 20):
                return 'a message was not taken'
        for plain in open_:
            everything(plain)
        log = read_log(server)['messages']
        return differences([
            ('order', [t['message'] for t in log if t['kind'] == 'message'],
             [str(i) for i in range(20)])])


def moves(variant):
    """who moves is never seen in two rooms, or in none"""
    users, rounds = 8, 60 if LONG else 15
    with start(variant, '--rate', '0') as server:
        for user in range(users):
            server.post(JOIN, dict(user_id=f'u{user}', room='r0'))
        over = threading.Event()

        def move(index):
            client, chance = server.client(), random.Random(index)
            for _ in range(rounds):
                client.ask('POST', JOIN, json.dumps(dict(
                    user_id=f'u{index}', room=f'r{chance.randrange(5)}')))

        def watch(_):
            client, wrong = server.client(), []
            while not over.is_set():
                rooms = json.loads(client.ask('GET', '/bridge/rooms').body)
                members = sum(r['members'] for r in rooms['rooms'])
                if members != users:
                    wrong.append(f'{members} members')
            return wrong[:3]

        watchers = []
        watching = threading.Thread(
            target=lambda: watchers.extend(crew(2, watch)))
        watching.start()
        crew(users, move)
        over.set()
        watching.join()
        server.post(LEAVE, dict(user_id='u0'))
        rooms = server.json('/bridge/rooms')['rooms']
        where = collections.Counter(
            s['room'] for s in server.json('/bridge/sessions')['sessions'])
        return differences([
            ('watched', watchers, [[], []]),
            ('after one left', sum(r['members'] for r in rooms), users - 1),
            ('rooms and sessions', {r['room']: r['members'] for r in rooms
                                    if r['members']},
             {room: count for room, count in where.items() if room})])


def mailboxes(variant):
    """each letter is in one emptying, however many race"""
    users, rounds = 6, 40 if LONG else 10
    with start(variant, '--rate', '0', '--letters', '100000') as server:
        server.post(JOIN, dict(user_id='reader', room='hall'))
        over = threading.Event()

        def come_and_go(index):
            client = server.client()
            for _ in range(rounds):
                for room in 'hall', 'yard':
                    client.ask('POST', JOIN, json.dumps(dict(
                        user_id=f'u{index}', room=room)))

        def empty(_):
            client, got, ended = server.client(), [], False
            while not ended:
                ended = over.is_set()
                box = json.loads(client.ask(
                    'GET', '/bridge/room_events/reader').body)
                got += box['events']
            return got

        def work(index):
            if index < 5:
                return empty(index)
            crew(users, come_and_go)
            over.set()
            return []

        results = crew(6, work)
        got = collections.Counter(
            (event['user_id'], event['event']) for some in results
            for event in some)
        limits = server.get('/bridge/room_events/nobody').code
        return differences([
            ('letters', dict(got), {(f'u{i}', event): rounds
                                    for i in range(users)
                                    for event in ('joined', 'left')}),
            ('unknown', limits, 404),
            ('then', server.json('/bridge/room_events/reader'),
             dict(user_id='reader', events=[], missed=0))])


def full_mailbox(variant):
    """a full mailbox keeps the oldest letters and counts the others"""
    with start(variant, '--letters', '3') as server:
        server.post(JOIN, dict(user_id='reader', room='hall'))
        for i in range(5):
            server.post(JOIN, dict(user_id=f'u{i}', room='hall'))
        box = server.json('/bridge/room_events/reader')
        again = server.json('/bridge/room_events/reader')
        head = server.ask('HEAD', '/bridge/room_events/u0').code
        return differences([
            ('kept', [e['user_id'] for e in box['events']],
             ['u0', 'u1', 'u2']), ('missed', box['missed'], 2),
            ('again', (again['events'], again['missed']), ([], 0)),
            ('HEAD', head, 405)])


# -------------------------------------------------------------- coming to end


def evicts(variant):
    """at the limit the least recently used session ends, none in use"""
    with start(variant, '--sessions', '4', '--delay', '0',
               '--rate', '0') as server:
        def users():
            return sorted(s['user_id'] for s in
                          server.json('/bridge/sessions')['sessions'])

        for user in 'abcd':
            server.post(JOIN, dict(user_id=user, room='hall'))
        server.get('/bridge/room_events/a')
        rows = [('four', users(), list('abcd'))]
        for user, left in ('e', 'acde'), ('f', 'adef'), ('g', 'aefg'):
            server.post(JOIN, dict(user_id=user, room='hall'))
            rows.append((f'with {user}', users(), list(left)))
        members = server.json('/bridge/rooms')['rooms'][0]['members']
        rows += [('members', members, 4),
                 ('evicted', server.json('/bridge/health')[
                     'sessions_evicted'], 3)]
        many(server.port, [('POST', CHAT, said('new'))] * 40)
        rows.append(('one for many', server.json('/bridge/health')[
            'sessions_evicted'], 4))
    with Held() as held, start(variant, '--sessions', '4', '--backend',
                               held.command) as server:
        def fifth():
            eventually(lambda: server.json('/bridge/health')['messages'] == 4)
            try:
                return server.post(CHAT, said('fifth')), users_of(server)
            finally:
                held.release()

        *busy, (answer, there) = crew(5, lambda i: fifth() if i == 4 else
                                      server.post(CHAT, said(f'busy {i}')))
        rows += [
            ('busy', codes(busy), {200: 4}),
            ('the fifth', (answer.code, b'in use' in answer.body),
             (503, True)),
            ('who is there', there, [f'busy {i}' for i in range(4)]),
            ('later', server.post(JOIN, dict(user_id='fifth')).code, 200)]
    return differences(rows)


def users_of(server):
    """Who has a session."""
    return sorted(s['user_id'] for s in
                  server.json('/bridge/sessions')['sessions'])


def eviction_race(variant):
    """users come and go at the limit: never more, and nobody in use ends"""
    with start(variant, '--sessions', '8', '--rate', '0', '--rooms', '4',
               '--threads', '64') as server:
        def work(index):
            client, chance, got = server.client(), random.Random(index), []
            for i in range(60 if LONG else 20):
                room = f'r{chance.randrange(8)}'
                answer = client.ask('POST', CHAT, json.dumps(
                    said(f'u{chance.randrange(30)}', f'{index}.{i}', room)))
                got.append(answer.code)
                if answer.code == 200 and \
                        json.loads(answer.body)['room'] != room:
                    return f'not in {room}'
                count = json.loads(client.ask(
                    'GET', '/bridge/health').body)
                if count['active_sessions'] > 8 or count['active_rooms'] > 4:
                    return f'too many: {count}'
            return '' if set(got) <= {200, 503} and 200 in got else str(got)

        wrong = [w for w in crew(6, work) if w]
        sessions = server.json('/bridge/sessions')['sessions']
        rooms = server.json('/bridge/rooms')['rooms']
        return differences([
            ('wrong', wrong, []), ('sessions', len(sessions) <= 8, True),
            ('rooms', len(rooms) <= 4, True),
            ('members', sum(r['members'] for r in rooms),
             sum(s['room'] is not None for s in sessions))])


def expires(variant):
    """idle sessions and rooms end, what is in use does not"""
    with Held() as held, start(variant, '--idle', '300', '--backend',
                               held.command) as server:
        def health():
            return server.json('/bridge/health')

        def becomes(name, count):
            return eventually(lambda: health()[name] == count)

        server.post(JOIN, dict(user_id='idle', room='yard'))
        with beside(server.post, CHAT, said('busy', room='hall')) as busy:
            rows = [('the idle one ends', becomes('sessions_expired', 1),
                     True)]
            becomes('messages', 1)
            time.sleep(0.6)
            rows += [('the busy one does not', users_of(server), ['busy']),
                     ('nor his room', [r['room'] for r in server.json(
                         '/bridge/rooms')['rooms']], ['hall'])]
            held.release()
        rows += [('busy', busy[0].code, 200),
                 ('all end', becomes('active_sessions', 0), True),
                 ('rooms too', becomes('active_rooms', 0), True),
                 ('listed', server.json('/bridge/rooms')['rooms'], []),
                 ('unknown', server.get('/bridge/room_events/idle').code, 404),
                 ('no log', server.get('/bridge/rooms/hall/log').code, 404),
                 ('expired', health()['sessions_expired'], 2)]

        def poll():
            while True:     # if it ended before it was asked for, once more
                server.post(JOIN, dict(user_id='guest', room='held'))
                answer = server.get('/bridge/rooms/held/log?wait=60000')
                if answer.code == 200:
                    return json.loads(answer.body)

        with beside(poll) as polled:
            eventually(lambda: health()['connections']['waiting'] == 1)
            rows.append(('the guest ends', becomes('active_sessions', 0),
                         True))
            time.sleep(0.6)
            rows.append(('a poll holds its room', server.get(
                '/bridge/rooms/held/log').code, 200))
            server.post(CHAT, said('busy', room='held'))
        first = polled[0]['messages'][0]    # the answer to it may be there
        rows.append(('and hears what is said',
                     (first['seq'], first['message']), (1, 'hello')))
        return differences(rows)


# ------------------------------------------------------------ what it answers


def answers(variant):
    """what is wrong with a request is said"""
    name, long_ = 'n' * 64, 'n' * 65
    with start(variant, '--message', '100', '--rooms', '2') as server:
        rows = []
        for path, body, code, why in [
                (CHAT, '', 400, 'no JSON'), (CHAT, '{', 400, 'no JSON'),
                (CHAT, b'{"user_id":"\xff"}', 400, 'decode byte'),
                (CHAT, '{"user_id":"a\\u0000b"}', 400, 'NUL'),
                (CHAT, '[' * 4000, 400, 'depth'),
                (CHAT, '[]', 400, 'object'), (CHAT, 'null', 400, 'no JSON'),
                (CHAT, '{}', 400, 'user_id is missing'),
                (CHAT, '{"user_id":"a","user_id":"b"}', 400, 'duplicate'),
                (CHAT, dict(user_id=1), 400, 'user_id must be a string'),
                (CHAT, dict(user_id=''), 400, 'user_id is empty'),
                (CHAT, dict(user_id='a\nb'), 400, 'control'),
                (CHAT, dict(user_id=long_), 400, 'longer than 64'),
                (CHAT, said('a', username=long_), 400, 'username is longer'),
                (CHAT, said('a', room=long_), 400, 'room is longer'),
                (CHAT, said('a', room=5), 400, 'room must be'),
                (CHAT, dict(user_id='a'), 400, 'message is missing'),
                (CHAT, said('a', ''), 400, 'message is empty'),
                (CHAT, said('a', 'm' * 101), 413, 'longer than 100'),
                (CHAT, said('a', 'm' * 6000), 413, 'the body is longer'),
                (CHAT, 'x' * 3000000, 413, 'the body is longer'),
                (JOIN, dict(room='a'), 400, 'user_id is missing'),
                (LEAVE, dict(user_id='nobody'), 404, 'no such user'),
                (CHAT, said(name, '€' * 33, name, username=None), 200, ''),
                (JOIN, dict(user_id='b', room='ü/ß'), 200, ''),
                (JOIN, dict(user_id='c', room='third'), 503, 'every room')]:
            answer = server.post(path, body)
            rows.append((f'{path} {str(body)[:40]}',
                         (answer.code, why.encode() in answer.body),
                         (code, True)))
        for method, path, code in [
                ('GET', '/nothing', 404), ('POST', '/bridge/nothing', 404),
                ('GET', CHAT, 405), ('POST', '/bridge/health', 405),
                ('DELETE', '/', 405), ('GET', '/bridge/rooms/x/log', 404),
                ('GET', '/bridge/rooms//log', 404),
                ('GET', '/bridge/rooms/%C3%BC%2F%C3%9F/log', 200),
                ('GET', '/bridge/rooms/ü/ß/log'.encode().decode('latin-1'),
                 200),
                ('GET', f'/bridge/rooms/{name}/log?since=x', 400),
                ('GET', f'/bridge/rooms/{name}/log?wait=60001', 400),
                ('GET', '/bridge/sessions?limit=-1', 400),
                ('HEAD', '/bridge/health', 200)]:
            rows.append((f'{method} {path}', raw(server, method, path), code))
        log = f'/bridge/rooms/{name}/log?since=2&wait=1'
        evil = dict(Origin='http://evil.example')
        for code, headers in [
                (403, evil), (403, dict(Sec_Fetch_Site='cross-site')),
                (200, dict(Origin=f'http://127.0.0.1:{server.port}'))]:
            rows += [(f'{path} {headers}', server.post(path, dict(
                user_id='b', message='x', room=name), **headers).code, code)
                     for path in (CHAT, JOIN, LEAVE)]
            rows.append((f'letters {headers}', server.get(
                '/bridge/room_events/b', **headers).code, code))
        rows.append(('the page', server.get('/', **evil).code, 200))
        for more in ('Content-Length: 99999999999\r\n',
                     'Content-Length: 9999\r\nExpect: 100-continue\r\n'):
            rows += [(more, raw(server, 'POST', CHAT, more), 413),
                     ('a poll, ' + more, raw(server, 'GET', log, more), 200)]
        return differences(rows)


def raw(server, method, path, more=''):
    """The code of an answer, for a path that is sent as it is."""
    plain = server.socket(f'{method} {path} HTTP/1.1\r\nHost: x\r\n{more}'
                          'Connection: close\r\n\r\n'.encode('latin-1'))
    return int(everything(plain).split()[1])


def long_poll(variant):
    """a log: since, limit, wait, what is gone, and another life's number"""
    with start(variant, '--history', '10', '--rate', '0') as server:
        for i in range(10):
            server.post(CHAT, said('ann', str(i)))
        path = '/bridge/rooms/lobby/log?'
        log = server.json(path + 'since=0')
        part = server.json(path + 'since=12&limit=3')
        began = time.monotonic()
        none = server.json(path + 'since=20&wait=300')
        waited = time.monotonic() - began
        ahead = server.json(path + 'since=99&wait=60000')
        rows = [
            ('kept', [m['seq'] for m in log['messages']],
             list(range(11, 21))), ('missed', log['missed'], 10),
            ('part', [m['seq'] for m in part['messages']], [13, 14, 15]),
            ('next', part['next'], 15), ('none', none,
                                         dict(messages=[], next=20, missed=0)),
            ('waited', 0.29 < waited < 30, True),
            ('ahead', ahead, dict(messages=[], next=20, missed=0))]
        polls = [('GET', path + 'since=20&wait=60000', None)] * 30
        poster = threading.Thread(target=lambda: eventually(
            lambda: server.json('/bridge/health')['connections'][
                'waiting'] == 30) and server.post(CHAT, said('ann', 'x')))
        poster.start()
        got = many(server.port, polls)
        poster.join()
        rows += [('woken', {json.loads(a.body)['messages'][0]['seq']
                            for a in got}, {21})]
        server.socket(f'GET {path}since=22&wait=60000 HTTP/1.1\r\nHost: x'
                      '\r\n\r\n'.encode()).close()
        rows.append(('forgotten', eventually(lambda: server.json(
            '/bridge/health')['connections']['waiting'] == 0, 10), True))
        return differences(rows)


def full(variant):
    """beyond the bound of threads: 503 at once, and nothing left behind"""
    with Held() as held, start(variant, '--threads', '4', '--backend',
                               held.command) as server:
        order = []

        def ask(index):
            if index == 12:
                eventually(lambda: len(order) == 8)
                return held.release()
            answer = server.post(CHAT, said(f'u{index}'))
            order.append(answer.code)
            return answer

        got = crew(13, ask)[:12]
        health = server.json('/bridge/health')
        return differences([
            ('codes', codes(got), {200: 4, 503: 8}),
            ('at once', order, [503] * 8 + [200] * 4),
            ('said', health['messages'], 4),
            ('log', read_log(server)['next'], 8),
            ('refused', health['calls']['refused'], 8),
            ('peak', health['calls']['peak'], 4),
            ('not charged', server.post(JOIN, dict(user_id=next(
                f'u{i}' for i in range(12) if got[i].code == 503))).headers[
                    'X-RateLimit-Remaining'], '59'),
            ('retry', {a.headers['Retry-After'] for a in got
                       if a.code == 503}, {'1'})])


# ------------------------------------------------------------- the back end


def late_commands(variant):
    """the back end is a process that does not answer in time"""
    script = ('read line; case $line in *quiet*) exec >&-;; esac; sleep 99')
    with start(variant, '--backend', script, '--backend-ms', '700') as server:
        got = many(server.port, [('POST', CHAT, said('ann', message))
                                 for message in ('hang', 'quiet')])
        return differences([
            ('late', codes(got), {504: 2}),
            ('left over', eventually(
                lambda: not children(server.child.pid)), True)])


def commands(variant):
    """the back end is a process: its reply, its failures, its end"""
    script = ('read line; case $line in *fail*) exit 3;; '
              '*bad*) printf "\\377";; '
              '*long*) head -c 20000 /dev/zero | tr "\\0" x;; '
              '*deaf*) exec <&-; echo ok;; '
              '*) printf "%s\\n" "got $line";; esac')
    with start(variant, '--backend', script) as server:
        wrong = ('fail', 'bad', 'long')
        got = many(server.port, [('POST', CHAT, said('ann', message))
                                 for message in wrong])
        rows = [('wrong', codes(got), {502: 3})]
        for message in 'deaf', 'hello':
            answer = server.post(CHAT, said('ann', message))
            rows.append((message, answer.code, 200))
        told = json.loads(answer.body)['response']
        rows += [('told', json.loads(told.removeprefix('got ')),
                  dict(user_id='ann', username='ann', room='lobby',
                       message='hello')),
                 ('left over', eventually(
                     lambda: not children(server.child.pid)), True),
                 ('kinds', [m['kind'] for m in
                            read_log(server)['messages']],
                  ['message'] * 4 + ['reply', 'message', 'reply'])]
        got = many(server.port, [('POST', CHAT, said(f'u{i}', 'hello'))
                                 for i in range(30)])
        rows.append(('thirty', codes(got), {200: 30}))
        return differences(rows)


def children(pid):
    """The processes that a process has started."""
    done = subprocess.run(['ps', '--ppid', str(pid), '-o', 'pid='],
                          capture_output=True, text=True, check=False)
    return done.stdout.split()


def descriptors(variant):
    """out of descriptors: 503 for whom it concerns, and then it recovers"""
    with Held() as held, start(
            variant, '--backend', held.command, '--connections', '1000',
            '--threads', '500', limit=160) as server:
        refused = []

        def told(answer):
            refused.extend([answer] if answer and answer.code == 503 else [])
            if len(refused) == 10:
                held.release()

        got = many(server.port, [('POST', CHAT, said(f'u{i}'))
                                 for i in range(200)], told=told)
        rows = [('codes', set(codes(got)) <= {200, 503, None}, True),
                ('refused', len(refused) >= 10, True),
                ('recovers', eventually(lambda: server.post(
                    CHAT, said('ann')).code == 200), True)]
        got = many(server.port, [('POST', CHAT, said(f'u{i}'))
                                 for i in range(10)])
        rows.append(('all of ten', codes(got), {200: 10}))
        return differences(rows)


# ---------------------------------------------------------------- bad guests


def hang_ups(variant):
    """who hangs up while the back end works harms nobody"""
    with start(variant, '--delay', '500') as server:
        for i in range(20):
            body = json.dumps(said(f'u{i}', 'and gone'))
            plain = server.socket(
                f'POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: '
                f'{len(body)}\r\n\r\n{body}'.encode())
            if i % 2:
                eventually(lambda: server.json('/bridge/health')[
                    'messages'] > i)
            plain.close()
        rest = eventually(lambda: server.json('/bridge/health')['calls'][
            'inside'] == 0 and server.json('/bridge/health')['connections'][
                'open'] == 1)
        health = server.json('/bridge/health')
        return differences([
            ('at rest', rest, True),
            ('all said', health['messages'] >= 10, True),
            ('all replied', health['replies'], health['messages'])])


def bad_guests(variant):
    """slow and senseless guests are sent away, others are served"""
    chance = random.Random(5)
    with start(variant, '--patience', '500') as server:
        slow = [server.socket(piece) for piece in (
            b'', b'P', f'POST {CHAT} HTTP/1.1\r\n'.encode(),
            f'POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n'
            '{"user_id":'.encode(),
            f'POST {CHAT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: '
            'chunked\r\n\r\n5\r\nab'.encode()) for _ in range(5)]
        for length in 1, 100, 10000:
            plain = server.socket()
            try:
                plain.sendall(chance.randbytes(length))
            except OSError:
                pass
            slow.append(plain)
        ok = server.post(CHAT, said('ann')).code
        ends = [everything(plain)[:12] for plain in slow]
        return differences([
            ('served meanwhile', ok, 200),
            ('answers', set(ends) <= {b'', b'HTTP/1.1 408', b'HTTP/1.1 400',
                                      b'HTTP/1.1 414', b'HTTP/1.1 501',
                                      b'HTTP/1.0 400'}, True),
            ('served after', server.post(CHAT, said('ann')).code, 200)])


def drains(variant):
    """SIGTERM: what is at the back end is answered, polls end, no new ones"""
    with Held() as held:
        server = start(variant, '--backend', held.command)
        server.post(JOIN, dict(user_id='ann', room='hall'))
        with beside(many, server.port, [
                ('POST', CHAT, said(f'u{i}')) for i in range(20)] + [
                ('GET', '/bridge/rooms/hall/log?wait=60000', None)]) as got:
            eventually(lambda: server.json('/bridge/health')[
                'messages'] == 20 and server.json('/bridge/health')[
                    'connections']['waiting'] == 1)
            idle = server.client()
            idle.ask('GET', '/bridge/health')
            server.child.send_signal(signal.SIGTERM)
            late = eventually(lambda: idle.ask(
                'GET', '/bridge/health').code == 503)
            held.release()
    return differences([
        ('answers', codes(got[0]), {200: 21}), ('late', late, True),
        ('its end', server.await_end(), None),
        ('it says', '20 messages, 20 replies, 0 abandoned' in server.output,
         True)])


def gives_up(variant):
    """SIGTERM: past the deadline the rest is told, and processes killed"""
    rows = []
    for back_end in ['--delay', '60000'], ['--backend', 'sleep 60; echo x']:
        server = start(variant, *back_end, '--drain', '300')
        answers_ = []
        asking = threading.Thread(target=lambda s=server, a=answers_: a.extend(
            many(s.port, [('POST', CHAT, said(f'u{i}')) for i in range(8)])))
        asking.start()
        eventually(lambda s=server: s.json('/bridge/health')[
            'messages'] == 8)
        eventually(lambda s=server, b=back_end: '--delay' in b or
                   len(children(s.child.pid)) == 8)
        started = children(server.child.pid)
        began = time.monotonic()
        wrong = server.end(status=3)
        asking.join()
        rows += [('its end', wrong, None), ('codes', codes(answers_),
                                            {503: 8}),
                 ('soon', time.monotonic() - began < 30, True),
                 ('processes', [p for p in started if
                                os.path.exists(f'/proc/{p}')], [])]
    return differences(rows)


# ------------------------------------------------------------------ the page


def page(variant):
    """the page, in a browser: rooms, sessions, and a chat that is alive"""
    with start(variant, '--delay', '300') as server:
        server.post(JOIN, dict(user_id='ann', username='Ann', room='lobby'))
        server.post(CHAT, said('ann', 'Is anybody here?', username='Ann'))
        server.post(CHAT, said('carl', '<b>not bold</b> &amp; \u2713',
                               'garden', username='Carl'))
        with browser.Page() as shown:
            shown.open(f'http://127.0.0.1:{server.port}/?user=bob&name=Bob')
            log = 'document.getElementById("log").innerText'
            rows = [('what was said', shown.becomes(
                f'{log}.includes("Is anybody here?")'), True)]
            shown.value('document.querySelector("#say textarea").focus()')
            shown.type('Yes, and I can see you.')
            shown.press_enter()
            rows += [
                ('sent', shown.becomes(f'{log}.includes("I can see")'), True),
                ('replied', shown.becomes(
                    f'{log}.includes("You said: Yes, and")'), True),
                ('arrived', [m['username'] for m in read_log(server)[
                    'messages'] if m['kind'] == 'message'], ['Ann', 'Bob'])]
            server.post(CHAT, said('ann', 'Good.', username='Ann'))
            rows.append(('live', shown.becomes(
                f'{log}.includes("Good.")'), True))
            server.post(JOIN, dict(user_id='dora', username='Dora',
                                   room='lobby'))
            rows += [('an event', shown.becomes(
                f'{log}.includes("Dora joined")'), True)]
            for place, names in ('rooms', 'garden lobby'), (
                    'sessions', 'Ann Bob Carl Dora'):
                rows.append((place, shown.becomes(
                    f'{json.dumps(names.split())}.every(name => document.'
                    f'getElementById("{place}").innerText.includes(name))'),
                    True))
            shown.picture(f'build/report/bridge-{variant}.png')
            shown.picture(f'build/report/bridge-{variant}-dark.png', True)
            shown.value('[...document.querySelectorAll("#rooms li")].find('
                        'l => l.innerText.includes("garden")).click()')
            rows += [('as text', shown.becomes(
                f'{log}.includes("<b>not bold</b> &amp; \u2713")'), True),
                ('moved', eventually(lambda: [
                    s['room'] for s in server.json('/bridge/sessions')[
                        'sessions'] if s['user_id'] == 'bob'] == ['garden']),
                 True), ('errors', shown.errors, [])]
        return differences(rows)


BOTH = 'release mutex'
CHECKS = {
    crowd: BOTH + ' asan mutex-tsan', single_threaded: 'release',
    one_session: BOTH + ' tsan mutex-asan', rate: BOTH + ' tsan',
    log_race: BOTH + ' tsan mutex-tsan', own_order: 'release',
    moves: BOTH + ' tsan mutex-asan', mailboxes: BOTH + ' asan tsan',
    eviction_race: BOTH + ' asan tsan', full_mailbox: 'release',
    evicts: BOTH, expires: BOTH, answers: 'release', long_poll: BOTH,
    window: 'release', full: BOTH, commands: 'release',
    late_commands: 'release', descriptors: 'release',
    hang_ups: 'release asan', bad_guests: 'release', drains: BOTH,
    gives_up: 'release',
}


def main():
    """Run what there is, on what was built."""
    checks = CHECKS
    if browser.found():     # the longest first
        checks = {page: 'release', **CHECKS}
    else:
        print('# left out, because chromium is missing: ' + page.__doc__)
    return run_checks('bridge', checks, sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
