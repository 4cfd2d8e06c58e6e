"""The alternatives: how a program records with them, and where their totals are read."""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from tests.accuracy.programs import DURATIONS
from tests.support import exposition
from tests.support.collector import Collector
from tests.support.processes import eventually

COUNTER, HISTOGRAM = "messages_sent_total", "http_request_duration_seconds"
BOUNDS = (0.005, 0.1, 0.5, 1.0, 5.0, 10.0, 120.0)

# `event` and `record` are those of the accuracy suite; only what an event calls differs.
_EVENTS = f"""
import multiprocessing, os, signal, sys, threading, time
DURATIONS = {DURATIONS}
def say(*words): print(*words, flush=True)
def event(n):
    count()
    observe(DURATIONS[n % 6])
def record(events, pause=0.0):
    for n in range(events):
        event(n)
        if pause: time.sleep(pause)
def record_in_threads(threads, events, pause=0.0):
    made = [threading.Thread(target=record, args=(events, pause)) for _ in range(threads)]
    for thread in made: thread.start()
    for thread in made: thread.join()
"""


class System(ABC):
    """One alternative, ready to be measured; `close` ends what it started."""

    name: str
    begin: str

    @property
    def variables(self) -> dict[str, str]:
        """What a replica and all it forks get; every call is another replica."""
        return {}

    @abstractmethod
    def counted(self) -> tuple[float, float]:
        """Counter and histogram count, over every replica."""

    def settled(self, truth: float, seconds: float = 8.0) -> tuple[float, float]:
        """What it counts once that is the truth, or when the time is over."""
        eventually(lambda: self.counted() == (truth, truth), seconds)
        return self.counted()

    @abstractmethod
    def close(self) -> None:
        """End it."""


class SdkAndDefaultCollector(System):
    """OpenTelemetry's SDK and a collector, both with their defaults."""

    name = "SDK and contrib, default collector"
    begin = (
        """
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
meter = provider.get_meter("application")
"""
        f"counter = meter.create_counter({COUNTER!r})\n"
        f"histogram = meter.create_histogram({HISTOGRAM!r}, explicit_bucket_boundaries_advisory={list(BOUNDS)})\n"
        """
def count(): counter.add(1, {"user_plan": "free"})
def observe(seconds): histogram.record(seconds, {"method": "GET"})
def flush(): provider.force_flush()
""" + _EVENTS
    )

    def __init__(self) -> None:
        self.collector = Collector(Path(__file__).with_name("default-collector.yaml"))
        self.collector.start()

    @property
    def variables(self) -> dict[str, str]:
        """The collector's address, and the names a deployment has."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.endpoint, "OTEL_SERVICE_NAME": "chat-app"}

    def counted(self) -> tuple[float, float]:
        """Sums over every series the collector shows."""
        shown = exposition.scrape(self.collector.url("TOTALS"))
        return exposition.total(shown, COUNTER), exposition.total(shown, HISTOGRAM)

    def close(self) -> None:
        """End the collector."""
        self.collector.kill()


class PrometheusClient(System):
    """prometheus_client in its multiprocess mode: a directory of files for each replica, read by whoever is scraped."""

    name = "prometheus_client multiprocess"
    begin = (
        "from prometheus_client import Counter, Histogram\n"
        f"counter = Counter({COUNTER!r}, 'c', ['user_plan'])\n"
        f"histogram = Histogram({HISTOGRAM!r}, 'h', ['method'], buckets={list(BOUNDS)})\n"
        """
def count(): counter.labels("free").inc()
def observe(seconds): histogram.labels("GET").observe(seconds)
def flush(): pass
""" + _EVENTS
    )

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp())
        self._replicas = 0

    @property
    def variables(self) -> dict[str, str]:
        """A directory of its own, as a container has."""
        self._replicas += 1
        directory = self._directory / str(self._replicas)
        directory.mkdir()
        return {"PROMETHEUS_MULTIPROC_DIR": str(directory)}

    def counted(self) -> tuple[float, float]:
        """Sums over every replica's endpoint."""
        counter = histogram = 0.0
        for directory in self._directory.iterdir():
            registry = CollectorRegistry()
            MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call]
            counter += registry.get_sample_value(COUNTER, {"user_plan": "free"}) or 0.0
            histogram += registry.get_sample_value(f"{HISTOGRAM}_count", {"method": "GET"}) or 0.0
        return counter, histogram

    def files(self) -> int:
        """How many files every scrape has to read."""
        return sum(len(names) for _, _, names in os.walk(self._directory))

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self._directory)
