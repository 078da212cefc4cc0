#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The library beside everything that a program could use instead.

Every subject is a program of its own that serves the same cases (bench.h).
All programs of a group of cases stay alive with their tables filled, and take
turns: each repetition goes through all cases and subjects of the group, there
and back again.  After some repetitions they are started anew, so that one
lucky seed or one lucky place in memory does not decide.  Medians of all
repetitions are compared.

It writes every repetition to limits.json, and to limits.md what it prints at
the end: each target with the ratio that was measured, then all figures.
"""
import argparse
import collections
import json
import os
import pathlib
import sys

from compare import (DISTURBED, MANY_THREADS, ROOT, WARM_UP, Machine, Program,
                     counted, ns, number)
from report import Results, processor, report

# What is measured: the bench, the subject's name here, its program below
# build/, and for those of others the Debian package that it is built with.
Source = collections.namedtuple("Source", "bench subject path package")
SOURCES = [
    Source("map", "freehold", "release/bench_map", None),
    Source("map", "mutex", "mutex/bench_map", None),
    Source("map", "open", "peers/map_open", None),
    Source("map", "rwlock", "peers/map_rwlock", None),
    Source("map", "lfht", "peers/map_lfht", "liburcu-dev"),
    Source("map", "tbb", "peers/map_tbb", "libtbb-dev"),
    Source("map", "cuckoo", "peers/map_cuckoo", "libcuckoo-dev"),
    Source("map", "ck", "peers/map_ck", "libck-dev"),
    Source("map", "boost", "peers/map_boost", "libboost-dev 1.83 or later"),
    Source("rcu", "freehold", "release/bench_rcu", None),
    Source("rcu", "call_rcu", "peers/rcu_call_rcu", "liburcu-dev"),
    Source("status", "freehold", "release/bench_status", None),
    Source("status", "mutex", "mutex/bench_status", None),
    Source("arc", "freehold", "release/bench_arc", None),
    Source("arc", "mutex", "mutex/bench_arc", None),
]

# A program of ours calls itself by its build.
OURS = {"lock-free": "freehold"}

# Cases that are measured together, because they are compared.
TOGETHER = {"miss": "hit", "hit-batch": "hit"}

# Of the benches beside the table, what the targets are about; of a case that
# takes long, the subjects that the targets are about.
ONLY = {"arc": {"start-contended"}, "rcu": {"retire", "retire-only"}}
FEW = {"churn": {"freehold", "mutex", "open"},
       "churn-bounded": {"freehold"}}

# How long and how often; a case that ends by itself is repeated less often.
FULL = {"ms": 60, "rounds": 1, "repetitions": 5, "once": 2, "pairs": 10**8}
QUICK = {"ms": 40, "rounds": 1, "repetitions": 3, "once": 1, "pairs": 10**6}
QUICK_SIZE = 110000
LONGEST = {"churn": 1, "churn-bounded": 1, "memory": 1}
PATIENCE = 900


class Cell:
    """One case with one number of threads at one size."""

    def __init__(self, bench, row, threads, size):
        self.bench, self.case = bench, row["case"]
        self.threads, self.size = threads, size
        self.once = row["once"]
        self.sources = {}       # subject: path and the program's name for it

    def title(self):
        return (f"{self.bench} {self.case}, "
                f"{counted(self.threads, 'thread')}, {number(self.size)}")

    def group(self):
        return self.bench, TOGETHER.get(self.case, self.case), self.size


class Group:
    """Cells whose repetitions are interleaved."""

    def __init__(self, cells, options):
        self.cells, self.options = cells, options
        self.samples = []
        self.others = 0.0

    def title(self):
        names = sorted({f"{c.bench} {c.case}" for c in self.cells})
        return f"{', '.join(names)}: {number(self.cells[0].size)}"

    def repetitions(self, cell):
        if cell.once:
            return min(self.options.once, LONGEST.get(cell.case, 1 << 30))
        return self.options.repetitions

    def milliseconds(self, cell):
        return self.options.ms * (2 if cell.threads > MANY_THREADS else 1)

    def run(self, programs, cell, subject, milliseconds):
        path, name = cell.sources[subject]
        return programs[path].ask(f"run {cell.case} {name} {cell.threads} "
                                  f"{cell.size} {milliseconds}")

    def round(self, number_of_round):
        """Fresh programs, and a first run that is not counted."""
        places = [(cell, subject) for cell in self.cells
                  for subject in cell.sources]
        programs = {}
        for cell, subject in places:
            path = cell.sources[subject][0]
            if path not in programs:
                programs[path] = Program(path, PATIENCE)
                programs[path].ask(f"pairs {self.options.pairs}")
            if not cell.once:
                self.run(programs, cell, subject, WARM_UP)
        for repetition in range(max(map(self.repetitions, self.cells))):
            for cell, subject in places:
                if repetition < self.repetitions(cell):
                    answer = self.run(programs, cell, subject,
                                      self.milliseconds(cell))
                    answer["subject"] = subject
                    answer["round"] = number_of_round
                    self.samples.append(answer)
            places.reverse()
        for program in programs.values():
            program.close()

    def measure(self):
        machine = Machine()
        for number_of_round in range(self.options.rounds):
            self.round(number_of_round)
        self.others = machine.others()

    def announce(self):
        print(f"\n{self.title()}", flush=True)
        results = Results(self.samples)
        for cell in self.cells:
            parts = []
            for subject in cell.sources:
                median = results.median(cell.bench, cell.case, cell.threads,
                                        cell.size, subject)
                parts.append(f"{subject} {ns(median)}")
            print(f"  {cell.case}, {counted(cell.threads, 'thread')}: "
                  f"{', '.join(parts)}", flush=True)
        if self.others > DISTURBED:
            print(f"  others took {self.others * 100:.0f} % of the "
                  "processors: do not trust this", flush=True)


def available(options):
    """The programs that there are, and notes on the others."""
    sources, notes = [], []
    for source in SOURCES:
        path = options.build / source.path
        if path.exists():
            sources.append((source.bench, source.subject, path))
        elif source.package:
            notes.append(f"{source.bench} {source.subject}: left out; "
                         f"Debian package {source.package}")
        else:
            sys.exit(f"there is no {path}: run ninja peers first")
    for also in options.also:
        subject, _, path = also.partition("=")
        sources.append((None, subject, pathlib.Path(path)))
    return sources, notes


def is_wanted(cell, subject, options):
    """By the options, and by what the targets are about."""
    if cell.case not in ONLY.get(cell.bench, {cell.case}):
        return False
    if options.only and not {cell.bench, cell.case} & options.only:
        return False
    if options.threads and cell.threads not in options.threads:
        return False
    if options.sizes and cell.size not in {1, *options.sizes}:
        return False
    if not options.sizes and options.quick and cell.size > QUICK_SIZE:
        return False
    if options.subjects:
        return subject in options.subjects
    also = {name.partition("=")[0] for name in options.also}
    return subject in FEW.get(cell.case, {subject}) | also


def find_cells(options, sources):
    """Ask every program for its cases."""
    cells = {}
    for bench, name, path in sources:
        program = Program(path)
        listed = program.ask("list")
        program.close()
        own_name = listed["subject"]
        for row in listed["cases"]:
            subject = name if row["subject"] == own_name else row["subject"]
            for size in row["sizes"]:
                for threads in row["threads"]:
                    cell = Cell(bench or listed["bench"], row, threads, size)
                    if not is_wanted(cell, subject, options):
                        continue
                    key = cell.bench, cell.case, threads, size
                    cell = cells.setdefault(key, cell)
                    cell.sources[subject] = path, row["subject"]
    return list(cells.values())


def find_groups(options, sources):
    """Cells that belong together, the small ones first."""
    groups = collections.defaultdict(list)
    for cell in find_cells(options, sources):
        groups[cell.group()].append(cell)
    order = {s.bench: i for i, s in enumerate(reversed(SOURCES))}
    return [Group(cells, options) for _, cells in sorted(
        groups.items(), key=lambda g: (-order[g[0][0]], g[0][2]))]


def write(path, data):
    """One repetition a line, so that two runs can be compared."""
    head = {key: value for key, value in data.items() if key != "samples"}
    samples = ",\n".join(json.dumps(sample) for sample in data["samples"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(head, indent=1)[:-2] +
                    f',\n "samples": [\n{samples}\n ]\n}}\n')


def names(text):
    return set(text.split(","))


def numbers(text):
    return {int(part) for part in text.split(",")}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", metavar="CASE,...", type=names,
                        help="these cases or benches only")
    parser.add_argument("--subjects", metavar="NAME,...", type=names)
    parser.add_argument("--sizes", metavar="N,...", type=numbers)
    parser.add_argument("--threads", metavar="N,...", type=numbers)
    parser.add_argument("--also", metavar="NAME=PROGRAM", action="append",
                        default=[], help="one more program to measure beside "
                        "the others, such as another build; may be repeated")
    parser.add_argument("--quick", action="store_true",
                        help="small tables, few and short repetitions")
    parser.add_argument("--ms", type=int, help="of one repetition")
    parser.add_argument("--rounds", type=int,
                        help="how often all programs are started")
    parser.add_argument("--repetitions", type=int, help="in each round")
    parser.add_argument("--once", type=int, metavar="REPETITIONS",
                        help="of the cases that end by themselves")
    parser.add_argument("--pairs", type=int, help="of churn")
    parser.add_argument("--build", metavar="DIR", type=pathlib.Path,
                        default=ROOT / "build")
    parser.add_argument("--output", metavar="FILE", type=pathlib.Path,
                        help="what to write, the report beside it; "
                        "build/report/limits.json, or limits-part.json if "
                        "these options leave something out")
    parser.add_argument("--show", metavar="FILE", type=pathlib.Path,
                        help="measure nothing: the report of such a file")
    options = parser.parse_args()
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def is_whole(options):
    """Do the options leave nothing out?"""
    return not (options.only or options.subjects or options.sizes or
                options.threads or options.quick)


def measure(options):
    sources, notes = available(options)
    for note in notes:
        print(note)
    groups = find_groups(options, sources)
    if not groups:
        sys.exit("the options leave nothing to measure")
    whole = is_whole(options)
    output = options.output or ROOT / "build/report" / (
        "limits.json" if whole else "limits-part.json")
    data = {"whole": whole, "processors": os.cpu_count(), "processor": processor(),
            "notes": notes, "groups": [], "samples": [],
            "options": {key: getattr(options, key) for key in FULL}}
    for done, group in enumerate(groups, 1):
        group.measure()
        group.announce()
        data["samples"] += group.samples
        data["groups"].append({"group": group.title(),
                               "others": round(group.others, 4)})
        write(output, data)
        print(f"  [{done}/{len(groups)}]", flush=True)
    output.with_suffix(".md").write_text(report(data))
    print(f"\n{report(data)}\nwrote {output} and {output.stem}.md")


def main():
    options = parse()
    if options.show:
        print(report(json.loads(options.show.read_text())))
    else:
        measure(options)


if __name__ == "__main__":
    main()
