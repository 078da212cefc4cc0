#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""build.ninja is what configure.py writes, wherever it runs (TAP)."""

import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONFIGURE = os.path.join(ROOT, 'configure.py')

TREE = ['src/*.c', 'src/*/*.c', 'include/freehold/*.h', 'test/test_*.c*',
        'test/check_*', 'test/run_*.py', 'bench/*.c', 'bench/*.cc']

results = []


def ok(passed, what):
    """One line of TAP."""
    results.append(bool(passed))
    print(f'{"" if passed else "not "}ok {len(results)} - {what}')


def written(*arguments, cwd=ROOT):
    """What configure.py writes with these arguments."""
    command = [sys.executable, CONFIGURE, *arguments, '--output=-']
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE,
                          check=True).stdout


def main():
    """Compare the file with what is written now."""
    with open(os.path.join(ROOT, 'build.ninja'), 'rb') as file:
        present = file.read()
    unfolded = present.decode().replace(' $\n   ', '')
    recorded = re.search(r'^configure_args =(.*)$', unfolded, re.M).group(1)
    again = written(*shlex.split(recorded))
    ok(present == again, 'build.ninja is reproduced byte for byte')

    default = written()
    if not recorded.strip():
        ok(present == default, 'it is the default output')
    with tempfile.TemporaryDirectory() as elsewhere:
        ok(written(cwd=elsewhere) == default, 'the same from anywhere')
    ok(ROOT.encode() not in default, 'it does not say where the tree is')
    paths = set(re.findall(rb'(?<![\w$}."])/[\w./-]+', default))
    ok(paths == {b'/usr/local'}, 'the prefix is its one absolute path')
    for path in paths - {b'/usr/local'}:
        print('#', path.decode())

    for arguments, shows in {
            '--prefix=/opt/freehold': b'prefix = /opt/freehold\n',
            '--cc=gcc-12': b'cxx = g++-12\n',
            '--rcu=bp': b'libs = -lurcu-bp ',
            '--no-tags': b'-DFH_MAP_TAGS=0\n',
            '--variants=asan': b'build/asan/libfreehold.a'}.items():
        other = written(arguments)
        ok(shows in other and other != default, f'{arguments} has its effect')
        ok(f'configure_args = {arguments}\n'.encode() in other,
           f'{arguments} is kept for the next time')
    ok(b'build/tsan/' not in written('--variants=asan'),
       'a variant that is not asked for is not there')

    words = set(default.decode().split())
    forgotten = [path for pattern in TREE
                 for path in glob.glob(pattern, root_dir=ROOT)
                 if path not in words]
    ok(not forgotten, 'every source, header, test and benchmark has its part')
    for path in forgotten:
        print('#', path)
    print(f'1..{len(results)}')
    return 0 if all(results) else 1


sys.exit(main())
