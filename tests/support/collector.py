"""A real collector for one test, with the product's configuration, on free ports; and raw OTLP to send it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from deploy.ports import free_port_run

ROOT = Path(__file__).parents[2]
PORTS = ("GRPC", "HTTP", "TOTALS", "LEVELS", "METRICS", "HEALTH")
DELTA, CUMULATIVE = 1, 2
Labels = tuple[tuple[str, str], ...]


class Collector:
    """The process; `start` and `kill` may be called in turn, the ports stay."""

    def __init__(self) -> None:
        self.ports = dict(zip(PORTS, free_port_run(len(PORTS)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return f"http://127.0.0.1:{self.ports['HTTP']}"

    def start(self) -> None:
        """Start it and wait until it is healthy."""
        program = os.environ.get("OTELCOL") or str(Path(sys.executable).parent / "otelcol")
        variables = {f"OTELCOL_{name}_PORT": str(port) for name, port in self.ports.items()}
        self._process = subprocess.Popen(
            [program, "--config", str(ROOT / "otel-collector.yaml")],
            env={**os.environ, **variables},
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"http://127.0.0.1:{self.ports['HEALTH']}/").status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise TimeoutError("the collector is not healthy after 20 s")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def series(self, metric: str) -> dict[Labels, float]:
        """Every series of a metric at either endpoint; of a histogram, its counts."""
        found = {}
        for port in ("TOTALS", "LEVELS"):
            text = httpx.get(f"http://127.0.0.1:{self.ports[port]}/metrics").text
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    if sample.name == metric or (family.type == "histogram" and sample.name == f"{metric}_count"):
                        found[tuple(sorted(sample.labels.items()))] = sample.value
        return found

    def total(self, metric: str, /, **labels: str) -> float:
        """Sum over the series that have at least these labels."""
        wanted = set(labels.items())
        return sum(value for key, value in self.series(metric).items() if wanted <= set(key))

    def settles_at(self, metric: str, expected: float, seconds: float = 15.0, /, **labels: str) -> float:
        """The total once it is what is expected, or what it is when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.total(metric, **labels)
            if value == expected or time.monotonic() > deadline:
                return value
            time.sleep(0.1)


@contextmanager
def running() -> Iterator[Collector]:
    """A collector that is ended with the block."""
    collector = Collector()
    try:
        collector.start()
        yield collector
    finally:
        collector.kill()


class Sender:
    """A process that exports, as the collector sees it.

    Args:
        collector: Where to.
        instance: Its `service.instance.id`.
        scope_version: Of the library that counts.
        clock_skew: Seconds its clock is ahead.
    """

    def __init__(
        self,
        collector: Collector,
        instance: str,
        *,
        scope_version: str = "1",
        unit: str = "",
        clock_skew: float = 0.0,
        environment: str | None = "prod",
    ) -> None:
        self._url = f"{collector.endpoint}/v1/metrics"
        self._http = httpx.Client()
        self._resource = {"service.name": "test", "service.instance.id": instance}
        if environment is not None:
            self._resource["deployment.environment.name"] = environment
        self._scope_version = scope_version
        self._unit = unit
        self._skew = int(clock_skew * 1e9)
        self._start = time.time_ns() + self._skew

    def counter(
        self, name: str, value: float, labels: Mapping[str, str], *, temporality: int = DELTA, as_int: bool = False
    ) -> None:
        """Export one point of a counter."""
        request, metric = self._request(name)
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = temporality
        self._number(metric.sum.data_points.add(), value, labels, as_int)
        self._post(request)

    def level(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Export one point of an up-down counter."""
        request, metric = self._request(name)
        metric.sum.aggregation_temporality = CUMULATIVE
        self._number(metric.sum.data_points.add(), value, labels, False)
        self._post(request)

    def fact(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Export one point of a gauge."""
        request, metric = self._request(name)
        self._number(metric.gauge.data_points.add(), value, labels, False)
        self._post(request)

    def histogram(self, name: str, values: list[float], labels: Mapping[str, str], bounds: list[float]) -> None:
        """Export one delta point of a histogram."""
        request, metric = self._request(name)
        metric.histogram.aggregation_temporality = DELTA
        point = metric.histogram.data_points.add()
        self._head(point, labels)
        point.count, point.sum = len(values), sum(values)
        point.explicit_bounds.extend(bounds)
        edges = [*bounds, float("inf")]
        counts = [0] * len(edges)
        for value in values:
            counts[next(i for i, edge in enumerate(edges) if value <= edge)] += 1
        point.bucket_counts.extend(counts)
        self._post(request)

    def _request(self, name: str) -> tuple[ExportMetricsServiceRequest, object]:
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        for key, value in self._resource.items():
            resource.resource.attributes.add(key=key).value.string_value = value
        scope = resource.scope_metrics.add()
        scope.scope.name, scope.scope.version = "telemetry", self._scope_version
        metric = scope.metrics.add()
        metric.name, metric.unit = name, self._unit
        return request, metric

    def _number(self, point: object, value: float, labels: Mapping[str, str], as_int: bool) -> None:
        self._head(point, labels)
        if as_int:
            point.as_int = int(value)
        else:
            point.as_double = value

    def _head(self, point: object, labels: Mapping[str, str]) -> None:
        point.start_time_unix_nano = self._start
        point.time_unix_nano = time.time_ns() + self._skew
        for key, value in labels.items():
            point.attributes.add(key=key).value.string_value = value

    def _post(self, request: ExportMetricsServiceRequest) -> None:
        answer = self._http.post(
            self._url, content=request.SerializeToString(), headers={"Content-Type": "application/x-protobuf"}
        )
        assert answer.status_code == 200, answer.text
