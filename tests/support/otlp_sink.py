"""A collector for tests: takes OTLP over HTTP, counts each sequence of a sender once, can refuse, hang or go away."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import ThreadingHTTPServer
from typing import Any, Literal

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.receiving import ExportHandler

Series = tuple[str, frozenset[tuple[str, str]]]
Fate = Literal["take", "refuse", "lose", "hang"]
TAKEN = 200


class OtlpSink:
    """Adds up what it accepted.

    Args:
        tls: Its certificate, and whose it trusts, for `https`.

    Attributes:
        status: What it answers; anything but 200 takes nothing.
        hang_seconds: How long it waits before it answers.
        loses_answers: Takes an export and closes the connection without an answer.
        judge: What it answers to this export, by its content; asked before `status`.
        fate: What becomes of the next export: `take`, `refuse`, `lose` its answer, or `hang` for a while and take it.
        requests: How many exports came, taken or not.
        received: Bytes of their bodies.
        points: Data points in them.
        duplicates: Exports that came again after they were taken; they count nowhere.
        missing: Sequences of a sender that never came.
        totals: Sum of a counter, count of a histogram, by series.
        buckets: Counts of a histogram, bucket by bucket.
        exemplars: Of histograms, with their series, in the order in which they came.
        facts: Last value of a gauge and when it came, by series, whoever reported it.
        instances: Every `service.instance.id` that exported.
        resource: What the last export said of its process.
        path: Where the last export was sent to.
        headers: What was sent with it, by name in small letters.
        last: The last export.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.status = 200
        self.hang_seconds = 0.0
        self.loses_answers = False
        self.judge: Callable[[ExportMetricsServiceRequest], int] = lambda request: 200
        self.fate: Callable[[], Fate] = lambda: "take"
        self.requests = 0
        self.received = 0
        self.points = 0
        self.duplicates = 0
        self.missing = 0
        self._last: dict[str, int] = {}
        self._hanging: list[ExportMetricsServiceRequest] = []
        self.totals: dict[Series, float] = defaultdict(float)
        self.buckets: dict[Series, list[int]] = {}
        self.exemplars: list[tuple[Series, Any]] = []
        self.levels: dict[tuple[str, Series], float] = {}
        self.facts: dict[Series, tuple[float, float]] = {}
        self.instances: set[str] = set()
        self.resource: dict[str, str] = {}
        self.path = ""
        self.headers: dict[str, str] = {}
        self.last = ExportMetricsServiceRequest()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def total(self, metric: str, /, **labels: str) -> float:
        """Sum over the series that have at least these labels."""
        with self._lock:
            wanted = set(labels.items())
            return sum(v for (name, key), v in self.totals.items() if name == metric and wanted <= key)

    def fact(self, metric: str, /, seconds: float = 3.0, **labels: str) -> float | None:
        """The last value of a gauge that any process reported in the last seconds; `None` if none did."""
        with self._lock:
            value, reported = self.facts.get((metric, frozenset(labels.items())), (0.0, float("-inf")))
        return value if time.monotonic() - reported < seconds else None

    def receive(self, body: bytes) -> int:
        """Take or refuse one export; the status it answers with."""
        request = self.last = _decoded(body, self.headers)
        with self._lock:
            self.requests += 1
            self.received += len(body)
            self.points += _points(request)
        if self.hang_seconds:
            self._hanging.append(request)
            time.sleep(self.hang_seconds)
        verdict = self.judge(request)
        status = self.status if verdict == TAKEN else verdict
        if status == TAKEN:
            self.take(request)
        return status

    def take_what_hangs(self) -> None:
        """Take every export that still waits for its answer, as a collector whose answers are slow has done."""
        hanging, self._hanging = self._hanging, []
        for request in hanging:
            self.take(request)

    def take(self, request: ExportMetricsServiceRequest) -> None:
        """Add up one export."""
        with self._lock:
            for resource in request.resource_metrics:
                if not self._is_new(resource):
                    continue
                attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
                self.instances.add(attributes.get("service.instance.id", ""))
                self.resource = attributes
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        self._add(attributes.get("service.instance.id", ""), metric)

    def _is_new(self, resource: Any) -> bool:
        said = {item.key: item.value for item in resource.resource.attributes}
        if "telemetry.sender.id" not in said:
            return True
        sender, sequence = said["telemetry.sender.id"].string_value, said["telemetry.sender.sequence"].int_value
        last = self._last.get(sender, 0)
        self.missing += max(0, sequence - last - 1)
        self.duplicates += sequence <= last
        self._last[sender] = max(last, sequence)
        return sequence > last

    def _add(self, instance: str, metric: Any) -> None:
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            key = (metric.name, frozenset((item.key, item.value.string_value) for item in point.attributes))
            if kind == "histogram":
                self.totals[key] += point.count
                self.exemplars += [(key, exemplar) for exemplar in point.exemplars]
                known = self.buckets.get(key, [0] * len(point.bucket_counts))
                self.buckets[key] = [a + b for a, b in zip(known, point.bucket_counts, strict=True)]
            elif kind == "exponential_histogram":
                assert point.count == point.zero_count + sum(point.positive.bucket_counts)
                self.totals[key] += point.count
                self.exemplars += [(key, exemplar) for exemplar in point.exemplars]
            elif kind == "sum" and metric.sum.is_monotonic:
                self.totals[key] += point.as_double + point.as_int
            else:
                self.levels[instance, key] = point.as_double + point.as_int
                self.facts[key] = (point.as_double + point.as_int, time.monotonic())

    def _handler(self) -> type[ExportHandler]:
        sink = self

        class Handler(ExportHandler):
            def do_POST(self) -> None:  # noqa: N802 - http.server's name
                body = self.read_body()
                sink.path, sink.headers = self.path, {name.lower(): value for name, value in self.headers.items()}
                fate = sink.fate()
                if fate == "hang":
                    time.sleep(1.0)
                status = 503 if fate == "refuse" else sink.receive(body)
                if sink.loses_answers or fate == "lose":
                    self.close_connection = True
                    return
                with suppress(OSError):  # who asked has not waited
                    self.answer(status)

        return Handler


def _decoded(body: bytes, headers: Mapping[str, str]) -> ExportMetricsServiceRequest:
    expand = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(headers.get("content-encoding", ""), bytes)
    if headers.get("content-type") == "application/json":
        return json_format.Parse(expand(body), ExportMetricsServiceRequest())
    return ExportMetricsServiceRequest.FromString(expand(body))


def _points(request: ExportMetricsServiceRequest) -> int:
    metrics = [m for r in request.resource_metrics for scope in r.scope_metrics for m in scope.metrics]
    return sum(len(getattr(m, str(m.WhichOneof("data"))).data_points) for m in metrics)
