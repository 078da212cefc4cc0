#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which of liburcu's flavours serves best?  (ninja flavours)

Builds bench_rcu once for each flavour, lets the programs take turns, and
prints the medians with their spread: what a read section costs, what retiring
costs, and how long a grace period takes with and without readers about.  The
default of configure.py was chosen by this.
"""

import glob
import json
import os
import statistics
import subprocess
import sys

FLAVOURS = 'memb bp mb qsbr'.split()
CASES = [('read-section', 1), ('read-section', 2), ('retire', 2),
         ('grace-period', 1), ('grace-period-under-readers', 1)]
ROUNDS = 7
MILLISECONDS = 150
DIRECTORY = 'build/flavours'


def build(flavour):
    """The benchmark with the lock-free library, linked with this flavour."""
    program = f'{DIRECTORY}/bench_rcu_{flavour}'
    shared = 'bench serve draw histogram memory subject bench_rcu'.split()
    sources = [*glob.glob('src/*.c'),
               *(f'bench/{name}.c' for name in shared)]
    command = ['gcc', '-std=gnu11', '-O2', '-D_GNU_SOURCE', '-Iinclude',
               '-Isrc', f'-DFH_RCU_FLAVOUR_{flavour}', '-o', program,
               *sources, f'-lurcu-{flavour}', '-lurcu-common', '-lpthread',
               '-lm']
    if subprocess.run(command, check=False).returncode:
        sys.exit(f'flavours.py: cannot build for {flavour}; on Debian: '
                 'apt-get install gcc liburcu-dev')
    return program


def measure(program, case, threads):
    """Nanoseconds per operation, all threads together."""
    command = f'run {case} lock-free {threads} 1 {MILLISECONDS}\n'
    done = subprocess.run([program, '--serve'], input=command, check=True,
                          stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])['ns_per_op']


def main():
    """A table in Markdown, which also reads well as it is."""
    os.makedirs(DIRECTORY, exist_ok=True)
    programs = {flavour: build(flavour) for flavour in FLAVOURS}
    print('ns per operation: median (min–max) of', ROUNDS, 'runs in turn\n')
    print('| case | threads |', ' | '.join(FLAVOURS), '|')
    print('| --- | --- |' + ' --- |' * len(FLAVOURS))
    for case, threads in CASES:
        got = {flavour: [] for flavour in FLAVOURS}
        for _ in range(ROUNDS):
            for flavour in FLAVOURS:
                got[flavour].append(measure(programs[flavour], case, threads))
        cells = [f'{statistics.median(ns):.1f} ({min(ns):.1f}–{max(ns):.1f})'
                 for ns in got.values()]
        print(f'| {case} | {threads} |', ' | '.join(cells), '|', flush=True)


if __name__ == '__main__':
    main()
