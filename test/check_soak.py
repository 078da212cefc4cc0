#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The soak, for seconds instead of an hour, and on broken libraries (TAP).

Both builds pass, with work done and something checked in every room.  Then
the soak is linked with mutants of the library, one for each room, and each
must end it with an account of what does not hold: a soak that would not see
the fault of a room could run for ever and mean nothing.

The short form takes the first of the mutants; with FH_PROVE=1, or names as
arguments, all of these are run.
"""

import os
import pathlib
import re
import sys
import tempfile

from mutant import fit
from mutants import MUTANTS
from recipe import ROOT, WORDS, Recipe, Tap, complaint, finish

BUILD = pathlib.Path('build/soaks')
LONG = os.environ.get('FH_PROVE') == '1'
SECONDS = 30 if LONG else 4         # of a soak that passes
PATIENCE = 120                      # for one to come to its end
FEW = 3                             # mutants in the short form

# A fault in each room that the soak must see within seconds.
SEEN = '''
    map_other_lost gate_limit_off reclaim_at_once
    status_epoch_stays record_version_stays counter_one_stripe_less
    arc_end_wins_always arc_superseded_leaks log_missed_wrong
    server_return_keeps task_death_unseen
'''.split()


def soak(program, seconds):
    """Its output, its status, its report."""
    with tempfile.TemporaryDirectory() as directory:
        report = pathlib.Path(directory, 'report.md')
        output, status = finish(
            [program, '--seconds', str(seconds), '--rest', '1',
             '--report', str(report)], seconds + PATIENCE, {})
        text = report.read_text(encoding='utf-8') if report.exists() else ''
    return output, status, text


def rooms(text):
    """How many operations the report counts, by room."""
    _, *parts = re.split(r'^### (\w+)\n', text, flags=re.M)
    return {name: sum(map(int, re.findall(r'^\|[^|]*\| (\d+) \|$', part,
                                          re.M)))
            for name, part in zip(parts[::2], parts[1::2])}


def number(text, what):
    """A figure of the report's first table."""
    found = re.search(rf'^\| {what} \| (\d+) \|', text, re.M)
    return int(found.group(1)) if found else 0


def check_whole(tap, variant):
    """A build that is whole passes."""
    output, status, text = soak(f'build/{variant}/soak', SECONDS)
    counts = rooms(text)
    idle = [name for name, count in counts.items() if not count]
    tap.line(status == 0 and '**PASSED**' in text,
             f'{variant}: {SECONDS} s of all rooms against each other',
             *output.splitlines()[-5:],
             f'{number(text, "operations")} operations, '
             f'{number(text, "invariants checked")} invariants')
    tap.line(len(counts) > 9 and not idle,
             f'{variant}: {len(counts)} rooms, none idle', *idle)
    tap.line(number(text, 'rests passed') > 1,
             f'{variant}: all came to rest in between')


def objects():
    """What the soak is linked from, without the library."""
    return sorted(str(file) for file in
                  pathlib.Path('build/release').glob('soak.*.o'))


def build(mutants):
    """A soak for each mutant, with its one object before the archive."""
    recipe = Recipe(BUILD)
    recipe.rule_as_released('cc')
    recipe.rule('link', '$cc -o $out $in $libs')
    BUILD.mkdir(parents=True, exist_ok=True)
    for mutant in mutants:
        source = BUILD / f'{mutant.name}.c'
        source.write_text(fit(mutant), encoding='utf-8')
        broken = recipe.build(f'{BUILD}/{mutant.name}.o', 'cc', [str(source)])
        recipe.build(f'{BUILD}/{mutant.name}', 'link', [
            *objects(), broken, 'build/release/libfreehold.a'])
    recipe.carry_out(2, 'a broken soak')


def check_broken(tap, mutant):
    """A build with one fault does not pass."""
    output, status, _ = soak(f'{BUILD}/{mutant.name}', 40)
    found = re.search(r'soak: FAILED: (.*)', output)
    how = found.group(1) if found else complaint(output, status)
    tap.line(how is not None and status != 0,
             f'it sees: {mutant.what}', how or 'it passed')


def main():
    """The whole ones, then some of the broken."""
    os.chdir(ROOT)
    if not os.path.exists(WORDS):
        sys.exit('Bail out! first: ninja tests')
    seen = {m.name: m for m in MUTANTS if m.name in SEEN}
    if set(SEEN) - set(seen):
        sys.exit(f'Bail out! unknown: {set(SEEN) - set(seen)}')
    names = sys.argv[1:] or SEEN[:None if LONG else FEW]
    tap = Tap()
    if not sys.argv[1:]:
        check_whole(tap, 'release')
        check_whole(tap, 'mutex')
    build([seen[name] for name in names])
    for name in names:
        check_broken(tap, seen[name])
    return tap.end()


sys.exit(main())
