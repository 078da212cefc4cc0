# SPDX-License-Identifier: MIT
"""What the scripts share that build in ways of their own, and run programs.

A Recipe is the text of a build file that ninja carries out, so that a second
run compiles nothing.  `ninja build/mutants.words` must have been built before:
it says how the build was configured.

A program fails by a check that is not ok, by a sanitizer's report, by a
signal, by its exit status or by not coming to its end.  What it printed goes
before the rest; that it was late says least, since a busy machine does that
to any program.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORDS = 'build/mutants.words'

# ---------------------------------------------------------------- building


def write(path, text):
    """Write a file unless it holds that already; ninja looks at its age."""
    if not path.is_symlink() and path.is_file() and path.read_text() == text:
        return
    path.unlink(missing_ok=True)
    path.write_text(text)


def words():
    """How the build was configured, by name."""
    with open(WORDS, encoding='utf-8') as file:
        return dict(line.rstrip('\n').split(' = ', 1) for line in file)


class Recipe:
    """The text of a build file in this directory, as it grows."""

    def __init__(self, directory):
        self.directory = directory
        self.lines = [f'builddir = {directory}', f'include {WORDS}']
        self.made = set()

    def rule(self, name, command, **variables):
        """Say how one kind of file is built from others."""
        self.lines += [f'rule {name}', f'  command = {command}']
        self.lines += [f'  {key} = {value}'
                       for key, value in variables.items()]

    def rule_as_released(self, name):
        """To compile a file as the release build does, broken or not."""
        self.rule(name, '$cc -std=gnu11 -w $flags -O2 -g -MMD -MF $out.d '
                  '-c -o $out $in', deps='gcc', depfile='$out.d')

    def build(self, out, rule, inputs, **variables):
        """Say how one file is built, once; returns it."""
        if out not in self.made:
            self.made.add(out)
            self.lines.append(f'build {out}: {rule} ' + ' '.join(inputs))
            for name, value in variables.items():
                self.lines.append(f'  {name} = {value}')
        return out

    def carry_out(self, jobs, what):
        """Build it all; what does not compile ends the run."""
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / 'build.ninja'
        write(file, '\n'.join(self.lines) + '\n')
        done = subprocess.run(
            ['ninja', '-f', str(file), '-j', str(jobs)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)
        if done.returncode:
            print('\n'.join('# ' + line for line in
                            done.stdout.splitlines()[-30:]))
            sys.exit(f'Bail out! {what} does not compile')


# ----------------------------------------------------------------- running

REPORT = re.compile(r'^not ok.*|.*(?:ERROR|SUMMARY|WARNING): \w+Sanitizer.*|'
                    r'.*runtime error:.*|^Bail out!.*|.*\bviolat.*', re.M)


def finish(command, seconds, environment):
    """Run a program and all that it starts to its end: what it printed, and
    its exit status, or None if it had to be stopped."""
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors='replace', start_new_session=True,
        env=dict(os.environ, **environment))
    try:
        output, _ = child.communicate(timeout=seconds)
        return output, child.returncode
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b'').decode(errors='replace'), None
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.communicate()


LATE = 'hung', 'its watchdog: hung'


def complaint(output, status):
    """How a program failed, in a line; or None.  One of LATE: nothing is
    known but that it took too long, by our clock or by its own."""
    found = REPORT.search(output)
    if found:
        line = re.sub(r'==\d+==|0x[0-9a-f]{4,}|\(pid=\d+\)|\bpid \d+', '', found.group())
        return re.sub(r'^not ok \d+ - ', 'check: ', ' '.join(line.split()))
    if status is None:
        return LATE[0]
    if status < 0:
        name = signal.Signals(-status).name
        return LATE[1] if name == 'SIGALRM' else name
    return f'exit status {status}' if status else None


# --------------------------------------------------------------- reporting


class Tap:
    """Lines of TAP."""

    def __init__(self):
        self.count = self.failed = 0

    def line(self, passed, what, *notes):
        """One check."""
        self.count += 1
        self.failed += not passed
        print(f'{"" if passed else "not "}ok {self.count} - {what}')
        for note in notes:
            print('#', note)
        sys.stdout.flush()

    def skip(self, what, why):
        """One check that cannot be made here."""
        self.line(True, f'{what} # skip {why}')

    def end(self):
        """The plan; returns the exit status."""
        print(f'1..{self.count}')
        return 1 if self.failed else 0
