"""Raw OTLP as any SDK in any language would send it; our own exporter is not involved."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

DELTA, CUMULATIVE = 1, 2


class Receiver(Protocol):
    """Where OTLP over HTTP can be sent."""

    @property
    def endpoint(self) -> str:
        """Base address."""


class Sender:
    """A process that exports, as the collector sees it.

    Args:
        receiver: Where to.
        instance: Its `service.instance.id`.
        scope_version: Of the library that counts.
        unit: Of its metrics.
        clock_skew: Seconds its clock is ahead.
        environment: Its `deployment.environment.name`.
        numbered: Its `telemetry.sender.id`; its exports are numbered from 1 then.
        resource: More about it.
    """

    def __init__(
        self,
        receiver: Receiver,
        instance: str,
        *,
        scope_version: str = "1",
        unit: str = "",
        clock_skew: float = 0.0,
        environment: str | None = "prod",
        numbered: str | None = None,
        resource: Mapping[str, str] | None = None,
    ) -> None:
        self._url = f"{receiver.endpoint}/v1/metrics"
        self._http = httpx.Client(verify=False, trust_env=False, timeout=30)
        self._resource = {"service.name": "test", "service.instance.id": instance, **(resource or {})}
        self._numbered = numbered
        self.sequence = 0
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
        self._post(self.request_of_counter(name, value, labels, temporality=temporality, as_int=as_int))

    def request_of_counter(
        self, name: str, value: float, labels: Mapping[str, str], *, temporality: int = DELTA, as_int: bool = False
    ) -> ExportMetricsServiceRequest:
        """An export of one point of a counter, not sent."""
        request, metric = self._request(name)
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = temporality
        self._number(metric.sum.data_points.add(), value, labels, as_int)
        return request

    def level(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Export one point of an up-down counter."""
        self._post(self.request_of_level(name, value, labels))

    def request_of_level(self, name: str, value: float, labels: Mapping[str, str]) -> ExportMetricsServiceRequest:
        """An export of one point of an up-down counter, not sent."""
        request, metric = self._request(name)
        metric.sum.aggregation_temporality = CUMULATIVE
        self._number(metric.sum.data_points.add(), value, labels, False)
        return request

    def fact(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Export one point of a gauge."""
        self._post(self.request_of_fact(name, value, labels))

    def request_of_fact(self, name: str, value: float, labels: Mapping[str, str]) -> ExportMetricsServiceRequest:
        """An export of one point of a gauge, not sent."""
        request, metric = self._request(name)
        self._number(metric.gauge.data_points.add(), value, labels, False)
        return request

    def histogram(self, name: str, values: list[float], labels: Mapping[str, str], bounds: list[float]) -> None:
        """Export one delta point of a histogram."""
        self._post(self.request_of_histogram(name, values, labels, bounds))

    def request_of_histogram(
        self, name: str, values: list[float], labels: Mapping[str, str], bounds: list[float]
    ) -> ExportMetricsServiceRequest:
        """An export of one delta point of a histogram, not sent."""
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
        return request

    def _request(self, name: str) -> tuple[ExportMetricsServiceRequest, Any]:
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        for key, value in self._resource.items():
            resource.resource.attributes.add(key=key).value.string_value = value
        if self._numbered is not None:
            self.sequence += 1
            resource.resource.attributes.add(key="telemetry.sender.id").value.string_value = self._numbered
            resource.resource.attributes.add(key="telemetry.sender.sequence").value.int_value = self.sequence
        scope = resource.scope_metrics.add()
        scope.scope.name, scope.scope.version = "telemetry", self._scope_version
        metric = scope.metrics.add()
        metric.name, metric.unit = name, self._unit
        return request, metric

    def _number(self, point: Any, value: float, labels: Mapping[str, str], as_int: bool) -> None:
        self._head(point, labels)
        if as_int:
            point.as_int = int(value)
        else:
            point.as_double = value

    def _head(self, point: Any, labels: Mapping[str, str]) -> None:
        point.start_time_unix_nano = self._start
        point.time_unix_nano = time.time_ns() + self._skew
        for key, value in labels.items():
            point.attributes.add(key=key).value.string_value = value

    def send(self, request: ExportMetricsServiceRequest | bytes) -> httpx.Response:
        """Send an export as it is; again, if it was sent before."""
        body = request if isinstance(request, bytes) else request.SerializeToString()
        head = {"Content-Type": "application/x-protobuf"}
        if self._numbered is not None:
            head["Telemetry-Sender-Id"] = self._numbered
        return self._http.post(self._url, content=body, headers=head)

    def _post(self, request: ExportMetricsServiceRequest) -> None:
        answer = self.send(request)
        assert answer.status_code == httpx.codes.OK, answer.text
