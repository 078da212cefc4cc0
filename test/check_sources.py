#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What every source file promises, checked by reading it (TAP).

Each rule is a function that takes the files, a dictionary from path to text,
and gives a list of complaints.  Each rule is first shown to be able to fail:
it must complain about a small tree that breaks it, below.
"""

import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LABELS = ['Threads', 'Progress', 'Ordering', 'Ownership', 'Errors', 'Context']
OURS = ['include/**/*.h', 'src/**/*.[ch]', 'test/*.[ch]', 'test/*.cc',
        'test/*.py', 'test/*.sh', 'test/*.pl', 'test/schedule/*.[ch]',
        'test/fuzz/*.[ch]', 'test/fuzz/*.py',
        'soak/*.[ch]', 'bench/*.[ch]', 'bench/*.cc', 'bench/*.py',
        'docs/**/*.[ch]', 'docs/**/*.md', 'configure.py', 'build.ninja',
        'run', '.ci/run']

# Constructors of plain values: they touch nothing but their arguments, and
# their struct's description speaks for them.
VALUES = {'fh_key_u64', 'fh_key_pair', 'fh_key_bytes', 'fh_key_string'}

# Headers that are no primitive, and so have no page.
NO_PAGE = {'freehold', 'inline'}


def public(files):
    """The public headers."""
    return {path: text for path, text in files.items()
            if path.startswith('include/')}


def c_files(files):
    """Everything in C or C++."""
    return {path: text for path, text in files.items()
            if path.endswith(('.h', '.c', '.cc'))}


def code(text):
    """The text without comments and preprocessor lines, at the same length
    so that a place in one is the same place in the other."""
    def blank(match):
        return re.sub(r'[^\n]', ' ', match.group())

    text = re.sub(r'/\*.*?\*/|//[^\n]*', blank, text, flags=re.S)
    return re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', blank, text, flags=re.M)


def declared(text):
    """Each public function: its name and where its declaration begins."""
    plain = code(text)
    pattern = r'^(?:static inline |[a-z])[^;{}()]*?\b(fh_\w+)\s*\('
    for match in re.finditer(pattern, plain, re.M):
        name = match.group(1)
        if not name.endswith('_') and 'typedef' not in match.group():
            yield name, match.start()


def contracts(files):
    """Every public function has the six labels in their order."""
    for path, text in public(files).items():
        seen = set()
        for name, start in declared(text):
            if name in VALUES or name in seen:
                continue
            seen.add(name)
            blocks = list(re.finditer(r'/\*\*.*?\*/', text[:start], re.S))
            block = blocks[-1].group() if blocks else ''
            if not re.match(rf'/\*\*\n \* {name} - ', block):
                yield f'{path}: {name} has no contract'
            elif re.findall(r'^ \* ([A-Z]\w+): ', block, re.M) != LABELS:
                yield f'{path}: {name} lacks one of {", ".join(LABELS)}'


def partners(files):
    """Every label of an ordering stands at two places or more."""
    places = collections.Counter()
    for path, text in files.items():
        if path.startswith(('src/', 'include/')):
            for labels in re.findall(r'pairs with: ([a-z_., ]+)', text):
                places.update(re.findall(r'[a-z_]+\.[a-z_]+', labels))
    for label, count in sorted(places.items()):
        if count < 2:
            yield f'"pairs with: {label}" has no partner'


def atomics(files):
    """One door to atomics, and C++ never sees it, nor liburcu."""
    for path, text in c_files(files).items():
        includes = re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)', text, re.M)
        if 'stdatomic.h' in includes and path != 'src/atomic.h':
            yield f'{path}: includes stdatomic.h'
        if not path.startswith('include/'):
            continue
        if any(name.startswith('urcu') for name in includes):
            yield f'{path}: includes a header of liburcu'
        if '_Atomic' in code(text):
            yield f'{path}: says _Atomic'


def licences(files):
    """Every file says its licence in its first lines."""
    for path, text in files.items():
        if path.endswith('.md'):
            continue
        if 'SPDX-License-Identifier: MIT' not in '\n'.join(
                text.split('\n')[:3]):
            yield f'{path}: no SPDX line'


def columns(files):
    """No line of C beyond column 80."""
    for path, text in c_files(files).items():
        for number, line in enumerate(text.split('\n'), 1):
            if len(line.expandtabs(8)) > 80:
                yield f'{path}:{number}: {len(line.expandtabs(8))} columns'


def pages(files):
    """Every public header has its page, and its place in freehold.h."""
    whole = files.get('include/freehold/freehold.h', '')
    for path in public(files):
        name = pathlib.Path(path).stem
        if name in NO_PAGE:
            continue
        if f'docs/{name}.md' not in files:
            yield f'{path}: there is no docs/{name}.md'
        if f'<freehold/{name}.h>' not in whole:
            yield f'{path}: freehold.h does not include it'


def finished(files):
    """No marks of work that was left for later."""
    marks = re.compile(r'\b(TO' r'DO|FIX' r'ME|XX' r'X|HA' r'CK)\b')
    for path, text in files.items():
        for mark in marks.findall(text):
            yield f'{path}: {mark}'


# For each rule: files that break it, and how often.
SPDX = '/* SPDX-License-Identifier: MIT */\n'
GOOD = ''.join(f' * {label}: text.\n' for label in LABELS)
BROKEN = [
    (contracts, 4, {'include/freehold/a.h': f'''
/**
 * fh_whole - has all
 *
{GOOD} */
int fh_whole(void);
int fh_follows(void);
/**
 * fh_lacks - has one less
 *
{GOOD.replace(" * Errors: text." + chr(10), "")} */
static inline int fh_lacks(int a)
{{
	return fh_called(a);
}}
/**
 * fh_turned - has them in another order
 *
{GOOD.replace("Threads", "Context", 1)} */
const struct fh_a *
fh_turned(int (*f)(void));
struct fh_a *fh_bare(void);
typedef int (*fh_type)(void);
'''}),
    (partners, 1, {'src/a.c': '/* pairs with: a.one, a.two */',
                   'src/b.c': '/* pairs with: a.one */'}),
    (atomics, 3, {'src/a.c': '#include <stdatomic.h>',
                  'src/atomic.h': '#include <stdatomic.h>',
                  'include/a.h': '#include <urcu/urcu-memb.h>\n'
                                 '_Atomic int a; /* _Atomic */'}),
    (licences, 1, {'src/a.c': 'int a;', 'src/b.c': SPDX}),
    (columns, 2, {'src/a.c': 81 * 'a' + '\n' + 80 * 'a' + '\n',
                  'test/a.c': '\t' + 73 * 'a' + '\n\t' + 72 * 'a'}),
    (pages, 2, {'include/freehold/a.h': '', 'docs/b.md': ''}),
    (finished, 1, {'src/a.c': '/* FIX' 'ME */', 'src/b.c': 'TO' 'DOS'}),
]


def main():
    """Two lines of TAP for each rule: it can fail, and it does not."""
    files = {str(path.relative_to(ROOT)): path.read_text(encoding='utf-8')
             for pattern in OURS for path in ROOT.glob(pattern)}
    results = [True]

    def ok(passed, what, complaints=()):
        results.append(passed)
        print(f'{"" if passed else "not "}ok {len(results) - 1} - {what}')
        for complaint in [] if passed else complaints:
            print('#', complaint)

    for rule, times, broken in BROKEN:
        name = rule.__name__
        ok(len(list(rule(broken))) == times,
           f'{name}: what breaks it is noticed', rule(broken))
        complaints = list(rule(files))
        ok(not complaints, f'{name}: {rule.__doc__}', complaints)
    functions = [name for text in public(files).values()
                 for name, _ in declared(text)]
    ok(len(functions) > 50, f'{len(functions)} declarations were looked at')
    print(f'1..{len(results) - 1}')
    return 0 if all(results) else 1


sys.exit(main())
