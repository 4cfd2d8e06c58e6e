"""What measuring a task costs: CPU time of whole prefork workers that do nothing, ours and peers, in turns.

Every variant has a worker of its own with two children, all alive through the run; a round gives each of them the same
number of tasks at once and waits until they are done. The CPU time is that of the worker's processes in that time.

Usage: ``python -m benchmarks.celery [--rounds 15] [--tasks 1000]``
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import redis
from celery import Celery

from benchmarks.measure import store
from deploy.ports import free_port_run
from deploy.processes import program
from tests.support.collector import running as running_collector

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
        self._redis: Any = redis.Redis(port=port, db=database)
        self._publisher = Celery(broker=url)

    def run(self, tasks: int) -> Turn:
        """Give it tasks, all at once, and wait until they are done."""
        with self._publisher.connection_for_write() as connection, connection.Producer() as producer:
            for _ in range(tasks):
                self._publisher.send_task("benchmarks.celery_app.nothing", queue=PARKED, producer=producer)
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
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return _seconds(self._process.pid), sum(_seconds(int(child)) for child in children)


def _seconds(pid: int) -> float:
    """User and system time of a process; finer than clock ticks where the scheduler tells."""
    try:
        return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except (OSError, IndexError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def workers() -> Iterator[dict[str, Worker]]:
    """One worker of each variant, with Redis and a collector, ended with the block."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port_run(1)[0]
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
        broker = subprocess.Popen([program(Path("redis-server")), *options], stdout=subprocess.DEVNULL)
        stack.callback(broker.wait)
        stack.callback(broker.terminate)
        collector = stack.enter_context(running_collector())
        made = {}
        for number, name in enumerate(VARIANTS):
            made[name] = Worker(name, number, port, collector.endpoint, directory / f"{number}.log")
            stack.callback(made[name].stop)
        yield made


def measure(rounds: int, tasks: int) -> dict[str, dict[str, float]]:
    """Medians over the rounds, by variant."""
    turns: dict[str, list[Turn]] = {name: [] for name in VARIANTS}
    with workers() as made:
        for number in range(rounds + 1):
            for name in list(made) if number % 2 else list(reversed(made)):
                turn = made[name].run(tasks)
                if number:  # the first round warms up
                    turns[name].append(turn)
    return {
        name: {
            "cpu_us_per_task": round(median(turn.parent + turn.children for turn in of_variant), 1),
            "parent_us": round(median(turn.parent for turn in of_variant), 1),
            "children_us": round(median(turn.children for turn in of_variant), 1),
            "tasks_per_second": round(1 / median(turn.seconds for turn in of_variant)),
        }
        for name, of_variant in turns.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tasks", type=int, default=1000)
    chosen = parser.parse_args()
    found = measure(chosen.rounds, chosen.tasks)
    store("celery", {"rounds": chosen.rounds, "tasks": chosen.tasks, "variants": found}, PACKAGES)
