#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A schedule that fails is replayed by the command that is printed (TAP).

The programs that test the machine have scenarios that must fail.  Asked to
tell of them, each prints the steps of its failure and a command.  The command,
run as it stands, must print the same; and it must not if anything in it is
changed on which the failure depends.
"""

import collections
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = [f'build/schedule/schedule_machine{name}'
            for name in ('', '_faults', '_ends')]
LIMITS = 'preemptions stale failures timeouts wakeups'.split()

# What a scenario's schedule consists of: the failure and its steps, as lines,
# and the command with what it says.
Told = collections.namedtuple('Told', 'name account command limits choices')

results = []


def ok(passed, what):
    """One line of TAP."""
    results.append(bool(passed))
    print(f'{"" if passed else "not "}ok {len(results)} - {what}')


def output(command, **environment):
    """What a command prints, and how it ends."""
    env = {key: value for key, value in os.environ.items()
           if key != 'FH_PROVE'}
    done = subprocess.run(command, shell=isinstance(command, str), cwd=ROOT,
                          env=dict(env, **environment), text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout, done.returncode


def schedules(text):
    """Each schedule that is told there."""
    name, account = None, []
    for line in text.splitlines():
        title = re.match(r'(?:not )?ok \d+ - (.*)', line)
        if title:
            name, account = title.group(1), []
        elif line.startswith('# again: '):
            command = line[len('# again: '):]
            limits = {limit: int(re.search(rf'--{limit} (\d+) ',
                                           command).group(1))
                      for limit in LIMITS}
            choices = re.search(r"--replay '([\d.*]*)'$", command).group(1)
            yield Told(name, tuple(account), command, limits, choices)
        elif re.match(r'# \d+ executions|# it fails as it must', line):
            account = []
        else:
            account.append(line)


def unfolded(choices):
    """The single choices."""
    for run in choices.split('.') if choices else ():
        taken, _, count = run.partition('*')
        yield from [int(taken)] * int(count or 1)


def replayed(told):
    """Does its command print the same failure?"""
    text, status = output(told.command)
    again = list(schedules(f'ok 1 - {told.name}\n' + text))
    if status == 1 and again == [told]:
        return True
    print('\n'.join(f'# {line}' for line in [told.command,
                                             *text.splitlines()]))
    return False


def holds(all_told, what, condition):
    """Some schedules are of this kind, and each is replayed."""
    some = [told for told in all_told if condition(told)]
    ok(some and all(replayed(told) for told in some),
       f'{len(some)} replayed: {what}')


def is_stale(told):
    """Does a load of it return what is over?"""
    return any('an older value' in line for line in told.account)


def first(all_told, condition):
    """One that is as needed."""
    return next(told for told in all_told if condition(told))


def differs(told, before, after):
    """Another command does not print this failure."""
    assert before in told.command
    text, _ = output(told.command.replace(before, after))
    return told.account != next(
        (other.account for other in
         schedules(f'ok 1 - {told.name}\n' + text)), None)


def replays():
    """All that is told, in its usual bounds, the long ones and given ones."""
    told = []
    for program in PROGRAMS:
        text, status = output([program, '--tell'])
        ok(status == 0, f'{program} tells of its failures')
        told += schedules(text)
    ok(all(not told.command.startswith('FH_PROVE') for told in told),
       'without FH_PROVE where there is none')
    holds(told, 'at once', lambda t: not any(unfolded(t.choices)))
    holds(told, 'a switch away from who could go on',
          lambda t: t.limits['preemptions'] > 0)
    holds(told, 'an older value', is_stale)
    for limit in LIMITS[2:]:
        holds(told, limit, lambda t, limit=limit: t.limits[limit] > 0)
    holds(told, 'and all of these, one after the other',
          lambda t: all(t.limits.values()) and is_stale(t))
    return told


def bounds():
    """What was asked for on the command line, and by FH_PROVE, is repeated."""
    given = [PROGRAMS[0], '--like', 'store buffers', '--stale', '3',
             '--wakeups', '2', '--tell']
    told = list(schedules(output(given)[0]))
    ok(told and all(t.limits['stale'] == 3 and t.limits['wakeups'] == 2
                    for t in told), 'bounds that were given are told')
    holds(told, 'with bounds that were given', lambda t: True)
    told = list(schedules(output([PROGRAMS[0], '--tell', '--like', 'relaxed'],
                                 FH_PROVE='1')[0]))
    ok(told and all(t.command.startswith('FH_PROVE=1 ') for t in told),
       'so is FH_PROVE')
    holds(told, 'in the long form', lambda t: True)


def can_fail(all_told):
    """A command that says less does not repeat the failure."""
    chosen = first(all_told, lambda t: all(t.limits.values()) and is_stale(t))
    ok(differs(chosen, f"--replay '{chosen.choices}'", "--replay '0'"),
       'other choices, another execution')
    ok(differs(chosen, f"'{chosen.choices}'", f"'{chosen.choices}.0'"),
       'a choice too many is refused')
    ok(differs(chosen, f"'{chosen.choices}'",
               f"'{chosen.choices.rpartition('.')[0]}'"),
       'a choice too few is refused')
    for limit in LIMITS:
        ok(differs(chosen, f'--{limit} {chosen.limits[limit]}',
                   f'--{limit} 0'), f'without its {limit} it does not fail')
    ok(differs(chosen, '--preemptions 1', '--preemptions 2') is False,
       'nor does it take more switches than it took')


def names():
    """One is found by its name, and by no part of it."""
    short, long = 'all of it at once', 'nearly all of it at once'
    text, _ = output([PROGRAMS[1], '--only', short])
    ok(f'ok 1 - {short}\n' in text and long not in text,
       'a name is that of one scenario, and not of a longer one')
    for flag, part in ('--like', short), ('--only', short[:-1]):
        text, _ = output([PROGRAMS[1], flag, part])
        ok(f'- {short}\n' in text and f'- {long}\n' in text,
           f'{flag} and a part of names: all that have it')
    ok(output([PROGRAMS[1], '--only', 'no such name'])[1] == 2,
       'a name that nothing has is refused')
    ok(output([PROGRAMS[1], '--only', short[:-1], '--replay', '0'])[1] == 2,
       'a replay wants the whole name')
    ok(output([PROGRAMS[1], '--replay', '0'])[1] == 2,
       'choices without a name are refused')


def main():
    """All of it; the status says whether it holds."""
    told = replays()
    bounds()
    can_fail(told)
    names()
    print(f'1..{len(results)}')
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main())
