"""Ours: with the durable collector, with the official distribution's configuration, and with no collector at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from support import exposition
from support.collector import CONFIG, DURABLE
from support.exposition import Samples
from support.ports import free_port
from support.waiting import eventually
from tests.accuracy.programs import OWN
from tests.accuracy.systems.base import Need, System, WithCollector
from tests.support.processes import environment, line

SETUP = f"""
import telemetry
from tests.support import chat
t = telemetry.configure("test", catalogue=chat)
def message(plan="free"): chat.of(t).message_sent(plan=plan)
def timed(seconds=0.1, endpoint="/x"): t.http.answered("GET", endpoint, 200, seconds)
def in_progress(): t.http.route("GET", "/x").started()
def flush(): t.force_flush()
def shutdown(): telemetry.shutdown()
def own_histogram(bounds):
    meter = t.meter_provider.get_meter("own")
    return meter.create_histogram({OWN!r}, explicit_bucket_boundaries_advisory=bounds).record
"""
KINDS = ("submitted", "completed", "failed", "retried", "dropped")


class Ours(System):
    """What all of ours have in common: boxes in a directory of this system alone, and who delivers what is left there."""

    is_ours = True
    setup = SETUP
    measured_by = "ours"
    application = "tests.telemetry.celery.tasks"

    @property
    def state(self) -> Path:
        """Where processes keep their boxes."""
        return self.directory / "state"

    def variables(self) -> dict[str, str]:
        """The state directory."""
        return {**super().variables(), "TELEMETRY_STATE_DIR": str(self.state)}

    def tasks(self) -> dict[str, float]:
        """Tasks by how they end, and the histograms of their runs."""
        shown = self.samples()
        totals = {kind: exposition.total(shown, f"celery_tasks_{kind}_total") for kind in KINDS}
        totals["durations"] = exposition.total(shown, "celery_task_duration_seconds")
        return {**totals, "runs": exposition.total(shown, "celery_task_runtime_seconds")}

    def inside_tasks(self) -> dict[str, float]:
        """LLM calls with their cost, queries, the object store, and a counter of the application's own."""
        shown = self.samples()
        return {
            **super().inside_tasks(),
            "LLM calls": exposition.total(shown, "llm_requests_total", {"provider": "openai"}),
            "LLM cost, USD": exposition.total(shown, "llm_cost_usd_total"),
            "LLM durations": exposition.total(shown, "llm_request_duration_seconds", {"provider": "openai"}),
            "queries": exposition.total(shown, "db_query_duration_seconds"),
            "storage operations": exposition.total(shown, "storage_operations_total"),
            "stored bytes": exposition.total(shown, "storage_bytes_transferred_total"),
        }

    def left(self) -> float:
        """Boxes that nobody has delivered."""
        # Who delivers the last one takes the directory away, too.
        return len([path for path in self.state.glob("*") if not path.name.startswith(".")])


class Exporting(Ours, WithCollector):
    """Ours with a collector."""

    def deliver(self) -> None:
        """`python -m telemetry deliver`, as an operator runs it."""
        variables = environment("", **self.variables())
        subprocess.run([sys.executable, "-m", "telemetry", "deliver"], env=variables, check=True, capture_output=True)

    def now(self, metric: str) -> float:
        """Levels and facts have a page of their own."""
        return exposition.total(self.collector.samples("LEVELS"), metric)

    def assert_nothing_dropped(self) -> None:
        """By the collector's own metrics."""
        assert self.collector.dropped_points() == 0


class Durable(Exporting):
    """The main subject."""

    key, name = "durable", "ours, durable collector"
    config = DURABLE


class Official(Exporting):
    """What the official contrib distribution runs, with its bounds."""

    key, name = "official", "ours, official distribution"
    config = CONFIG
    is_bounded = True


class Endpoint(Ours):
    """`OTEL_METRICS_EXPORTER=prometheus`: any process of the host serves all; here one more that does nothing else."""

    key, name = "endpoint", "ours, Prometheus endpoint without a collector"
    lacks: ClassVar[Mapping[Need, str]] = {
        "collector": "no collector",
        "otlp": "takes no OTLP",
        "deltas": "takes no OTLP",
    }

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._port = free_port()
        self._server = self.start("t.start(); say('serves'); sys.stdin.read()")
        assert line(self._server) == "serves"
        assert eventually(lambda: bool(self.samples()))

    def variables(self) -> dict[str, str]:
        """One port for all."""
        return {
            "OTEL_METRICS_EXPORTER": "prometheus",
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(self._port),
            "TELEMETRY_STATE_DIR": str(self.state),
        }

    def samples(self) -> Samples:
        """The page of the host."""
        return exposition.scrape(f"http://localhost:{self._port}/metrics")

    def left(self) -> float:
        """Boxes of dead processes that are not in the sum of the dead yet; the one that serves lives."""
        eventually(lambda: len(list(self.state.glob("*.box"))) == 1, self.patience)
        return len(list(self.state.glob("*.box"))) - 1

    def close(self) -> None:
        """End the one that serves."""
        self._server.kill()
        self._server.communicate()
