#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The status server, over real HTTP, in every build of it (TAP).

In short, a check runs on the builds that CHECKS names: what is about races on
the two libraries and on some of their sanitizers' builds, most of the rest on
the release build alone.  At length, with FH_PROVE=1, all run on all builds,
one at a time.  And that is left to it: ten million requests of wrk, where in
short it sends 40 000; 1500 requests of each of the threads that race, for 150;
the torture at five times the length; 20 early STOPs for 5; 20 ends amid waits
for 3, and 100 amid requests for 5.

    python3 test/check_status_server.py [VARIANT...] [CHECK...]
"""

import http.client
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from recipe import ROOT, complaint, finish
from served import (LONG, PATIENCE, Server, command, crew, differences,
                    environment, eventually, everything, run_checks)

WORDS = ['RUN', 'STOP', 'PAUSE']


def start(variant, *arguments, **more):
    """A status server."""
    return Server(variant, 'status_server', *arguments, **more)


def client(variant, *arguments):
    """What status_client prints, and its exit status."""
    settings, _ = environment(variant)
    done = subprocess.run(command(variant, 'status_client', *arguments),
                          capture_output=True, check=False, timeout=PATIENCE,
                          env=dict(os.environ, **settings))
    return done.stdout, done.returncode, done.stderr.decode()


def epoch_of(answer):
    """The epoch of an answer."""
    return int(answer.headers['X-Status-Epoch'])


# ----------------------------------------------------------- what it answers


def answers(variant):
    """GET gives the text exactly, POST sets it, others get 404 and 405"""
    with start(variant) as server:
        first, put = server.get('/'), server.post('/PAUSE')
        then = server.get('/')
        rows = [('first', (first.code, first.body), (200, b'RUN')),
                ('its epoch', epoch_of(first), 1),
                ('POST', put.code, 200), ('its epoch', epoch_of(put), 2),
                ('then', (then.code, then.body), (200, b'PAUSE')),
                ('then its epoch', epoch_of(then), 2)]
        for method, path, code, allow in [
                ('GET', '/nothing', 404, None), ('POST', '/run', 404, None),
                ('POST', '/RUN/', 404, None), ('GET', '//', 404, None),
                ('BREW', '/x', 404, None), ('GET', '/RUN%00x', 404, None),
                ('GET', '/RUN', 405, 'POST'), ('DELETE', '/RUN', 405, 'POST'),
                ('POST', '/', 405, 'GET, HEAD'), ('PUT', '/', 405,
                                                  'GET, HEAD'),
                ('POST', '/metrics', 405, 'GET, HEAD'),
                ('BREW', '/wait', 405, 'GET, HEAD')]:
            answer = server.ask(method, path)
            rows.append((f'{method} {path}',
                         (answer.code, answer.headers['Allow']),
                         (code, allow)))
        head = server.ask('HEAD', '/')
        rows += [('HEAD', (head.code, head.body), (200, b'')),
                 ('its length', head.headers['Content-Length'], '5'),
                 ('after all', server.get('/').body, b'PAUSE')]
        return differences(rows)


def lengths(variant):
    """a text of any length, of any bytes, comes back as it was"""
    wrong = ''
    for length in 0, 1, 40000, 9000000:
        text = random.Random(length).randbytes(length)
        with tempfile.NamedTemporaryFile() as file:
            file.write(text)
            file.flush()
            with start(variant, '--status-file', file.name) as server:
                got = server.get('/')
                printed = client(variant, f'localhost:{server.port}')
        if got.body != text or printed[:2] != (text, 0):
            wrong += f'{length} bytes came back as {len(got.body)}; '
    return wrong


def tokens(variant):
    """with a token, POST wants it and GET does not"""
    token = 's3cret-T0ken'
    rows = []
    with start(variant, STATUS_TOKEN=token) as server:
        for given, code in [
                (None, 401), ('', 401), ('Bearer', 401), ('Bearer ', 401),
                (token, 401), (f'Basic {token}', 401),
                (f'Bearer {token}x', 401), (f'Bearer {token[:-1]}', 401),
                (f'Bearer {token}{token}', 401),
                (f'Bearer {token.lower()}', 401),
                (f'Bearer {token}', 200), (f'bearer  {token}', 200)]:
            headers = {} if given is None else {'Authorization': given}
            answer = server.post('/STOP', **headers)
            rows.append((f'with {given}', answer.code, code))
            rows.append((f'asked with {given}',
                         'WWW-Authenticate' in answer.headers, code == 401))
            seen = server.get('/').body
            rows.append((f'after {given}', seen,
                         b'STOP' if code == 200 else b'RUN'))
            server.post('/RUN', Authorization=f'Bearer {token}')
    with tempfile.NamedTemporaryFile('w') as file:
        file.write(token + '\nanother line\n')
        file.flush()
        with start(variant, '--token-file', file.name) as server:
            rows.append(('from a file', server.post(
                '/STOP', Authorization=f'Bearer {token}').code, 200))
    return differences(rows)


def foreign(variant):
    """pages of other sites cannot POST from somebody's browser"""
    with start(variant) as server:
        host = f'127.0.0.1:{server.port}'
        rows = []
        for code, headers in [
                (403, dict(Origin='http://evil.example')),
                (403, dict(Origin=f'http://{host}.evil.example')),
                (403, dict(Origin='http://127.0.0.1:1')),
                (403, dict(Origin='null')), (403, dict(Origin='')),
                (403, dict(Sec_Fetch_Site='cross-site')),
                (403, dict(Sec_Fetch_Site='same-site')),
                (200, dict(Origin=f'http://{host}')),
                (200, dict(Sec_Fetch_Site='same-origin')),
                (200, dict(Sec_Fetch_Site='none'))]:
            rows += [(f'POST {headers}', server.post('/STOP', **headers).code,
                      code), (f'GET {headers}', server.get('/', **headers)[:2],
                              (200, b'STOP' if code == 200 else b'RUN'))]
            server.post('/RUN')
        return differences(rows)


def words(variant):
    """other words than the usual ones"""
    with start(variant, '--word', 'GO', '--word', 'x_1.-') as server:
        return differences([
            ('first', server.get('/').body, b'GO'),
            ('POST', server.post('/x_1.-').code, 200),
            ('then', server.get('/').body, b'x_1.-'),
            ('a usual one', server.post('/RUN').code, 404)])


def bind_failures(variant):
    """what cannot be bound, or is no option, is told, with the cause"""
    with start(variant) as server:
        rows = []
        for option, value, cause, wanted in [
                ('--port', str(server.port), 'Address already in use', 1),
                ('--address', '192.0.2.1', 'Cannot assign requested', 1),
                ('--address', 'no.such.host.invalid', 'port 0: ', 1),
                ('--port', '65536', 'too large', 2),
                ('--patience', '0', 'too small', 2),
                ('--loops', '1x', 'not a number', 2),
                ('--nonsense', '1', 'usage: status_server', 2),
                ('--chaos=5', 'more', 'more: not understood', 2),
                ('--chaos=5', '--help', '--connections N', 0),
                ('--port', '', 'not a number', 2)]:
            output, status = finish(command(
                variant, 'status_server', option, value), PATIENCE, {})
            rows.append((f'{option} {value}', (cause in output, status),
                         (True, wanted)))
        return differences(rows)


def waits(variant):
    """/wait ends with a change, with its time, or with its client"""
    with start(variant) as server:
        rows = []
        for query, code in [('epoch=0', 200), ('epoch=99', 200),
                            ('epoch=1&timeout=50', 204), ('timeout=0', 204),
                            ('epoch=x', 400), ('epoch=-1', 400),
                            ('epoch=', 400), ('timeout=300001', 400),
                            ('epoch=18446744073709551616', 400)]:
            rows.append((query, server.get('/wait?' + query).code, code))
        waiting = [threading.Thread(target=lambda: rows.append(
            ('woken', server.get('/wait?epoch=1').body, b'STOP')))
            for _ in range(20)]
        for thread in waiting:
            thread.start()
        rows.append(('they wait', eventually(
            lambda: server.metrics()['status_waiters'] == 20), True))
        server.post('/STOP')
        for thread in waiting:
            thread.join()
        rows.append(('woken in all', len(rows), 30))
        server.socket(b'GET /wait?epoch=2 HTTP/1.1\r\nHost: x\r\n\r\n').close()
        half = server.socket(b'GET /wait?epoch=2 HTTP/1.0\r\n\r\n')
        half.shutdown(socket.SHUT_WR)
        rows += [
            # libmicrohttpd may find the end first, and take it for a hang-up.
            ('half closed', everything(half)[:12] in (
                b'', b'HTTP/1.1 204'), True),
            ('a client that hung up is forgotten', eventually(
                lambda: server.metrics()['status_waiters'] == 0, 10), True)]
        address = f'127.0.0.1:{server.port}'
        for arguments, output, status in [
                (['--wait', '1'], b'STOP', 0),
                (['--wait', '2', '--timeout', '100'], b'', 1)]:
            rows.append((str(arguments), client(
                variant, *arguments, address)[:2], (output, status)))
        return differences(rows)


def metrics(variant):
    """/metrics is well formed and counts every answer"""
    with start(variant) as server:
        for _ in range(3):
            server.get('/')
        server.post('/STOP')
        server.get('/a"b\\c')
        text = server.get('/metrics')
        shown = server.metrics()
        served = 'status_requests_served_total'
        form = re.compile(
            r'(# HELP \w+ .+|# TYPE \w+ (counter|gauge)|'
            r'\w+(\{\w+="[^"\\]*"(,\w+="[^"\\]*")*\})? \d+)\n')
        return differences([
            ('lines out of form', [line for line in text.body.decode()
                                   .splitlines(True)
                                   if not form.fullmatch(line)], []),
            ('type', text.headers['Content-Type'],
             'text/plain; version=0.0.4'),
            ('/', shown[served + '{path="/",code="200"}'], 3),
            ('/STOP', shown[served + '{path="/STOP",code="200"}'], 1),
            ('other', shown[served + '{path="other",code="404"}'], 1),
            # A page is counted when it has been made.
            ('/metrics', shown[served + '{path="/metrics",code="200"}'], 1),
            ('transitions', shown['status_transitions_total'], 1),
            ('epoch', shown['status_epoch'], 2)])


def chaos(variant):
    """the chaos loop holds at PAUSE, goes on at RUN, ends at STOP"""
    with start(variant, '--chaos', '5') as server:
        def steps():
            return server.metrics()['chaos_steps_total']

        def moves():
            before = steps()
            return eventually(lambda: steps() > before + 3)

        def stands():
            before = steps()
            time.sleep(0.2)
            return steps() == before

        def rests():
            # One that was judged before the change may come after it.
            return eventually(stands)

        rows = [('runs', moves(), True)]
        server.post('/PAUSE')
        rows.append(('paused', rests(), True))
        server.post('/PAUSE')
        rows.append(('still paused', rests(), True))
        server.post('/RUN')
        rows.append(('runs again', moves(), True))
        rows.append(('pauses', server.metrics()['chaos_pauses_total'], 1))
        server.post('/STOP')
        rows.append(('stopped', rests(), True))
        server.post('/RUN')
        rows.append(('stays stopped', rests(), True))
        return differences(rows)


# ------------------------------------------------------------------- races


def hammer(server, requests, seed, posts):
    """One reader's mixed requests; the epochs and texts that it saw."""
    chance, seen, wrong, before = random.Random(seed), {}, [], 0
    connection = server.client()
    for _ in range(requests):
        word = chance.choice(WORDS) if chance.random() < posts else None
        answer = (connection.ask('POST', '/' + word) if word else
                  connection.ask('GET', '/'))
        text = word or answer.body.decode()
        epoch = epoch_of(answer)
        if answer.code != 200 or text not in WORDS:
            wrong.append(f'{answer.code} {text!r}')
        if epoch < before or word and epoch == before:
            wrong.append(f'epoch {epoch} after {before}')
        if seen.setdefault(epoch, text) != text:
            wrong.append(f'epoch {epoch} is two texts')
        before = epoch
    connection.close()
    return seen, wrong


def race(variant):
    """racing readers and writers: nothing unpublished, epochs never go
    back, every request counted"""
    threads, requests = 8, 1500 if LONG else 150
    with start(variant) as server:
        results = crew(threads, lambda i: hammer(server, requests, i, 0.3))
        wrong, merged = [], {}
        for result in results:
            if isinstance(result, Exception):
                return repr(result)
            wrong += result[1]
            for epoch, text in result[0].items():
                if merged.setdefault(epoch, text) != text:
                    wrong.append(f'epoch {epoch} is two texts')
        shown = server.metrics()
        served = sum(count for name, count in shown.items()
                     if name.startswith('status_requests_served'))
        posts = sum(count for name, count in shown.items()
                    if 'served' in name and 'path="/"' not in name)
        if served != threads * requests:
            wrong.append(f'{served} of {threads * requests} counted')
        if shown['status_epoch'] != posts + 1:
            wrong.append(f'{posts} POSTs made epoch {shown["status_epoch"]}')
        wrong.append(server.end() or '')
        last = f'served {threads * requests + 1} requests'
        if last not in server.output:
            wrong.append(f'it says {server.output.splitlines()[-1:]}')
        return '; '.join(filter(None, wrong[:5]))


def early_stop(variant):
    """a STOP sent while it starts is not overwritten, and no GET is empty"""
    for _ in range(20 if LONG else 5):
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        stopped, seen = threading.Event(), []

        def ask(port, method, path):
            with socket.create_connection(('127.0.0.1', port)) as plain:
                plain.sendall(f'{method} {path} HTTP/1.0\r\n\r\n'.encode())
                return everything(plain)

        def poll(port, stopped, seen, ask):
            while not stopped.is_set():
                try:
                    seen.append(ask(port, 'GET', '/').partition(
                        b'\r\n\r\n')[2])
                except OSError:
                    pass

        thread = threading.Thread(target=poll, args=(port, stopped, seen, ask))
        thread.start()
        with start(variant, '--port', str(port)) as server:
            got = ask(port, 'POST', '/STOP')
            after = [server.get('/').body for _ in range(5)]
            stopped.set()
            thread.join()
        if b' 200 ' not in got or set(after) != {b'STOP'}:
            return f'{got} and then {after}'
        if not set(seen) <= {b'RUN', b'STOP'}:
            return f'read {set(seen)}'
    return ''


def torture(variant):
    """texts of any length, published and read at once"""
    settings, _ = environment(variant)
    scale = '100' if LONG else '20'
    output, status = finish(command(variant, 'status_torture'), 2 * PATIENCE,
                            dict(settings, FH_TEST_SCALE=scale))
    return complaint(output, status) or (
        '' if re.search(r'^1\.\.\d\d$', output, re.M) else 'no plan')


def until_through(wrk, threads, server):
    """Wait until each of its threads has done its share; what is wrong."""
    got = b''
    while got.count(b'through\n') < threads:
        if server.child.poll() is not None:
            return 'the server has ended'
        if select.select([wrk.stdout], [], [], 1)[0]:
            piece = wrk.stdout.read(4096)
            if not piece:
                return 'wrk ended'
            got += piece
    return None


def with_wrk(variant):
    """wrk's requests: each answer checked, and the count exact"""
    total, threads = 40_000, 8
    if LONG:
        total = 1_000_000 if 'san' in variant else 10_000_000
    with start(variant) as server:
        child = subprocess.Popen(
            ['wrk', '-t', str(threads), '-c', str(threads), '-d', '24h',
             '--timeout', '60', '-s', str(ROOT / 'test/fixtures/status.lua'),
             f'http://127.0.0.1:{server.port}', '--',
             str(total // threads), '10'], stdout=subprocess.PIPE, bufsize=0)
        wrong = until_through(child, threads, server)
        if wrong:
            child.kill()
            return wrong
        child.send_signal(signal.SIGINT)
        line = re.search('^checked .*', child.communicate()[0].decode(),
                         re.M)[0]
        if LONG:
            print(f'# {variant}: {line}', flush=True)
        counts = {name: int(count) for name, count in
                  re.findall(r'(\w+)=(\d+)(?!\S)', line)}
        shown = server.metrics()
        served = sum(count for name, count in shown.items()
                     if name.startswith('status_requests_served'))
        return differences([
            ('received', counts['received'], total),
            ('served', served, total),
            ('transitions', shown['status_transitions_total'],
             counts['posts']),
            ('wrong', counts['wrong'], 0), ('back', counts['back'], 0),
            ('torn', counts['torn'], 0), ('errors', counts['errors'], 0),
            ('epochs compared', counts['compared'] > 0, True)])


# ---------------------------------------------------------------- bad guests


def slow_loris(variant):
    """who sends a byte now and then is sent away; others are served"""
    with start(variant, '--patience', '600') as server:
        slow = [server.socket(b'GET / HT') for _ in range(20)]
        idle = server.socket()
        body = server.socket(b'POST /RUN HTTP/1.1\r\nHost: x\r\n'
                             b'Content-Length: 900\r\n\r\n')
        # These are to be answered later, and then at once: no body comes.
        wait = [server.socket(b'GET /wait?epoch=1&timeout=1 HTTP/1.1\r\n'
                              b'Host: x\r\n' + head + b'\r\n\r\n')
                for head in (b'Content-Length: 99999999999',
                             b'Content-Length: 99999\r\n'
                             b'Expect: 100-continue')]
        began, served, gone = time.monotonic(), 0, set()
        while len(gone) < 20 and time.monotonic() < began + 20:
            for plain in set(slow) - gone:
                try:
                    plain.sendall(b'T')
                    plain.settimeout(0.001)
                    if b'408' in plain.recv(1000):
                        gone.add(plain)
                except TimeoutError:
                    pass
                except OSError:
                    gone.add(plain)
            body.settimeout(PATIENCE)
            served += server.get('/').code == 200
            time.sleep(0.05)
        took = time.monotonic() - began
        rows = [('gone', len(gone), 20), ('in time', took < 15, True),
                ('served meanwhile', served > 0, True),
                ('idle', everything(idle)[:12] in (b'', b'HTTP/1.1 408'),
                 True),
                ('slow body', everything(body)[:12] in (
                    b'', b'HTTP/1.1 408'), True),
                ('wait with a body', [everything(plain)[:12]
                                      for plain in wait],
                 [b'HTTP/1.1 204'] * 2),
                ('counted', server.metrics()[
                    'status_connections_dropped_total'] >= 22, True)]
        stalled = server.socket(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        stalled.close()
        for plain in slow:
            plain.close()
        return differences(rows)


def garbage(variant):
    """garbage gets an error or a hang-up, and harms nobody"""
    chance = random.Random(7)
    pieces = [chance.randbytes(length) for length in (1, 10, 1000, 50000)]
    pieces += [b'\r\n' * 1000, b'GET ' + b'/' * 70000 + b' HTTP/1.1\r\n\r\n',
               b'GET / HTTP/1.1\r\n' + b'X: y\r\n' * 20000 + b'\r\n',
               b'GET / HTTP/9.9\r\n\r\n', b'GET /\r\n\r\n', b'\0' * 5000,
               b'POST /RUN HTTP/1.1\r\nContent-Length: -5\r\n\r\n',
               b'POST /RUN HTTP/1.1\r\nContent-Length: 99999999999999999999'
               b'\r\n\r\n',
               b'POST /RUN HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'
               b'zz\r\n', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03']
    with start(variant, '--patience', '500') as server:
        def send(index):
            piece = pieces[index]
            try:
                plain = server.socket()
                plain.sendall(piece)
            except OSError:
                return ''
            answer = everything(plain)
            if answer.startswith(b'HTTP/1.1 2') and b'9.9' not in piece:
                return f'{piece[:40]} was answered {answer[:40]}'
            if server.get('/').body != b'RUN':
                return f'after {piece[:40]} the status is another'
            return ''

        return '; '.join(str(w) for w in crew(len(pieces), send) if w)


def hang_ups(variant):
    """who hangs up in the middle of an answer is counted, and harms nobody"""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b'x' * 9000000)
        file.flush()
        with start(variant, '--status-file', file.name) as server:
            for _ in range(10):
                plain = server.socket(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
                plain.recv(1000)
                plain.close()
            gone = eventually(lambda: server.metrics()[
                'status_undelivered_total'] == 10)
            alone = eventually(lambda: server.metrics()[
                'status_connections'] == 1)
            return differences([
                ('undelivered', gone, True),
                ('no connection is left but one', alone, True),
                ('served', server.metrics()['status_requests_served_total'
                                 '{path="/",code="200"}'], 10)])


def descriptors(variant):
    """out of descriptors: 503 for who comes, and then it recovers"""
    rows = []
    for limit, arguments in [
            (100, []),                          # a limit of its own
            (100, ['--connections', '5000'])]:  # accept() fails
        with start(variant, *arguments, limit=limit) as server:
            ask = b'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
            crowd = [server.socket() for _ in range(120)]
            heads = []
            for plain in crowd:
                try:
                    plain.sendall(ask)
                    heads.append(plain.recv(12))
                except OSError:
                    heads.append(b'')
            rows += [
                ('answers', set(heads) <= {b'HTTP/1.1 200', b'HTTP/1.1 503',
                                           b''}, True),
                ('served', heads.count(b'HTTP/1.1 200') >= 20, True),
                ('refused', heads.count(b'HTTP/1.1 503') >= 10, True)]
            for plain in crowd:
                plain.close()
            rows += [
                ('recovers', eventually(lambda s=server: recovers(s), 20),
                 True),
                ('counted', server.metrics()[
                    'status_connections_refused_total'] >= 10, True)]
    return differences(rows)


def recovers(server):
    """Does it serve again?"""
    try:
        return server.get('/').body == b'RUN'
    except OSError:
        return False


def drains(variant):
    """SIGTERM: waiters are answered, a slow reader gets all, new ones no"""
    text = random.Random(1).randbytes(6000000)
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        server = start(variant, '--status-file', file.name)
        slow = server.socket(b'GET / HTTP/1.0\r\n\r\n')
        begin = slow.recv(1000)
        waiting = server.socket(b'GET /wait?epoch=1 HTTP/1.1\r\nHost: x'
                                b'\r\n\r\n')
        eventually(lambda: server.metrics()['status_waiters'] == 1)
        server.child.send_signal(signal.SIGTERM)
        answered = waiting.recv(12)
        time.sleep(0.2)
        try:
            server.socket()
            refused = False
        except ConnectionRefusedError:
            refused = True
        whole = (begin + everything(slow)).partition(b'\r\n\r\n')[2]
        waiting.close()
        return differences([
            ('the waiter', answered, b'HTTP/1.1 204'),
            ('refused', refused, True), ('whole', whole == text, True),
            ('end', server.await_end(), None)])


def gives_up(variant):
    """SIGTERM: past the deadline, what is not taken is cut"""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b'x' * 20000000)
        file.flush()
        server = start(variant, '--status-file', file.name, '--drain', '200')
        stuck = server.socket(b'GET / HTTP/1.0\r\n\r\n')
        stuck.recv(1000)
        began = time.monotonic()
        wrong = server.end(status=3)
        stuck.close()
        return wrong or ('' if time.monotonic() - began < 20 else 'too late')


def late_waits(variant):
    """SIGTERM: requests that come whole just as it ends harm nobody"""
    ask = b'GET /wait?epoch=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n'
    for _ in range(20 if LONG else 3):
        server = start(variant, '--drain', '200')
        crowd = [server.socket(ask) for _ in range(400)]
        stuck = server.socket(ask)  # never whole: the deadline passes
        server.get('/')
        began = time.monotonic()
        server.child.send_signal(signal.SIGTERM)
        for index, plain in enumerate(crowd):
            # From a little before the deadline to a little after.
            left = began + 0.195 + index * 0.00005 - time.monotonic()
            if left > 0:
                time.sleep(left)
            try:
                plain.send(b'x')
            except OSError:
                break
        wrong = server.await_end(status=3)
        for plain in (*crowd, stuck):
            plain.close()
        if wrong:
            return wrong
    return ''


def last_answers(variant):
    """SIGTERM amid requests: what it has served has arrived, all of it"""
    def hammer_on(server, index):
        if index == 8:
            time.sleep(0.05)
            server.child.send_signal(signal.SIGTERM)
            return 0
        got, connection = 0, server.client()
        try:
            while connection.ask('GET', '/').code == 200:
                got += 1
        except (OSError, http.client.HTTPException):
            pass
        connection.close()
        return got

    for _ in range(100 if LONG else 5):
        server = start(variant)
        got = crew(9, lambda index, s=server: hammer_on(s, index))
        wrong = server.await_end()
        if wrong:
            return wrong
        if f'served {sum(got)} requests\n' not in server.output:
            return f'{sum(got)} arrived; {server.output.splitlines()[-1]}'
    return ''


BOTH = 'release mutex'
CHECKS = {
    with_wrk: 'release', race: BOTH + ' tsan asan mutex-tsan',
    torture: BOTH + ' tsan mutex-asan', answers: BOTH, lengths: 'release',
    tokens: 'release', foreign: 'release', words: 'release', bind_failures: 'release',
    waits: BOTH, metrics: 'release', chaos: BOTH + ' tsan', early_stop: 'release',
    slow_loris: 'release', garbage: 'release asan', hang_ups: 'release asan',
    descriptors: 'release', drains: 'release', gives_up: 'release',
    late_waits: BOTH + ' asan',
    last_answers: BOTH,
}


def main():
    """Run what there is, on what was built."""
    checks = dict(CHECKS)
    if not shutil.which('wrk'):
        print('# left out, because wrk is missing: ' +
              ' '.join(checks.pop(with_wrk) and with_wrk.__doc__.split()))
    return run_checks('status_server', checks, sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
