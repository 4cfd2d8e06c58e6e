"""What others do, as their documentation says: OpenTelemetry's SDK with contrib, and prometheus_client."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from support import exposition
from support.exposition import Samples
from tests.accuracy.programs import BOUNDS, COUNTER, HISTOGRAM, OWN
from tests.accuracy.systems.base import ROUTE, Need, System, WithCollector

_NO_ZEROS = "declares no series by itself"


class SdkAndContrib(WithCollector):
    """OpenTelemetry's SDK, contrib's instrumentors, and a collector, all with their defaults."""

    key, name = "contrib", "SDK and contrib, default collector"
    config = Path(__file__).with_name("default-collector.yaml")
    lacks: ClassVar[Mapping[Need, str]] = {
        "deltas": "its SDK sends no deltas",
        "zeros": _NO_ZEROS,
        "workers": "no metric of workers",
    }
    measured_by = "contrib"
    application = "tests.accuracy.systems.contrib_tasks"
    setup = f"""
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
meter = provider.get_meter("application")
counter = meter.create_counter({COUNTER!r})
histogram = meter.create_histogram({HISTOGRAM!r}, explicit_bucket_boundaries_advisory={BOUNDS})
level = meter.create_up_down_counter("http_requests_in_progress")
def message(plan="free"): counter.add(1, {{"user_plan": plan}})
def timed(seconds=0.1, endpoint="/x"): histogram.record(seconds, {{"method": "GET", "endpoint": endpoint}})
def in_progress(): level.add(1, {{"method": "GET", "endpoint": "/x"}})
def flush(): provider.force_flush()
def shutdown(): provider.shutdown()
def own_histogram(bounds): return meter.create_histogram({OWN!r}, explicit_bucket_boundaries_advisory=bounds).record
"""

    def variables(self) -> dict[str, str]:
        """The names a deployment has."""
        return {**super().variables(), "OTEL_SERVICE_NAME": "chat-app"}

    def requests(self) -> dict[str, float]:
        """It has a histogram alone."""
        shown = self.samples()
        wanted = {"http_target": ROUTE, "http_status_code": "200"}
        return {"durations": exposition.total(shown, "http_server_duration_milliseconds", wanted)}

    def tasks(self) -> dict[str, float]:
        """It has a histogram of runs alone, with a name of Flower's."""
        shown = self.samples()
        return {
            "runs": sum(v for (name, _), v in shown.items() if name.startswith("flower_") and name.endswith("_count"))
        }


class PrometheusClient(System):
    """prometheus_client in its multiprocess mode: a directory of files for each replica, read by whoever is scraped."""

    key, name = "client", "prometheus_client multiprocess"
    lacks: ClassVar[Mapping[Need, str]] = {
        "collector": "no collector",
        "otlp": "takes no OTLP",
        "deltas": "takes no OTLP",
        "tasks": "sees no Celery",
        "workers": "no metric of workers",
        "zeros": _NO_ZEROS,
    }
    measured_by = "client"
    application = "tests.accuracy.systems.client_tasks"
    setup = f"""
from prometheus_client import Counter, Gauge, Histogram
counter = Counter({COUNTER!r}, "c", ["user_plan"])
histogram = Histogram({HISTOGRAM!r}, "h", ["method", "endpoint"], buckets={BOUNDS})
level = Gauge("http_requests_in_progress", "l", ["method", "endpoint"], multiprocess_mode="livesum")
def message(plan="free"): counter.labels(plan).inc()
def timed(seconds=0.1, endpoint="/x"): histogram.labels("GET", endpoint).observe(seconds)
def in_progress(): level.labels("GET", "/x").inc()
def flush(): pass
def shutdown(): pass
def own_histogram(bounds): return Histogram({OWN!r}, "o", buckets=bounds).observe
"""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._replicas = directory / "replicas"
        self._replicas.mkdir()

    def variables(self) -> dict[str, str]:
        """A directory of its own, as a container has."""
        directory = self._replicas / str(len(list(self._replicas.iterdir())))
        directory.mkdir()
        return {"PROMETHEUS_MULTIPROC_DIR": str(directory)}

    def samples(self) -> Samples:
        """Sums over every replica's endpoint."""
        shown: Samples = defaultdict(float)
        for directory in self._replicas.iterdir():
            registry = CollectorRegistry()
            MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call]
            for sample in (sample for family in registry.collect() for sample in family.samples):
                shown[sample.name, tuple(sorted(sample.labels.items()))] += sample.value
        return shown

    def requests(self) -> dict[str, float]:
        """By prometheus-fastapi-instrumentator, with its names."""
        shown = self.samples()
        wanted = {"handler": ROUTE}
        return {
            "requests": exposition.total(shown, "http_requests_total", {**wanted, "status": "2xx"}),
            "durations": exposition.total(shown, "http_request_duration_seconds", wanted),
        }

    def left(self) -> float:
        """Files that every scrape has to read."""
        return sum(len(names) for _, _, names in os.walk(self._replicas))

    def close(self) -> None:
        """The files go with their directory."""
