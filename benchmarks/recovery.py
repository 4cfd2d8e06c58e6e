"""What a fleet sends after its collector was away: requests a second, points of an export, p99, and counts.

So many processes count all the time; one more is a service under ``wrk``. For a while nothing listens at the
collector's address, or the collector hangs, or it refuses; then all is well again. Each of these has fresh processes.

Usage: ``python -m benchmarks.recovery [--senders 16] [--outage 45] [--interval 5] [--calm 12]``; about 5 minutes
"""

from __future__ import annotations

import argparse
import gzip
import os
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

import telemetry
from benchmarks.link import Link
from benchmarks.load import load, need_wrk
from benchmarks.measure import store
from benchmarks.service import Service, counts, serving
from support.collector import DURABLE, Collector
from support.processes import stopped
from support.waiting import eventually
from telemetry.catalogue import Budget, CounterSpec
from telemetry.pipeline.otlp import SENDER

SERIES = 200
_PAUSE = 0.01  # seconds between two events of a sender
_NUMBERS_OF_POINTS = ("sum", "gauge", "histogram", "exponential_histogram")


class PlaceLabels(TypedDict):
    """Where something happened."""

    place: Annotated[str, Budget(SERIES, "places of this benchmark")]


Outage = Callable[[Collector, Link], AbstractContextManager[None]]
OUTAGES: Mapping[str, Outage] = {
    "nothing listens": lambda _, link: link.closed(),
    "collector hangs (SIGSTOP)": lambda collector, _: stopped(collector.pid),
    "collector refuses (503)": lambda _, link: link.busy(),
}
HAPPENED = CounterSpec(name="benchmark_events_total", help="Events.", labels=PlaceLabels, unit="{event}")


@dataclass(frozen=True)
class Export:
    """An export that came.

    Attributes:
        at: Seconds of the monotonic clock.
        size: Bytes of it.
        points: How many it has.
        sender: Whose it is; empty for levels.
    """

    at: float
    size: int
    points: int
    sender: str


@dataclass(frozen=True)
class Phase:
    """A time of a run.

    Attributes:
        began: Seconds of the monotonic clock.
        ended: The same.
        p99: Milliseconds, of the service that was loaded at its end.
    """

    began: float
    ended: float
    p99: float


def send() -> None:
    """Say that every series is there, count until the standard input ends, deliver, say how many events there were."""
    telemetry.configure(service_name="sender")
    happened, count = telemetry.counter(HAPPENED), 0
    for count in range(1, SERIES + 1):
        happened.add(1, {"place": str(count % SERIES)})
    print(count, flush=True)
    while not select.select([sys.stdin], [], [], _PAUSE)[0]:
        happened.add(1, {"place": str(count % SERIES)})
        count += 1
    telemetry.shutdown()
    print(count)


def measure(kind: Outage, senders: int, outage: float, interval: float, calm: float) -> dict[str, Any]:
    """A fleet before, during and after an outage.

    Args:
        kind: What befalls the collector.
        senders: Processes beside the service.
        outage: Seconds.
        interval: Seconds between exports.
        calm: Seconds before and after.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recovery-")))
        collector = Collector(DURABLE)
        stack.callback(collector.close)
        collector.start()
        link = Link(collector.ports["HTTP"], keeps=True)
        phases: dict[str, Phase] = {}
        variables = {
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{link.port}",
            "OTEL_METRIC_EXPORT_INTERVAL": str(int(interval * 1000)),
            "TELEMETRY_STATE_DIR": str(folder / "boxes"),
        }
        with link.open():
            service = stack.enter_context(serving(variables))
            processes = stack.enter_context(_sending(senders, variables))
            begun = sum(int(process.stdout.readline()) for process in processes if process.stdout)
            eventually(lambda: collector.total(HAPPENED.name) >= begun)
            load(service.url, service.pid, 1)
            phases["before"] = _loaded(service, calm)
            with kind(collector, link):
                phases["meanwhile"] = _loaded(service, calm, outage - calm)
            phases["after"] = _loaded(service, calm)
            told = sum(_end(process) for process in processes)
            shown = collector.settles_at(HAPPENED.name, told, 30)
            requests = counts(collector, service)
        exports = [_read(at, head_and_body) for at, head_and_body in link.kept]
    return {
        **{name: _traffic(exports, phase) for name, phase in phases.items()},
        "caught_up_after_s": _caught_up(exports, phases["after"].began, senders + 1),
        "events": told + requests.served,
        "shown": round(shown) + requests.shown,
    }


def _loaded(service: Service, seconds: float, pause: float = 0.0) -> Phase:
    """A pause, and then the service under load."""
    began = time.monotonic()
    time.sleep(max(0.0, pause))
    p99 = load(service.url, service.pid, int(seconds))["p99_ms"]
    return Phase(began, time.monotonic(), p99)


@contextmanager
def _sending(count: int, variables: Mapping[str, str]) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "benchmarks.recovery", "--send"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    processes = [subprocess.Popen(command, env={**os.environ, **variables}, **pipes) for _ in range(count)]  # type: ignore[call-overload]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _end(process: subprocess.Popen[str]) -> int:
    """How many events it counted."""
    return int(process.communicate(timeout=60)[0])


def _read(at: float, request: bytes) -> Export:
    head, _, body = request.partition(b"\r\n\r\n")
    if b"content-encoding: gzip" in head.lower():
        body = gzip.decompress(body)
    message = ExportMetricsServiceRequest.FromString(body)
    senders = {
        attribute.value.string_value
        for resource in message.resource_metrics
        for attribute in resource.resource.attributes
        if attribute.key == SENDER
    }
    return Export(at, len(request), sum(_points(message)), next(iter(senders), ""))


def _points(message: ExportMetricsServiceRequest) -> Iterator[int]:
    for resource in message.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield max(len(getattr(metric, kind).data_points) for kind in _NUMBERS_OF_POINTS)


def _traffic(exports: Sequence[Export], phase: Phase) -> dict[str, float]:
    own = [export for export in exports if phase.began <= export.at < phase.ended]
    by_second = Counter(int(export.at - phase.began) for export in own)
    return {
        "requests_per_second": round(len(own) / (phase.ended - phase.began), 2),
        "most_in_a_second": max(by_second.values(), default=0),
        "most_points": max((export.points for export in own), default=0),
        "most_kilobytes": round(max((export.size for export in own), default=0) / 1000, 1),
        "p99_ms": phase.p99,
    }


def _caught_up(exports: Sequence[Export], began: float, processes: int) -> float | None:
    """Seconds until every process had begun to send anew."""
    first: dict[str, float] = {}
    for export in sorted(exports, key=lambda each: each.at):
        if export.at >= began and export.sender:
            first.setdefault(export.sender, export.at - began)
    return round(max(first.values()), 1) if len(first) >= processes else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--senders", type=int, default=16)
    parser.add_argument("--outage", type=float, default=45)
    parser.add_argument("--interval", type=float, default=5)
    parser.add_argument("--calm", type=float, default=12)
    parser.add_argument("--send", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.send:
        send()
        sys.exit(0)
    need_wrk()
    about = {"outage": chosen.outage, "interval": chosen.interval, "calm": chosen.calm}
    outages = {name: measure(kind, chosen.senders, **about) for name, kind in OUTAGES.items()}
    fleet = {"processes": chosen.senders + 1, "series_of_a_sender": SERIES}
    store("recovery", {**about, **fleet, "outages": outages}, ("requests",))
