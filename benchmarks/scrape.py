"""What a scrape of a host without a collector costs: ours and prometheus_client's multiprocess mode, by processes.

Every process has the same series; the page adds them up. Each variant runs in a process of its own.
Usage: ``python -m benchmarks.scrape [--rounds 20] [--series 1000]``
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
from collections.abc import Callable
from statistics import median

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

import telemetry
from benchmarks.measure import store
from support.memory import MEMORY

PROCESSES = (1, 4)

Way = Callable[[], tuple[Callable[[int], None], Callable[[], bytes]]]


def ours() -> tuple[Callable[[int], None], Callable[[], bytes]]:
    """A route of the application, as `telemetry.prometheus_wsgi_app()` answers it."""
    counter = telemetry.configure("benchmark").meter_provider.get_meter("own").create_counter("tasks_total")

    def record(series: int) -> None:
        for number in range(series):
            counter.add(1, {"task_name": f"task-{number}", "queue": "high"})

    def scrape() -> bytes:
        return b"".join(telemetry.prometheus_wsgi_app()({}, lambda status, headers: None))

    return record, scrape


def client() -> tuple[Callable[[int], None], Callable[[], bytes]]:
    """The same series in files of prometheus_client."""
    counter = Counter("tasks", "Tasks.", ("task_name", "queue"))

    def record(series: int) -> None:
        for number in range(series):
            counter.labels(f"task-{number}", "high").inc()

    def scrape() -> bytes:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)

    return record, scrape


WAYS: dict[str, Way] = {"ours": ours, "prometheus_client, multiprocess": client}


def milliseconds(way: str, processes: int, series: int, rounds: int) -> float:
    """Median time of a scrape in one of so many processes; it has to show every event.

    Raises:
        RuntimeError: If the page does not have what all processes counted.
    """
    record, scrape = WAYS[way]()
    others = [_fork(record, series) for _ in range(processes - 1)]
    record(series)
    taken = []
    for _ in range(rounds):
        gc.collect()
        began = time.perf_counter()
        page = scrape()
        taken.append((time.perf_counter() - began) * 1000)
    for other in others:
        os.close(other)
    if page.count(f" {float(processes)}\n".encode()) < series:
        raise RuntimeError(f"the page of {way} lacks counts")
    return round(median(taken), 1)


def _fork(record: Callable[[int], None], series: int) -> int:
    """A child that has recorded and lives until the pipe that is returned is closed."""
    readable, writable = os.pipe()
    recorded, tell = os.pipe()
    if os.fork() == 0:
        os.close(writable)
        record(series)
        os.write(tell, b".")
        os.read(readable, 1)
        os._exit(0)
    os.close(readable)
    os.read(recorded, 1)
    return writable


def measure(rounds: int, series: int) -> dict[str, dict[str, float]]:
    """Medians by number of processes and variant."""
    found: dict[str, dict[str, float]] = {}
    for processes in PROCESSES:
        found[str(processes)] = {way: _apart(way, processes, series, rounds) for way in WAYS}
    return found


def _apart(way: str, processes: int, series: int, rounds: int) -> float:
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        apart = {"OTEL_METRICS_EXPORTER": "prometheus", "TELEMETRY_STATE_DIR": directory}
        if way != "ours":
            apart = {"PROMETHEUS_MULTIPROC_DIR": directory}
        command = [sys.executable, "-m", "benchmarks.scrape", "--apart", way, str(processes)]
        sizes = ["--rounds", str(rounds), "--series", str(series)]
        answer = subprocess.run([*command, *sizes], check=True, capture_output=True, env={**os.environ, **apart})
    return float(json.loads(answer.stdout))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--apart", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.apart:
        print(milliseconds(chosen.apart[0], int(chosen.apart[1]), chosen.series, chosen.rounds))
    else:
        result = {"series": chosen.series, "scrape_ms": measure(chosen.rounds, chosen.series)}
        store("scrape", result, ("prometheus-client",))
