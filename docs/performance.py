"""The tables of ``docs/performance.md`` from what ``benchmarks/`` stored; it measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from docs.markdown import table
from docs.results import about, result_of

OFFICIAL = "otel-collector.yaml"
PEER = "prometheus-fastapi-instrumentator"
SDK = "OpenTelemetry SDK"


def _added(cpu: Mapping[str, float], variant: str) -> str:
    return f"+{cpu[variant] - cpu['bare']:.1f}"


def requests() -> str:
    """CPU per request by variant and number of routes, and ours relative to the peer."""
    by_routes = result_of("http")["cpu_us_per_request"]
    variants = [name for name in by_routes["1"] if name != "bare"]
    rows = [["bare FastAPI, µs", *(f"{cpu['bare']:.1f}" for cpu in by_routes.values())]]
    rows += [[name, *(_added(cpu, name) for cpu in by_routes.values())] for name in variants]
    shares = [(cpu["ours"] - cpu["bare"]) / (cpu[PEER] - cpu["bare"]) for cpu in by_routes.values()]
    rows.append([f"**ours / {PEER}**", *(f"**{share:.0%}**" for share in shares)])
    head = ["µs of CPU added to a request", *(f"{n} route{'s' * (n != '1')}" for n in by_routes)]
    return about("http") + "\n\n" + table(head, rows, numbers=True)


def served() -> str:
    """Requests per second and latency through uvicorn."""
    result = result_of("load")
    bare = result["variants"]["bare"]["requests_per_second"]
    rows = [
        [
            name,
            f"{run['requests_per_second']:.0f}",
            f"{run['requests_per_second'] / bare:.0%}",
            f"{run['p99_ms']:.1f}",
            f"{run['cpu_us_per_request']:.0f}",
        ]
        for name, run in result["variants"].items()
    ]
    head = ["uvicorn under wrk", "requests/s", "kept", "p99 ms", "server CPU µs/request"]
    return about("load") + "\n\n" + table(head, rows, numbers=True)


def events() -> str:
    """CPU per event."""
    by_kind = result_of("record")["cpu_us_per_event"]
    names = list(dict.fromkeys(name for ways in by_kind.values() for name in ways))
    rows = [[kind, *(f"{ways[name]:.2f}" if name in ways else "" for name in names)] for kind, ways in by_kind.items()]
    return about("record") + "\n\n" + table(["µs of CPU per event", *names], rows, numbers=True)


def weights() -> str:
    """Memory and collection time of many series."""
    rows = [
        [f"{int(size):,} {kind}s", *(f"{way['mib']:.1f} MiB, {way['collect_ms']:.0f} ms" for way in ways.values())]
        for kind, sizes in result_of("record")["series"].items()
        for size, ways in sizes.items()
    ]
    ways = result_of("record")["series"]["counter"]["1000"]
    return table(["memory, and CPU of one collection", *ways], rows, numbers=True)


def queries() -> str:
    """CPU per query."""
    by_kind = result_of("db")["cpu_us_per_query"]
    rows = [
        [kind, f"{cpu['bare']:.1f}", *(_added(cpu, name) for name in cpu if name != "bare")]
        for kind, cpu in by_kind.items()
    ]
    others = [name for name in by_kind["core"] if name != "bare"]
    return about("db") + "\n\n" + table(["µs of CPU per query", "bare", *others], rows, numbers=True)


def tasks() -> str:
    """CPU of a whole worker per task that does nothing."""
    rows = [
        [
            name,
            *(f"{run[part]:.0f}" for part in ("cpu_us_per_task", "parent_us", "children_us")),
            "" if name == "bare" else f"{run['added_percent']:+.1f} % ± {run['standard_error']:.1f}",
            str(run["tasks_per_second"]),
        ]
        for name, run in result_of("celery")["variants"].items()
    ]
    head = ["µs of CPU per task", "whole worker", "main process", "pool processes", "against bare", "tasks/s"]
    return about("celery") + "\n\n" + table(head, rows, numbers=True)


def collectors() -> str:
    """Throughput, latency, memory, scrape and restart of the collector by configuration and number of series."""
    rows = [
        [
            f"{int(size):,}",
            name,
            f"{run['points_per_second'] / 1000:.0f} thousand",
            f"{run['points_per_second'] / by_name[OFFICIAL]['points_per_second']:.1f}",
            f"{run['p50_ms']:.0f}, {run['p99_ms']:.0f}",
            f"{run['rss_mib']:.0f}",
            f"{run['scrape_ms']:.0f}",
            f"{run['restart_s']:.2f}",
        ]
        for size, by_name in result_of("collector")["series"].items()
        for name, run in by_name.items()
    ]
    ratio = f"times {OFFICIAL}"
    head = ["series", "configuration", "points/s", ratio, "an export, p50, p99 ms", "MiB", "scrape ms", "restart s"]
    return about("collector") + "\n\n" + table(head, rows, numbers=True)


def scrapes() -> str:
    """Time of a scrape of a host without a collector."""
    found = result_of("scrape")
    rows = [[count, *(f"{took:.1f}" for took in ways.values())] for count, ways in found["scrape_ms"].items()]
    head = [f"ms for {found['series']:,} series; processes", *found["scrape_ms"]["1"]]
    return about("scrape") + "\n\n" + table(head, rows, numbers=True)


def starts() -> str:
    """CPU and memory of imports and configuration, beside the SDK alone."""
    variants = result_of("start")["variants"]
    alone = variants[SDK]
    rows = [
        [
            name,
            f"{run['cpu_ms']:.0f}",
            f"{run['cpu_ms'] / alone['cpu_ms']:.1f}",
            f"{run['rss_mib']:.1f}",
            f"{run['rss_mib'] / alone['rss_mib']:.2f}",
        ]
        for name, run in variants.items()
    ]
    head = ["until it could count", "ms of CPU", f"times {SDK}", "MiB", f"times {SDK}"]
    return about("start") + "\n\n" + table(head, rows, numbers=True)


PARTS: Mapping[str, Callable[[], str]] = {
    "requests": requests,
    "served": served,
    "events": events,
    "weights": weights,
    "queries": queries,
    "starts": starts,
    "tasks": tasks,
    "collectors": collectors,
    "scrapes": scrapes,
}
