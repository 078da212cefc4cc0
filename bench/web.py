#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The status server under wrk: beside a server that answers a constant, beside
Python's own with a lock, and with and without writers.

    ninja examples
    python3 bench/web.py [--repetitions N] [--only rates | tails] [--loops N]

All servers stay alive and take turns, a second each, so that what disturbs one
disturbs all.  Compared is what stood next to each other, and the median of
these ratios counts.  The load is the same for all: one thread of wrk with 16
connections, on a machine that wrk shares with the server.  That machine's mood
moves requests per second more than the servers differ; the processor time that
a request takes is the steadier figure.

The servers in C have one thread that reads and answers, and wrk has the other
processor.  With more, the constant's threads race for each connection, and
often one of them gets all; ours are given them by turns.  On two processors
the former is faster, so that --loops 2 compares luck and not servers.
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
    'constant': ['build/release/constant_server', 'LOOPS'],
    'freehold': ['build/release/status_server', '--loops', 'LOOPS'],
    'mutex': ['build/mutex/status_server', '--loops', 'LOOPS'],
    'python': [sys.executable, str(FIXTURES / 'threading_server.py'),
               'HTTP/1.0'],
    'python, keep-alive': [
        sys.executable, str(FIXTURES / 'threading_server.py'), 'HTTP/1.1'],
}
# Those that are compared closely, and those of which there is no doubt.
OFTEN, RARE = ['constant', 'freehold', 'mutex'], ['python',
                                                  'python, keep-alive']
UNITS = {'us': 1e-6, 'ms': 1e-3, 's': 1.0}

# At least so many times the requests of that server.
TARGETS = {'constant': 0.95, 'python': 30}
TAIL = 1.2


class Server:
    """One that was started, until it is closed."""

    def __init__(self, name, loops):
        self.name = name
        command = [str(loops) if word == 'LOOPS' else word
                   for word in SERVERS[name]]
        self.child = subprocess.Popen(command, cwd=ROOT, text=True,
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
    requests = int(re.search(r'(\d+) requests in', output)[1])
    return dict(rate=rate, requests=requests, p50=tail[50], p99=tail[99],
                errors=errors[0] if errors else '')


def processor(server):
    """Seconds of processor time that a server has had."""
    with open(f'/proc/{server.child.pid}/stat', encoding='utf-8') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def rates(servers, options):
    """Each server by turns, there and back again."""
    for repetition in range(options.repetitions + 1):
        for name in RARE + OFTEN if repetition % 4 == 1 else OFTEN:
            before = processor(servers[name])
            got = result(wrk(servers[name].address, 1))
            got['processor'] = ((processor(servers[name]) - before) /
                                got['requests'])
            if repetition:      # the first is to warm up
                yield dict(got, case='get', server=name)
        OFTEN.reverse()


def tails(servers, options):
    """Readers alone, beside other readers, beside writers at one pace."""
    cases = [None, 'GET', 'POST']
    for _ in range(options.repetitions):
        for name in 'freehold', 'mutex':
            for beside in cases:
                other = wrk(servers[name].address, 2, '-s',
                            str(FIXTURES / 'paced.lua'), '--', beside, '2',
                            connections=4) if beside else None
                time.sleep(0.2)
                got = result(wrk(servers[name].address, 1))
                if other:
                    got['beside'] = result(other)['rate']
                yield dict(got, case=f'beside {beside}', server=name)
        cases.reverse()


def values(samples, case, server, what):
    """All repetitions, in their order."""
    return [s[what] for s in samples if
            s['case'] == case and s['server'] == server]


def median(samples, case, server, what):
    """The middle of all repetitions."""
    return statistics.median(values(samples, case, server, what))


def verdict(ratio, target, at_most=False):
    """Met or missed."""
    met = ratio <= target if at_most else ratio >= target
    return f'target at {"most" if at_most else "least"} {target}: ' + (
        'met' if met else 'missed')


def report_rates(samples):
    """How many requests, and what each takes."""
    def ratio(name, what):
        ours, theirs = (values(samples, 'get', n, what)
                        for n in ('freehold', name))
        if len(ours) == len(theirs):
            return statistics.median(a / b for a, b in zip(ours, theirs))
        return statistics.median(ours) / statistics.median(theirs)

    yield ('GET /                requests/s   ours  us of processor   ours'
           '        p99')
    for name in SERVERS:
        line = (f'  {name:18} '
                f'{median(samples, "get", name, "rate"):10,.0f}  '
                f'{ratio(name, "rate"):5.2f} x'
                f'{median(samples, "get", name, "processor") * 1e6:15.2f}'
                f'  {ratio(name, "processor"):5.2f} x'
                f'{median(samples, "get", name, "p99") * 1e6:8,.0f} us')
        if name in TARGETS:
            line += '   ' + verdict(ratio(name, 'rate'), TARGETS[name])
        yield line


def report_tails(samples):
    """What writers do to readers."""
    for name in 'freehold', 'mutex':
        yield f'{name}: p50 and p99 of GET / in microseconds'
        p99 = {case: values(samples, case, name, 'p99') for case in
               ('beside None', 'beside GET', 'beside POST')}
        for case, what in [('beside None', 'readers alone'),
                           ('beside GET', 'and paced readers'),
                           ('beside POST', 'and paced writers')]:
            line = (f'  {what:20} '
                    f'{median(samples, case, name, "p50") * 1e6:10,.0f} '
                    f'{statistics.median(p99[case]) * 1e6:10,.0f}')
            if case != 'beside None':
                line += (f'   at {median(samples, case, name, "beside"):,.0f}'
                         ' requests per second')
            yield line
        for case, what in [('beside None', 'readers alone'),
                           ('beside GET', 'paced readers')]:
            ratio = statistics.median(
                a / b for a, b in zip(p99['beside POST'], p99[case]))
            yield (f'  p99 beside writers is {ratio:.2f} x that beside '
                   f'{what}; {verdict(ratio, TAIL, True)}')


def main():
    """Measure, say so, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--repetitions', type=int, default=8)
    parser.add_argument('--only', choices=['rates', 'tails'])
    parser.add_argument('--loops', type=int, default=1, metavar='N')
    options = parser.parse_args()
    servers = {name: Server(name, options.loops) for name in SERVERS}
    os.makedirs(ROOT / 'build/report', exist_ok=True)
    for what, measure, report in [('rates', rates, report_rates),
                                  ('tails', tails, report_tails)]:
        if options.only not in (None, what):
            continue
        samples = list(measure(servers, options))
        path = ROOT / f'build/report/web-{what}.json'
        path.write_text(json.dumps(samples, indent=1) + '\n')
        for line in report(samples):
            print(line)
        for error in {s['errors'] for s in samples} - {''}:
            print('errors:', error)
    for server in servers.values():
        server.close()


if __name__ == '__main__':
    main()
