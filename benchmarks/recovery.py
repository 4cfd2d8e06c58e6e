"""What a fleet sends after its collector was away: requests a second, points of an export, p99, and counts.

So many processes count all the time; one more is a service under ``wrk``. Nothing listens at the collector's address
for a minute, and then it does again.

Usage: ``python -m benchmarks.recovery [--senders 16] [--outage 60] [--interval 5]``
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

import telemetry
from benchmarks.backpressure import serving
from benchmarks.link import Link
from benchmarks.load import load, need_wrk
from benchmarks.measure import store
from support.collector import DURABLE, Collector
from support.waiting import eventually
from telemetry.catalogue import Budget, CounterSpec
from telemetry.pipeline.otlp import SENDER

SERIES = 200
_PAUSE = 0.01  # seconds between two events of a sender
_NUMBERS_OF_POINTS = ("sum", "gauge", "histogram", "exponential_histogram")


class PlaceLabels(TypedDict):
    """Where something happened."""

    place: Annotated[str, Budget(SERIES, "places of this benchmark")]


HAPPENED = CounterSpec(name="benchmark_events_total", help="Events.", labels=PlaceLabels, unit="{event}")


@dataclass(frozen=True)
class Request:
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


def measure(senders: int, outage: float, interval: float, calm: float) -> dict[str, Any]:
    """A fleet before, during and after an outage.

    Args:
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
        phases: dict[str, tuple[float, float]] = {}
        p99: dict[str, float] = {}
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
            with _phase(phases, "before"):
                p99["before"] = load(service.url, service.pid, int(calm))["p99_ms"]
        with _phase(phases, "outage"):
            time.sleep(max(0.0, outage - calm))
            p99["outage"] = load(service.url, service.pid, int(calm))["p99_ms"]
        with link.open():
            with _phase(phases, "after"):
                p99["after"] = load(service.url, service.pid, int(calm))["p99_ms"]
            told = sum(_end(process) for process in processes)
            shown = collector.settles_at(HAPPENED.name, told, 30)
        requests = [_read(at, head_and_body) for at, head_and_body in link.kept]
    found = {name: _traffic(requests, phases[name], p99[name]) for name in ("before", "after")}
    return {
        "senders": senders + 1,
        "series_of_a_sender": SERIES,
        "p99_ms_outage": p99["outage"],
        **found,
        "caught_up_after_s": _caught_up(requests, phases["after"][0], senders),
        "events": told,
        "shown": round(shown),
    }


@contextmanager
def _phase(phases: dict[str, tuple[float, float]], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    phases[name] = began, time.monotonic()


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


def _read(at: float, request: bytes) -> Request:
    head, _, body = request.partition(b"\r\n\r\n")
    if b"content-encoding: gzip" in head.lower():
        body = gzip.decompress(body)
    export = ExportMetricsServiceRequest.FromString(body)
    senders = {
        attribute.value.string_value
        for resource in export.resource_metrics
        for attribute in resource.resource.attributes
        if attribute.key == SENDER
    }
    return Request(at, len(request), sum(_points(export)), next(iter(senders), ""))


def _points(export: ExportMetricsServiceRequest) -> Iterator[int]:
    for resource in export.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield max(len(getattr(metric, kind).data_points) for kind in _NUMBERS_OF_POINTS)


def _traffic(requests: Sequence[Request], phase: tuple[float, float], p99: float) -> dict[str, float]:
    began, ended = phase
    own = [request for request in requests if began <= request.at < ended]
    by_second = Counter(int(request.at - began) for request in own)
    return {
        "requests_per_second": round(len(own) / (ended - began), 2),
        "most_in_a_second": max(by_second.values(), default=0),
        "most_points": max((request.points for request in own), default=0),
        "most_kilobytes": round(max((request.size for request in own), default=0) / 1000, 1),
        "p99_ms": p99,
    }


def _caught_up(requests: Sequence[Request], began: float, senders: int) -> float | None:
    """Seconds until every process had sent something."""
    first: dict[str, float] = {}
    for request in requests:
        if request.at >= began and request.sender:
            first.setdefault(request.sender, request.at - began)
    return round(max(first.values()), 1) if len(first) >= senders else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--senders", type=int, default=16)
    parser.add_argument("--outage", type=float, default=60)
    parser.add_argument("--interval", type=float, default=5)
    parser.add_argument("--calm", type=float, default=15)
    parser.add_argument("--send", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.send:
        send()
        sys.exit(0)
    need_wrk()
    outcome = measure(chosen.senders, chosen.outage, chosen.interval, chosen.calm)
    about = {"outage": chosen.outage, "interval": chosen.interval, "calm": chosen.calm}
    store("recovery", {**about, **outcome}, ("requests",))
