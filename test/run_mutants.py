#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks the library on purpose, and wants the tests to notice (TAP).

test/mutants.py lists the mutants: patches of the sources, each with the
programs that must fail on it, the cheapest first.  `none` is no patch at all,
and every program that is named anywhere must pass on it.  Without arguments
every patch must fit, and each twentieth mutant is hunted; that the schedules
pass on what is whole is then left to the list of tests, which has the same.

A program that comes to no end has caught nothing yet: a busy machine delays
any of them.  It runs once more when all else is done, alone and with several
times as long, and what counts is what it does then.  The schedules know of
themselves when threads wait for ever, so theirs is to say so; they have all
the time that they need.

Of each mutant, what its patch touches is compiled anew and linked before the
library that is whole; build/mutants/build.ninja, written here, does that, so
that a second run compiles nothing.  test/recipe.py says how, and how programs
fail.
"""

import argparse
import collections
import concurrent.futures
import functools
import os
import pathlib
import re
import subprocess
import sys
import time

import recipe
from mutant import fit
from mutants import MUTANTS
from orders import unweakened
from recipe import LATE, ROOT, WORDS, Tap, complaint, finish, write

BUILD = pathlib.Path('build/mutants')
TREES = ['src', 'include/freehold', 'test', 'test/schedule']
SECONDS_WHOLE = 240         # for a program on the library that is whole
SECONDS = 4                 # and on a mutant, besides ...
TIMES = 4                   # ... so many times what it took on the whole one
AGAIN = 4                   # so many times that in a second run, alone
SECONDS_SEARCH = 1800       # for a schedule, which ends by itself
SCALE = 20                  # percent of a test's full length
EXPLAINED = 'explained: '    # in place of programs: why nothing fails
ALL = ['plain', 'hooks']    # what --all runs besides the programs named

# ---------------------------------------------------------------- flavours

# One way to build and run.  A killer `FLAVOUR:NAME` is the program built from
# `source` with NAME filled in, from `support`, from what is built already:
# `before` the library and `after` it, and from the library.  `then` is called
# with each object; `link` stands for the flags where it is given.
Flavour = collections.namedtuple(
    'Flavour', 'compiler flags source support prefix environment '
    'before after then link arguments',
    defaults=['', 'test/test_{}.c', (), (), {}, (), (), ':', None, ()])

ASAN = ('-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined '
        '-fno-sanitize-recover=all')
TSAN = '-O1 -g1 -fno-omit-frame-pointer -fsanitize=thread -Wno-tsan'
LEAKS = {'ASAN_OPTIONS': 'detect_leaks=1:detect_stack_use_after_return=1'}
RACES = {'TSAN_OPTIONS': 'halt_on_error=1 second_deadlock_stack=1'}


def fixed_addresses():
    """The thread sanitizer wants its addresses where it expects them."""
    try:
        done = subprocess.run(['setarch', '-R', 'true'], check=False,
                              stderr=subprocess.DEVNULL)
    except OSError:
        return ()
    return ('setarch', '-R') if done.returncode == 0 else ()


SCHEDULED = ('-O1 -g1 -fsanitize=thread -femulated-tls -fno-builtin -fPIC '
             '-DFH_HOOKS -Itest/schedule')
SCHEDULE = Flavour(
    'clang', SCHEDULED + ' -DFH_MAP_TAGS=0', 'test/schedule/schedule_{}.c',
    after=['build/schedule/libmachine.a'], link='-no-pie',
    then='objcopy --redefine-syms=test/schedule/redefined',
    arguments=['--first'])
URCU_MODEL = ['build/schedule/machine/urcu_model.o']

FLAVOURS = {
    # As users get it.
    'plain': Flavour('$cc', '-O2'),
    # For tests that stop threads at named points; without tags, so that
    # every search touches the entries that it passes.
    'hooks': Flavour('$cc', '-O2 -DFH_HOOKS -DFH_MAP_TAGS=0'),
    # Threads lose the processor between any two atomic steps.
    'shaken': Flavour('$cc', '-O2 -DFH_HOOKS', support=['test/shake.c']),
    'asan': Flavour('$cc', ASAN, environment=LEAKS),
    'shaken-asan': Flavour('$cc', ASAN + ' -DFH_HOOKS', environment=LEAKS,
                           support=['test/shake.c']),
    'tsan': Flavour('$cc', TSAN, environment=RACES, prefix=fixed_addresses()),
    # Every order of the steps, on the machine in test/schedule: with a model
    # of the rcu room, or with the room itself and a model of liburcu.
    'schedule': SCHEDULE._replace(before=['build/schedule/machine/'
                                          'rcu_model.o']),
    'schedule-tags': SCHEDULE._replace(
        flags=SCHEDULED, before=['build/schedule/machine/rcu_model.o']),
    'schedule-rcu': SCHEDULE._replace(before=URCU_MODEL),
    'schedule-task': SCHEDULE._replace(before=[
        'build/schedule/machine/rcu_model.o',
        'build/schedule/machine/counter_model.o']),
}

# A program to run: its flavour, its name, and the percentage of its length.
Killer = collections.namedtuple('Killer', 'flavour name scale')


def killer_of(text):
    """`map_race`, `asan:map` or `shaken:map_race@5`."""
    flavour, name, scale = re.fullmatch(
        r'(?:([\w-]+):)?(\w+)(?:@(\d+))?', text).groups()
    return Killer(flavour or 'plain', name, int(scale or SCALE))


def shown(killer):
    """How the matrix names a program."""
    return f'{killer.flavour}:{killer.name}'


# ------------------------------------------------------------- the patches


def lay_out(mutant):
    """The tree of a mutant: links to all files, but for the one patched."""
    at = BUILD / mutant.name
    for tree in TREES:
        if not (ROOT / tree).is_dir():
            continue
        (at / tree).mkdir(parents=True, exist_ok=True)
        for file in (ROOT / tree).glob('*.[ch]'):
            link = at / tree / file.name
            if str(file.relative_to(ROOT)) != mutant.file and \
                    not link.is_symlink():
                link.unlink(missing_ok=True)
                link.symlink_to(file)
    write(at / mutant.file, fit(mutant))


@functools.lru_cache(maxsize=None)
def included(path):
    """All files of ours that this one includes, itself among them."""
    files = {path}
    text = (ROOT / path).read_text(encoding='utf-8')
    for name in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)', text, re.M):
        for directory in pathlib.Path(path).parent, 'src', 'include':
            found = os.path.normpath(os.path.join(directory, name))
            if os.path.isfile(ROOT / found):
                files |= included(found)
                break
    return files


# ------------------------------------------------------------ the build file


class Recipe(recipe.Recipe):
    """The text of build/mutants/build.ninja, as it grows."""

    def __init__(self):
        super().__init__(BUILD)
        self.rule('cc', '$compiler -std=gnu11 -w -I$tree/src '
                  '-I$tree/include -I$tree/test $flags $how '
                  '-MMD -MF $out.d -c -o $out $in && $then $out',
                  deps='gcc', depfile='$out.d')
        self.rule('ar', 'rm -f $out && ar crs $out $in')
        self.rule('link', '$compiler $how -o $out $in $ldflags $libs')

    def compile(self, tree, source, name):
        """The object of a source in a tree; in '.' stands the library."""
        flavour = FLAVOURS[name]
        path = source if tree == '.' else BUILD / tree / source
        where = 'whole' if tree == '.' else tree
        return self.build(f'{BUILD}/{where}/{name}/{source[:-2]}.o', 'cc',
                          [str(path)], compiler=flavour.compiler,
                          how=flavour.flags, then=flavour.then,
                          tree='.' if tree == '.' else BUILD / tree)

    def archive(self, name):
        """The library of a flavour, whole."""
        sources = sorted(f'src/{file.name}'
                         for file in (ROOT / 'src').glob('*.c'))
        objects = [self.compile('.', source, name) for source in sources]
        return self.build(f'{BUILD}/whole/{name}/libfreehold.a', 'ar', objects)

    def program(self, mutant, killer):
        """A test on a mutant, or on the whole library."""
        flavour = FLAVOURS[killer.flavour]
        tree = mutant.name if mutant else 'whole'

        def touched(source):
            return mutant and mutant.file in included(source)

        tests = [flavour.source.format(killer.name), *flavour.support]
        broken = [f'src/{file.name}' for file in (ROOT / 'src').glob('*.c')
                  if touched(f'src/{file.name}')]
        objects = [self.compile(tree if touched(test) else '.', test,
                                killer.flavour) for test in tests]
        objects += [self.compile(tree, source, killer.flavour)
                    for source in sorted(broken)
                    if not any(source in included(test) for test in tests)]
        return self.build(f'{BUILD}/{tree}/{killer.flavour}/{killer.name}',
                          'link', [*objects, *flavour.before,
                                   self.archive(killer.flavour),
                                   *flavour.after],
                          compiler=flavour.compiler,
                          how=flavour.flags if flavour.link is None else
                          flavour.link,
                          ldflags=f'$ldflags_{killer.name}')


# ------------------------------------------------------------------ running


def run(mutant, killer, seconds, patience=1):
    """What went wrong, in words, or None; and how long it took.  A program's
    own watchdog waits so many times as long."""
    flavour = FLAVOURS[killer.flavour]
    where = mutant.name if mutant else 'whole'
    program = BUILD / where / killer.flavour / killer.name
    began = time.monotonic()
    output, status = finish(
        [*flavour.prefix, str(program), *flavour.arguments], seconds,
        dict(FH_TEST_SCALE=str(killer.scale), FH_PATIENCE=str(patience),
             **flavour.environment))
    return complaint(output, status), time.monotonic() - began


def available(killer):
    """Can this program be built?  The flavour and its source must exist."""
    flavour = FLAVOURS.get(killer.flavour)
    return flavour and (ROOT / flavour.source.format(killer.name)).is_file()


def every_test():
    """Each test that runs without help, in the flavours of --all."""
    for file in sorted((ROOT / 'test').glob('test_*.c')):
        name = file.stem[len('test_'):]
        for flavour in ALL:
            if (flavour == 'hooks') == ('fh_hook(' in file.read_text()):
                yield Killer(flavour, name, SCALE)


def is_explained(mutant):
    """Does an explanation stand where others name programs?"""
    return mutant.killers.startswith(EXPLAINED)


def room_of(mutant):
    """The first word of the file's name; the rcu room has several."""
    word = re.split('[_.]', os.path.basename(mutant.file))[0]
    return 'rcu' if word in ('batch', 'reclaim', 'worker') else word


# Schedules that stand in for the rest of their room: they link with no other
# file of it.
APART = {'task_queue': 'src/task_queue.c'}


def neighbours(mutant):
    """The schedules that catch other mutants of the same room."""
    named = {killer_of(text): None for other in MUTANTS
             if room_of(other) == room_of(mutant) and not is_explained(other)
             for text in other.killers.split()}
    return [killer for killer in named if searches(killer) and
            APART.get(killer.name, mutant.file) == mutant.file]


def killers_of(mutant, options):
    """The programs to try, without those that cannot be built."""
    if is_explained(mutant):
        return neighbours(mutant) if options.explained else []
    named = [killer_of(text) for text in mutant.killers.split()]
    if options.all:
        named += [killer for killer in every_test()
                  if shown(killer) not in map(shown, named)]
    return [killer for killer in named if available(killer)]


def searches(killer):
    """Is this a schedule?"""
    return killer.flavour.startswith('schedule')


def limit(killer, times):
    """How long a program may take on a mutant."""
    return SECONDS_SEARCH if searches(killer) else \
        SECONDS + TIMES * times[killer]


def hunt(mutant, killers, times, options):
    """Run programs on a mutant: the first to fail, or all that do; and those
    that came to no end."""
    caught, late = [], []
    for killer in killers:
        how, _ = run(mutant, killer, limit(killer, times))
        if how in LATE:
            late.append(killer)
        elif how:
            caught.append((killer, how))
            if not options.all:
                break
    return caught, late


def hunt_alone(mutant, late, times, options):
    """The second run of those that came to no end."""
    caught, still = [], []
    for killer in late:
        if searches(killer):
            still.append(killer)
            continue
        how, _ = run(mutant, killer, AGAIN * limit(killer, times), AGAIN)
        if how:
            caught.append((killer, how))
            if not options.all:
                break
    return caught, still


# ------------------------------------------------------------------- report

HEAD = '''# Mutants

Written by `python3 test/run_mutants.py --matrix docs/mutants.md`; with
`--all` it also says which other tests notice.

Each row is a copy of the library with one thing broken, as the table in
`test/mutants.py` says it, and the programs that failed on it, with what they
printed first or how they ended. A program is named FLAVOUR:TEST; the
flavours are in `test/run_mutants.py`. On the library without a patch, every
one of these programs passes.

{} mutants: {} caught, {} explained{}.

'''


def matrix(results):
    """The table of docs/mutants.md."""
    survivors = [mutant.name for mutant, caught in results if not caught
                 and not is_explained(mutant)]
    lines = []
    name = None
    for mutant, caught in results:
        if mutant.file != name:
            name = mutant.file
            lines += [f'## {name}', '', '| mutant | what is broken | '
                      'caught by |', '| --- | --- | --- |']
        what = '<br>'.join(f'`{shown(killer)}` {how[:70]}'.replace('|', '/')
                           for killer, how in caught)
        if is_explained(mutant):
            what = mutant.killers
        lines.append(f'| {mutant.name} | {mutant.what} | {what or "nobody"} |')
        if mutant is results[-1][0]:
            break
    caught = sum(bool(caught) for _, caught in results)
    text = HEAD.format(len(results), caught,
                       len(results) - caught - len(survivors),
                       ', not caught: ' + ', '.join(survivors)
                       if survivors else '')
    return text + re.sub(r'\n## ', '\n\n## ', '\n'.join(lines)) + '\n'


def sound(mutants, tap):
    """The table itself: names differ, every patch fits, and the orders of the
    library are all there."""
    names = [mutant.name for mutant in MUTANTS]
    twice = sorted({name for name in names if names.count(name) > 1})
    tap.line(not twice, f'{len(names)} mutants, each with a name of its own',
             *twice)
    wrong = []
    for mutant in MUTANTS:
        try:
            if mutant in mutants:
                lay_out(mutant)
            else:
                fit(mutant)
        except ValueError as problem:
            wrong.append(f'{mutant.name}: {problem}')
    tap.line(not wrong, 'every patch fits its file in one place', *wrong)
    left = []
    for file in sorted((ROOT / 'src').glob('*.[ch]')):
        if file.name != 'atomic.h':
            left += unweakened(f'src/{file.name}',
                               file.read_text(encoding='utf-8'), MUTANTS)
    tap.line(not left, 'each order is weakened by some mutant', *left)
    return not wrong


def build_all(work, jobs):
    """Compile and link every program that will run."""
    built = Recipe()
    for mutant, killers in work:
        for killer in killers:
            built.program(mutant, killer)
            built.program(None, killer)
    built.carry_out(jobs, 'a mutant')


def prove_whole(work, options, pool, tap):
    """Every program passes on the whole library; how long each took."""
    named = {killer for _, killers in work for killer in killers}
    killers = sorted(killer for killer in named
                     if options.every == 1 or not searches(killer))
    times = {}
    results = pool.map(lambda k: run(None, k, SECONDS_SEARCH if searches(k)
                                     else SECONDS_WHOLE), killers)
    for killer, (how, took) in zip(killers, results):
        times[killer] = took
        if how:
            tap.line(False, f'none: {shown(killer)} passes', how)
    slow = sorted(killers, key=times.get)[-5:]
    tap.line(True, f'none: {len(killers)} programs ran on what is whole',
             'the slowest: ' + ', '.join(
                 f'{shown(killer)} {times[killer]:.1f} s' for killer in slow))
    return times


def report(mutant, killers, caught, endless, tap):
    """A line for a mutant; one whose programs are not there is skipped."""
    what = f'{mutant.name}: {mutant.what}'
    if is_explained(mutant):
        tap.line(not caught, what, mutant.killers, *[
            f'but {shown(killer)}: {how}' for killer, how in caught
        ] or [f'it survives {shown(killer)}' for killer in killers])
        return
    if not caught and mutant.killers.split() != [
            text for text in mutant.killers.split()
            if available(killer_of(text))]:
        what += f' # skip {mutant.killers} is not there'
        tap.line(True, what)
        return
    tap.line(caught, what, *[
        f'{shown(killer)}: {how}' for killer, how in caught
    ] or ['it survives ' + ' '.join(map(shown, killers)), *[
        f'{shown(killer)} comes to no end, and says nothing'
        for killer in endless]])


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--all', action='store_true',
                        help='run every test on every mutant')
    parser.add_argument('--matrix', metavar='FILE',
                        help='write the table of who catches what')
    parser.add_argument('--only', metavar='NAME', action='append',
                        help='these mutants alone')
    parser.add_argument('--explained', action='store_true',
                        help='run the schedules that catch the mutants of '
                        'a room on those that are explained')
    parser.add_argument('--every', type=int, metavar='N',
                        help='each Nth mutant of the list; 20, or with '
                        '--only, --all, --explained, --matrix or '
                        'FH_PROVE=1 each one')
    parser.add_argument('--jobs', type=int, default=2, metavar='N')
    options = parser.parse_args()
    if not options.every:
        whole = (options.only or options.all or options.explained or
                 options.matrix)
        options.every = 1 if whole or 'FH_PROVE' in os.environ else 20
    os.environ.pop('FH_PROVE', None)    # the programs are run as usual
    return options


def main():
    """Lay out, build, prove the whole library sound, then hunt."""
    options = arguments()
    os.chdir(ROOT)
    if not os.path.exists(WORDS):
        sys.exit('Bail out! first: ninja build/mutants.words')
    mutants = [mutant for mutant in MUTANTS[::options.every]
               if (not options.only or mutant.name in options.only) and
               (is_explained(mutant) or not options.explained)]
    tap, results, suspects = Tap(), {}, []
    if not sound(mutants, tap):
        return 1
    work = [(mutant, killers_of(mutant, options)) for mutant in mutants]
    build_all(work, options.jobs)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        times = prove_whole(work, options, pool, tap)
    with concurrent.futures.ThreadPoolExecutor(2 * options.jobs) as pool:
        hunts = pool.map(lambda job: hunt(*job, times, options), work)
        for (mutant, killers), (caught, late) in zip(work, hunts):
            results[mutant.name] = caught
            if late and (options.all or not caught):
                suspects.append((mutant, killers, caught, late))
            else:
                report(mutant, killers, caught, [], tap)
    for mutant, killers, caught, late in suspects:
        alone, endless = hunt_alone(mutant, late, times, options)
        caught += alone
        report(mutant, killers, caught, endless, tap)
    if options.matrix:
        pathlib.Path(options.matrix).write_text(
            matrix([(mutant, results[mutant.name]) for mutant in mutants]),
            encoding='utf-8')
    return tap.end()


sys.exit(main())
