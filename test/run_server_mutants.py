#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks the servers of docs/examples on purpose, and wants their checks to
notice (TAP).

test/mutants_servers.py lists what is broken.  What the patch touches is
compiled anew and linked with what `ninja examples` has built; the check that
the row names must then fail, within a few attempts.  Without arguments every
patch must fit, and each third is run of those that are not noticed by waiting
in vain; with FH_PROVE=1, or names, all of these are.
"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

from mutant import fit
from mutants_servers import MUTANTS, SLOW
from recipe import ROOT, WORDS, Recipe, Tap, complaint, finish, write
from served import ABREAST, LONG

BUILD = pathlib.Path('build/server-mutants')
EVERY = 3
ATTEMPTS = 8
SECONDS = 30
IMPATIENT = {'FH_PATIENCE': '10'}
EXPLAINED = 'explained: '

# The check of a program, where that is not its own.
SCRIPTS = {'bridge': 'check_bridge', 'status_server': 'check_status_server',
           'status_torture': 'check_status_server'}


def program_of(mutant):
    """The program, and the check."""
    return mutant.killers.split(':')


def lay_out(mutant):
    """Links to all sources, but for the one that is patched; and to all
    programs, but for the one that is broken."""
    at = BUILD / mutant.name
    (at / 'bin').mkdir(parents=True, exist_ok=True)
    links = {name: at / 'bin' / name for name in SCRIPTS}
    links['status_client'] = at / 'bin/status_client'
    links.pop(program_of(mutant)[0])
    links = {link: ROOT / 'build/release' / name
             for name, link in links.items()}
    for file in (ROOT / 'docs/examples').glob('*/*.[ch]'):
        name = file.relative_to(ROOT)
        if str(name) != mutant.file:
            links[at / name] = file
    for link, file in links.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.unlink(missing_ok=True)
            link.symlink_to(file)
    write(at / mutant.file, fit(mutant))


def objects_of(program):
    """What `ninja examples` links the program from."""
    done = subprocess.run(
        ['ninja', '-t', 'query', f'build/release/{program}'], check=True,
        stdout=subprocess.PIPE, text=True)
    inputs, _, _ = done.stdout.partition('outputs:')
    return [word for word in inputs.split()
            if word.endswith(('.o', '.a'))]


def build(mutants):
    """Compile what is broken, and link it with what is not."""
    recipe = Recipe(BUILD)
    recipe.rule_as_released('cc')
    recipe.rule('link', '$cc -o $out $in -lmicrohttpd -ljansson $libs')
    for mutant in mutants:
        program, _ = program_of(mutant)
        at = BUILD / mutant.name
        name = mutant.file[len('docs/examples/'):-2].replace('/', '.')
        broken = recipe.build(f'{at}/{name}.o', 'cc', [f'{at}/{mutant.file}'])
        objects = objects_of(program)
        whole = next((o for o in objects
                      if o.endswith(('/' + name + '.o', '.' + name + '.o'))),
                     None)
        if not whole:
            sys.exit(f'Bail out! {program} has no part {name}')
        recipe.build(f'{at}/bin/{program}', 'link', [
            broken if part == whole else part for part in objects])
    recipe.carry_out(2, 'a broken server')


def caught(mutant):
    """How the check failed, or None."""
    program, check = program_of(mutant)
    script = f'test/{SCRIPTS[program]}.py'
    for _ in range(ATTEMPTS):
        output, status = finish(
            [sys.executable, script, check,
             str(BUILD.relative_to('build') / mutant.name / 'bin')],
            SECONDS, IMPATIENT)
        how = complaint(output, status)
        if how:
            return how
    return None


def main():
    """Fit all, run some."""
    os.chdir(ROOT)
    os.environ.pop('FH_PROVE', None)    # the checks are run as usual
    tap, wrong, long = Tap(), [], LONG
    if not os.path.exists(WORDS):
        sys.exit('Bail out! first: ninja tests')
    for mutant in MUTANTS:
        try:
            fit(mutant)
        except ValueError as problem:
            wrong.append(f'{mutant.name}: {problem}')
    tap.line(not wrong, f'{len(MUTANTS)} patches, and each fits its file',
             *wrong)
    if wrong:
        return tap.end()
    alive = [m for m in MUTANTS if not m.killers.startswith(EXPLAINED)]
    chosen = [m for m in alive if m.name in sys.argv[1:]] or (
        alive if long else [m for m in alive if m.name not in SLOW][::EVERY])
    for mutant in chosen:
        lay_out(mutant)
    build(chosen)
    # Checks mostly wait; the more so for what a broken server never does.
    with concurrent.futures.ThreadPoolExecutor(ABREAST) as pool:
        for mutant, how in zip(chosen, pool.map(caught, chosen)):
            tap.line(how, f'{mutant.name}: {mutant.what}',
                     f'{mutant.killers}: {how}' if how else 'nobody noticed')
    return tap.end()


sys.exit(main())
