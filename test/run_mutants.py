#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a test against libraries that are broken on purpose (TAP).

build/mutants.list names the programs, each in a directory with the name of
its mutant.  The one called `none` is not broken and must pass; every other
one must fail: by a check that is not ok, by a crash, or by hanging.
"""

import os
import subprocess
import sys

LIST = 'build/mutants.list'
SECONDS = 120


def verdict(program):
    """How the program ended, in words, and whether it passed."""
    try:
        done = subprocess.run([program], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS,
                              text=True, errors='replace', check=False)
    except subprocess.TimeoutExpired:
        return f'it hung for {SECONDS} s', False
    for line in done.stdout.splitlines():
        if line.startswith('not ok'):
            return line, False
    return f'exit status {done.returncode}', done.returncode == 0


def main():
    """One line of TAP for each mutant."""
    with open(LIST, encoding='utf-8') as file:
        programs = file.read().split()
    print(f'1..{len(programs)}', flush=True)
    failed = 0
    for number, program in enumerate(programs, 1):
        mutant = os.path.basename(os.path.dirname(program))
        how, passed = verdict(program)
        good = passed == (mutant == 'none')
        what = ('what is not broken passes' if mutant == 'none' else
                f'mutant {mutant} is caught')
        failed += not good
        print(f'{"" if good else "not "}ok {number} - {what}')
        print(f'# {program}: {how}', flush=True)
    return 1 if failed else 0


sys.exit(main())
