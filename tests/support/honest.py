"""Honest senders that count while somebody attacks a collector, and what has to be shown of them at the end; it attacks nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from support.exposition import Samples
from support.waiting import eventually
from tests.support.sender import Receiver, Sender

HONEST = {"method": "GET", "endpoint": "/honest", "status_code": "200"}
COUNTER, SECONDS = "http_requests_total", "http_request_duration_seconds"
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]


class Counting(Receiver, Protocol):
    """Where OTLP can be sent, and what was counted of it."""

    def samples(self, port: str = "TOTALS") -> Samples:
        """Everything that its page shows."""


@contextmanager
def honest_fleet(collector: Counting) -> Iterator[list[int]]:
    """Senders that count meanwhile; at the end each count and each bucket has to be there.

    What it gives is how many exports each of them made, once they have ended.
    """
    before = shown(collector)
    stop = threading.Event()
    counted: list[int] = []

    def send(name: str) -> None:
        sender, sent = Sender(collector, name, numbered=f"{name}-{time.monotonic_ns()}"), 0
        while not stop.is_set() or sent < 20:
            for request in (
                sender.request_of_counter(COUNTER, 1, HONEST),
                sender.request_of_histogram(SECONDS, [0.03], HONEST, BOUNDS),
            ):
                while not _is_taken(sender, request):
                    stop.wait(0.02)
            sent += 1
        counted.append(sent)

    senders = [threading.Thread(target=send, args=(f"honest-{number}",)) for number in range(4)]
    for sender in senders:
        sender.start()
    try:
        yield counted
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    expected = [value + sum(counted) for value in before]
    assert eventually(lambda: shown(collector) == expected), (shown(collector), expected)


def shown(collector: Counting) -> list[float]:
    """The honest counter, the histogram's count, and what is in the bucket that the honest values belong to, and not below."""
    samples = collector.samples("TOTALS")

    def value(name: str, **more: str) -> float:
        wanted = {**HONEST, "environment": "prod", **more}
        return sum(v for (n, labels), v in samples.items() if n == name and dict(labels) == wanted)

    return [
        value(COUNTER),
        value(f"{SECONDS}_count"),
        value(f"{SECONDS}_bucket", le="0.05") - value(f"{SECONDS}_bucket", le="0.025"),
    ]


def _is_taken(sender: Sender, request: ExportMetricsServiceRequest) -> bool:
    try:
        return sender.send(request).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
