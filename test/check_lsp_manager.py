#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Drives docs/examples/lsp_manager, in its builds (TAP).

Most servers here are test/lsp_fake.c, which does whatever is wrong on request;
then come real clangd processes, killed and restarted, the stress of
test/lsp_stress.c, and what test/lsp_frames.c and test/lsp_faults.c try.

In short a test runs on both libraries, and on the builds with sanitizers that
SHORT names: all of them where threads race for a server's name, one where it
costs much or is about one thread's doing.  At length, with FH_PROVE=1, all run
on all; there are minutes of stress where in short there is a second, also on
clangd that crashes; and it is killed four hundred times, not six or three.

    python3 test/check_lsp_manager.py [VARIANT...] [test_NAME...]
"""

import concurrent.futures
import functools
import json
import os
import pathlib
import queue
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FAKE = [str(ROOT / 'build/release/lsp_fake')]
VARIANTS = 'tsan asan mutex-tsan mutex-asan release mutex'.split()
LONG = os.environ.get('FH_PROVE') == '1'
CLANGD = shutil.which('clangd')
PATIENCE = 100      # seconds; whatever takes that long has failed

SANITIZER = {
    'ASAN_OPTIONS': 'detect_leaks=1:detect_stack_use_after_return=1',
    'UBSAN_OPTIONS': 'print_stacktrace=1',
    'TSAN_OPTIONS': 'halt_on_error=1 second_deadlock_stack=1 '
                    'atexit_sleep_ms=0',
}


@functools.lru_cache
def fixed_addresses():
    """How to run what the thread sanitizer watches."""
    fixed = ['setarch', '-R']
    done = subprocess.run([*fixed, 'true'], check=False,
                          stderr=subprocess.DEVNULL)
    return [] if done.returncode else fixed


def command_of(variant, program):
    """The command line of a program of this variant."""
    fixed = fixed_addresses() if 'tsan' in variant else []
    return [*fixed, str(ROOT / f'build/{variant}/{program}')]


def quoted(words):
    """Words as a line of commands has them."""
    return ' '.join('"' + re.sub(r'(["\\])', r'\\\1', str(word)) + '"'
                    for word in words)


def comes(holds):
    """Does it hold, at once or before all patience is lost?"""
    limit = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() >= limit:
            return False
        time.sleep(0.005)
    return True


class Manager:
    """A manager that runs: lines go in, replies and events come out."""

    def __init__(self, variant, *options):
        self.token = f'LSP_TEST={os.getpid()}.{id(self)}'
        name, value = self.token.split('=')
        self.errors = tempfile.TemporaryFile('w+', errors='replace')
        self.process = subprocess.Popen(
            [*command_of(variant, 'lsp_manager'), '--events',
             '--start-time=60000', '--patience=80000', *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            errors='replace', stderr=self.errors,
            env=dict(os.environ, **SANITIZER, **{name: value}))
        self.replies = {}
        self.events = []            # (at, name, from, to, the line)
        self.changed = threading.Condition()
        self.untagged = queue.Queue()
        self.count = 0
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        """Sort what it prints, until it ends."""
        for line in self.process.stdout:
            line = line.rstrip('\n')
            words = line.split()
            with self.changed:
                if words and words[0] == 'event':
                    at = float(words[5].partition('=')[2])
                    self.events.append((at, *words[1:3], words[4], line))
                elif line.startswith('@'):
                    tag, _, text = line.partition(' ')
                    self.replies[tag].put(text)
                else:
                    self.untagged.put(line)
                self.changed.notify_all()

    def begin(self, line):
        """Send a command that runs beside others; its tag."""
        self.count += 1
        tag = f'@{self.count}'
        self.replies[tag] = queue.Queue()
        self.send(f'{tag} {line}')
        return tag

    def send(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()

    def end(self, tag):
        """The reply to a tag, its lines; the last is ok or an error."""
        lines = []
        while not lines or not re.match('ok|error', lines[-1]):
            lines.append(self.replies[tag].get(timeout=PATIENCE))
        return lines

    def say(self, line):
        """The last line of the reply."""
        return self.end(self.begin(line))[-1]

    def event(self, name, to, skip=0):
        """Wait for the event after @skip others like it: when, and so on."""
        limit = time.monotonic() + PATIENCE
        with self.changed:
            while True:
                found = [event for event in self.events
                         if event[1] == name and event[3] == to]
                if len(found) > skip:
                    return found[skip]
                if not self.changed.wait(limit - time.monotonic()):
                    raise TimeoutError(f'{name} never came to {to}')

    def proc(self, what):
        """How many entries it has in a directory of its own in /proc."""
        return len(os.listdir(f'/proc/{self.process.pid}/{what}'))

    def family(self):
        """All that run with its environment: what it and its servers have
        started, whoever their parent is by now."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                environment = pathlib.Path(f'/proc/{pid}/environ').read_bytes()
            except OSError:
                continue
            if self.token.encode() in environment.split(b'\0'):
                found.append(int(pid))
        return found

    def children(self):
        """Its children: state by process id."""
        found = {}
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                stat = pathlib.Path(f'/proc/{pid}/stat').read_text()
            except OSError:
                continue
            state, parent = stat.rpartition(') ')[2].split()[:2]
            if int(parent) == self.process.pid:
                found[int(pid)] = state
        return found

    def finish(self):
        """Close its input; what it left to say, and how it ended."""
        self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        self.errors.seek(0)
        return status, self.errors.read()


class Tests:
    """The tests of one variant, and what came of them."""

    def __init__(self, variant, scratch):
        self.variant = variant
        self.scratch = pathlib.Path(scratch)
        self.results = []
        self.file = self.scratch / 'some file.c'
        self.file.write_text('int a;\nint f(void)\n{\n\treturn a;\n}\n')

    def ok(self, passed, what, *details):
        self.results.append((bool(passed), f'{self.variant}: {what}',
                             [] if passed else details))

    def like(self, pattern, text, what):
        self.ok(re.search(pattern, text), what, f'want {pattern}',
                *text.splitlines())

    def note(self, text):
        self.results.append((None, f'{self.variant}: {text}', []))

    def manager(self, *options):
        return Manager(self.variant, *options)

    def finish(self, manager, what):
        """It ends well, and says nothing: no complaint of a sanitizer."""
        status, errors = manager.finish()
        self.ok(status == 0 and not errors, f'{what}: the manager ends well',
                f'status {status}', *errors.splitlines()[:60])
        self.ok(not manager.family(), f'{what}: and leaves nothing behind',
                manager.family())

    def run(self, name):
        """The test of this name."""
        began = time.monotonic()
        try:
            getattr(self, name)()
        except (queue.Empty, TimeoutError, OSError,
                subprocess.SubprocessError) as error:
            self.ok(False, f'{name} breaks off', repr(error))
        if 'FH_TIMES' in os.environ:
            self.note(f'{time.monotonic() - began:.2f} s {name}')
        return self

    # ------------------------------------------------------- bad servers

    def test_bad_frames(self):
        """Each way to be wrong, at the first message."""
        faults = {
            'huge': 'EMSGSIZE', 'over': 'EMSGSIZE', 'negative': 'ERANGE',
            'none': 'ENOMSG', 'nothing': 'ENOMSG', 'word': 'EDOM',
            'fraction': 'EDOM', 'plus': 'EDOM', 'empty-number': 'EDOM',
            'twice': 'ENOTUNIQ', 'lines': 'E2BIG',
            'long-line': 'ENAMETOOLONG', 'no-colon': 'EBADMSG',
            'no-name': 'EBADMSG', 'no-return': 'EBADMSG',
            'zero-byte': 'EBADMSG', 'space': 'EBADMSG',
            'charset': 'EPROTONOSUPPORT', 'not-json': 'EILSEQ',
            'empty': 'EILSEQ', 'not-utf8': 'EILSEQ', 'trailing': 'EILSEQ',
            'deep': 'EILSEQ', 'number': 'EPROTO', 'array': 'EPROTO',
            'object': 'EPROTO', 'stranger': 'EPROTO', 'odd-id': 'EPROTO',
            'neither': 'EPROTO', 'odd-result': 'EPROTO', 'cut': 'ECONNRESET',
            'cut-header': 'ECONNRESET', 'shut': 'EPIPE',
            'error': 'EREMOTEIO', 'crash': 'ECHILD', 'leave': 'ECHILD',
            'child': 'ECHILD',
        }
        manager = self.manager()
        tags = {fault: manager.begin(f'start {fault} ' + quoted(
            [*FAKE, f'initialize={fault}'])) for fault in faults}
        for fault, error in faults.items():
            said = manager.end(tags[fault])[-1]
            self.like(f'^error EHOSTDOWN: {fault}: .* error={error} ', said,
                      f'{fault} at initialize is {error}')
        self.like(r'state=failed .* error=EMSGSIZE ',
                  manager.say('health huge'), 'the error is kept')
        self.like(r'exited with status 3', manager.say('health leave'),
                  'a status is told')
        self.like(r'SIGKILL; it said: last \?\?words\)',
                  manager.say('health crash'), 'last words are kept')
        self.like(r'not\?today \(-32099\)', manager.say('health error'),
                  "a server's text cannot break a line")
        self.ok(manager.children() == {}, 'no process is left of them',
                manager.children())
        self.ok(manager.family() == [manager.process.pid],
                'nor of what they have started', manager.family())
        listed = manager.end(manager.begin('list'))
        self.ok(listed[-1] == f'ok {len(faults)}' and
                len(listed) == len(faults) + 1, 'all of them are listed',
                *listed)
        self.finish(manager, 'bad frames')

    def test_bad_answers(self):
        """The same at a request to a server that runs."""
        faults = {'huge': 'EMSGSIZE', 'negative': 'ERANGE', 'none': 'ENOMSG',
                  'cut': 'ECONNRESET', 'not-json': 'EILSEQ',
                  'crash': 'ECHILD', 'stranger': 'EPROTO'}
        manager = self.manager()
        tags = {fault: manager.begin(f'start {fault} ' + quoted(
            [*FAKE, f'documentSymbol={fault}'])) for fault in faults}
        for fault, error in faults.items():
            self.like('^ok ', manager.end(tags[fault])[-1], f'{fault} starts')
            tags[fault] = manager.begin(
                f'query {quoted([self.file])} {fault}')
        for fault, error in faults.items():
            self.like(f'^error (EHOSTDOWN|{error}): ',
                      manager.end(tags[fault])[-1],
                      f'a query that meets {fault} is told')
            manager.say(f'wait {fault} failed')
            self.like(f'state=failed .*crashes=1 .*error={error} ',
                      manager.say(f'health {fault}'),
                      f'{fault}: the server counts as crashed, {error}')
        self.like('^ok huge generation=', manager.say('get huge')
                  if 'ok' in manager.say('restart huge') else '',
                  'a restart makes it run again')
        for fault, answer in {
                'error': '^error EREMOTEIO: .*not.today',
                'odd-result': '^error EPROTO: ',
                'large': '^ok 5000 symbols'}.items():
            manager.say(f'start {fault} ' + quoted(
                [*FAKE, f'documentSymbol={fault}']))
            self.like(answer, manager.say(
                f'query {quoted([self.file])} {fault}'), f'{fault}: is told')
            self.like('state=running', manager.say(f'health {fault}'),
                      f'{fault}: the server lives on')
        self.finish(manager, 'bad answers')

    def test_limits(self):
        """Limits are the options', and memory follows what came."""
        manager = self.manager('--body=500000', '--lines=40')
        start = f'start large {quoted([*FAKE, "documentSymbol=large"])}'
        manager.say(start)
        self.like('^error (EHOSTDOWN|EMSGSIZE): ', manager.say(
            f'query {quoted([self.file])}'), 'an answer beyond --body')
        self.like('error=ENOMSG', manager.say(
            f'start lines {quoted([*FAKE, "initialize=none"])}'),
            'a header within --lines')
        self.finish(manager, 'limits')
        manager = self.manager('--body=1073741824', '--message-time=300',
                               '--start-time=60000')
        self.like('error=ETIME ', manager.say(
            f'start claim {quoted([*FAKE, "initialize=claim"])}'),
            'a message that is announced and does not come')
        self.like('error=ETIME ', manager.say(
            f'start stall {quoted([*FAKE, "initialize=stall"])}'),
            'one that stops in the middle')
        status = pathlib.Path(f'/proc/{manager.process.pid}/status')
        peak = int(re.search(r'VmPeak:\s+(\d+)', status.read_text())[1])
        self.ok(peak < 1048576 or 'san' in self.variant,
                'a gigabyte that is announced is not allocated', f'{peak} K')
        self.finish(manager, 'claims')

    def test_hangs(self):
        """Whatever hangs has a deadline; the process goes all the same."""
        manager = self.manager('--start-time=700', '--stop-time=800')
        starts = {
            'hang': (quoted([*FAKE, 'initialize=hang']), 'ETIMEDOUT'),
            'deaf': (quoted([*FAKE, '--deaf', 'start=hang']), 'ETIMEDOUT'),
            'sleep': ('sleep 100', 'ETIMEDOUT'),
            'absent': ('/no/such/program', 'ENOENT'),
            'directory': (quoted([self.scratch]), 'EACCES'),
        }
        tags = {name: manager.begin(f'start {name} {how}')
                for name, (how, _) in starts.items()}
        for name, (_, error) in starts.items():
            self.like(f'^error EHOSTDOWN: .* error={error} ',
                      manager.end(tags[name])[-1], f'{name} is {error}')
        self.ok(manager.children() == {}, 'no process is left of them',
                manager.children())
        self.finish(manager, 'hangs')
        manager = self.manager('--stop-time=800')
        stops = {
            'term': [*FAKE, 'shutdown=hang'],
            'kill': [*FAKE, '--deaf', 'shutdown=hang'],
            'exit': [*FAKE, '--deaf', 'exit=hang'],
            'error': [*FAKE, 'shutdown=error'],
            'leave': [*FAKE, 'shutdown=leave'],
        }
        for tag in [manager.begin(f'start {name} {quoted(how)}')
                    for name, how in stops.items()]:
            self.like('^ok ', manager.end(tag)[-1], 'it starts')
        for tag in [manager.begin(f'stop {name}') for name in stops]:
            self.like('^ok .* state=stopped', manager.end(tag)[-1],
                      'it is stopped, by force if need be')
        self.ok(manager.children() == {}, 'no process is left of them',
                manager.children())
        self.like(' stopped=5 ', manager.say('stats'), 'each is counted')
        self.finish(manager, 'hanging stops')

    def test_odd_servers(self):
        """What is odd, and allowed."""
        log = self.scratch / 'log'
        manager = self.manager()
        tags = [manager.begin(f'start {name} {quoted(how)}') for name, how in {
            'flood': [*FAKE, 'initialize=flood'],
            'ask': [*FAKE, '--log', log, 'initialize=ask']}.items()]
        for tag in tags:
            self.like('^ok .*state=running', manager.end(tag)[-1],
                      'a server that is a nuisance starts')
        self.like('^ok 2 symbols', manager.say(
            f'query {quoted([self.file])} flood'),
            'one that floods its standard error answers')
        answers = [json.loads(line) for line in
                   log.read_text().splitlines()[1:6]]
        self.ok(answers == [dict(answer, jsonrpc='2.0', id=f'q{number}')
                            for number, answer in enumerate([
            {'result': [None, None]}, {'result': None},
            {'result': {'applied': False,
                        'failureReason': 'this client edits nothing'}},
            {'result': None},
            {'error': {'code': -32601, 'message': 'no such method here'}},
        ])], 'its questions are answered', *answers)
        self.finish(manager, 'odd servers')

    def test_late(self):
        """An answer that comes too late is no answer to the next request."""
        log, go = self.scratch / 'late', self.scratch / 'go'
        manager = self.manager()
        how = [*FAKE, '--log', log, '--until', go, 'documentSymbol=wait']
        manager.say(f'start late {quoted(how)}')
        query = f'query {quoted([self.file])} late'
        patience = 100
        while patience == 100 or 'documentSymbol' not in log.read_text():
            self.like('^error ETIMEDOUT', manager.say(f'{query} {patience}'),
                      'a query waits as long as it may')
            patience *= 2   # who has not asked yet has nothing to take back
        # Before its answer: there would be nothing to forget.
        comes(lambda: 'more has come' in log.read_text())
        tags = [manager.begin(query), manager.begin(query)]
        go.touch()
        for tag in tags:
            self.like('^ok 2 symbols', manager.end(tag)[-1],
                      'requests that wait beside each other are answered')
        self.ok('$/cancelRequest' in log.read_text().splitlines(),
                'the server is told to forget the first', log.read_text())
        self.finish(manager, 'late answers')

    # ------------------------------------------------- what servers inherit

    def test_inheritance(self):
        """A server has three descriptors, its signals, and its mark."""
        seen = self.scratch / 'seen'
        script = (f'ls /proc/self/fd | wc -l > {seen}; '
                  f'grep -E "Sig(Blk|Ign)" /proc/self/status >> {seen}; '
                  f'echo $FREEHOLD_SERVER >> {seen}; '
                  f'exec {" ".join(FAKE)}')
        with open(self.scratch / 'some', 'w') as extra:
            os.set_inheritable(extra.fileno(), True)
            manager = Manager(self.variant)
            self.like('^ok', manager.say(
                f'start mine {quoted(["sh", "-c", script])}'),
                'a shell becomes a server')
            lines = seen.read_text().split()
            ignored = int(lines.pop(4), 16) & 0x7fffffff    # not libc's own
            self.ok(lines == ['4', 'SigBlk:', '0' * 16, 'SigIgn:', 'mine'] and
                    not ignored, 'it inherits what it should', *lines, ignored)
            self.finish(manager, 'inheritance')

    def test_descriptors(self):
        """Servers come and go, well and badly; nothing adds up."""
        manager = self.manager('--start-time=60000')
        good, bad = quoted(FAKE), quoted([*FAKE, 'initialize=not-json'])

        def once(number):
            manager.say(f'start a{number} {good}')
            manager.say(f'start b{number} {bad}')
            manager.say(f'restart a{number}')
            manager.say(f'stop a{number}')
            manager.say(f'stop b{number}')
            manager.say(f'start c{number} /no/such/program')
            manager.say(f'stop c{number}')

        once(0)
        time.sleep(0.1)         # threads that have ended are there a moment
        before = manager.proc('fd'), manager.proc('task')
        for number in range(1, 6):
            once(number)
        self.ok(comes(lambda: manager.proc('fd') <= before[0] and
                      manager.proc('task') <= before[1]),
                'no descriptor and no thread is left', before,
                manager.proc('fd'), manager.proc('task'))
        self.ok(manager.children() == {}, 'no process, no zombie',
                manager.children())
        self.like('^ok 0$', manager.say('list'), 'nothing is listed')
        self.finish(manager, 'descriptors')

    def test_few_descriptors(self):
        """Beyond the limit of descriptors a start fails, and that is all."""
        manager = self.manager()
        manager.say('list')
        limit = max(map(int, os.listdir(f'/proc/{manager.process.pid}/fd')))
        resource.prlimit(manager.process.pid, resource.RLIMIT_NOFILE,
                         (limit + 20, limit + 20))
        said = [manager.say(f'start s{number} {quoted(FAKE)}')
                for number in range(8)]
        self.like('^ok', said[0], 'one starts')
        self.like('^error (ENOBUFS|EHOSTDOWN: .*error=E(MFILE|NOBUFS))',
                  said[7], 'one that has no descriptor left does not')
        self.like('^ok', manager.say('stop s0'), 'one ends')
        manager.say('stop s7')
        self.like('^ok', manager.say(f'start again {quoted(FAKE)}'),
                  'and makes room for another')
        self.finish(manager, 'few descriptors')

    # ----------------------------------------------------------- documents

    def test_documents(self):
        """Open once, changed, open again after a restart, closed."""
        log, file = self.scratch / 'doc', self.scratch / 'doc.c'
        manager = self.manager()
        manager.say(f'start docs {quoted([*FAKE, "--log", log])}')

        def query(text):
            file.write_text(text)
            return manager.end(manager.begin(f'query {quoted([file])} docs'))

        self.like('function one : int', '\n'.join(query('one')),
                  'a file is read')
        query('one')
        self.like('function two : int', '\n'.join(query('two')),
                  'it is read again when it has changed')
        self.like('^ok', manager.say('restart docs'), 'the server restarts')
        self.like('function two : int', '\n'.join(query('two')),
                  'the file is open again')
        self.like('^ok', manager.say(f'close {quoted([file])} docs'),
                  'it can be closed')
        self.like('^error ENODATA', manager.say(
            f'close {quoted([file])} docs'), 'but once')
        query('three')
        self.like('^ok .*stopped', manager.say('stop docs'), 'the server ends')
        ask = 'textDocument/documentSymbol'
        start = ['initialize', 'initialized']
        wanted = [*start, 'open 1', ask, ask, 'change 2', ask, 'close',
                  'shutdown', 'exit', *start, 'open 1', ask, 'close',
                  'open 1', ask, 'close', 'shutdown', 'exit']
        got = log.read_text().splitlines()
        self.ok(got == wanted, 'the server was told all that in order', *got)
        for path, error in (('/no/such', 'ENOENT'), ('/', 'EISDIR'),
                            ('/dev/zero', 'EFBIG')):
            manager.say(f'start docs {quoted(FAKE)}')
            self.like(f'^error {error}:', manager.say(f'query {path} docs'),
                      f'{path} is {error}')
        file.write_bytes(b'\xff\xfe')
        self.like('^error EILSEQ:', manager.say(f'query {quoted([file])}'),
                  'a file that is no UTF-8 is EILSEQ')
        self.finish(manager, 'documents')

    # ------------------------------------------------------ life and policy

    def test_users(self):
        """Starts are counted, and the last stop counts."""
        manager = self.manager()
        start = f'start one {quoted(FAKE)}'
        tags = [manager.begin(start) for _ in range(8)]
        for tag in tags:
            self.like('^ok .*state=running', manager.end(tag)[-1],
                      'one of eight starts')
        first = re.search(r'generation=(\d+) restarts=0 .*users=8 ',
                          manager.say('health one'))
        self.ok(first, 'eight users, one server')
        self.ok(len(manager.children()) == 1, 'one process',
                manager.children())
        self.like('^error EEXIST', manager.say('create one'),
                  'create refuses what is there')
        tags = [manager.begin('restart one') for _ in range(8)]
        for tag in tags:
            self.like('^ok .*users=8', manager.end(tag)[-1],
                      'a restart keeps the users')
        generation = int(re.search(r'generation=(\d+)',
                                   manager.say('health one'))[1])
        self.ok(2 <= generation <= 30, 'restarts are shared', generation)
        self.like('^error ESTALE', manager.say(f'restart one {first[1]}'),
                  'a generation that is gone is not restarted')
        for left in range(7, 0, -1):
            self.like(f'state=running .*users={left} ',
                      manager.say('stop one'), f'{left} users are left')
        self.like('state=stopped', manager.say('stop one'), 'and none')
        for line in 'health one', 'get one', 'get one 0', 'restart one', \
                'stop one':
            self.like('^error ENOENT', manager.say(line),
                      f'{line}: nobody has that name')
        self.finish(manager, 'users')

    def test_restarting(self):
        """While a restart hangs, all others are answered at once."""
        go = self.scratch / 'go'
        go.touch()
        manager = self.manager()
        how = [*FAKE, '--until', go, 'initialize=wait']
        manager.say(f'start slow {quoted(how)}')
        go.unlink()
        restart = manager.begin('restart slow')
        manager.event('slow', 'restarting')
        self.like('^error EINPROGRESS: .*RESTARTING',
                  manager.say('get slow 0'), 'get is told RESTARTING')
        self.like('^ok .*state=restarting .*users=1',
                  manager.say('health slow'), 'health is told, too')
        self.like('^ok 1', manager.say('list'), 'it is listed')
        self.like('^error ETIMEDOUT', manager.say('get slow 10'),
                  'get waits as long as it may')
        waiter = manager.begin('get slow')
        go.touch()
        self.like('^ok slow generation=2', manager.end(waiter)[-1],
                  'and is woken when it runs')
        self.like('^ok .*restarts=1', manager.end(restart)[-1],
                  'it was restarted once')
        self.finish(manager, 'restarting')

    def test_policy(self):
        """Crashes are restarted, later each time, and not for ever."""
        manager = self.manager('--restarts=3', '--delay=40', '--jitter=0',
                               '--window=600000')
        manager.say(f'start it {quoted(FAKE)}')
        for round_ in range(3):
            pid = int(re.search(r'pid=(\d+)', manager.say('get it'))[1])
            os.kill(pid, signal.SIGKILL)
            crash = manager.event('it', 'crashed', round_)
            backoff = manager.event('it', 'backoff', round_)
            self.like(r'error=ECHILD .*SIGKILL', backoff[4],
                      'the event says why')
            again = manager.event('it', 'restarting', round_)
            manager.event('it', 'running', round_ + 1)
            delay = 0.04 * 2 ** round_
            self.ok(again[0] - crash[0] >= delay - 0.000001,
                    f'restart {round_ + 1} comes after {delay} s',
                    again[0] - crash[0])
        pid = int(re.search(r'pid=(\d+)', manager.say('get it'))[1])
        os.kill(pid, signal.SIGKILL)
        manager.event('it', 'failed')
        self.like('^error EHOSTDOWN', manager.say('get it'),
                  'after three it is failed')
        self.like('crashes=4 users=1', manager.say('health it'),
                  'and keeps its user')
        self.like('^ok .*state=running', manager.say('restart it'),
                  'until somebody restarts it')
        self.finish(manager, 'policy')      # all has been told
        epochs = [int(re.search(r'epoch=(\d+)', event[4])[1])
                  for event in manager.events]
        self.ok(sorted(epochs) == list(range(1, len(epochs) + 1)),
                'each transition is told once', *epochs)

    def test_second_try(self):
        """A restart that fails is tried again by the policy."""
        mark = self.scratch / 'tries'
        mark.write_text('')
        script = (f'echo >> {mark}; n=$(wc -l < {mark}); '
                  f'if [ $n = 2 ]; then exit 9; fi; exec {" ".join(FAKE)}')
        manager = self.manager('--restarts=3', '--delay=1')
        manager.say(f'start it {quoted(["sh", "-c", script])}')
        said = manager.say('restart it')
        self.like('^error EHOSTDOWN: .*status 9', said, 'a restart fails')
        self.like('^ok it generation', manager.say('get it'),
                  'and the one after that does not')
        self.finish(manager, 'second try')

    # ------------------------------------------------------------- its lines

    def test_lines(self):
        """What is wrong with a line is said, and nothing else happens."""
        manager = self.manager()
        for line, reply in {
                'nonsense': 'error EINVAL: no such command',
                'start': 'error EINVAL: start NAME',
                'health a b': 'error EINVAL: health NAME',
                'health "a': 'error EINVAL: a quote is open',
                'get a b': 'error EINVAL: milliseconds',
                'restart a b': 'error EINVAL: that is no generation',
                'wait a b': 'error EINVAL: a state',
                'start "a b" x': 'error EINVAL: that is no name',
                'start ""': 'error EINVAL: that is no name',
                'start ' + 'x' * 256: 'error EINVAL: that is no name',
                'health ' + 'x ' * 100: 'error EINVAL: a quote is open, or',
                'health "a \\" \\\\ b"': 'error ENOENT: a " \\\\ b: ',
                'query /dev/null': 'error ENOENT: no server runs',
                'stop x': 'error ENOENT: x: there is no such server',
        }.items():
            self.like('^' + reply, manager.say(line), f'{line[:20]}: is told')
        self.like('^ok', manager.say('help'), 'help helps')
        manager.send('x' * 9000)
        manager.send('health \0 x')
        manager.send('')
        manager.send('  list  ')
        lines = [manager.untagged.get(timeout=PATIENCE) for _ in range(3)]
        self.ok([line.split(':')[0] for line in lines] == [
            'error ENAMETOOLONG', 'error EINVAL', 'ok 0'],
            'lines without a tag, in order', *lines)
        self.ok(len([event for event in manager.events]) == 0,
                'nothing has happened', *manager.events)
        manager.process.stdin.write('list')
        self.finish(manager, 'lines')
        self.ok(manager.untagged.get(timeout=PATIENCE) == 'ok 0',
                'a last line without an end is one')
        program = command_of(self.variant, 'lsp_manager')
        for options, status in {'--help': 0, '--body=1': 2, '--lines=x': 2,
                                '--nonsense': 2, '--root=/none': 2}.items():
            done = subprocess.run([*program, options], check=False, text=True,
                                  capture_output=True, timeout=PATIENCE)
            self.ok(done.returncode == status and (
                'Usage' in done.stdout if status == 0 else
                len(done.stderr.splitlines()) == 1),
                f'{options} ends with {status}', done.stdout, done.stderr)

    def test_crowd(self):
        """More commands at a time than there may be: some are refused."""
        manager = self.manager()
        manager.say(f'start one {quoted(FAKE)}')
        pid = int(re.search(r'pid=(\d+)', manager.say('get one'))[1])
        tags = [manager.begin('wait one failed') for _ in range(80)]
        manager.say('list')     # all those lines were read
        os.kill(pid, signal.SIGKILL)
        said = [manager.end(tag)[-1][:11] for tag in tags]
        self.ok(said.count('error EBUSY') >= 16 and
                said.count('error EBUSY') + said.count('ok one stat') == 80,
                'those beyond the bound are told EBUSY', *said)
        self.like('^ok', manager.say('health one'), 'and later ones are not')
        self.finish(manager, 'crowd')

    def test_signals(self):
        """A signal stops all, whatever commands run."""
        manager = self.manager('--start-time=60000', '--stop-time=500')
        manager.say(f'start good {quoted(FAKE)}')
        manager.say(f'start deaf {quoted([*FAKE, "--deaf", "exit=hang"])}')
        wait = manager.begin('wait good failed')
        manager.say('list')     # both lines were read
        manager.process.send_signal(signal.SIGTERM)
        manager.reader.join(PATIENCE)
        self.like('^error ENOENT', manager.end(wait)[-1],
                  'a command that waits is ended')
        self.ok(manager.children() == {}, 'no server is left')
        self.finish(manager, 'signals')

    # ------------------------------------------------------------ real clangd

    def test_real(self):
        """Symbols of a real file, from a real clangd."""
        if not CLANGD:
            return
        file = self.scratch / 'real file.c'
        file.write_text('struct point { int x, y; };\nstatic int count;\n'
                        'int add(int a, int b)\n{\n\treturn a + b;\n}\n')
        manager = self.manager('--stop-time=60000')
        self.like('^ok', manager.say('start clangd'), 'clangd starts')
        said = manager.end(manager.begin(f'query {quoted([file])}'))
        self.ok(said == ['  1:8 class point : struct', '    1:20 field x : int',
                         '    1:23 field y : int',
                         '  2:12 variable count : int',
                         '  3:5 function add : int (int, int)',
                         'ok 5 symbols from clangd'], 'it knows the symbols',
                *said)
        self.like('^ok', manager.say('restart clangd'), 'it restarts')
        again = manager.end(manager.begin(f'query {quoted([file])}'))
        self.ok(again == said, 'and knows them again', *again)
        self.like('^ok .*stopped', manager.say('stop clangd'), 'it stops')
        self.like(' killed=0 ', manager.say('stats'), 'in good order')
        self.finish(manager, 'clangd')

    def test_real_kills(self):
        """How long it takes until the end of a clangd is noticed."""
        if not CLANGD:
            return
        ends, notices, lags = [], [], []    # since the kill, and between
        rounds = 400 if LONG else 3 if 'san' in self.variant else 6
        manager = self.manager('--restarts=64', '--window=1', '--delay=1')
        manager.say('start clangd')

        def late():
            return sorted(lags)[len(lags) // 2] >= 100

        # A busy machine may be late itself: a few times more then.
        while len(lags) < rounds or (late() and len(lags) < 60 + rounds):
            number = len(lags)
            pid = int(re.search(r'pid=(\d+)', manager.say('get clangd'))[1])
            watch = os.pidfd_open(pid)
            began = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            select.select([watch], [], [], PATIENCE)
            ended = time.monotonic()
            os.close(watch)
            noticed = manager.event('clangd', 'crashed', number)[0]
            manager.event('clangd', 'running', number + 1)
            ends.append(1000 * (ended - began))
            notices.append(1000 * (noticed - began))
            lags.append(1000 * (noticed - ended))
        rounds = len(lags)
        for times in ends, notices, lags:
            times.sort()
        self.note(f'{rounds} times a clangd was killed: noticed after '
                  f'{notices[rounds // 2]:.2f} ms (median), '
                  f'{notices[rounds * 99 // 100]:.2f} ms (99 %), '
                  f'{notices[-1]:.2f} ms (most); a process that only waits '
                  f'for its end sees it after {ends[rounds // 2]:.2f} ms, '
                  f'{ends[rounds * 99 // 100]:.2f} ms, {ends[-1]:.2f} ms')
        self.ok(not late(),
                'the end of a clangd is noticed within 100 ms', *lags)
        self.like(f'restarts={rounds} crashes={rounds} ',
                  manager.say('health clangd'), 'and each time restarted')
        pid = int(re.search(r'pid=(\d+)', manager.say('get clangd'))[1])
        manager.process.kill()
        manager.process.wait()
        self.ok(comes(lambda: not os.path.exists(f'/proc/{pid}')),
                'clangd ends with a manager that is killed')

    # ----------------------------------------------------------------- stress

    def program(self, what, *command):
        """Run another program of this variant; show what it says, if long."""
        done = subprocess.run([*command_of(self.variant, command[0]),
                               *command[1:]], check=False, text=True,
                              capture_output=True, timeout=6 * PATIENCE,
                              errors='replace',
                              env=dict(os.environ, **SANITIZER))
        for line in done.stdout.splitlines():
            if line.startswith('# ') and LONG:
                self.note(f'{what}: {line[2:]}')
        return done

    def passes(self, what, *command):
        done = self.program(what, *command)
        self.ok(done.returncode == 0, what, *done.stdout.splitlines(),
                *done.stderr.splitlines()[:60])

    def test_faults(self):
        """Each allocation, pipe, process and thread fails in turn."""
        self.passes('whatever is lacking', 'lsp_faults', str(self.file))

    def test_frames(self):
        """Random streams of frames, in random pieces."""
        self.passes('frames', 'lsp_frames')

    def test_stress(self):
        """Sixteen threads on nine servers, some of which are killed."""
        seconds = '60' if LONG else '1'
        if LONG or 'san' not in self.variant:
            self.passes('stress, on servers that restart at once',
                        'lsp_stress', '--seconds', seconds, '--', *FAKE)
        self.passes('stress, on servers that crash', 'lsp_stress',
                    '--crashes', '--seconds', seconds, '--', *FAKE)

    def test_real_stress(self):
        """The same on clangd."""
        if CLANGD and (LONG or 'san' not in self.variant):
            self.passes('stress, on clangd', 'lsp_stress', '--seconds',
                        '60' if LONG else '1')
        if CLANGD and LONG:
            self.passes('stress, on clangd that crashes', 'lsp_stress',
                        '--crashes', '--seconds', '60')

    def test_original_race(self):
        """Delete and insert again fails where ours does not."""
        if self.variant != 'release':
            return
        faults = ('a name with a user is always found',
                  'no name is lost while it restarts',
                  'never two processes for one name in /proc')
        for seconds in ('60',) if LONG else ('1', '4', '16'):
            done = self.program('delete and insert', 'lsp_stress', '--naive',
                                '--seconds', seconds,
                                *([] if LONG and CLANGD else ['--', *FAKE]))
            if all(re.search(f'(?m)^not ok .* {line}', done.stdout)
                   for line in faults):
                break
        self.ok(done.returncode == 1, 'the original race fails',
                *done.stdout.splitlines(), done.stderr)
        for line in faults:
            self.like(f'(?m)^not ok .* {line}', done.stdout,
                      f'the original race is not: {line}')


# The builds with sanitizers that a test runs on in short.
RACES = 'tsan asan mutex-tsan mutex-asan'
SHORT = {
    'test_bad_frames': 'asan', 'test_bad_answers': 'tsan',
    'test_limits': 'asan', 'test_hangs': 'tsan', 'test_odd_servers': 'asan',
    'test_late': 'tsan asan', 'test_inheritance': 'asan',
    'test_descriptors': 'asan tsan', 'test_few_descriptors': 'asan',
    'test_documents': 'asan tsan', 'test_users': RACES,
    'test_restarting': RACES, 'test_policy': RACES,
    'test_second_try': 'tsan asan', 'test_lines': 'asan', 'test_crowd': RACES,
    'test_signals': 'tsan asan', 'test_real': 'asan',
    'test_real_kills': 'tsan', 'test_faults': 'asan', 'test_frames': 'asan',
    'test_stress': RACES, 'test_real_stress': '', 'test_original_race': '',
}

# These measure, or take both processors: at length they come last, one at a
# time.
ALONE = ['test_real_kills', 'test_real_stress']


def runs_on(name, variant):
    """In short, does the test run on this build?"""
    return 'san' not in variant or variant in SHORT[name].split()


def run_all(variants, names, scratch):
    """Every test of every variant: each as soon as it and those before it
    have ended."""
    def prepare(variant, name):
        directory = f'{scratch}/{variant}-{name}'
        os.mkdir(directory)
        return Tests(variant, directory)

    known = [name for name in dir(Tests) if name.startswith('test_') and
             (name in names or not names)]
    plays = [(variant, name) for name in known for variant in variants
             if LONG or names or runs_on(name, variant)]
    with concurrent.futures.ThreadPoolExecutor(2 if LONG else 4) as pool:
        runs = [pool.submit(prepare(variant, name).run, name)
                for variant, name in plays if not (LONG and name in ALONE)]
        for run in runs:
            yield run.result()
    for variant, name in plays:
        if LONG and name in ALONE:
            yield prepare(variant, name).run(name)


def main(words):
    """Each variant that is built."""
    names = [word for word in words if word.startswith('test_')]
    wanted = [word for word in words if word not in names] or VARIANTS
    variants = [variant for variant in wanted
                if os.path.exists(ROOT / f'build/{variant}/lsp_manager')]
    if not variants or not os.path.exists(FAKE[0]):
        print('Bail out!  no lsp_manager is built')
        return 1
    if not CLANGD:
        print('# no clangd: what needs it is skipped; '
              'on Debian: apt-get install clangd')
    count = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for tests in run_all(variants, names, scratch):
            for passed, what, details in tests.results:
                if passed is None:
                    print('#', what)
                    continue
                count += 1
                failed += not passed
                print(f'{"" if passed else "not "}ok {count} - {what}')
                for line in '\n'.join(map(str, details)).splitlines():
                    print('#', line)
            sys.stdout.flush()
    print(f'1..{count}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
