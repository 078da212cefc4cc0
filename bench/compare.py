#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare the lock-free build with the mutex build.

Each benchmark program exists twice, linked with either library, and serves
its cases by commands (bench.h has the protocol and says what one repetition
measures).  Both programs live as long as their cases take.  Within a case the
subjects take turns, A B, then B A, and so on, so that a disturbance of the
machine meets all of them; what is reported is the median, with the smallest
and the largest repetition beside it.  A first short run of each subject, not
counted, fills tables and caches.

The ratio is mutex / lock-free of ns per operation: how many times as much the
lock-free build gets done.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCHES = ["status", "map", "arc", "server"]
LONG_BENCHES = BENCHES + ["rcu", "log", "gate", "task"]

# Milliseconds of one repetition; more threads than processors need longer,
# so that each of them is scheduled several times.
SHORT = {"few": 80, "many": 150, "repetitions": 7, "budget": 100}
LONG = {"few": 200, "many": 400, "repetitions": 15, "budget": None}
MANY_THREADS = 4
WARM_UP = 10
FEWEST = 3

# What draining, starting and joining threads adds to one repetition, until
# there is something measured to go by; seconds.
OVERHEAD = 0.02

# How long a program may take for one answer; seconds.
PATIENCE = 120

# The share of the processors that others may have before we warn.
DISTURBED = 0.15


class Program:
    """One benchmark program, kept alive; ask() is one command."""

    def __init__(self, path, patience=PATIENCE):
        self.path, self.patience = path, patience
        try:
            self.process = subprocess.Popen(
                [path, "--serve"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True, bufsize=1)
        except OSError as error:
            sys.exit(f"cannot start {path}: {error.strerror}; "
                     "run ninja first")

    def ask(self, command):
        alarm = threading.Timer(self.patience, self.process.kill)
        alarm.start()
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            expired = not alarm.is_alive()
            alarm.cancel()
        if not line.endswith("\n"):
            self.died(command, expired)
        return json.loads(line)

    def died(self, command, expired):
        status = self.process.wait()
        how = f"ended with status {status}"
        if expired:
            how = f"gave no answer within {self.patience} s"
        elif status < 0:
            how = f"was killed by signal {-status}"
        sys.exit(f"{self.path} {how}, asked to: {command}")

    def close(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            self.died("end", False)


class Case:
    """One line of the table: a case, a number of threads, a size."""

    def __init__(self, bench, name, threads, size):
        self.bench, self.name = bench, name
        self.threads, self.size = threads, size
        self.subjects = {}      # subject: the program that measures it
        self.samples = {}       # subject: ns per operation, each repetition

    def title(self):
        return f"{self.bench} {self.name}"

    def run(self, subject, milliseconds):
        answer = self.subjects[subject].ask(
            f"run {self.name} {subject} {self.threads} {self.size} "
            f"{milliseconds}")
        return answer["ns_per_op"]

    def measure(self, milliseconds, repetitions):
        order = list(self.subjects)
        for subject in order:
            self.run(subject, WARM_UP)
            self.samples[subject] = []
        for _ in range(repetitions):
            for subject in order:
                self.samples[subject].append(self.run(subject, milliseconds))
            order.reverse()

    def median(self, subject):
        return statistics.median(self.samples[subject])

    def ratio(self):
        if not {"lock-free", "mutex"} <= set(self.samples):
            return None
        return self.median("mutex") / self.median("lock-free")

    def results(self):
        for subject, samples in self.samples.items():
            median = self.median(subject)
            yield {"bench": self.bench, "case": self.name, "subject": subject,
                   "threads": self.threads, "size": self.size,
                   "ns_per_op": round(median, 4),
                   "ops_per_s": round(1e9 / median),
                   "min": min(samples), "max": max(samples)}


class Plan:
    """How long each case may take, and how much time is left."""

    def __init__(self, options, cases):
        self.times = LONG if options.long else SHORT
        self.todo = list(cases)
        self.begun = time.monotonic()
        self.planned = self.taken = 0.0
        self.fewer = 0

    def milliseconds(self, case):
        return self.times["many" if case.threads > MANY_THREADS else "few"]

    def cost(self, case, repetitions):
        one = self.milliseconds(case) / 1000 + OVERHEAD
        return len(case.subjects) * (one * repetitions + WARM_UP / 1000)

    def slowness(self):
        return self.taken / self.planned if self.planned else 1.0

    def left(self):
        full = self.times["repetitions"]
        return self.slowness() * sum(self.cost(c, full) for c in self.todo)

    def repetitions(self):
        """Fewer than wished for when the machine is slower than planned."""
        wished, budget = self.times["repetitions"], self.times["budget"]
        if budget is None or not self.todo:
            return wished
        room = self.begun + budget - time.monotonic()
        share = int(wished * room / self.left())
        return max(FEWEST, min(wished, share))

    def measure(self, case):
        repetitions = self.repetitions()
        self.fewer += repetitions < self.times["repetitions"]
        begun = time.monotonic()
        case.measure(self.milliseconds(case), repetitions)
        self.taken += time.monotonic() - begun
        self.planned += self.cost(case, repetitions)
        self.todo.remove(case)


def number(value):
    return f"{value:,.0f}".replace(",", " ")


def ns(value):
    return f"{value:.2f}" if value < 100 else number(value)


def counted(how_many, what):
    return f"{how_many} {what}" if how_many == 1 else f"{how_many} {what}s"


def find_cases(options, bench):
    """Ask both programs for their cases; those of one line belong together."""
    wanted = ("always", "long") if options.long else ("always",)
    cases, notes = {}, set()
    for build in (options.lockfree, options.mutex):
        program = Program(build / f"bench_{bench}")
        listed = program.ask("list")
        notes.add((listed["flavour"], listed["expedited"]))
        for row in listed["cases"]:
            if row["when"] not in wanted:
                continue
            for size in row["sizes"]:
                for threads in row["threads"]:
                    key = (row["case"], size, threads)
                    case = cases.setdefault(
                        key, Case(bench, row["case"], threads, size))
                    case.subjects[row["subject"]] = program
    return list(cases.values()), notes


def announce(plan, case, done, total):
    parts = [f"{subject} {ns(case.median(subject))}"
             for subject in case.subjects]
    ratio = case.ratio()
    if ratio is not None:
        parts.append(f"ratio {ratio:.2f}")
    print(f"[{done}/{total}] {case.title()}, "
          f"{counted(case.threads, 'thread')}, size {number(case.size)}: "
          f"{', '.join(parts)}; {plan.left():.0f} s left", flush=True)


def spread(case, subject):
    samples = case.samples[subject]
    return f"{ns(min(samples))}–{ns(max(samples))}"


def table(cases):
    """Rows of text; every subject beside the two builds has its own row."""
    rows = [("case", "threads", "size", "lock-free", "mutex", "ratio",
             "min–max lock-free", "min–max mutex")]
    for case in cases:
        place = (case.threads, number(case.size))
        both = [s for s in ("lock-free", "mutex") if s in case.samples]
        cells = [ns(case.median(s)) if s in both else "-"
                 for s in ("lock-free", "mutex")]
        ranges = [spread(case, s) if s in both else "-"
                  for s in ("lock-free", "mutex")]
        ratio = case.ratio()
        rows.append((case.title(), *place, *cells,
                     "-" if ratio is None else f"{ratio:.2f}", *ranges))
        for subject in case.samples:
            if subject not in both:
                rows.append((f"{case.title()}: {subject}", *place,
                             ns(case.median(subject)), "-", "-",
                             spread(case, subject), "-"))
    return rows


def print_table(rows):
    widths = [max(len(str(row[i])) for row in rows)
              for i in range(len(rows[0]))]
    print("\nns per operation, all threads together; ratio = mutex / lock-free")
    for row in rows:
        cells = [str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())


def print_summary(cases):
    """The figures that the library promises, each beside its promise."""
    print()
    for case in cases:
        if "plain" in case.samples:
            over = case.median("lock-free") / case.median("plain") - 1
            print(f"{case.title()}, {counted(case.threads, 'thread')}: "
                  f"{over * 100:+.1f} % of a plain atomic load "
                  "(promised: within 10 %)")
        wanted = {2: 2, 8: 3}.get(case.threads)
        ratio = case.ratio()
        if case.bench == "map" and wanted and ratio is not None and \
                case.name in ("hit", "miss", "words-hit"):
            print(f"{case.title()}, {case.threads} threads, size "
                  f"{number(case.size)}: {ratio:.2f} times the mutex build "
                  f"(promised: at least {wanted})")


class Machine:
    """How much of the processors went to others while we measured."""

    def __init__(self):
        self.before = self.read()

    @staticmethod
    def read():
        """Seconds: of all, idle; taken by the host; used by ourselves."""
        tick = os.sysconf("SC_CLK_TCK")
        with open("/proc/stat", encoding="ascii") as stat:
            fields = [int(f) / tick for f in stat.readline().split()[1:9]]
        own = sum(usage.ru_utime + usage.ru_stime for usage in (
            resource.getrusage(resource.RUSAGE_SELF),
            resource.getrusage(resource.RUSAGE_CHILDREN)))
        return sum(fields), fields[3] + fields[4], own

    def others(self):
        """Their share; to be called when the programs have ended."""
        total, idle, own = (after - before for after, before
                            in zip(self.read(), self.before))
        return max(0.0, total - idle - own) / total

    def print_others(self):
        """The same in words."""
        others = self.others()
        print(f"\nother programs, and the host of a virtual machine, took "
              f"{others * 100:.0f} % of the processors meanwhile")
        if others > DISTURBED:
            print("that is too much: threads that hardly ever run side by "
                  "side do not contend; compare again on an idle machine")


def write_results(path, cases):
    results = [result for case in cases for result in case.results()]
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(result) for result in results)
    path.write_text(f"[\n{lines}\n]\n")
    print(f"wrote {path}: {counted(len(results), 'result')}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", metavar="BENCH", action="append",
                        choices=LONG_BENCHES,
                        help="this benchmark only; may be repeated")
    parser.add_argument("--long", action="store_true",
                        help="more cases, more and longer repetitions")
    parser.add_argument("--lockfree", metavar="DIR", type=pathlib.Path,
                        default=ROOT / "build/release")
    parser.add_argument("--mutex", metavar="DIR", type=pathlib.Path,
                        default=ROOT / "build/mutex")
    parser.add_argument("--results", metavar="FILE", type=pathlib.Path,
                        default=ROOT / "build/report/results.json")
    return parser.parse_args()


def main():
    options = parse()
    machine = Machine()
    cases, notes = [], set()
    for bench in options.only or (LONG_BENCHES if options.long else BENCHES):
        found, flavours = find_cases(options, bench)
        cases += found
        notes |= flavours
    for flavour, expedited in sorted(notes):
        print(f"liburcu {flavour}, readers "
              f"{'without' if expedited else 'with'} fences")
    plan = Plan(options, cases)
    print(f"{counted(len(cases), 'case')}, about {plan.left():.0f} s",
          flush=True)
    for done, case in enumerate(cases, 1):
        plan.measure(case)
        announce(plan, case, done, len(cases))
    for program in {p for case in cases for p in case.subjects.values()}:
        program.close()
    print_table(table(cases))
    print_summary(cases)
    machine.print_others()
    if plan.fewer:
        print(f"{counted(plan.fewer, 'case')} had fewer than "
              f"{plan.times['repetitions']} repetitions, to end in time")
    write_results(options.results, cases)


if __name__ == "__main__":
    main()
