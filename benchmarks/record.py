"""What one event costs and what series weigh: ours, prometheus_client and the SDK.

Usage: ``python -m benchmarks.record [--rounds 15] [--events 5000]``
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice, product
from pathlib import Path
from statistics import median
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from benchmarks.measure import cpu_microseconds, in_memory, store
from telemetry.catalogue.celery import DURATION, SUBMITTED

PACKAGES = ("opentelemetry-sdk", "prometheus-client")
NAMES = tuple(SUBMITTED.label_keys)
Record = Callable[[str, str], None]
Collect = Callable[[], Any]
Way = Callable[[], tuple[Record, Collect]]


def repeat(record: Record) -> Callable[[int], None]:
    """The same event again and again."""

    def run(count: int) -> None:
        for _ in range(count):
            record("task", "high")

    return run


def our_counter() -> tuple[Record, Collect]:
    """A counter of the catalogue."""
    telemetry = in_memory()
    counter = telemetry.instruments.counter(SUBMITTED)
    reader: Any = telemetry._readers[0]  # noqa: SLF001
    return lambda task, queue: counter.add(1, {"task_name": task, "queue": queue}), reader.get_metrics_data


def our_histogram() -> tuple[Record, Collect]:
    """A histogram of the catalogue."""
    telemetry = in_memory()
    histogram = telemetry.instruments.histogram(DURATION)
    reader: Any = telemetry._readers[0]  # noqa: SLF001
    return lambda task, queue: histogram.record(0.1, {"task_name": task, "queue": queue}), reader.get_metrics_data


def client_counter() -> tuple[Record, Collect]:
    """prometheus_client, labels looked up for each event as applications do."""
    registry = CollectorRegistry()
    counter = Counter("tasks_submitted", "Tasks.", NAMES, registry=registry)
    return lambda task, queue: counter.labels(task, queue).inc(), lambda: generate_latest(registry)


def client_histogram() -> tuple[Record, Collect]:
    """prometheus_client with the same buckets."""
    registry = CollectorRegistry()
    histogram = Histogram("task_duration_seconds", "Seconds.", NAMES, registry=registry, buckets=DURATION.buckets)
    return lambda task, queue: histogram.labels(task, queue).observe(0.1), lambda: generate_latest(registry)


def sdk_counter() -> tuple[Record, Collect]:
    """The SDK's own counter."""
    reader = InMemoryMetricReader()
    counter = MeterProvider([reader]).get_meter("benchmark").create_counter("tasks")
    return lambda task, queue: counter.add(1, {"task_name": task, "queue": queue}), reader.get_metrics_data


def sdk_histogram() -> tuple[Record, Collect]:
    """The SDK's own histogram with the same buckets."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("benchmark")
    histogram = meter.create_histogram("seconds", explicit_bucket_boundaries_advisory=DURATION.buckets)
    return lambda task, queue: histogram.record(0.1, {"task_name": task, "queue": queue}), reader.get_metrics_data


WAYS: dict[str, dict[str, Way]] = {
    "counter": {"ours": our_counter, "prometheus_client": client_counter, "OpenTelemetry SDK": sdk_counter},
    "histogram": {"ours": our_histogram, "prometheus_client": client_histogram, "OpenTelemetry SDK": sdk_histogram},
}


def label_values(count: int) -> Iterator[tuple[str, str]]:
    """That many distinct label sets, within every budget of the catalogue."""
    return islice(product((f"task-{n}" for n in range(200)), (f"queue-{n}" for n in range(50))), count)


def resident_bytes() -> int:
    """Resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmRSS")


def weigh(kind: str, way: str, series: int) -> dict[str, float]:
    """Memory of so many series in this process, collected twice, and the CPU time of one collection."""
    record, collect = WAYS[kind][way]()
    record(*next(label_values(1)))
    collect()
    gc.collect()
    before = resident_bytes()
    spent = []
    for _ in range(3):
        for values in label_values(series):
            record(*values)
        began = time.process_time()
        collect()
        spent.append(time.process_time() - began)
    gc.collect()
    return {"mib": round((resident_bytes() - before) / 2**20, 1), "collect_ms": round(median(spent) * 1e3, 1)}


def weigh_apart(kind: str, way: str, series: int) -> dict[str, float]:
    """``weigh`` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.record", "--weigh", kind, way, str(series)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--weigh", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.weigh:
        print(json.dumps(weigh(chosen.weigh[0], chosen.weigh[1], int(chosen.weigh[2]))))
    else:
        cpu = {
            kind: cpu_microseconds({n: repeat(way()[0]) for n, way in ways.items()}, chosen.rounds, chosen.events)
            for kind, ways in WAYS.items()
        }
        weights = {
            kind: {str(size): {way: weigh_apart(kind, way, size) for way in ways} for size in (1_000, 10_000)}
            for kind, ways in WAYS.items()
        }
        store("record", {"cpu_us_per_event": cpu, "series": weights}, PACKAGES)
