#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every public header compiles by itself, wherever it is included (TAP).

As C11 with nothing but what the standard has, as C++11 and C++20, with gcc
and clang, for either library, and inside somebody else's extern "C".  Then
freehold.h in several translation units, C and C++, links into one program.
"""

import concurrent.futures
import glob
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEADERS = sorted(glob.glob('freehold/*.h', root_dir=ROOT + '/include'))
STRICT = ['-Wall', '-Wextra', '-Werror', '-pedantic-errors', '-I',
          ROOT + '/include']
C = ['-x', 'c', '-std=c11', '-Wstrict-prototypes']
LANGUAGES = [
    ('gcc', 'C11', ['gcc', *C]),
    ('clang', 'C11', ['clang', *C]),
] + [
    (compiler, standard, [compiler, '-x', 'c++', '-std=' + standard.lower()])
    for compiler in ('g++', 'clang++') for standard in ('C++11', 'C++20')
]
FLAVOURS = {'lock-free': [], 'mutex': ['-DFREEHOLD_MUTEX']}

# A header that must not compile in any of the ways, to show that it matters.
BROKEN = 'static inline int f(void) { return g(); }\n'

results = []


def ok(passed, what, why=''):
    """One line of TAP, and what the compiler said."""
    results.append(bool(passed))
    print(f'{"" if passed else "not "}ok {len(results)} - {what}')
    for line in [] if passed else why.splitlines()[:20]:
        print('#', line)


def compiler(command, source):
    """What the compiler complains about: nothing, if all is well."""
    done = subprocess.run([*command, '-'], input=source, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    return done.stdout or ('failed' if done.returncode else '')


def cases():
    """All the ways to include a header: in words, command, source."""
    for header in HEADERS:
        include = f'#include <{header}>\n'
        for name, standard, command in LANGUAGES:
            for flavour, macro in FLAVOURS.items():
                what = f'{header}: {name} {standard} {flavour}'
                command_here = command + STRICT + macro + ['-fsyntax-only']
                yield what, command_here, include + include + 'int unit;\n'
                if '++' in standard:
                    yield (what + ', inside extern "C"', command_here,
                           f'extern "C" {{\n{include}}}\nint unit;\n')


def linked(macro):
    """Put freehold.h into four units of one program, and link it."""
    source = '#include <freehold/freehold.h>\n'
    with tempfile.TemporaryDirectory() as scratch:
        objects = []
        for number, (_, _, command) in enumerate(LANGUAGES):
            unit = f'int unit_{number}(void);\nint unit_{number}(void) '
            body = f'{{ return (int)sizeof(struct fh_map_entry); }}\n'
            objects.append(f'{scratch}/{number}.o')
            why = compiler(command + STRICT + macro + ['-c', '-o',
                                                      objects[-1]],
                           source + unit + body)
            if why:
                return why
        main = f'{scratch}/main.o'
        return (compiler(['gcc', *C, '-c', '-o', main],
                         'int main(void) { return 0; }\n') or
                subprocess.run(['g++', '-o', scratch + '/program', main,
                                *objects], text=True, check=False,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT).stdout)


def main():
    """All the cases, two at a time."""
    for command, package in ('g++', 'g++'), ('clang++', 'clang'):
        if not shutil.which(command):
            print(f'Bail out!  {command} is missing; on Debian: '
                  f'apt-get install {package}')
            return 1
    for name, standard, command in LANGUAGES:
        ok(compiler(command + STRICT + ['-fsyntax-only'], BROKEN),
           f'{name} {standard} refuses a header that is broken')
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        tried = [(what, pool.submit(compiler, command, source))
                 for what, command, source in cases()]
        for what, future in tried:
            ok(not future.result(), what, future.result())
    for flavour, macro in FLAVOURS.items():
        why = linked(macro)
        ok(not why, f'freehold.h in several units, {flavour}', why)
    ok(len(HEADERS) >= 9, f'{len(HEADERS)} headers were looked at')
    print(f'1..{len(results)}')
    return 0 if all(results) else 1


sys.exit(main())
