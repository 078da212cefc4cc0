# SPDX-License-Identifier: MIT
"""How a mutant is written down.

A row is (name, what it breaks, programs, old text, new text, ...): one or
more pairs of texts.  An old text stands exactly once in the file; any white
space in it is as good as any other.  apart() and weaker() make such a pair
from a text in which [[...]] marks an atomic operation.
"""

import collections
import re

from recipe import ROOT

Mutant = collections.namedtuple('Mutant', 'name file what killers edits')


def rows(file, *table):
    """The mutants of one file."""
    return [Mutant(name, file, what, killers,
                   list(zip(edits[::2], edits[1::2])))
            for name, what, killers, *edits in table]


def arguments(text):
    """A call's arguments, divided at its own commas."""
    found, depth = [''], 0
    for letter in text:
        depth += (letter in '([{') - (letter in ')]}')
        if letter == ',' and depth == 0:
            found.append('')
        else:
            found[-1] += letter
    return [argument.strip() for argument in found]


def marked(text, change):
    """The text, and the same with each marked call replaced."""
    def replace(match):
        name, inner = re.fullmatch(r'(\w+)\((.*)\)', match.group(1)).groups()
        return change(name, *arguments(inner))

    return (re.sub(r'\[\[(.*?)\]\]', r'\1', text),
            re.sub(r'\[\[(.*?)\]\]', replace, text))


def in_two_steps(name, at, *rest):
    """An atomic operation as a load and a store."""
    begin = f'({{ __auto_type at_ = {at}; __auto_type old_ = '
    if name.startswith('cas_'):
        return (begin + f'load_acquire(at_); bool same_ = old_ == *({rest[0]})'
                f'; if (same_) store_release(at_, {rest[1]}); '
                f'else *({rest[0]}) = old_; same_; }})')
    what = {'add': 'old_ +', 'sub': 'old_ -', 'or': 'old_ |', 'swap': ''}
    return (begin + 'load_acquire(at_); store_release(at_, '
            f'{what[name.split("_")[0]]} ({rest[0]})); old_; }})')


def apart(text):
    """The marked operation, which is one step, as load and store."""
    return marked(text, in_two_steps)


GENERIC = {
    'load': 'atomic_load', 'store': 'atomic_store', 'swap': 'atomic_exchange',
    'cas': 'atomic_compare_exchange_strong', 'add': 'atomic_fetch_add',
    'sub': 'atomic_fetch_sub', 'or': 'atomic_fetch_or',
    'and': 'atomic_fetch_and',
    'fence': 'atomic_thread_fence',
}


def weaker(text, order='relaxed'):
    """The marked operation in another order."""
    def change(name, *rest):
        kind = name.split('_')[0]
        orders = [f'memory_order_{order}']
        if kind == 'cas':
            orders.append('memory_order_' + (
                'acquire' if order == 'acquire' else 'relaxed'))
        generic = GENERIC[kind] + ('' if kind == 'fence' else '_explicit')
        return f'{generic}({", ".join([r for r in rest if r] + orders)})'

    return marked(text, change)


def pattern_of(old):
    """What a patch looks for: any white space is as good as any other."""
    return re.compile(r'\s+'.join(map(re.escape, old.split())))


def patched(text, edits):
    """The text with each edit made; an error if one does not fit once."""
    for old, new in edits:
        pattern = pattern_of(old)
        found = len(pattern.findall(text))
        if found != 1:
            raise ValueError(f'"{" ".join(old.split())[:60]}" is there '
                             f'{found} times')
        text = pattern.sub(lambda match, new=new: new, text)
    return text


def fit(mutant):
    """What the patch makes of its file."""
    text = (ROOT / mutant.file).read_text(encoding='utf-8')
    return patched(text, mutant.edits)
