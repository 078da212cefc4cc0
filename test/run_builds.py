#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds the library in further ways, and runs its tests on each (TAP).

Beside the variants of configure.py: what remains of gcc and clang from -O0 to
-O3, the whole program optimised at once, AArch64 under an emulator, memory
checked by valgrind, and the headers in each C++ standard.  The tables say
which.  They are built in build/builds; `ninja tests` must have been run.

With FH_PROVE=1 in the environment every test runs, and at more of its length.
What a machine lacks is skipped, in a line that names the package.  Words on
the command line name ways, by parts of their names: the others do not run.
"""

import collections
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

from recipe import ROOT, WORDS, Recipe, Tap, complaint, finish, words

BUILD = pathlib.Path('build/builds')
LONG = os.environ.get('FH_PROVE') == '1'
PATIENCE = 4 if LONG else 1         # see watchdog in test/threads.h
SECONDS = 280 * PATIENCE            # for one program
JOBS = 2

# ---------------------------------------------------------------- the tables

# What the short form runs, test/test_NAME.c: the calls of every room, and a
# race in every room that has one.
FEW = '''
    base status status_wait record counter rcu rcu_bounds rcu_unhooked
    map map_model map_walk map_grow arc arc_observe arc_walk arc_start
    log log_race gate gate_run task task_end server server_wait
'''.split()

# In ways of the long form alone: all, and none in the short form.
ONLY_LONG = []

# And in levels of a compiler between two others that run more.
FEWER = 'status record counter rcu map arc log gate task server'.split()

# One way.  `archive` is a library that the build has made, or '' where this
# way compiles one of its own; with no compiler, programs of the build are
# run as they are.  `tests` are those of the short form, and of the long one too
# if they are chosen for the way.  `percent` is how much of a test's length is
# run, in the short form and in the long one.  `library` is which of the two.
Way = collections.namedtuple(
    'Way', 'name compiler flags package link runner archive tests percent '
    'library', defaults=['', '', '', '', '', FEW, (5, 100), 'freehold'])
MUTEX = 'freehold-mutex'

# valgrind's threads take turns; without fairness one that spins for another
# keeps it from running.  Children that fork off are checked too.
#
# It exits with an error for every invalid access, every use of what was never
# set, and for memory that nothing points to any more.  There is no
# suppression.  "Possibly lost" is left out because it is not ours: the C
# library keeps the descriptor of a thread that still runs by a pointer into
# its middle, and the worker's thread is detached and runs to the end.
#
# helgrind and drd are no use here.  They know the locks of pthread, but they
# take C11's atomics for plain accesses, and report every one of them; orders
# are checked by the thread sanitizer and in test/schedule.
VALGRIND = 'valgrind --quiet --error-exitcode=99 --fair-sched=yes '
LEAKS = ('--leak-check=full --show-leak-kinds=definite '
         '--errors-for-leak-kinds=definite')

# Tests that fork beside their own threads.  A child lacks those threads, and
# what they had in hand at that moment, on their stacks, is lost in it.  So is
# what a thread of fault_exit has in hand when it ends in the midst of a call.
# task_shutdown forks too, but its child starts no thread.
FORKS = ('rcu_fork rcu_edges fault_fork gap_unhooked gate_fault '
         'server_fork').split()
LOSERS = FORKS + ['fault_exit', 'task_shutdown']

WAYS = [
    # gcc -O0 and -O2, and clang -O2, are variants; so is -O1, with both
    # sanitizers, and with clang in the schedules.
    Way('gcc -O1', 'gcc', '-O1', 'gcc', tests=ONLY_LONG),
    Way('gcc -O3', 'gcc', '-O3', 'gcc'),
    # The library's calls are inlined across its files, and into the tests.
    Way('gcc -O3 -flto', 'gcc', '-O3 -flto=auto -ffat-lto-objects', 'gcc',
        tests=FEWER),
    Way('clang -O0', 'clang', '-O0', 'clang', tests=FEWER),
    Way('clang -O1', 'clang', '-O1', 'clang', tests=ONLY_LONG),
    Way('clang -O3', 'clang', '-O3', 'clang'),
    # The mutex build: at length alone, since its orders are those of pthread.
    Way('mutex, gcc -O3', 'gcc', '-O3', 'gcc', library=MUTEX, tests=ONLY_LONG),
    Way('mutex, clang -O1', 'clang', '-O1', 'clang', library=MUTEX,
        tests=ONLY_LONG),
    # Its atomics are other instructions, and weaker than those of x86; the
    # emulator translates them, and cannot show all that the weakness allows.
    Way('aarch64', 'aarch64-linux-gnu-gcc', '-O2',
        'gcc-aarch64-linux-gnu libc6-dev-arm64-cross liburcu-dev:arm64 '
        'qemu-user', link='-static', runner='qemu-aarch64',
        percent=(2, 10)),
    Way('valgrind', '', '', 'valgrind', runner=VALGRIND + LEAKS,
        archive='release', percent=(2, 4)),
    Way('valgrind but leaks', '', '', 'valgrind', runner=VALGRIND,
        archive='release', tests=LOSERS, percent=(2, 4)),
]

# The headers, and test_include.cc, in C++.  c++11 with the C compilers' -O2
# is part of the variants.
WAYS += [
    Way(f'{compiler} {standard} {library}', compiler,
        f'-std={standard} -O1 -Wall -Wextra -Wpedantic -Werror {flags}',
        package, archive=f'build/{archive}', tests=['include.cc'])
    for compiler, package in (('g++', 'g++'), ('clang++', 'clang'))
    for standard in ('c++11', 'c++14', 'c++17', 'c++20')
    for library, flags, archive in (
        ('freehold', '', 'release/libfreehold.a'),
        ('freehold-mutex', '-DFREEHOLD_MUTEX', 'mutex/libfreehold-mutex.a'))]

# Tests that replace functions of the C library, `replaced` in configure.py.
# Its headers promise that most of these do not come back to the caller's own
# variables, and optimised at once the whole program is one caller: the
# compiler drops what only the replacement reads.
REPLACED = 'what it puts in place of a function may be optimised away'

# Tests that make no sense in a way, and why.
EMULATED = 'the emulator aborts when a child of several threads starts one'
LOSSES = 'its threads lose what they hold'
STOPS = "a thread that it stops may hold valgrind's own lock"
LEFT_OUT = {
    'aarch64': dict.fromkeys(FORKS, EMULATED),
    'valgrind': {
        **dict.fromkeys(LOSERS, LOSSES),
        **dict.fromkeys(['fault_reader', 'fault_writer'], STOPS),
        'status_calls': 'its filter would end valgrind itself',
    },
}

# Checks that fail in a way for a reason of its own; the rest of the test
# counts.  The emulator does not apply a limit of address space, and valgrind
# dies of it; the emulator keeps 70 pages for each thread that there was; where
# threads take turns, no signal may come in a short run.
EXCUSED = {
    'aarch64': {'fault_create': 'no address space for its stack',
                'fault_memory': 'the end of the address space',
                'task_brawl': 'own threads: without growing'},
    'valgrind': {'fault_memory': 'the end of the address space',
                 'fault_handler': 'there were handlers'},
}

# ------------------------------------------------------------ what is there


def lacks(way):
    """What this machine lacks for a way, or None."""
    for tool in filter(None, [way.compiler, *way.runner.split()[:1]]):
        if not shutil.which(tool):
            return tool
    if not way.compiler or way.archive:
        return None
    libs = words()['libs']
    flavour = 'urcu/urcu-' + libs.split()[0].split('-')[-1] + '.h'
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [way.compiler, '-x', 'c', '-', '-o', scratch + '/a.out',
             *shlex.split(f'{way.flags} {way.link} {libs}')],
            input=f'#include <{flavour}>\nint main(void) {{ return 0; }}\n',
            text=True, stderr=subprocess.DEVNULL, check=False)
    return f'what links with {flavour}' if done.returncode else None


def every_test():
    """Each test that runs without help."""
    return [file.stem[len('test_'):]
            for file in sorted((ROOT / 'test').glob('test_*.c'))
            if 'fh_hook(' not in file.read_text(encoding='utf-8')]


def left_out(way):
    """The tests that make no sense in a way, with the reason."""
    if 'lto' not in way.flags:
        return LEFT_OUT.get(way.name, {})
    return {name.removeprefix('ldflags_'): REPLACED
            for name in words() if name.startswith('ldflags_')}


def tests_of(way):
    """The tests that this way runs, or skips."""
    if not LONG or way.tests not in (FEW, FEWER, ONLY_LONG):
        return way.tests
    without = words()['lock_free_tests'].split() if way.library == MUTEX else []
    return [test for test in every_test() if test not in without]


# ------------------------------------------------------------ the build file


def recipe_with_rules():
    """The build file before any way."""
    recipe = Recipe(BUILD)
    recipe.rule('cc', '$compiler -std=gnu11 -w $how $flags -MMD -MF $out.d '
                '-c -o $out $in', deps='gcc', depfile='$out.d')
    recipe.rule('ar', 'rm -f $out && ar crs $out $in')
    recipe.rule('program', '$compiler $how $flags -MMD -MF $out.d -o $out '
                '$in $ldflags $libs', deps='gcc', depfile='$out.d')
    return recipe


def directory(way):
    """Where a way's files are; as a path without anything to be quoted."""
    return BUILD / re.sub(r'[ ,]', '', way.name).replace('+', 'p')


def flags_of(way):
    """How a file is compiled in this way."""
    return way.flags + (' -DFREEHOLD_MUTEX' if way.library == MUTEX else '')


def archive(recipe, way):
    """The library, compiled in this way."""
    if way.archive:
        return way.archive
    objects = [
        recipe.build(f'{directory(way)}/{source[:-2]}.o', 'cc', [source],
                     compiler=way.compiler, how=flags_of(way))
        for source in words()[way.library].split()]
    return recipe.build(f'{directory(way)}/lib{way.library}.a', 'ar', objects)


def program(recipe, way, test):
    """A test in this way."""
    name, dot, _ = test.partition('.')
    if not way.compiler:
        return f'build/{way.archive}/test_{name}'
    standard = '' if dot else '-std=gnu11 -w '
    return recipe.build(
        f'{directory(way)}/test_{name}', 'program',
        [f'test/test_{test}' + ('' if dot else '.c'), archive(recipe, way)],
        compiler=way.compiler, how=standard + flags_of(way),
        ldflags=f'{way.link} $ldflags_{name}')


# ------------------------------------------------------------------ running


def excused(way, test, output, status):
    """The output and the status without the check that may fail."""
    check = EXCUSED.get(way.name, {}).get(test)
    kept = re.sub(rf'^not (ok \d+ - {check})$', r'\1 (excused)', output,
                  flags=re.M)
    alone = status == 1 and kept != output and '\nnot ok' not in '\n' + kept
    return kept, 0 if alone else status


def run(job):
    """One test in one way: what went wrong, or None, and what it printed."""
    way, test, file = job
    output, status = finish([*way.runner.split(), file], SECONDS,
                            {'FH_TEST_SCALE': str(way.percent[LONG]),
                             'FH_PATIENCE': str(PATIENCE)})
    output, status = excused(way, test, output, status)
    return complaint(output, status), output


def report(tap, job, failed, output):
    """A line, and the end of what was printed if that was a failure."""
    way, test, _ = job
    tap.line(not failed, f'{way.name}: {test}',
             *[failed, *output.splitlines()[-25:]] if failed else ())


def main():
    """Skip what cannot be, build the others, run them."""
    os.chdir(ROOT)
    os.environ.pop('FH_PROVE', None)    # the programs are run as usual
    if not os.path.exists(WORDS):
        sys.exit('Bail out! first: ninja tests')
    tap, recipe, jobs = Tap(), recipe_with_rules(), []
    for way in WAYS:
        if sys.argv[1:] and not any(w in way.name for w in sys.argv[1:]):
            continue
        lacking = lacks(way)
        if lacking:
            tap.skip(way.name, f'{lacking} is missing; on Debian: '
                     f'apt-get install {way.package}')
            continue
        senseless = left_out(way)
        for test in tests_of(way):
            if test in senseless:
                tap.skip(f'{way.name}: {test}', senseless[test])
            else:
                jobs.append((way, test, program(recipe, way, test)))
    recipe.carry_out(JOBS, 'one of the ways')
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for job, result in zip(jobs, pool.map(run, jobs)):
            report(tap, job, *result)
    return tap.end()


sys.exit(main())
