"""The tables of ``docs/scale.md`` from what ``benchmarks/scale`` stored; it measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from docs.markdown import table
from docs.results import about, result_of

OURS = "ours, durable collector"
MANY, SOME = 3000, 300
Row = Mapping[str, Any]
# What a row of a run says, by the head of its column.
_RUN: Mapping[str, Callable[[Row], str]] = {
    "points/s": lambda run: f"{run['points_per_second']:,.0f}",
    "bytes an export": lambda run: f"{run['bytes_per_export']:,}",
    "series": lambda run: f"{run['series']:,}",
    "difference": lambda run: f"{run['wrong_series']}",
    "% of a core": lambda run: f"{run['cpu_percent']:.0f}",
    "MiB": lambda run: f"{run['rss_mib']:.1f}",
    "sockets at most": lambda run: f"{run['sockets']:,}",
    "an export, p50, p99 ms": lambda run: f"{run['p50_ms']:.1f}, {run['p99_ms']:.0f}",
    "scrape ms": lambda run: f"{run['scrape_ms']:.0f}",
    "page MiB": lambda run: f"{run['page_mib']:.2f}",
    "store MiB": lambda run: f"{run['store_mib']:.0f}",
    "disk kB/s": lambda run: f"{run['disk_kb_per_second']:,.0f}",
}


def _run(run: Row, *heads: str) -> list[str]:
    return [_RUN[head](run) for head in heads]


def _runs() -> Any:
    return result_of("scale")


def _with(senders: int) -> Row:
    found: Row = next(run for run in _runs()["senders"] if run["senders"] == senders)
    return found


def senders() -> str:
    """The same points per second from 3 to 3,000 senders, and what memory differs by."""
    runs = _runs()["senders"]
    rows = [[f"{run['senders']:,}", f"{run['interval_s']:g}", *_run(run, *_RUN)] for run in runs]
    few, many = runs[0]["rss_mib"], runs[-1]["rss_mib"]
    said = f"{runs[-1]['senders']:,} senders take {many / few - 1:+.1%} of the memory of {runs[0]['senders']}."
    return "\n\n".join([about("scale"), table(["senders", "s between exports", *_RUN], rows, numbers=True), said])


def ways() -> str:
    """What senders may bring besides."""
    plain = _with(MANY)
    rows = [
        [
            name,
            *_run(run, "MiB", "% of a core"),
            *_run(run, "sockets at most"),
            f"{run['series_of_levels']:,}",
            f"{(run['rss_mib'] - plain['rss_mib']) * 1024 / MANY:.1f}",
        ]
        for name, run in {"as above": plain, **_runs()["ways"]}.items()
    ]
    what = ("MiB", "% of a core", "sockets at most", "series of levels", "KiB more a sender")
    return table([f"{MANY:,} senders, besides", *what], rows, numbers=True)


def sizes() -> str:
    """By label sets and by points per second."""
    chosen = (
        "points/s",
        "series",
        "difference",
        "% of a core",
        "MiB",
        "scrape ms",
        "page MiB",
        "store MiB",
        "disk kB/s",
    )
    plain = _with(SOME)
    runs = sorted([plain, *_runs()["sizes"]], key=lambda run: (run["label_sets"], run["points_per_second"]))
    rows = [[f"{run['label_sets']:,}", *_run(run, *chosen)] for run in runs]
    return table(["label sets", *chosen], rows, numbers=True)


def disk() -> str:
    """What the disk is given, and what waiting for it costs."""
    chosen = ("points/s", "store MiB", "disk kB/s", "an export, p50, p99 ms", "% of a core")
    kinds = {"when the kernel writes it back, the default": _with(SOME), "`OTELCOL_FSYNC=true`": _runs()["synced"]}
    return table(
        ["a commit is on the disk", *chosen], [[name, *_run(run, *chosen)] for name, run in kinds.items()], numbers=True
    )


def churn() -> str:
    """Senders that are replaced, and what a place in their table costs."""
    churned = _runs()["churn"]
    replaced, few, full = churned["replaced"], churned["few"], churned["full"]
    each = (full["rss_mib"] - few["rss_mib"]) * 1024 / full["senders_remembered"]
    rows = [
        [
            name,
            f"{run['senders_in_all']:,}",
            f"{run['senders_remembered']:,}",
            *_run(run, "difference", "MiB", "store MiB", "scrape ms"),
        ]
        for name, run in {
            "3,000 a minute, each for 15 s": replaced,
            "a table with 32": few,
            f"a table that is full with {full['senders_remembered']:,}, and goes on": full,
        }.items()
    ]
    said = f"A place in the table of senders takes {each:.2f} KiB of memory."
    head = ["replaced", "senders in all", "remembered", "difference", "MiB", "store MiB", "scrape ms"]
    return table(head, rows, numbers=True) + "\n\n" + said


def prometheus() -> str:
    """What Prometheus takes by series, what 10,000 more take, and where that ends."""
    runs = _runs()["prometheus"]
    rows = [
        [
            f"{run['series']:,.0f}",
            f"{run['scrape_ms']:.0f}",
            f"{run['rss_mib']:.0f}",
            f"{run['cpu_ms_per_scrape']:.0f}",
        ]
        for run in runs
    ]
    more = (runs[-1]["series"] - runs[0]["series"]) / 10_000
    memory, took = ((runs[-1][key] - runs[0][key]) / more for key in ("rss_mib", "scrape_ms"))
    held, limit = _rounded(4096 / memory * 10_000), _rounded(10_000 / took * 10_000)
    said = (
        f"10,000 more series take {memory:.0f} MiB of Prometheus and {took:.0f} ms of a scrape. 4 GiB for what it "
        f"holds end at about {held} series; a scrape of 10 s, Prometheus' default limit, at about {limit} on one "
        f"collector."
    )
    return table(["series", "scrape ms", "MiB", "ms of CPU a scrape"], rows, numbers=True) + "\n\n" + said


def _rounded(number: float) -> str:
    return f"{float(f'{number:.1e}'):,.0f}"


def peers() -> str:
    """What each counted of what it acknowledged."""
    found = _runs()["peers"]
    names = next(iter(found.values()))
    rows = [[what, *(_counted(by_name[name]) for name in names)] for what, by_name in found.items()]
    return table(["of the events that were acknowledged", *names], rows)


def _counted(run: Row) -> str:
    if "absent" in run:
        return f"not measured: {run['absent']}"
    sent, counted = run["events"], run["counted"]
    if counted == sent:
        return f"all {sent:,}"
    return f"**{counted - sent:+,.0f}** of {sent:,} ({counted / sent - 1:+.2%})"


def costs() -> str:
    """What each took for it, with its Prometheus."""
    found = _runs()["peers"]
    rows = [
        [
            name,
            *(text for what in ("steady", "senders replaced every second") for text in _cost(found[what][name])),
        ]
        for name in found["steady"]
        if "absent" not in found["steady"][name]
    ]
    head = ["with its Prometheus"]
    for what in ("steady", "replaced"):
        head += [f"{what}: series", "µs of CPU a point", "MiB"]
    return table(head, rows, numbers=True)


def _cost(run: Row) -> list[str]:
    return [f"{run['series']:,.0f}", f"{run['cpu_us_per_point']:.0f}", f"{run['rss_mib']:.0f}"]


PARTS: Mapping[str, Callable[[], str]] = {
    "senders": senders,
    "ways": ways,
    "sizes": sizes,
    "disk": disk,
    "churn": churn,
    "prometheus": prometheus,
    "peers": peers,
    "costs": costs,
}
