# SPDX-License-Identifier: MIT
"""What the table has to reach, and whether it did.

A target is a function that yields rows: where, the figure that was measured,
and a word on it.  A figure is None where the cases were not measured.
"""
import collections

SMALL, LARGE = [1000, 100000], [1000000, 4000000]
SIZES = SMALL + LARGE
COMPARATORS = ["mutex", "rwlock", "lfht", "tbb", "cuckoo", "ck", "boost"]

Target = collections.namedtuple("Target", "text most wanted rows")
TARGETS = []


def number(value):
    return f"{value:,.0f}".replace(",", " ")


def at_most(wanted, text):
    """The measured figure may be this large."""
    return lambda rows: TARGETS.append(Target(text, True, wanted, rows))


def at_least(wanted, text):
    """The measured figure has to be this large."""
    return lambda rows: TARGETS.append(Target(text, False, wanted, rows))


class Figures:
    """Medians of the map's cases, and their ratios."""

    def __init__(self, results):
        self.results = results

    def get(self, case, threads, size, subject="freehold",
            field="ns_per_op", bench="map"):
        return self.results.median(bench, case, threads, size, subject, field)

    @staticmethod
    def ratio(above, below):
        return above / below if above is not None and below else None

    def against(self, case, threads, size, above, below, **more):
        """How many times as much one subject takes as another."""
        return self.ratio(self.get(case, threads, size, above, **more),
                          self.get(case, threads, size, below, **more))

    def fastest(self, case, threads, size):
        """The comparator that needs least, and its time."""
        times = {subject: self.get(case, threads, size, subject)
                 for subject in COMPARATORS}
        times = {s: t for s, t in times.items() if t is not None}
        if not times:
            return None, None
        return min(times.items(), key=lambda item: item[1])


def where(case, threads, size):
    plural = "" if threads == 1 else "s"
    return f"{case}, {threads} thread{plural}, {number(size)}"


@at_most(1.2, "lookup hit, 1 thread: × the unsynchronised table's time")
def hit_limit(f):
    for size in SIZES:
        yield where("hit", 1, size), f.against("hit", 1, size, "freehold",
                                               "open"), ""


@at_least(4, "lookup against cds_lfht, from 100 000 entries: × faster")
def hit_lfht(f):
    for size in SIZES[1:]:
        for threads in (1, 2):
            yield (where("hit", threads, size),
                   f.against("hit", threads, size, "lfht", "freehold"), "")


@at_least(1.5, "lookup against oneTBB and libcuckoo: × faster")
def hit_cxx(f):
    for subject in ("tbb", "cuckoo"):
        for size in SIZES:
            for threads in (1, 2):
                yield (where("hit", threads, size),
                       f.against("hit", threads, size, subject, "freehold"),
                       subject)


@at_least(3.5, "lookup against the mutex build, 2 threads: × faster")
def hit_mutex_2(f):
    for size in SMALL:
        yield where("hit", 2, size), f.against("hit", 2, size, "mutex",
                                               "freehold"), ""


@at_least(9, "lookup against the mutex build, 8 threads: × faster")
def hit_mutex_8(f):
    for size in SMALL:
        yield where("hit", 8, size), f.against("hit", 8, size, "mutex",
                                               "freehold"), ""


@at_least(3.5, "batch lookup of 32 against one at a time: × faster")
def batch(f):
    for size in LARGE:
        yield where("hit-batch", 1, size), f.ratio(
            f.get("hit", 1, size), f.get("hit-batch", 1, size)), ""


@at_most(1, "lookup miss: × the hit's time")
def miss(f):
    for size in SIZES:
        for threads in (1, 2):
            yield where("miss", threads, size), f.ratio(
                f.get("miss", threads, size), f.get("hit", threads, size)), ""


@at_least(1.95, "2 threads over 1, lookups: × as many")
def scaling(f):
    for size in SIZES:
        yield where("hit", 2, size), f.ratio(
            f.get("hit", 1, size), f.get("hit", 2, size)), ""


@at_most(1.1, "half updates, 1 thread: × the unsynchronised table's time")
def half_updates(f):
    for size in SIZES:
        yield (where("mix-50-50", 1, size),
               f.against("mix-50-50", 1, size, "freehold", "open"), "")


@at_least(1, "10 % and 50 % updates, 2 threads: × faster than the fastest "
             "comparator")
def updates(f):
    for case in ("mix-90-10", "mix-50-50"):
        for size in SIZES:
            subject, time = f.fastest(case, 2, size)
            yield (where(case, 2, size),
                   f.ratio(time, f.get(case, 2, size)), subject or "")


@at_least(5, "start of one contended key, 8 threads: × the mutex build")
def contended(f):
    yield where("insert-contended", 8, 1), f.against(
        "insert-contended", 8, 1, "mutex", "freehold"), ""
    yield "arc " + where("start-contended", 8, 1), f.against(
        "start-contended", 8, 1, "mutex", "freehold", bench="arc"), ""


@at_most(1.3, "filling 4 M from empty: × the unsynchronised table that grows")
def filling(f):
    yield where("fill", 1, 4000000), f.against("fill", 1, 4000000, "freehold",
                                               "open"), ""


@at_most(1 / 50, "longest insert while growing to 4 M, and longest lookup: "
                 "× the mutex build's")
def longest(f):
    for case, field in (("fill-longest", "insert_max"),
                        ("fill-beside", "insert_max"),
                        ("fill-beside", "lookup_max")):
        yield f"{where(case, 1, 4000000)}: {field}", f.against(
            case, 1, 4000000, "freehold", "mutex", field=field), ""


@at_most(1 / 10, "lookup p99.99, 8 threads and a writer: × the mutex build's")
def latency(f):
    for size in SMALL:
        yield where("latency", 8, size), f.against(
            "latency", 8, size, "freehold", "mutex", field="p99_99"), ""


@at_most(24, "memory of the table, averaged over a growth cycle: bytes an "
             "entry")
def memory(f):
    for size in (100000, 1000000):
        yield where("memory", 1, size), f.get(
            "memory", 1, size, field="bytes_per_entry"), ""


@at_most(15, "retire, amortised, 2 threads: ns")
def retire(f):
    for case in ("retire", "retire-only"):
        yield where(case, 2, 1), f.get(case, 2, 1, bench="rcu"), ""


@at_most(1 / 3, "retire, 2 threads: × one call_rcu per object")
def call_rcu(f):
    for case in ("retire", "retire-only"):
        yield where(case, 2, 1), f.against(case, 2, 1, "freehold",
                                           "call_rcu", bench="rcu"), ""


@at_most(1, "insert and remove again and again: × the bound, of garbage")
def garbage(f):
    for case, bound in ("churn", "soft"), ("churn-bounded", "hard"):
        for threads in (1, 2):
            yield where(case, threads, 1000), f.ratio(
                f.get(case, threads, 1000, field="pending_max"),
                f.get(case, threads, 1000, field="bound")), bound


@at_least(0.9, "the same: throughput at the end × that at the start")
def steady(f):
    for case, bound in ("churn", "soft"), ("churn-bounded", "hard"):
        for threads in (1, 2):
            yield where(case, threads, 1000), f.ratio(
                f.get(case, threads, 1000, field="first_tenth_ns"),
                f.get(case, threads, 1000, field="last_tenth_ns")), bound


def verdict(target, value):
    if value is None:
        return "not measured"
    reached = value <= target.wanted if target.most else value >= target.wanted
    return "yes" if reached else "**no**"


def table(results, whole):
    """Rows of text: every target, everywhere that it has to hold; of what is
    not whole, only what was measured."""
    rows = [["target", "wanted", "where", "measured", "", "met"]]
    figures = Figures(results)
    for target in TARGETS:
        wanted = f"{'≤' if target.most else '≥'} {target.wanted:.3g}"
        for place, value, word in target.rows(figures):
            if value is None and not whole:
                continue
            measured = "–" if value is None else f"{value:.3g}"
            rows.append([target.text, wanted, place, measured, word,
                         verdict(target, value)])
    return rows
