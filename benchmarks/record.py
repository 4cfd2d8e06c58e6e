"""What one event costs and what series weigh: ours, prometheus_client and the SDK.

Usage: ``python -m benchmarks.record [--rounds 15] [--events 5000]``
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice, product
from pathlib import Path
from statistics import median
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from benchmarks.measure import cpu_microseconds, in_a_box, store
from telemetry import Telemetry
from telemetry.catalogue.celery import DURATION, SUBMITTED, TaskLabels
from telemetry.pipeline.otlp import export_of

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


def collected(telemetry: Telemetry) -> Collect:
    """What an export does but for the network: prepare, encode, acknowledge."""

    def collect() -> None:
        exports, _ = telemetry.pipeline.exports(announce=False)
        for export in exports:
            data = MetricsData([export_of(export.segment, export.carried, export.resource, export.exemplars)])
            encode_metrics(data).SerializeToString()
            export.segment.acknowledge()

    return collect


def our_counter() -> tuple[Record, Collect]:
    """A counter of the catalogue."""
    telemetry = in_a_box()
    counter = telemetry.instruments.counter(SUBMITTED)
    return lambda task, queue: counter.add(1, {"task_name": task, "queue": queue}), collected(telemetry)


def our_histogram() -> tuple[Record, Collect]:
    """A histogram of the catalogue."""
    telemetry = in_a_box()
    histogram = telemetry.instruments.histogram(DURATION)
    return lambda task, queue: histogram.record(0.1, {"task_name": task, "queue": queue}), collected(telemetry)


def own_counter() -> tuple[Record, Collect]:
    """A counter of the application's own, by OpenTelemetry's API."""
    telemetry = in_a_box()
    counter = telemetry.meter_provider.get_meter("own").create_counter("own_tasks")
    return lambda task, queue: counter.add(1, {"task_name": task, "queue": queue}), collected(telemetry)


def own_histogram() -> tuple[Record, Collect]:
    """A histogram of the application's own, by OpenTelemetry's API."""
    telemetry = in_a_box()
    meter = telemetry.meter_provider.get_meter("own")
    histogram = meter.create_histogram("own_seconds", explicit_bucket_boundaries_advisory=DURATION.buckets)
    return lambda task, queue: histogram.record(0.1, {"task_name": task, "queue": queue}), collected(telemetry)


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
    "counter": {
        "ours": our_counter,
        "ours, OpenTelemetry's API": own_counter,
        "prometheus_client": client_counter,
        "OpenTelemetry SDK": sdk_counter,
    },
    "histogram": {
        "ours": our_histogram,
        "ours, OpenTelemetry's API": own_histogram,
        "prometheus_client": client_histogram,
        "OpenTelemetry SDK": sdk_histogram,
    },
}


def bound() -> dict[str, dict[str, Callable[[int], None]]]:
    """The same event in a series that was looked up before, as hooks do that are called for every request."""
    telemetry, registry = in_a_box(), CollectorRegistry()
    labels: TaskLabels = {"task_name": "task", "queue": "high"}
    counter = Counter("tasks_submitted", "Tasks.", NAMES, registry=registry).labels("task", "high")
    seconds = Histogram("task_duration_seconds", "Seconds.", NAMES, registry=registry, buckets=DURATION.buckets)
    return {
        "counter, bound": {
            "ours": calls(telemetry.instruments.counter(SUBMITTED).bind(labels).add, 1),
            "prometheus_client": calls(counter.inc, 1),
        },
        "histogram, bound": {
            "ours": calls(telemetry.instruments.histogram(DURATION).bind(labels).record, 0.1),
            "prometheus_client": calls(seconds.labels("task", "high").observe, 0.1),
        },
    }


def calls(event: Callable[[float], None], amount: float) -> Callable[[int], None]:
    """The same call again and again."""

    def run(count: int) -> None:
        for _ in range(count):
            event(amount)

    return run


def in_files_of_processes(rounds: int, events: int) -> dict[str, dict[str, float]]:
    """prometheus_client where several processes share an endpoint: it counts into files, as ours always does."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "benchmarks.record", "--multiprocess", str(rounds), str(events)]
        env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": directory}
        answer = subprocess.run(command, check=True, capture_output=True, env=env).stdout
    result: dict[str, dict[str, float]] = json.loads(answer)
    return result


def multiprocess(rounds: int, events: int) -> dict[str, dict[str, float]]:
    """Events of prometheus_client in this process, whose environment says that it is one of several."""
    client = {kind: {"prometheus_client": repeat(ways["prometheus_client"]()[0])} for kind, ways in WAYS.items()}
    bound_too = {kind: {"prometheus_client": ways["prometheus_client"]} for kind, ways in bound().items()}
    return {kind: cpu_microseconds(variants, rounds, events) for kind, variants in {**client, **bound_too}.items()}


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
    parser.add_argument("--multiprocess", nargs=2, type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.weigh:
        print(json.dumps(weigh(chosen.weigh[0], chosen.weigh[1], int(chosen.weigh[2]))))
    elif chosen.multiprocess:
        print(json.dumps(multiprocess(*chosen.multiprocess)))
    else:
        variants = {kind: {n: repeat(way()[0]) for n, way in ways.items()} for kind, ways in WAYS.items()}
        cpu = {
            kind: cpu_microseconds(ways, chosen.rounds, chosen.events) for kind, ways in {**variants, **bound()}.items()
        }
        for kind, ways in in_files_of_processes(chosen.rounds, chosen.events).items():
            cpu[kind]["prometheus_client, multiprocess"] = ways["prometheus_client"]
        weights = {
            kind: {str(size): {way: weigh_apart(kind, way, size) for way in ways} for size in (1_000, 10_000)}
            for kind, ways in WAYS.items()
        }
        store("record", {"cpu_us_per_event": cpu, "series": weights}, PACKAGES)
