#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Speaks to docs/examples/appose_worker from the other side (TAP).

At length, with FH_PROVE=1, every scene is played with every build of the
worker, one at a time; and `crowd` has 20 runs, `race` 100 000 tries, and the
soak lasts 5 minutes.

In short several are played at a time.  The release and the mutex build play
every scene.  Those that cost much are played with one build of a sanitizer
beside these, which they name; the others with asan and tsan, if the latter may
have anything to say; and with mutex-asan and mutex-tsan those that name them.
`crowd` has one run and one with a pool, of 200 tasks for each thread with the
release build and 40 with others; `race` 1500 tries, or 200; the soak half a
second.

Words on the command line name builds, or scenes.
"""

import concurrent.futures
import functools
import glob
import json
import math
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from appose import PATIENCE, Service
from recipe import ROOT, Tap

LONG = bool(os.environ.get('FH_PROVE'))
BUILDS = 'release asan tsan mutex mutex-asan mutex-tsan'.split()
ENVIRONMENT = {
    'ASAN_OPTIONS': 'detect_leaks=1:detect_stack_use_after_return=1',
    'UBSAN_OPTIONS': 'print_stacktrace=1',
    'TSAN_OPTIONS': 'halt_on_error=1 second_deadlock_stack=1 '
                    'atexit_sleep_ms=0',
}

scenes = {}     # by function: the builds of the short form


def scene(builds):
    """Adds a scene: a function from a Stage to lines of TAP.  In short, it is
    played with the builds of a sanitizer that are named."""
    def add(function):
        scenes[function] = f'release mutex {builds}'.split()
        return function

    return add


EACH = 'asan tsan mutex-asan mutex-tsan'    # it is about threads, and short
USUAL = 'asan tsan'
LONE = 'asan'                               # threads do not matter in it


@functools.lru_cache
def fixed_addresses():
    """How to run what the thread sanitizer watches."""
    fixed = ['setarch', '-R']
    if shutil.which('setarch') and subprocess.run(
            [*fixed, 'true'], stderr=subprocess.DEVNULL,
            check=False).returncode == 0:
        return fixed
    return []


class Stage:
    """One build of the worker, and what one scene reports."""

    def __init__(self, build, play):
        self.build, self.play, self.name = build, play, play.__name__
        self.program = str(ROOT / 'build' / build / 'appose_worker')
        self.sanitized = 'san' in build
        self.checks, self.notes = [], []

    def start(self, *options, environment=(), narrow=False):
        """A worker."""
        wrapper = fixed_addresses() if 'tsan' in self.build else []
        return Service(self.program, *options, wrapper=wrapper, narrow=narrow,
                       environment={**ENVIRONMENT, **dict(environment)})

    def ok(self, passed, what, *notes):
        """One line."""
        self.checks.append((bool(passed), f'{self.build}: {self.name}: {what}',
                            *([] if passed else notes)))

    def note(self, text):
        """What is not a check."""
        self.notes.append(f'# {self.build}: {text}')

    def perform(self):
        """Play the scene."""
        began = time.monotonic()
        try:
            self.play(self)
        except Exception:  # told as a check that failed
            self.ok(False, 'it breaks off',
                    *traceback.format_exc().splitlines())
        if os.environ.get('FH_TIMES'):
            self.note(f'{self.name}: {time.monotonic() - began:.2f} s')
        return self

    def end(self, service, status=0):
        """End the worker; nothing may have gone wrong with it."""
        got = service.finish()
        report = [line for line in service.errors if 'Sanitizer' in line]
        self.ok(got == status and not service.faults and not report,
                f'it ends with status {status}, every line in order',
                f'status {got}', *service.faults[:5], *service.errors[-12:])


# ------------------------------------------------------------- what it gives


@scene(USUAL)
def values(stage):
    """Scripts that are expressions, chunks, tables; JSON there and back."""
    cases = [
        ('2 + 2', {'result': 4}),
        ('return 5', {'result': 5}),
        ("task.outputs['result'] = 1", {'result': 1}),
        ("task.outputs.a = 1 return {b = 2, c = 'x'}",
         {'a': 1, 'b': 2, 'c': 'x'}),
        ("task.outputs.result = 1 return 2", {'result': 2}),
        ('{1, 2, 3}', {'result': [1, 2, 3]}),
        ('', {}), ('-- nothing', {}), ('local a = 1', {}), ('nil', {}),
        ('false', {'result': False}), ('7 // 2', {'result': 3}),
        ('7 / 2', {'result': 3.5}), ('1, 2', {'result': 1}),
        ('  "a" .. "b"  -- said\n', {'result': 'ab'}),
        ('{[1] = 1, [3] = 3}', {'1': 1, '3': 3}),
        ('{a = task.array{}, b = {}, c = task.null}',
         {'a': [], 'b': {}, 'c': None}),
        ('math.type(2.0)', {'result': 'float'}),
        ('_VERSION', {'result': 'Lua 5.4'}),
        ('#task.id > 0 and task.inputs', {}),
    ]
    with stage.start() as service:
        tasks = [service.execute(script) for script, _ in cases]
        service.wait(*tasks)
        wrong = [f'{script!r}: {task.end}' for task, (script, wanted)
                 in zip(tasks, cases) if task['outputs'] != wanted]
        stage.ok(not wrong, 'scripts give their values', *wrong)

        inputs = {'i': -2**63, 'f': 0.1, 'whole': 2.0, 's': 'é\0😀\n', 't': True,
                  'e': [], 'o': {}, 'l': [1, [2, {'x': None}], 'three'],
                  'm': {'1': {'deep': [[[]]]}}, 'n': None, 'z': 2**63 - 1}
        task = service.run('{i=i, f=f, whole=whole, s=s, t=t, e=e, o=o, l=l, '
                           'm=m, z=z, n = n == nil}', inputs=inputs)
        stage.ok(task['outputs'] == {**inputs, 'n': True}
                 and isinstance(task['outputs']['whole'], float),
                 'inputs come back as they were', task.end)
        task = service.run('x', inputs={'x': 'y' * 100000})
        stage.ok(task.result == 'y' * 100000, 'long ones too')
        task = service.run('return x', inputs={'x': 6}, unknown=[1],
                           queue=None)
        stage.ok(task.result == 6, 'unknown fields are ignored', task.end)
        stage.end(service)


@scene(LONE)
def wrong_values(stage):
    """What JSON cannot say is an error of the task."""
    cases = {
        'print': 'a function', 'coroutine.create(print)': 'a thread',
        '0/0': 'NaN', '{x = 1/0}': 'infinity', '"\\xff"': 'UTF-8',
        '{["\\xc0\\x80"] = 1}': 'UTF-8', '{[1.5] = 1}': 'key',
        'local t = {} t.t = {t} return t': 'contains itself',
        'local t = {} for i = 1, 300 do t = {t} end return t': 'nested',
        'local t = {} for i = 1, 60 do t = {t, t} end return t': 'memory',
        'task.outputs = 5': 'not a table', '{["1"] = 1, [1] = 2, x = 1}': 'two',
        'io.stdout': 'userdata',
    }
    with stage.start('--max-memory=8M') as service:
        tasks = {script: service.execute(script) for script in cases}
        service.wait(*tasks.values())
        wrong = [f'{script!r}: {task.end}' for script, task in tasks.items()
                 if task.kind != 'FAILURE'
                 or cases[script] not in task['error']]
        stage.ok(not wrong, 'each says what cannot be sent', *wrong)
        deep = '[' * 300 + ']' * 300
        task = service.task('deep')
        service.send(f'{{"task": "deep", "requestType": "EXECUTE", "script": '
                     f'"1", "inputs": {{"x": {deep}}}}}\n'.encode())
        service.wait(task)
        stage.ok('nested' in (task['error'] or ''), 'inputs too deep',
                 task.end)
        stage.end(service)


@scene(LONE)
def reports(stage):
    """Updates, and the ends that a script can report."""
    with stage.start() as service:
        task = service.run(
            "task.update{message = 'm', current = 1, maximum = 9, "
            "info = {a = {1}}} task.update('n', 2) task:update(nil, 3.0, 4.5) "
            "task.update() task.update(5) task.update('\\xff\\n')")
        updates = [{k: v for k, v in update.items()
                    if k not in ('task', 'responseType')}
                   for update in task.updates]
        stage.ok(updates == [
            {'message': 'm', 'current': 1, 'maximum': 9, 'info': {'a': [1]}},
            {'message': 'n', 'current': 2}, {'current': 3, 'maximum': 4.5},
            {}, {'message': '5'}, {'message': '\ufffd\n'}],
            'updates', updates)
        cases = [
            ("task.cancel() task.update('late') task.fail('x') return 5",
             'CANCELATION', None),
            ("task.fail('mine \\0 \\xff') task.cancel() error('late')",
             'FAILURE', 'mine \ufffd \ufffd'),
            ('task.fail() return print', 'FAILURE', 'the task failed'),
            ("task:fail('colon')", 'FAILURE', 'colon'),
        ]
        for script, kind, error in cases:
            task = service.run(script)
            stage.ok((task.kind, task['error']) == (kind, error)
                     and not task.updates, f'{script} ends it once', task.end)
        for script, error in [
                ("error('boo')", "script:1: boo\nstack traceback:"),
                ('\n\nlocal x = nil + 1', 'script:3: attempt to perform'),
                ('error({})', 'the error is a table value'),
                ("error(setmetatable({}, {__tostring = function() "
                 "return 'told' end}))", 'told'),
                ('x = = 1', 'unexpected symbol'),
                ('task.update({current = {}})', 'number expected'),
                ('task.update(nil, nil, nil, print)', 'cannot send the info'),
                ('task.export{f = print}', 'cannot export: a function'),
                ('task.export(5)', 'table expected'),
                ("task.sleep('long')", 'number expected')]:
            task = service.run(script)
            stage.ok(task.kind == 'FAILURE' and error in task['error'],
                     f'{script.strip()} fails with {error!r}', task.end)
        stage.end(service)


@scene(EACH)
def exports(stage):
    """Values for later tasks."""
    with stage.start() as service:
        service.run("task.export{a = 1, b = {1, {x = 'y'}}, print = 'p'}")
        task = service.run("b[1] = 5 return {a = a, b = b, p = print}")
        stage.ok(task['outputs'] == {'a': 1, 'b': [5, {'x': 'y'}], 'p': 'p'},
                 'later tasks see them', task.end)
        task = service.run('{a = a, b = b}', inputs={'a': 2})
        stage.ok(task['outputs'] == {'a': 2, 'b': [1, {'x': 'y'}]},
                 'as they were exported, behind the inputs', task.end)
        task = service.run('task.export{a = task.null} return a')
        stage.ok(task.result == 1 and service.run('a == nil').result is True,
                 'null takes one out, for later tasks', task.end)
        count, each = 8, 20 if stage.sanitized else 100
        service.wait(*[service.execute(
            "for i = 1, each do task.export{['x' .. n .. '_' .. i] = n} end",
            inputs={'n': n, 'each': each}) for n in range(count)])
        task = service.run('local sum = 0 for name, value in pairs(_G) do '
                           "if name:find('^x%d') then sum = sum + value end "
                           'end return sum')
        stage.ok(task.result == sum(range(count)) * each,
                 'of many at once none is lost', task.end)
        stage.end(service)


# ------------------------------------------------------- what it withstands


@scene(EACH)
def deaths(stage):
    """Scripts that end their threads."""
    scripts = [
        'os.exit()', 'os.exit(3, true)', 'pcall(os.exit) return 1',
        'while true do pcall(os.exit) end',
        'coroutine.wrap(function() os.exit() end)()',
        'pcall(coroutine.wrap(function() pcall(os.exit) end)) '
        'for i = 1, 1e9 do end',
        "xpcall(os.exit, function() return 'caught' end) return 2",
        'local t <close> = setmetatable({}, {__close = function() '
        'while true do end end}) os.exit()',
        "task.update('alive') error(os.exit)" " " "or os.exit()",
        "table.sort({3, 2, 1}, function() os.exit() end)",
        "load('os.exit()')()",
        "pcall(os.exit) task.update('late')",
    ]
    # The one with error ends by it: the value is a function.
    with stage.start() as service:
        for queue in None, 'main':
            tasks = [service.execute(script, queue=queue)
                     for script in scripts]
            service.wait(*tasks)
            wrong = [f'{script}: {task.end}'
                     for script, task in zip(scripts, tasks)
                     if task.kind != 'FAILURE' or 'late' in str(task.updates)
                     or task['error'] != 'thread death'
                     and 'error(' not in script]
            stage.ok(not wrong, f'each is one failure, on {queue or "its own"}'
                     ' thread', *wrong)
        stage.ok(service.run('6 * 7', queue='main').result == 42,
                 'the main thread goes on')
        task = service.run('task.cancel() os.exit()')
        stage.ok(task.kind == 'CANCELATION', 'not after an end', task.end)
        stage.end(service)
    with stage.start('--threads=2') as service:
        tasks = [service.execute(['os.exit()', 'i'][i % 2], inputs={'i': i})
                 for i in range(40)]
        service.wait(*tasks)
        stage.ok(all(task['error'] == 'thread death' for task in tasks[::2])
                 and all(task.result == 2 * i + 1
                         for i, task in enumerate(tasks[1::2])),
                 'a pool goes on without the threads it lost',
                 *[task.end for task in tasks])
        stage.end(service)


@scene(LONE)
def escapes(stage):
    """What scripts may not do to the process."""
    cases = [
        ("print('{\"task\": \"x\"}') io.write('no\\n') "
         "io.stdout:write('line\\n') os.execute('echo shell') return 1", 1),
        ('io.read()', None), ("io.read('a')", ''),
        ("os.setlocale('de_DE.UTF-8') or os.setlocale()", 'C'),
        ("load(string.dump(function() return 1 end))", None),
        ("select(2, load(string.dump(function() end), 'x', 'b'))",
         "attempt to load a text chunk (mode is 't')"),
        ("load('return 5')()", 5),
        ("load('return y', 'c', 't', {y = 6})()", 6),
        ('debug.sethook', None), ("require('debug').setmetatable", None),
        ("pcall(setmetatable, {}, {__gc = print})", False),
        ("getmetatable(setmetatable({}, {__index = {z = 1}})).__index.z", 1),
        ('getmetatable(io.stdout)', 'file'),
    ]
    with stage.start() as service:
        tasks = [service.execute(script) for script, _ in cases]
        service.wait(*tasks)
        wrong = [f'{script!r}: {task.end}' for task, (script, wanted)
                 in zip(tasks, cases)
                 if task.kind != 'COMPLETION'
                 or wanted is not None and 'mode' not in str(wanted)
                 and task.result != wanted]
        stage.ok(not wrong, 'streams, locale, bytecode, hooks, finalizers',
                 *wrong)
        stage.ok(service.says('{"task": "x"}') and service.says('shell'),
                 'what they print goes to standard error', service.errors)
        for script, error in [
                ("local function f() return (('x'):gsub('x', f)) end f()",
                 'overflow'),
                ("string.rep('x', 1 << 40)", 'too large'),
                ('return ' + '(' * 5000 + '1' + ')' * 5000, 'overflow'),
                ("string.find(('('):rep(300000), ('(.'):rep(40))",
                 'too many captures')]:
            task = service.run(script)
            stage.ok(task.kind == 'FAILURE' and error in task['error'],
                     f'{script[:30]} fails with {error!r}', task.end)
        stage.end(service)
    with stage.start('--max-memory=8M') as service:
        for script in ("string.rep('x', 1 << 30)",
                       'local t = {} while true do t[#t + 1] = {} end',
                       'local t = {} while true do t[#t + 1] = io.tmpfile '
                       "or ('x'):rep(1e5) .. #t end",
                       "pcall(string.rep, 'x', 1 << 30) return "
                       "('y'):rep(6e6)"):
            task = service.run(script)
            stage.ok(task.kind == 'FAILURE' and 'memory' in task['error'],
                     f'{script[:40]} fails for lack of memory', task.end)
        stage.ok(service.run('1').result == 1, 'the worker lives on')
        stage.end(service)


def bad_lines(service):
    """Lines that are no requests, and what is said of each."""
    named = service.task
    yield b'nonsense', 'expected near', None
    yield b'{', 'expected', None
    yield b'[]', 'it is no object', None
    yield b'"x"', 'expected near', None
    yield b'{"task": "\xff"}', 'unable to decode', None
    yield b'\x00\x01\x02', 'column', None
    yield b'{}', '"task" is missing', None
    yield b'{"task": null}', '"task" is missing', None
    yield b'{"task": 5, "requestType": "EXECUTE"}', 'not a string', None
    yield b'{"task": "", "requestType": "EXECUTE"}', '0 bytes', None
    yield b'{"task": "' + b'x' * 256 + b'"}', '256 bytes', None
    yield b'{"task": "a\\u0000b"}', 'NUL', None
    yield b'{"task": "b1"}', '"requestType" is missing', named('b1')
    yield b'{"task": "b2", "requestType": 5}', 'not a string', named('b2')
    yield (b'{"task": "b3", "requestType": "BOGUS"}', '"BOGUS"', named('b3'))
    yield (b'{"task": "b4", "requestType": "EXECUTE"}',
           '"script" is missing', named('b4'))
    yield (b'{"task": "b5", "requestType": "EXECUTE", "script": []}',
           'not a string', named('b5'))
    yield (b'{"task": "b6", "requestType": "EXECUTE", "script": "1", '
           b'"inputs": [1]}', 'not an object', named('b6'))
    yield (b'{"task": "b7", "requestType": "EXECUTE", "script": "1", '
           b'"queue": "side"}', '"side"', named('b7'))
    yield (b'{"requestType": "EXECUTE", "inputs": {"task": "x"}, "task": "b8",'
           b' "script": 1e999}', 'overflow', named('b8'))
    yield (b'{"task": "b9", "requestType": "EXECUTE", "script": "cut',
           'premature', named('b9'))
    yield (b'{"task": "b10", "inputs": {"x": 99999999999999999999}}',
           'too big', named('b10'))
    yield b'{"task": "b11", "requestType": "CANCEL", ]', 'expected', None
    yield (b'{"task": "b12", "inputs": ' + b'[' * 3000, 'depth', named('b12'))
    yield (b'{"task": "b13", "inputs": [' + b'[],' * 100000 + b'1]}', 'memory',
           named('b13'))
    for i in range(12):
        # The end of the memory lies in the midst of a string.
        yield (f'{{"task": "b{14 + i}", "inputs": {{"x": "'.encode()
               + b'\\u00e9' * (330000 + 7919 * i) + b'"}}', 'memory',
               named(f'b{14 + i}'))


@scene(LONE)
def malformed(stage):
    """Malformed input of every kind."""
    with stage.start('--max-memory=4M') as service:
        live = service.execute('task.sleep(1e9)')
        service.until(lambda: live.launched)
        wrong = []
        for line, said, task in bad_lines(service):
            before = len(service.errors)
            service.send(line + b'\n')
            service.until(lambda b=before: len(service.errors) > b)
            if said not in service.errors[-1]:
                wrong.append(f'{line[:80]}: {service.errors[-1]}')
            if task and (service.wait(task).kind != 'FAILURE'
                         or said not in task['error']):
                wrong.append(f'{line[:80]}: {task.end}')
        stage.ok(not wrong, 'each gets an error', *wrong)
        service.send(f'{{"task": "{live.name}", "requestType": "X"}}\n'
                     f'{{"task": "{live.name}", "inputs": \n'.encode())
        service.execute('1', name='again')
        service.send(f'{{"task": "{live.name}", "requestType": "EXECUTE", '
                     '"script": "1"}\n'.encode())
        service.says(f'Task already exists: {live.name}')
        service.cancel('nobody\x01')
        stage.ok(service.says('No such task: nobody ') and not live.end,
                 'none ends a task that runs', live.end)
        service.cancel(live)
        service.wait(live)
        stage.ok(live.kind == 'COMPLETION', 'which then ends', live.end)
        service.cancel(live)
        stage.ok(service.says(f'No such task: {live.name}'),
                 'then there is no such task')
        stage.end(service)


def peak(service):
    """The most memory that the worker ever had, in bytes."""
    with open(f'/proc/{service.process.pid}/status', encoding='utf-8') as file:
        for line in file:
            if line.startswith('VmHWM'):
                return int(line.split()[1]) * 1024
    return 0


@scene(LONE)
def long_lines(stage):
    """Lines around the limit, and one of 64 MiB."""
    with stage.start() as service:
        task = service.task('giant')
        chunk = b'x' * (1 << 20)
        service.send(b'{"task": "giant", "requestType": "EXECUTE", '
                     b'"script": "')
        for _ in range(64):
            service.send(chunk)
        service.send(b'"}\n')
        service.wait(task)
        stage.ok(task.kind == 'FAILURE' and 'the limit is 16777216' in
                 task['error'], '64 MiB are too long', task.end)
        stage.ok(service.says('the line has 671'), 'and it says so',
                 *service.errors)
        stage.ok(stage.sanitized or peak(service) < 48 << 20,
                 'memory stays bounded', peak(service))
        stage.ok(service.run('1').result == 1, 'the worker lives on')
        stage.end(service)
    with stage.start('--max-line=2K') as service:
        wrong = []
        for length in 2047, 2048, 2049, 2050, 5000, 70000, 2048:
            task = service.task()
            head = (f'{{"task": "{task.name}", "requestType": "EXECUTE", '
                    '"script": "1 --').encode()
            service.send(head + b'x' * (length - len(head) - 2) + b'"}\n')
            wanted = 'COMPLETION' if length <= 2048 else 'FAILURE'
            if service.wait(task).kind != wanted:
                wrong.append(f'{length}: {task.end}')
        stage.ok(not wrong, 'the limit is exact', *wrong)
        stage.end(service)


@scene(USUAL)
def limits(stage):
    """Limits of tasks and memory; thread creation fails."""
    with stage.start('--max-tasks=3', '--max-memory=2M') as service:
        held = [service.execute('task.sleep(1e9)') for _ in range(2)]
        held.append(service.execute('task.sleep(1e9)', queue='main'))
        late = service.run('1')
        stage.ok(late.kind == 'FAILURE' and late['error'] ==
                 'Too many tasks: the limit is 3' and not late.launched,
                 'one task too many', late.end)
        for task in held:
            service.cancel(task)
        service.wait(*held)
        stage.ok(service.run('1').result == 1, 'then there is room again')
        task = service.run("('x'):rep(3e6)")
        stage.ok('not enough memory' in (task['error'] or ''),
                 'a script that takes too much', task.end)
        task = service.run('1', inputs={'x': ['y'] * 80000})
        stage.ok('memory' in (task['error'] or ''), 'a request that does',
                 task.end)
        stage.end(service)
    if stage.sanitized:
        return
    with stage.start() as service:
        service.run('1')
        pid = service.process.pid
        with open(f'/proc/{pid}/statm', encoding='utf-8') as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        no_limit = resource.RLIM_INFINITY
        resource.prlimit(pid, resource.RLIMIT_AS, (size, no_limit))
        tasks = [service.execute('task.sleep(0.05)') for _ in range(16)]
        service.wait(*tasks)
        resource.prlimit(pid, resource.RLIMIT_AS, (no_limit, no_limit))
        failed = [task for task in tasks if task.kind == 'FAILURE']
        stage.ok(failed, 'no memory for threads or states: tasks fail',
                 *[task.end for task in tasks])
        stage.ok(service.run('1').result == 1, 'then there is again')
        stage.end(service)


# ------------------------------------------------------------ what it obeys


@scene(EACH)
def cancellation(stage):
    """CANCEL as a flag, as a wake-up, before the start, and by force."""
    with stage.start() as service:
        poll = service.execute('while not task.cancel_requested() do end '
                               'task.cancel()')
        flag = service.execute('repeat until task.cancelRequested '
                               'task.cancel()')
        sleep = service.execute('return task.sleep(1e9)')
        first = service.execute('task.sleep(1e9) return 1', queue='main')
        queued = service.execute("task.update('ran')", queue='main')
        service.until(lambda: all(task.launched for task in
                                  (poll, flag, sleep, first)))
        for task in queued, poll, flag, sleep, first:
            service.cancel(task)
        service.wait(poll, flag, sleep, first, queued)
        kinds = [task.kind for task in (poll, flag, sleep, first, queued)]
        stage.ok(kinds == ['CANCELATION', 'CANCELATION', 'COMPLETION',
                           'COMPLETION', 'CANCELATION'], 'each in its way',
                 kinds)
        stage.ok(sleep.result is True and not queued.launched,
                 'sleep tells; what was queued did not run')
        deaf = service.execute('for i = 1, 1e7 do end return 1')
        service.until(lambda: deaf.launched)
        service.cancel(deaf)
        stage.ok(service.wait(deaf).result == 1, 'a script may ignore it',
                 deaf.end)
        stage.end(service)
    with stage.start('--cancel-grace=0.02') as service:
        tasks = [service.execute(script) for script in (
            'while true do end', 'while true do pcall(error) end',
            'task.sleep(1e9) while true do end',
            'coroutine.wrap(function() while true do end end)()')]
        tasks.append(service.execute('while true do end', queue='main'))
        service.until(lambda: all(task.launched for task in tasks))
        for task in tasks:
            service.cancel(task)
        service.wait(*tasks)
        stage.ok({task.kind for task in tasks} == {'CANCELATION'},
                 'after its grace it is stopped', *[t.end for t in tasks])
        stage.end(service)


@scene(EACH)
def main_queue(stage):
    """The main thread, in order, while others run and requests come."""
    with stage.start() as service:
        gate = service.execute('task.sleep(1e9)', queue='main')
        tasks = [service.execute(
            f'task.export{{order = (order or "") .. "{i},"}} return order',
            queue='main') for i in range(20)]
        other = service.run('1')
        stage.ok(other.result == 1 and not tasks[0].launched,
                 'others run beside it')
        service.cancel(gate)
        service.wait(*tasks)
        task = service.run('order')
        stage.ok(task.result == ''.join(f'{i},' for i in range(20)),
                 'first in, first out', task.end)
        gate = service.execute('task.sleep(0.05)', queue='main')
        tasks = [service.execute('1', queue='main') for _ in range(5)]
        stage.end(service)
        stage.ok(all(task.result == 1 for task in tasks),
                 'the end of input drains it')


@scene(USUAL)
def ends(stage):
    """The ways in which the input and the output can end."""
    for name, last in [('an empty line', b'\n'), ('blanks', b' \t\r\n'),
                       ('the end of input', b'')]:
        with stage.start() as service:
            tasks = [service.execute('task.sleep(0.03) return 1')
                     for _ in range(5)]
            service.send(last)
            if last:
                status = service.process.wait(PATIENCE)
            else:
                status = service.finish()
            for thread in service.threads:
                thread.join()
            stage.ok(status == 0 and not service.faults
                     and all(task.result == 1 for task in tasks),
                     f'{name} ends it after its tasks', status,
                     *service.faults)
    with stage.start() as service:
        task = service.task('last')
        service.send(b'{"task": "last", "requestType": "EXECUTE", '
                     b'"script": "1"}\r')
        stage.ok(service.finish() == 0 and task.result == 1,
                 'a last line without its newline counts', service.faults)
    with stage.start('--hello=0.13.1') as service:
        service.run('1')
        stage.ok(service.hello == {
            'responseType': 'HELLO', 'implementation': 'freehold-lua',
            'version': '0.13.1'}, 'HELLO where it is wanted', service.hello)
        stage.end(service)
    broken_output(stage)


def broken_output(stage):
    """Nobody reads the responses any more."""
    read_end, write_end = os.pipe()
    wrapper = fixed_addresses() if 'tsan' in stage.build else []
    with subprocess.Popen([*wrapper, stage.program], stdin=subprocess.PIPE,
                          stdout=write_end, stderr=subprocess.PIPE,
                          env={**os.environ, **ENVIRONMENT}) as process:
        os.close(write_end)
        for name, script in [('a', 'while true do end'),
                             ('b', 'task.sleep(1e9)'),
                             ('c', "while true do task.update('x') end")]:
            process.stdin.write(json.dumps({
                'task': name, 'requestType': 'EXECUTE',
                'script': script}).encode() + b'\n')
        process.stdin.flush()
        os.read(read_end, 1)
        os.close(read_end)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            status = None
        said = process.stderr.read().decode(errors='replace')
        stage.ok(status == 1 and 'Cannot write responses: Broken pipe' in said
                 and 'Sanitizer' not in said,
                 'without a reader it stops its tasks and ends', status, said)


@scene('tsan')
def stalled(stage):
    """A reader that stalls: lines stay whole, and in order, and all come."""
    count, size = 16, 20000
    steps = 20 if LONG or not stage.sanitized else 5
    script = ("for i = 1, steps do task.update(('x'):rep(n), i) end "
              "return ('y'):rep(n)")
    for narrow in False, True:
        with stage.start('--max-waiting=100K', narrow=narrow) as service:
            service.run('1')
            service.reading.clear()
            tasks = [service.execute(script, inputs={'n': size + i,
                                                    'steps': steps})
                     for i in range(count)]
            tiny = [service.execute('1') for _ in range(50)]
            time.sleep(0.05)
            service.reading.set()
            service.wait(*tasks, *tiny)
            wrong = [task.name for i, task in enumerate(tasks)
                     if task.result != 'y' * (size + i)
                     or [u['current'] for u in task.updates]
                     != list(range(1, steps + 1))
                     or any(u['message'] != 'x' * (size + i)
                            for u in task.updates)]
            stage.ok(not wrong and all(task.result == 1 for task in tiny),
                     f'{count * steps} lines of {size} bytes through '
                     + ('4096 that do not block' if narrow else 'a pipe'),
                     *wrong)
            stage.end(service)


@scene(USUAL)
def stalled_end(stage):
    """A reader that stalls while the worker ends."""
    with stage.start(narrow=True) as service:
        service.run('1')
        service.reading.clear()
        tasks = [service.execute("('x'):rep(2000)") for _ in range(40)]
        service.close()
        time.sleep(0.2)
        service.reading.set()
        stage.end(service)
        stage.ok(all(task.result == 'x' * 2000 for task in tasks),
                 'what was not written yet still is')


@scene(LONE)
def corpus(stage):
    """What fuzzing has found, through the whole worker."""
    lines = []
    for name in sorted(glob.glob('test/fuzz/corpus/appose_line/*')):
        with open(name, 'rb') as file:
            lines += [line for line in file.read().split(b'\n')
                      if line.strip()]
    with stage.start('--max-line=2K', '--max-memory=4M',
                     '--cancel-grace=0') as service:
        service.send(b'\n'.join(lines) + b'\n')
        task = service.run('6 * 7', name='after the corpus')
        stage.ok(lines and task.result == 42,
                 f'it answers after {len(lines)} lines', task.end)
        service.close()
        status = service.process.wait(PATIENCE)
        stage.ok(status == 0, 'it ends', status, *service.errors[-10:])


# ------------------------------------------------------------- what it bears


def in_threads(count, body):
    """Run body(number) on so many threads."""
    threads = [threading.Thread(target=body, args=(number,))
               for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@scene('tsan')
def crowd(stage):
    """16 threads, 200 tiny tasks each: not one spurious death."""
    threads, each = 16, 40 if stage.sanitized or not (
        LONG or stage.build == 'release') else 200
    runs = 20 if LONG else 1
    completed, slow = 0, []
    for run in range(runs + 1):
        # The last one has a pool.
        with stage.start(*['--threads=4'] * (run == runs)) as service:
            def body(number):
                """Some are waited for one by one, some all at once."""
                tasks = []
                for i in range(each):
                    task = service.execute('task.outputs.result = x + 1',
                                           inputs={'x': i})
                    tasks.append((i, task))
                    if number % 2:
                        service.wait(task)
                service.wait(*[task for _, task in tasks])
                for i, task in tasks:
                    if task.result != i + 1:
                        slow.append(f'{task.name}: {task.end}')

            in_threads(threads, body)
            completed += sum(task.kind == 'COMPLETION'
                             for task in service.tasks.values())
            if service.finish() != 0 or service.faults:
                slow += service.faults + service.errors[-10:]
    stage.ok(completed == threads * each * (runs + 1) and not slow,
             f'{completed} completions in {runs} runs and one with a pool',
             *slow[:10])


@scene(EACH)
def race(stage):
    """CANCEL beside the end of its task: one terminal response, always."""
    tries = (5000 if stage.sanitized else 100000) if LONG else (
        200 if stage.sanitized else 1500)
    scripts = ['1', "task.cancel_requested() and task.cancel()",
               "if task.cancel_requested() then task.fail('seen') end",
               'task.cancel() task.fail()', 'os.exit()', "error('x')",
               'task.sleep(0)']
    ends = {}
    with stage.start() as service:
        def body(number):
            for i in range(number, tries, 4):
                queue = 'main' if i % 5 == 4 else None
                task = service.execute(scripts[i % len(scripts)], queue=queue)
                if i % 3 == 1:
                    time.sleep(0)
                service.cancel(task)
                if i % 64 == number:
                    service.wait(task)

        in_threads(4, body)
        service.wait(*service.tasks.values())
        for task in service.tasks.values():
            ends[task.kind] = ends.get(task.kind, 0) + 1
        stage.ok(None not in ends and sum(ends.values()) == tries,
                 f'{tries} tries', ends)
        stage.end(service)
    stage.note(', '.join(
        f'{kind}: {number}' for kind, number in sorted(ends.items(), key=str)))


@scene('')
def death_notice(stage):
    """How long after a script has ended its thread the service knows it."""
    if stage.sanitized:
        return
    times = []
    with stage.start() as service:
        for _ in range(2000 if LONG else 50):
            begun = time.monotonic()
            task = service.run('os.exit()')
            times.append((task.ended_at - begun) * 1e3)
        stage.end(service)
    times.sort()
    stage.note('EXECUTE to "thread death", in milliseconds: '
               f'median {statistics.median(times):.3f}, 99 % '
               f'{times[math.ceil(len(times) * 0.99) - 1]:.3f}, '
               f'most {times[-1]:.3f}')


MIXTURE = [
    ('task.outputs.result = x * 2', 'COMPLETION'),
    ('task.export{a = {x}} return a', 'COMPLETION'),
    ("for i = 1, 5 do task.update('step', i, 5) end", 'COMPLETION'),
    ('os.exit()', 'FAILURE'),
    ("error('x')", 'FAILURE'),
    ('task.cancel() return 1', 'CANCELATION'),
    ("('x'):rep(1e9)", 'FAILURE'),
    ("('x'):rep(1e4)", 'COMPLETION'),
    ('x = = 1', 'FAILURE'),
    ('io.tmpfile() return 1', 'COMPLETION'),
    ('while not task.sleep(1) do end task.cancel()', 'CANCELATION'),
    ('local t = {} for i = 1, 1000 do t[i] = {i} end return #t',
     'COMPLETION'),
]


@scene('')
def starving(stage):
    """Allocations fail here and there: each task still ends, once."""
    if stage.sanitized:
        return
    with tempfile.TemporaryDirectory() as directory:
        shim = f'{directory}/starve.so'
        subprocess.run(['gcc', '-O2', '-shared', '-fPIC', '-o', shim,
                        'test/starve.c'], check=True)
        ends, died = {}, []
        for rate in (20, 300, 2000, 10000) * (20 if LONG else 1):
            with stage.start(environment={
                    'LD_PRELOAD': shim, 'FH_STARVE': str(rate),
                    'FH_STARVE_AFTER': str(200 + len(ends))}) as service:
                tasks = [service.execute(script, inputs={'x': i},
                                         queue=[None, 'main'][i % 5 == 4])
                         for i, script in enumerate(
                             [s for s, _ in MIXTURE if 'sleep' not in s] * 4)]
                service.send(b'{"task": [\n' * 20)
                service.wait(*tasks)
                status = service.finish()
                if status != 0 or service.faults:
                    died += [f'1 in {rate}: {status}', *service.faults[:3],
                             *service.errors[-5:]]
                for task in tasks:
                    key = task['error'] and 'FAILURE: ' + task['error'][:40]
                    ends[key or task.kind] = ends.get(key or task.kind, 0) + 1
    stage.ok(not died, 'each task ends once, and the worker with its input',
             *died)
    stage.ok('FAILURE: not enough memory' in ends and 'COMPLETION' in ends,
             'some for lack of memory, some as usual', ends)


def holdings(service):
    """What the worker holds: bytes, threads, descriptors."""
    about = f'/proc/{service.process.pid}/'
    with open(about + 'status', encoding='utf-8') as file:
        status = file.read()
    return (int(status.split('VmRSS:')[1].split()[0]) * 1024,
            int(status.split('Threads:')[1].split()[0]),
            len(os.listdir(about + 'fd')))


@scene('asan')
def soak(stage):
    """All kinds of tasks and of bad lines; nothing may add up."""
    seconds = float(os.environ.get('FH_SOAK', 30 if stage.sanitized else 300)
                    ) if LONG else 0.5
    wrong, count = [], [0] * 4
    with stage.start('--max-memory=32M') as service:
        def batch(number):
            for i, (script, kind) in enumerate(MIXTURE * 2):
                task = service.execute(script, inputs={'x': i},
                                       queue='main' if i % 5 == 4 else None)
                if 'sleep' in script:
                    service.until(lambda t=task: t.launched)
                    service.cancel(task)
                if i % 6 == number:
                    service.send(b'{"task": ' + b'[' * i + b'\n')
                if service.wait(task).kind != kind:
                    wrong.append(f'{script}: {task.end}')
                del service.tasks[task.name]
                count[number] += 1

        def body(number, until):
            while time.monotonic() < until and not wrong:
                batch(number)

        in_threads(4, lambda number: body(number, time.monotonic()
                                          + seconds / 4))
        before = holdings(service)
        in_threads(4, lambda number: body(number, time.monotonic()
                                          + seconds))
        service.errors.clear()
        after = holdings(service)
        until = time.monotonic() + 30
        while after[1] >= 20 and time.monotonic() < until:
            time.sleep(0.05)    # threads that ended and are not gone
            after = holdings(service)
        stage.ok(not wrong and sum(count), 'each ends as it should',
                 *wrong[:5])
        stage.ok(stage.sanitized or after[0] < before[0] + (8 << 20),
                 'memory does not add up', before, after)
        stage.ok(after[1] < 20 and after[2] <= before[2] + 4,
                 'nor do threads, nor descriptors', before, after)
        stage.end(service)
    stage.note(f'{sum(count)} tasks in {seconds * 1.25:.0f} s; '
               f'{before[0] >> 10} KiB before, {after[0] >> 10} KiB after; '
               f'{after[1]} threads, {after[2]} descriptors')


def main():
    """All scenes on all builds."""
    os.chdir(ROOT)
    words = set(sys.argv[1:])
    tap = Tap()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    builds = [build for build in BUILDS if build in words] or BUILDS
    plays = [Stage(build, play) for play in scenes for build in builds
             if (play.__name__ in words or not words - set(BUILDS))
             and (LONG or words or build in scenes[play])]
    with concurrent.futures.ThreadPoolExecutor(1 if LONG else 4) as pool:
        for stage in pool.map(Stage.perform, plays):
            for check in stage.checks:
                tap.line(*check)
            print('\n'.join(stage.notes), end='\n' if stage.notes else '')
    return tap.end()


sys.exit(main())
