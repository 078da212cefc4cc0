#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles and runs every example of the documentation, on both builds (TAP).

An example is a block of C in README.md or docs/: a whole program.  It must
compile without a warning, end with status 0, and print what the text block
behind "It prints:" says, if there is one.
"""

import glob
import os
import re
import subprocess
import sys
import tempfile

EXAMPLE = re.compile(r'^```c\n(.*?)^```\n(?:\s*It prints:\n\s*```text\n(.*?)'
                     r'^```)?', re.DOTALL | re.MULTILINE)
BUILDS = {
    'lock-free': ['build/release/libfreehold.a'],
    'mutex': ['-DFREEHOLD_MUTEX', 'build/mutex/libfreehold-mutex.a'],
}
COMPILE = ['gcc', '-std=c11', '-Wall', '-Wextra', '-Werror', '-Iinclude',
           '-D_GNU_SOURCE']


def libraries():
    """What build.ninja links with: the flavour may be another one."""
    with open('build.ninja', encoding='utf-8') as file:
        return re.search(r'^libs = (.*)$', file.read(), re.MULTILINE)[1].split()


def fault(source, wanted, build, directory):
    """What is wrong with this example, or an empty string."""
    program = os.path.join(directory, 'example')
    command = [*COMPILE, '-x', 'c', '-', '-x', 'none', *BUILDS[build],
               *libraries(), '-o', program]
    done = subprocess.run(command, input=source, text=True, check=False,
                          stderr=subprocess.PIPE)
    if done.returncode:
        return done.stderr.strip()
    done = subprocess.run([program], stdout=subprocess.PIPE, text=True,
                          timeout=60, check=False)
    if done.returncode:
        return f'it ends with status {done.returncode}'
    if wanted is not None and done.stdout != wanted:
        return f'it prints:\n{done.stdout}'
    return ''


def main():
    """One line of TAP for each example and build."""
    count = failed = 0
    for name in ['README.md', *sorted(glob.glob('docs/*.md'))]:
        with open(name, encoding='utf-8') as file:
            text = file.read()
        for match in EXAMPLE.finditer(text):
            line = text.count('\n', 0, match.start()) + 1
            for build in BUILDS:
                with tempfile.TemporaryDirectory() as directory:
                    wrong = fault(match[1], match[2], build, directory)
                count += 1
                failed += bool(wrong)
                print(f'{"not " if wrong else ""}ok {count} - {name}:{line} '
                      f'on the {build} build')
                for detail in wrong.splitlines():
                    print('#', detail)
    print(f'1..{count}')
    return 1 if failed or not count else 0


sys.exit(main())
