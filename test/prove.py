#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The long form of the proof: what `ninja test` does briefly, at length.

It runs the stages below one after the other, or those that are named, and
writes what they printed last to build/report/prove.md: the figures that
docs/correctness.md quotes.  The programs must have been built: `ninja prove`
sees to that.

    python3 test/prove.py [--soak SECONDS] [STAGE...]
"""

import argparse
import collections
import concurrent.futures
import glob
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPORT = ROOT / 'build/report/prove.md'
LONG = dict(FH_PROVE='1')
MILLION = '1000000'

# A run of one program; what to keep of its output, as a pattern.
Run = collections.namedtuple('Run', 'command environment keep')


def schedules(_):
    """Every order of small scenarios, with the long bounds."""
    for program in sorted(glob.glob('build/schedule*/schedule_*')):
        if not program.endswith(('.o', '.d')):
            yield Run([program], LONG, r'^# in all .*')


def histories(_):
    """A million histories for each primitive."""
    for name in ('status record counter map arc log gate task '
                 'server').split():
        yield Run([f'build/release/test_history_{name}'],
                  dict(FH_HISTORIES=MILLION), r'^# .*')


def crowds(_):
    """64 writers and 64 readers on one log, for a minute and more."""
    for variant in 'release tsan mutex mutex-tsan'.split():
        yield Run([f'build/{variant}/test_log_crowd'], LONG, r'^# .*')


def tasks(_):
    """The stress that the original does not pass, a march, a brawl."""
    for variant in 'release tsan mutex mutex-tsan'.split():
        for name in 'race brawl'.split():
            yield Run([f'build/{variant}/test_task_{name}'], LONG,
                      r'^# \d+ runs .*|^ok .* (?:tasks|cancellations).*')


def mutants(_):
    """Every mutant, and the table of who catches it."""
    yield Run(['python3', 'test/run_mutants.py', '--matrix',
               'build/report/mutants.md'], LONG, r'^1\.\.\d+')


def builds(_):
    """Compilers and levels, AArch64, valgrind."""
    yield Run(['python3', 'test/run_builds.py'], LONG, r'^1\.\..*')


def models(_):
    """The models of the migration, in Spin."""
    yield Run(['sh', 'docs/models/check.sh'], {}, r'^1\.\..*')


def servers(_):
    """Real language servers, killed and fought over, for a minute each."""
    yield Run(['python3', 'test/check_lsp_manager.py'], LONG,
              r'^# .*(?:noticed|were started|restarted|lost).*|^1\.\.\d+')


def worker(_):
    """The Appose worker, from the other side."""
    yield Run(['python3', 'test/check_appose_worker.py'], LONG,
              r'^# .*|^ok .* (?:crowd|race): .*(?:completions|tries).*')


def web(_):
    """The status server and the bridge over real HTTP, and broken ones."""
    for script in 'check_status_server check_bridge run_server_mutants'.split():
        yield Run(['python3', f'test/{script}.py'], LONG, r'^# .*|^1\.\.\d+')


def suite(_):
    """All tests at full length, the sanitizers' too."""
    yield Run(['perl', 'test/run_tests.pl', 'build/tests.list', 'build/'],
              dict(FH_TEST_SCALE='100', FH_PATIENCE='4'),
              r'^\d+ passed, .*')


def soak(options):
    """All rooms against each other; then broken ones, for seconds each."""
    yield Run(['build/release/soak', '--seconds', str(options.soak),
               '--report', 'build/report/soak.md'], {}, r'.*\bPASSED\b.*')
    yield Run(['python3', 'test/check_soak.py'], LONG, r'^# room.*|^1\.\.\d+')


STAGES = [schedules, histories, crowds, tasks, mutants, builds, models,
          servers, worker, web, suite, soak]

# Stages of programs that keep one processor busy each.  The others' programs
# have threads, or run several at a time themselves.
SINGLE = [schedules]


def kept(run, output):
    """The lines of the output that count; all of a failure."""
    lines = re.findall(run.keep, output, re.M)
    return lines[-40:]


PASSED, FAILED, SKIPPED = 'passed FAILED skipped'.split()


def carry_out(run):
    """Run one program: what came of it, its lines, its seconds."""
    began = time.monotonic()
    done = subprocess.run(run.command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True,
                          errors='replace', check=False,
                          env=dict(os.environ, **run.environment))
    verdict = FAILED if done.returncode else PASSED
    lines = kept(run, done.stdout)
    if verdict == FAILED:
        lines += re.findall(r'^not ok.*(?:\n#.*){0,20}', done.stdout, re.M)
        lines += done.stdout.splitlines()[-30:]
    skip = re.fullmatch(r'1\.\.0 # SKIP (.*)\n', done.stdout)
    if skip and verdict == PASSED:
        verdict, lines = SKIPPED, [skip.group(1)]
    return verdict, lines, time.monotonic() - began


def name_of(run):
    """The program: a script's name alone, others' with their variant."""
    words = [word for word in run.command if not word.startswith('-')]
    if words[0] in ('python3', 'sh', 'perl'):
        return os.path.basename(words[1])
    return words[0].removeprefix('build/')


def carry_out_stage(stage, options, report):
    """All runs of a stage; how many passed, failed and were skipped."""
    count = collections.Counter()
    report.append(f'## {stage.__name__}: {stage.__doc__}\n')
    runs = list(stage(options))
    jobs = os.cpu_count() if stage in SINGLE else 1
    pool = concurrent.futures.ThreadPoolExecutor(jobs)
    for run, result in zip(runs, pool.map(carry_out, runs)):
        verdict, lines, seconds = result
        print(f'{stage.__name__}: {name_of(run)} ... {verdict}, '
              f'{seconds:.0f} s', flush=True)
        report.append(f'{name_of(run)}: {verdict}, {seconds:.0f} s\n')
        report.extend('    ' + line for line in lines)
        report.append('')
        count[verdict] += 1
        for line in lines if verdict == FAILED else lines[-1:]:
            print('    ' + line, flush=True)
    return count


def arguments():
    """The command line."""
    names = [stage.__name__ for stage in STAGES]
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--soak', type=int, default=3600, metavar='SECONDS',
                        help='how long to soak (default: an hour)')
    parser.add_argument('stage', nargs='*', help=' '.join(names))
    options = parser.parse_args()
    for name in set(options.stage) - set(names):
        parser.error(f'there is no stage {name}')
    return options


def main():
    """The stages in their order."""
    options = arguments()
    os.chdir(ROOT)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    report, count = ['# The long form of the proof\n'], collections.Counter()
    for stage in STAGES:
        if options.stage and stage.__name__ not in options.stage:
            continue
        count += carry_out_stage(stage, options, report)
        REPORT.write_text('\n'.join(report) + '\n', encoding='utf-8')
    if count[SKIPPED]:
        print(f'{count[SKIPPED]} could not run here and were skipped')
    print(f'{count[PASSED]} passed, {count[FAILED]} failed')
    return 1 if count[FAILED] or not count[PASSED] else 0


sys.exit(main())
