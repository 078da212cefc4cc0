# SPDX-License-Identifier: MIT
"""What the checks of the servers share: to start one, ask it, and end it.

    with Server('release', 'status_server', '--chaos', '50') as server:
        answer = server.get('/')

A server that ends by itself, hangs, leaks or is reported by a sanitizer fails
the check that it ran in.
"""

import asyncio
import collections
import concurrent.futures
import fcntl
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from recipe import ROOT, Tap, complaint

# Seconds, for whatever must happen.
PATIENCE = int(os.environ.get('FH_PATIENCE', 60))
VARIANTS = 'release mutex asan tsan mutex-asan mutex-tsan'.split()
LONG = os.environ.get('FH_PROVE') == '1'
ABREAST = 4     # checks at a time, in short

# How sanitizers run: the thread sanitizer wants its addresses fixed.
LEAKS = {'ASAN_OPTIONS': 'detect_leaks=1:detect_stack_use_after_return=1'}
RACES = {'TSAN_OPTIONS': 'halt_on_error=1 second_deadlock_stack=1 '
                         'atexit_sleep_ms=0'}
FIXED = () if subprocess.run(
    ['setarch', '-R', 'true'], check=False,
    stderr=subprocess.DEVNULL).returncode else ('setarch', '-R')

Answer = collections.namedtuple('Answer', 'code body headers')


def environment(variant):
    """How a program of this variant is run, as by run_tests.pl."""
    if 'tsan' in variant:
        return RACES, FIXED
    return (LEAKS if 'asan' in variant else {}), ()


def command(variant, program, *arguments):
    """The command line of a program that was built."""
    _, before = environment(variant)
    return [*before, str(ROOT / 'build' / variant / program), *arguments]


def eventually(true, seconds=PATIENCE):
    """Wait until something holds; it may never."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class Client:
    """One connection that stays."""

    def __init__(self, port, timeout=PATIENCE):
        self.http = http.client.HTTPConnection('127.0.0.1', port, timeout)

    def ask(self, method, path, body=None, **headers):
        """One request and its answer."""
        self.http.request(method, path, body,
                          {k.replace('_', '-'): v for k, v in headers.items()})
        answer = self.http.getresponse()
        return Answer(answer.status, answer.read(), answer.headers)

    def close(self):
        """Hang up."""
        self.http.close()


class Server:
    """A program that serves, from its start to its end."""

    def __init__(self, variant, program, *arguments, limit=None, **more):
        before = ['prlimit', f'--nofile={limit}'] if limit else []
        settings, _ = environment(variant)
        self.child = subprocess.Popen(
            before + command(variant, program, *arguments),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, **settings, **more))
        self.output, self.ended, self.port = '', False, None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        eventually(lambda: self.port or not self.reader.is_alive())
        if not self.port:
            self.child.kill()
            raise RuntimeError(f'{program} does not start: {self.output}')

    def read(self):
        """Keep what it prints."""
        for line in self.child.stdout:
            self.output += line.decode(errors='replace')
            found = re.search(r'http://\S*:(\d+)', self.output)
            if found:
                self.port = int(found[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if not self.ended:
            wrong = self.end()
            if wrong and not kind:
                raise RuntimeError(wrong)

    def end(self, how=signal.SIGTERM, status=0):
        """Ask it to end; what is wrong with that, or None."""
        self.child.send_signal(how)
        return self.await_end(status)

    def await_end(self, status=0):
        """Wait for its end; what is wrong with that, or None."""
        self.ended = True
        try:
            got = self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            got = None
        self.reader.join()
        found = complaint(self.output, 0 if got == status else got)
        if found:
            print('\n'.join('# ' + line for line in
                            self.output.splitlines()[-60:]))
        return found

    def client(self):
        """A connection of one's own."""
        return Client(self.port)

    def ask(self, method, path, body=None, **headers):
        """One request on a connection of its own."""
        client = self.client()
        try:
            return client.ask(method, path, body, **headers)
        finally:
            client.close()

    def get(self, path, **headers):
        """GET."""
        return self.ask('GET', path, **headers)

    def post(self, path, body=None, **headers):
        """POST, of JSON if there is a body that is no string."""
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        return self.ask('POST', path, body, **headers)

    def json(self, path):
        """GET of JSON."""
        return json.loads(self.get(path).body)

    def metrics(self):
        """What /metrics says: a dictionary from name and labels to value."""
        text = self.get('/metrics').body.decode()
        return {name: int(value) for name, value in
                re.findall(r'^([^#\s]\S*) (\d+)$', text, re.M)}

    def socket(self, sent=b'', timeout=PATIENCE):
        """A bare connection, on which something was sent."""
        plain = socket.create_connection(('127.0.0.1', self.port), timeout)
        plain.sendall(sent)
        return plain


def everything(plain):
    """All that comes until the other side hangs up."""
    text = b''
    try:
        while True:
            piece = plain.recv(65536)
            if not piece:
                return text
            text += piece
    except ConnectionResetError:
        return text
    finally:
        plain.close()


def crew(count, work):
    """Run work(index) on so many threads at once; what they returned."""
    results, barrier = [None] * count, threading.Barrier(count)

    def run(index):
        barrier.wait()
        try:
            results[index] = work(index)
        except Exception as error:  # for whoever joins to look at
            results[index] = error

    threads = [threading.Thread(target=run, args=[i]) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def built(program):
    """The variants of which the program was built."""
    return [variant for variant in VARIANTS if
            pathlib.Path(ROOT / 'build' / variant / program).exists()]


class Held:
    """A command that ends when it is told to, however many run it: it takes
    a lock that is held till then."""

    def __init__(self, then='echo done'):
        self.file = tempfile.NamedTemporaryFile()
        fcntl.flock(self.file, fcntl.LOCK_EX)
        self.command = f'exec flock -s {self.file.name} {then}'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def release(self):
        """Let all of them end, and whoever comes later."""
        fcntl.flock(self.file, fcntl.LOCK_UN)


async def one_of_many(port, method, path, body, timeout):
    """One request on a connection of its own; None: no answer in time."""
    async def talk():
        reader, writer = await asyncio.open_connection('127.0.0.1', port)
        text = json.dumps(body).encode() if body is not None else b''
        writer.write(f'{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: '
                     f'close\r\nContent-Length: {len(text)}\r\n\r\n'
                     .encode() + text)
        try:
            whole = await reader.read()
        finally:
            writer.close()
        head, _, rest = whole.partition(b'\r\n\r\n')
        lines = head.decode().split('\r\n')
        headers = dict(line.split(': ', 1) for line in lines[1:])
        return Answer(int(lines[0].split()[1]), rest, headers)

    try:
        return await asyncio.wait_for(talk(), timeout)
    except (asyncio.TimeoutError, OSError, IndexError):
        return None


def many(port, requests, timeout=PATIENCE, told=lambda answer: None):
    """All these requests at once, each (method, path, body): the answers, of
    which `told` is told as they come."""
    async def one(request):
        answer = await one_of_many(port, *request, timeout)
        told(answer)
        return answer

    async def all_of_them():
        return await asyncio.gather(*map(one, requests))

    return asyncio.run(all_of_them())


def differences(pairs):
    """What is not as it should be, of (what, got, wanted)."""
    return '; '.join(f'{what}: {got!r} instead of {wanted!r}'
                     for what, got, wanted in pairs if got != wanted)


def play(check, variant):
    """One check on one variant: what went wrong, and the seconds it took."""
    began = time.monotonic()
    try:
        wrong = check(variant)
    except Exception:  # told with the check
        wrong = traceback.format_exc()
    return wrong or '', time.monotonic() - began


def run_checks(program, checks, words):
    """A line of TAP for each check and variant; returns the exit status.

    `checks` says of each, a function that takes a variant and gives what went
    wrong, or nothing, on which variants it runs in short; at length it runs on
    all.  Words name checks to run, and directories below build/ to run them
    in.  In short several run at a time, since most do nothing but wait.
    """
    os.chdir(ROOT)
    signal.alarm(3 * 3600 if LONG else 280)
    named = [check for check in checks if check.__name__ in words]
    names = [check.__name__ for check in checks]
    wanted = [there for there in words if there not in names]
    plays = [(check, variant) for check in named or checks
             for variant in wanted or built(program)
             if named or wanted or LONG or variant in checks[check].split()]
    tap = Tap()
    with concurrent.futures.ThreadPoolExecutor(1 if LONG else ABREAST) as pool:
        for (check, variant), outcome in [
                (what, pool.submit(play, *what)) for what in plays]:
            wrong, seconds = outcome.result()
            tap.line(not wrong, f'{variant}: {" ".join(check.__doc__.split())}',
                     *wrong.splitlines())
            if 'FH_TIMES' in os.environ:
                print(f'# {seconds:.2f} s {check.__name__}')
    return tap.end()
