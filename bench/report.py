# SPDX-License-Identifier: MIT
"""What limits.py measured, in Markdown: the targets, then all figures."""
import collections
import platform
import statistics

from compare import DISTURBED, ns, number
import targets

# The columns of the figures; what else was measured stands behind them.
COLUMNS = ["freehold", "mutex", "plain", "call_rcu", "open", "rwlock", "lfht",
           "tbb", "cuckoo", "ck", "boost"]


class Results:
    """All repetitions; asks for medians."""

    def __init__(self, samples):
        self.samples = collections.defaultdict(list)
        for sample in samples:
            key = (sample["bench"], sample["case"], sample["threads"],
                   sample["size"], sample["subject"])
            self.samples[key].append(sample)

    def values(self, bench, case, threads, size, subject, field="ns_per_op"):
        key = bench, case, threads, size, subject
        return [s[field] for s in self.samples.get(key, []) if field in s]

    def median(self, *where):
        values = self.values(*where)
        return statistics.median(values) if values else None

    def subjects(self):
        found = list(dict.fromkeys(key[4] for key in self.samples))
        return ([s for s in COLUMNS if s in found] +
                [s for s in found if s not in COLUMNS])

    def places(self):
        """Case, threads, size of all that was measured, in order."""
        return list(dict.fromkeys(key[:4] for key in self.samples))

    def fields(self, place):
        """The numbers that this case has besides the usual ones."""
        usual = {"threads", "size", "round", "ns_per_op", "ops_per_s"}
        found = {}
        for subject in self.subjects():
            for sample in self.samples.get((*place, subject), []):
                found.update(dict.fromkeys(
                    key for key, value in sample.items()
                    if isinstance(value, (int, float)) and key not in usual))
        return list(found)


def text_of(value):
    return ns(value) if value < 1e6 else number(value)


def cell_text(values):
    if not values:
        return "–"
    return (f"{text_of(statistics.median(values))} "
            f"({text_of(min(values))}–{text_of(max(values))})")


def figures(results):
    """Tables in Markdown: ns per operation, and what else a case tells."""
    subjects = results.subjects()
    head = ["case", "threads", "size"]
    rows, more = [head + subjects], [head + ["what"] + subjects]
    for place in results.places():
        where = [f"{place[0]} {place[1]}", str(place[2]), number(place[3])]
        rows.append(where + [cell_text(results.values(*place, subject))
                             for subject in subjects])
        for field in results.fields(place):
            more.append(where + [field] + [
                cell_text(results.values(*place, subject, field))
                for subject in subjects])
    text = ("## Nanoseconds per operation, all threads together\n\n"
            f"Median (smallest–largest).\n\n{markdown(rows)}")
    if len(more) > 1:
        text += ("\n## What else the cases tell\n\n"
                 "Times in nanoseconds; the two readings of the clock, "
                 f"`clock`, are part of them.\n\n{markdown(more)}")
    return text


def markdown(rows):
    """A table whose columns line up, so that it reads well as it is."""
    rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "".join("| " + " | ".join(
        cell.ljust(width) for cell, width in zip(row, widths)) + " |\n"
        for row in rows)


def processor():
    """Its name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def report(data):
    """The whole report."""
    results = Results(data["samples"])
    lines = ["# The table at the limit", "",
             f"{data['processors']} processors, {data['processor']}.", ""]
    lines += [f"- {note}" for note in data["notes"]]
    disturbed = [f"- {g['group']}: others took {g['others'] * 100:.0f} % of "
                 "the processors meanwhile; not to be trusted"
                 for g in data["groups"] if g["others"] > DISTURBED]
    lines += disturbed
    rows = targets.table(results, data["whole"])
    lines.append("")
    if len(rows) > 1:
        lines += ["## Targets", "", markdown(rows)]
    return "\n".join([*lines, figures(results)])
