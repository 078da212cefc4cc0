#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fuzzes a target of this directory with libFuzzer, and keeps what it finds.

    python3 test/fuzz/run_fuzz.py appose_line --seconds 1800

What reaches code that nothing else reached is added to the corpus, and the
corpus is then reduced to what is needed for its coverage; that is committed,
and replayed by every test run.  It needs clang.  A crash is left in
build/fuzz, to be fixed and then added to the corpus by hand.

For AFL++, compile with afl-clang-fast and -fsanitize=fuzzer instead; the
corpus is the same.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FLAGS = ['-std=gnu11', '-O1', '-g', '-fno-omit-frame-pointer',
         '-fsanitize=fuzzer,address,undefined',
         '-fno-sanitize-recover=undefined', '-D_GNU_SOURCE', '-Iinclude',
         '-Isrc']

# The longest input: enough for a line beyond the target's bound.
LONGEST = 4096


def target(name):
    """What build.ninja says of the target: its sources and its libraries."""
    text = (ROOT / 'build.ninja').read_text(encoding='utf-8')
    text = text.replace(' $\n    ', ' ').replace(' $\n  ', ' ')
    objects = re.search(rf'^build build/asan/replay_{name}: \S+ (.*)$', text,
                        re.M)
    if not objects:
        sys.exit(f'run_fuzz.py: there is no target {name}')
    names = re.findall(r'build/asan/(\w+)\.(\w+)\.o', objects[1])
    sources = [f'docs/examples/{example}/{source}.c'
               for example, source in names if example != 'fuzz']
    libs = re.search(rf'^build build/asan/replay_{name}:.*\n  libs = (.*)$',
                     text, re.M)[1].replace('$libs', '').split()
    return [f'test/fuzz/fuzz_{name}.c', *sources], libs


def build(name, directory):
    """The fuzzer's path."""
    sources, libs = target(name)
    includes = {f'-I{pathlib.Path(source).parent}' for source in sources[1:]}
    program = directory / f'fuzz_{name}'
    subprocess.run(['clang', *FLAGS, *includes, *sources, '-o', program,
                    *libs], cwd=ROOT, check=True)
    return program


def main():
    """Fuzz, reduce, report."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('name')
    parser.add_argument('--seconds', type=int, default=60)
    options = parser.parse_args()

    directory = ROOT / 'build' / 'fuzz'
    directory.mkdir(parents=True, exist_ok=True)
    program = build(options.name, directory)
    corpus = HERE / 'corpus' / options.name
    found, reduced = directory / 'found', directory / 'reduced'
    for fresh in found, reduced:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
    done = subprocess.run(
        [program, found, corpus, f'-max_len={LONGEST}',
         f'-max_total_time={options.seconds}', '-print_final_stats=1',
         f'-dict={HERE}/{options.name}.dict',
         f'-artifact_prefix={directory}/'], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f'run_fuzz.py: a crash, kept in {directory}')
    subprocess.run([program, '-merge=1', '-use_counters=0',
                    f'-max_len={LONGEST}', reduced, corpus, found], cwd=ROOT,
                   check=True)
    shutil.rmtree(corpus)
    shutil.copytree(reduced, corpus)
    print(f'{len(list(corpus.iterdir()))} inputs are kept in {corpus}')


main()
