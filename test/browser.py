# SPDX-License-Identifier: MIT
"""A headless Chromium that a check can type into, and take a picture of.

It is driven over a pair of pipes, by its own protocol: messages of JSON, each
ended by a zero byte.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

NAMES = ['chromium', 'chromium-browser', 'google-chrome']
PATIENCE = 60


def found():
    """The browser's program, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def high_pipe():
    """The two ends of a pipe, as descriptors from 10 on."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high


class Page:
    """One page of a browser of its own."""

    def __init__(self, width=1180, height=760):
        self.directory = tempfile.TemporaryDirectory()
        # Ends that are not in the way of 3 and 4, where it looks for them.
        to_read, self.to = high_pipe()
        self.back, to_write = high_pipe()
        self.child = subprocess.Popen(
            ['sh', '-c', f'exec 3</proc/self/fd/{to_read} '
             f'4>/proc/self/fd/{to_write}; exec "$@"', 'sh',
             found(), '--headless', '--no-sandbox', '--disable-gpu',
             '--disable-dev-shm-usage', '--remote-debugging-pipe',
             '--no-first-run', f'--user-data-dir={self.directory.name}',
             f'--window-size={width},{height}', 'about:blank'],
            pass_fds=[to_read, to_write], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        os.close(to_read)
        os.close(to_write)
        self.number, self.held, self.errors = 0, b'', []
        self.session = None
        target = self.call('Target.createTarget', url='about:blank')
        self.session = self.call('Target.attachToTarget', flatten=True,
                                 targetId=target['targetId'])['sessionId']
        self.call('Runtime.enable')
        self.call('Log.enable')
        self.call('Emulation.setDeviceMetricsOverride', width=width,
                  height=height, deviceScaleFactor=1, mobile=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        os.close(self.to)
        os.close(self.back)
        with contextlib.suppress(OSError):
            self.directory.cleanup()

    def receive(self, end):
        """The next message."""
        while b'\0' not in self.held:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.back], [], [], left)[0]:
                raise TimeoutError('the browser does not answer')
            piece = os.read(self.back, 1 << 20)
            if not piece:
                raise RuntimeError('the browser has ended')
            self.held += piece
        message, _, self.held = self.held.partition(b'\0')
        return json.loads(message)

    def note(self, message):
        """Remember what went wrong on the page."""
        method, told = message.get('method'), message.get('params', {})
        if method == 'Runtime.exceptionThrown':
            self.errors.append(told['exceptionDetails'])
        if method == 'Log.entryAdded' and told['entry']['level'] == 'error':
            self.errors.append(told['entry']['text'])

    def call(self, method, **parameters):
        """A command of the protocol, and its result."""
        self.number += 1
        message = dict(id=self.number, method=method, params=parameters)
        if self.session:
            message['sessionId'] = self.session
        os.write(self.to, json.dumps(message).encode() + b'\0')
        end = time.monotonic() + PATIENCE
        while True:
            answer = self.receive(end)
            self.note(answer)
            if answer.get('id') == self.number:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]}')
                return answer['result']

    def open(self, address):
        """Go there."""
        self.call('Page.navigate', url=address)

    def value(self, script):
        """What a line of JavaScript gives."""
        result = self.call('Runtime.evaluate', expression=script,
                           returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(str(result['exceptionDetails']))
        return result['result'].get('value')

    def becomes(self, script):
        """Wait until it gives something true; a page that is not there yet
        may throw."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(RuntimeError):
                if self.value(script):
                    return True
            time.sleep(0.05)
        return False

    def type(self, text):
        """Type into what has the focus."""
        self.call('Input.insertText', text=text)

    def press_enter(self):
        """The key."""
        for kind in 'keyDown', 'keyUp':
            self.call('Input.dispatchKeyEvent', type=kind, key='Enter',
                      code='Enter', windowsVirtualKeyCode=13, text='\r')

    def picture(self, name, dark=False):
        """Keep a picture of the page."""
        self.call('Emulation.setEmulatedMedia', features=[dict(
            name='prefers-color-scheme', value='dark' if dark else 'light')])
        shot = self.call('Page.captureScreenshot', format='png')
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, 'wb') as file:
            file.write(base64.b64decode(shot['data']))
