# SPDX-License-Identifier: MIT
"""Which atomic operations have an order, and which mutants weaken it.

An operation's name says its order, see src/atomic.h.  A mutant weakens one if
the text that it replaces holds the operation, and the new text holds the same
in a weaker order; a fence it may also leave out.  One that takes a step apart
weakens nothing.
"""

import collections
import re

from mutant import arguments, pattern_of

KINDS = 'load store swap cas add sub or and fence'.split()
ORDERED = re.compile(rf'\b({"|".join(KINDS)})_(acquire|release|acq_rel|'
                     r'seq_cst)(_relaxed|_acquire)?\(')

# Where it stands, what kind it is, what it works on, and the whole call.
Operation = collections.namedtuple('Operation', 'at kind target call')


def without_comments(text):
    """The text at the same length, its comments blank."""
    return re.sub(r'/\*.*?\*/', lambda match: ' ' * len(match.group()), text,
                  flags=re.S)


def ordered(text):
    """All ordered operations of a text."""
    plain = without_comments(text)
    for match in ORDERED.finditer(plain):
        end, depth = match.end(), 1
        while depth and end < len(plain):
            depth += {'(': 1, ')': -1}.get(plain[end], 0)
            end += 1
        inner = ' '.join(plain[match.end():end - 1].split())
        yield Operation(match.start(), match.group(1), arguments(inner)[0],
                        match.group() + inner + ')')


def weakens(operation, new):
    """Does this text hold the operation no more, or in a weaker order?"""
    new = ' '.join(new.split())
    if operation.call in new or '__auto_type at_' in new:
        return False
    if operation.kind == 'fence':
        return True
    kind = {'cas': 'compare_exchange_strong', 'swap': 'exchange'}.get(
        operation.kind, rf'(?:fetch_)?{operation.kind}')
    return re.search(rf'\b(?:atomic_{kind}_explicit|{operation.kind}_\w+)'
                     rf'\({re.escape(operation.target)}[,)]', new) is not None


def unweakened(path, text, mutants):
    """The operations of a file whose order no mutant weakens, in words."""
    left = {operation.at: operation for operation in ordered(text)}
    for mutant in mutants:
        for old, new in mutant.edits if mutant.file == path else ():
            match = pattern_of(old).search(text)
            for at in range(match.start(), match.end()) if match else ():
                if at in left and weakens(left[at], new):
                    del left[at]
    return [f'{path}:{text.count(chr(10), 0, at) + 1}: {operation.call}'
            for at, operation in left.items()]
