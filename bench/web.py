#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The status server under wrk: beside a server that answers a constant, beside
Python's own with a lock, and with and without writers.

    ninja examples
    python3 bench/web.py [--seconds S] [--repetitions N]

All servers stay alive and take turns, so that what disturbs one disturbs all.
Medians are compared.  The load is the same for all: one thread of wrk with 16
connections, on a machine that wrk shares with the server.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / 'test/fixtures'
SERVERS = {
    'constant': ['build/release/constant_server'],
    'freehold': ['build/release/status_server', '--port', '0'],
    'mutex': ['build/mutex/status_server', '--port', '0'],
    'python': [sys.executable, str(FIXTURES / 'threading_server.py'),
               'HTTP/1.0'],
    'python, keep-alive': [
        sys.executable, str(FIXTURES / 'threading_server.py'), 'HTTP/1.1'],
}
UNITS = {'us': 1e-6, 'ms': 1e-3, 's': 1.0}

# At least so many times the requests of that server.
TARGETS = {'constant': 0.95, 'python': 30}
TAIL = 1.2


class Server:
    """One that was started, until it is closed."""

    def __init__(self, name):
        self.name = name
        self.child = subprocess.Popen(SERVERS[name], cwd=ROOT, text=True,
                                      stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL)
        self.address = self.child.stdout.readline().split()[-1]

    def close(self):
        """End it."""
        self.child.terminate()
        self.child.wait()


def wrk(address, seconds, *arguments, threads=1, connections=16):
    """A run of wrk that was started."""
    return subprocess.Popen(
        ['wrk', '-t', str(threads), '-c', str(connections), '-d',
         f'{seconds}s', '--latency', *arguments[:2], address,
         *arguments[2:]], stdout=subprocess.PIPE, text=True)


def result(run):
    """Requests per second, and percentiles in seconds."""
    output = run.communicate()[0]
    rate = float(re.search(r'Requests/sec:\s*([\d.]+)', output)[1])
    tail = {int(float(percent)): float(value) * UNITS[unit] for
            percent, value, unit in
            re.findall(r'^\s+([\d.]+)%\s+([\d.]+)(us|ms|s)$', output, re.M)}
    errors = re.search(r'Socket errors:.*|Non-2xx.*', output)
    return dict(rate=rate, p50=tail[50], p99=tail[99],
                errors=errors[0] if errors else '')


def rates(servers, options, samples):
    """Each server by turns."""
    for repetition in range(options.repetitions + 1):
        for server in servers:
            got = result(wrk(server.address, options.seconds))
            if repetition:      # the first is to warm up
                samples.append(dict(got, case='get', server=server.name))
        servers = servers[::-1]


def tails(server, options, samples):
    """Readers alone, beside other readers, beside writers at one pace."""
    for _ in range(options.repetitions):
        for beside in None, 'GET', 'POST':
            other = wrk(server.address, options.seconds + 1, '-s',
                        str(FIXTURES / 'paced.lua'), '--', beside, '2',
                        connections=4) if beside else None
            time.sleep(0.2)
            got = result(wrk(server.address, options.seconds))
            if other:
                got['beside'] = result(other)['rate']
            samples.append(dict(got, case=f'beside {beside}',
                                server=server.name))


def median(samples, case, server, what):
    """The middle of all repetitions."""
    return statistics.median(s[what] for s in samples if
                             s['case'] == case and s['server'] == server)


def verdict(ratio, target, at_most=False):
    """Met or missed."""
    met = ratio <= target if at_most else ratio >= target
    return 'met' if met else 'missed'


def report(samples):
    """Lines of text."""
    ours = median(samples, 'get', 'freehold', 'rate')
    yield 'GET /, requests per second'
    for name in SERVERS:
        rate = median(samples, 'get', name, 'rate')
        line = f'  {name:20} {rate:10,.0f}   ours is {ours / rate:.2f} x'
        if name in TARGETS:
            line += (f'; target at least {TARGETS[name]}: '
                     f'{verdict(ours / rate, TARGETS[name])}')
        yield line
    for name in 'freehold', 'mutex':
        yield f'{name}: p50 and p99 of GET / in microseconds'
        for case, what in [('beside None', 'readers alone'),
                           ('beside GET', 'and paced readers'),
                           ('beside POST', 'and paced writers')]:
            line = (f'  {what:20} '
                    f'{median(samples, case, name, "p50") * 1e6:10,.0f} '
                    f'{median(samples, case, name, "p99") * 1e6:10,.0f}')
            if case != 'beside None':
                line += (f'   at {median(samples, case, name, "beside"):,.0f}'
                         ' requests per second')
            yield line
        post = median(samples, 'beside POST', name, 'p99')
        for case, what in [('beside None', 'readers alone'),
                           ('beside GET', 'paced readers')]:
            ratio = post / median(samples, case, name, 'p99')
            yield (f'  p99 beside writers is {ratio:.2f} x that of {what}; '
                   f'target at most {TAIL}: {verdict(ratio, TAIL, True)}')
    errors = {s['errors'] for s in samples} - {''}
    if errors:
        yield 'errors: ' + '; '.join(sorted(errors))


def main():
    """Measure, say so, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=int, default=2)
    parser.add_argument('--repetitions', type=int, default=5)
    parser.add_argument('--only', choices=['rates', 'tails'])
    options = parser.parse_args()
    samples = []
    servers = {name: Server(name) for name in SERVERS}
    if options.only != 'tails':
        rates(list(servers.values()), options, samples)
    if options.only != 'rates':
        for name in 'freehold', 'mutex':
            tails(servers[name], options, samples)
    for server in servers.values():
        server.close()
    path = ROOT / 'build/report'
    os.makedirs(path, exist_ok=True)
    (path / 'web.json').write_text(json.dumps(samples, indent=1) + '\n')
    for line in report(samples):
        print(line)


if __name__ == '__main__':
    main()
