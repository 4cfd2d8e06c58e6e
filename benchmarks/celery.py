"""What measuring a task costs: CPU time of whole prefork workers that do nothing, ours and peers, in turns.

Two equal workers differ by several per cent for as long as they live (where their memory came to lie), so that no
number of tasks tells variants apart. Hence many crews: each is a fresh worker of every variant, all alive at once; a
round gives each of them the same number of tasks and waits until they are done. A worker's number is the median of its
rounds, a variant's the mean of its workers. The CPU time is that of the worker's processes, children included.

Usage: ``python -m benchmarks.celery [--crews 24] [--rounds 4] [--tasks 1000]``
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import redis
from celery import Celery

from benchmarks.measure import store, turns
from support.collector import running as running_collector
from support.ports import free_port
from support.processes import children, program
from telemetry.instrumentation.celery.publishing_date import HEADER

ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
QUEUE, PARKED = "celery", "parked"
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "bare": (),
    "bare again": (),
    "ours": (),
    "contrib CeleryInstrumentor": (),
    "events (-E)": ("-E",),
}
_NAMES = {"ours": "ours", "contrib CeleryInstrumentor": "contrib"}
PACKAGES = ("celery", "redis", "opentelemetry-instrumentation-celery", "opentelemetry-sdk")


@dataclass
class Turn:
    """One worker's share of a round, per task: µs of CPU in the main process and in its children, and seconds."""

    parent: float
    children: float
    seconds: float

    @property
    def cpu(self) -> float:
        """Of the whole worker."""
        return self.parent + self.children


class Worker:
    """A worker with two children and a Redis database of its own.

    Args:
        name: The variant.
        database: Its Redis database.
        port: Redis' port.
        endpoint: Where metrics go.
    """

    def __init__(self, name: str, database: int, port: int, endpoint: str, log: Path) -> None:
        url = f"redis://127.0.0.1:{port}/{database}"
        variables = {
            "PYTHONPATH": str(ROOT),
            "BROKER": url,
            "VARIANT": _NAMES.get(name, ""),
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        }
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.celery_app", "worker", "-c", "2", "-l", "warning"]
        command += ["-n", f"w{database}@%h", "--without-mingle", "--without-gossip", *VARIANTS[name]]
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=output, stderr=output)
        self._dated = name == "ours"  # as a publisher of ours does
        self._redis: Any = redis.Redis(port=port, db=database)
        self._publisher = Celery(broker=url)

    def run(self, tasks: int) -> Turn:
        """Give it tasks, all at once, and wait until they are done."""
        with self._publisher.connection_for_write() as connection, connection.Producer() as producer:
            for _ in range(tasks):
                headers = {HEADER: time.time()} if self._dated else {}
                self._publisher.send_task(
                    "benchmarks.celery_app.nothing", queue=PARKED, producer=producer, headers=headers
                )
        before = self._cpu()
        began = time.monotonic()
        self._redis.rename(PARKED, QUEUE)
        while self._redis.llen(QUEUE) or self._redis.hlen("unacked"):
            time.sleep(0.02)
        seconds = time.monotonic() - began
        parent, children = (after - then for after, then in zip(self._cpu(), before, strict=True))
        return Turn(parent / tasks * 1e6, children / tasks * 1e6, seconds / tasks)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30)

    def _cpu(self) -> tuple[float, float]:
        return _seconds(self._process.pid), sum(map(_seconds, children(self._process.pid)))


def _seconds(pid: int) -> float:
    """User and system time of a process; finer than clock ticks where the scheduler tells."""
    try:
        return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except (OSError, IndexError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


class Site:
    """What all crews share: a Redis, a collector and a directory for logs."""

    def __init__(self, stack: ExitStack) -> None:
        self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._port = free_port()
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._directory), "--save", ""]
        broker = subprocess.Popen([program(Path("redis-server")), *options], stdout=subprocess.DEVNULL)
        stack.callback(broker.wait)
        stack.callback(broker.terminate)
        self._collector = stack.enter_context(running_collector())

    @contextmanager
    def crew(self, names: Sequence[str]) -> Iterator[dict[str, Worker]]:
        """A fresh worker of each variant, ended with the block."""
        with ExitStack() as stack:
            made = {}
            for number, name in enumerate(names):
                log = self._directory / f"{number}.log"
                made[name] = Worker(name, number, self._port, self._collector.endpoint, log)
                stack.callback(made[name].stop)
            yield made


def measure(crews: int, rounds: int, tasks: int) -> dict[str, list[Turn]]:
    """A turn for each crew by variant: the median of the worker's rounds."""
    found: dict[str, list[Turn]] = {name: [] for name in VARIANTS}
    with ExitStack() as stack:
        site = Site(stack)
        for number in range(crews):
            names = random.Random(number).sample(list(VARIANTS), len(VARIANTS))
            taken: dict[str, list[Turn]] = {name: [] for name in names}
            with site.crew(names) as workers:
                for name, counts in turns(names, rounds):
                    turn = workers[name].run(tasks)
                    if counts:
                        taken[name].append(turn)
            for name, of_worker in taken.items():
                found[name].append(_median(of_worker))
    return found


def summary(found: Mapping[str, Sequence[Turn]]) -> dict[str, dict[str, float]]:
    """Means over the workers of each variant, and what it adds to bare with the standard error of that."""
    bare = [turn.cpu for turn in found["bare"]]
    result = {}
    for name, taken in found.items():
        added = [turn.cpu / without - 1 for turn, without in zip(taken, bare, strict=True)]
        result[name] = {
            "cpu_us_per_task": round(mean(turn.cpu for turn in taken), 1),
            "parent_us": round(mean(turn.parent for turn in taken), 1),
            "children_us": round(mean(turn.children for turn in taken), 1),
            "added_percent": round(mean(added) * 100, 2),
            "standard_error": round(stdev(added) / len(added) ** 0.5 * 100, 2),
            "tasks_per_second": round(1 / mean(turn.seconds for turn in taken)),
        }
    return result


def _median(taken: Sequence[Turn]) -> Turn:
    parts = ([getattr(turn, part) for turn in taken] for part in ("parent", "children", "seconds"))
    return Turn(*map(median, parts))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crews", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--tasks", type=int, default=1000)
    chosen = parser.parse_args()
    variants = summary(measure(chosen.crews, chosen.rounds, chosen.tasks))
    store("celery", {**vars(chosen), "variants": variants}, PACKAGES)
