# SPDX-License-Identifier: MIT
"""The other side of an Appose worker, for tests: a service over pipes.

A Service starts the worker, sends requests, and reads responses on a thread
of its own.  Each line that comes is checked against what a worker may say at
all: JSON, a task that was sent, LAUNCH first, updates, one terminal response,
and nothing after it.  What is not so is collected in `faults`.
"""

import fcntl
import io
import itertools
import json
import os
import subprocess
import threading
import time

TERMINAL = {'COMPLETION', 'CANCELATION', 'FAILURE'}
FIELDS = {'LAUNCH': set(), 'UPDATE': {'message', 'current', 'maximum', 'info'},
          'COMPLETION': {'outputs'}, 'CANCELATION': set(),
          'FAILURE': {'error'}}

# A worker that does not answer for so long hangs.
PATIENCE = 120

numbers = itertools.count(1)


class Task:
    """A task as the service sees it."""

    def __init__(self, name):
        self.name = name
        self.launched = False
        self.updates = []
        self.end = None             # its terminal response
        self.ended = threading.Event()
        self.ended_at = None

    def __getitem__(self, field):
        return (self.end or {}).get(field)

    @property
    def kind(self):
        """How it ended."""
        return self.end and self.end['responseType']

    @property
    def result(self):
        """Its one output."""
        return (self.end or {}).get('outputs', {}).get('result')


class Service:
    """A worker that runs, and its tasks."""

    def __init__(self, program, *options, environment=(), wrapper=(),
                 narrow=False):
        ours, theirs = zip(*[(sides[1 - i], sides[i]) for i, sides in
                             enumerate((os.pipe(), os.pipe()))])
        if narrow:
            # Each write takes a part of a line, or nothing.
            for end in theirs:
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
                os.set_blocking(end, False)
        self.process = subprocess.Popen(
            [*wrapper, program, *options], stdin=theirs[0], stdout=theirs[1],
            stderr=subprocess.PIPE, env={**os.environ, **dict(environment)},
            bufsize=0)
        for end in theirs:
            os.close(end)
        self.process.stdin = os.fdopen(ours[0], 'wb', buffering=0)
        self.process.stdout = os.fdopen(ours[1], 'rb', buffering=0)
        self.tasks, self.faults, self.errors = {}, [], []
        self.hello = None
        self.lock = threading.Lock()
        self.reading = threading.Event()
        self.reading.set()
        self.threads = [threading.Thread(target=each, daemon=True)
                        for each in (self._read, self._listen)]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join()
        for stream in (self.process.stdin, self.process.stdout,
                       self.process.stderr):
            if stream:
                stream.close()

    # ------------------------------------------------------------ sending

    def send(self, data):
        """Bytes, as they are."""
        view = memoryview(data)
        with self.lock:
            while view:
                view = view[self.process.stdin.write(view):]

    def task(self, name=None):
        """A task that responses may speak of."""
        name = name or f'task-{next(numbers)}'
        self.tasks[name] = Task(name)
        return self.tasks[name]

    def execute(self, script, name=None, **fields):
        """Send an EXECUTE."""
        task = self.task(name)
        request = {'task': task.name, 'requestType': 'EXECUTE',
                   'script': script, 'inputs': fields.pop('inputs', None),
                   'queue': fields.pop('queue', None), **fields}
        self.send(json.dumps(request).encode() + b'\n')
        return task

    def cancel(self, task):
        """Send a CANCEL."""
        name = task if isinstance(task, str) else task.name
        self.send(json.dumps({'task': name, 'requestType': 'CANCEL',
                              'script': None}).encode() + b'\n')

    def close(self):
        """No more requests."""
        self.process.stdin.close()

    # ------------------------------------------------------------ waiting

    def wait(self, *tasks):
        """Until these have ended, or the worker hangs; returns the first."""
        deadline = time.monotonic() + PATIENCE
        for task in tasks:
            if not task.ended.wait(max(0, deadline - time.monotonic())):
                self.faults.append(f'{task.name} did not end')
                break
        return tasks[0]

    def run(self, script, **fields):
        """Execute, and wait."""
        return self.wait(self.execute(script, **fields))

    def says(self, text, times=1):
        """Wait until standard error has said that so often."""
        return self.until(lambda: sum(text in line for line in
                                      list(self.errors)) >= times)

    def until(self, true):
        """Wait until that is true; whether it is."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > deadline or (
                    self.process.poll() is not None
                    and not any(t.is_alive() for t in self.threads)):
                return true()
            time.sleep(0.001)
        return True

    def finish(self):
        """End the worker; its exit status, or None if it hangs."""
        if not self.process.stdin.closed:
            self.close()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return None
        for thread in self.threads:
            thread.join()
        self.faults += [f'{task.name} never ended'
                        for task in self.tasks.values() if not task.end]
        return status

    # ------------------------------------------------------------ reading

    def _read(self):
        for number, line in enumerate(io.BufferedReader(self.process.stdout)):
            self.reading.wait()
            fault = self._take(number, line)
            if fault:
                self.faults.append(f'{fault}: {line[:200]!r}')

    def _listen(self):
        for line in io.BufferedReader(self.process.stderr):
            self.errors.append(line.decode(errors='replace').rstrip('\n'))

    def _take(self, number, line):
        """Note a response; what is wrong with it, or None."""
        if not line.endswith(b'\n'):
            return 'a line without its end'
        try:
            response = json.loads(line)
        except ValueError:
            return 'not JSON'
        kind = response.get('responseType')
        if kind == 'HELLO':
            self.hello = response
            return 'HELLO comes late' if number else None
        task = self.tasks.get(response.get('task'))
        if kind not in FIELDS:
            return 'no such response'
        if set(response) - FIELDS[kind] - {'task', 'responseType'}:
            return 'a field too many'
        return self._note(task, kind, response) if task else 'no such task'

    def _note(self, task, kind, response):
        if task.end:
            return 'a response after the end'
        if kind == 'LAUNCH':
            again, task.launched = task.launched, True
            return 'launched twice' if again else None
        if kind == 'UPDATE':
            task.updates.append(response)
            return None if task.launched else 'an update before the launch'
        task.end, task.ended_at = response, time.monotonic()
        task.ended.set()
        if kind == 'COMPLETION' and 'outputs' not in response:
            return 'no outputs'
        if kind == 'FAILURE' and not response.get('error'):
            return 'no error'
        if kind == 'COMPLETION' and not task.launched:
            return 'completed before the launch'
        return None
