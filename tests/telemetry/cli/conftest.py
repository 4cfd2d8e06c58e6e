"""One real collector and one Prometheus for all cases, a process that reports to them, and the doctor in this process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import collector as collectors
from support import web
from support.collector import DURABLE, Collector
from support.waiting import eventually
from telemetry.cli.main import main
from tests.support.processes import line, started
from tests.support.prometheus import Prometheus
from tests.telemetry.cli.peers import Peer

_REPORTS = """
t.http.declare("GET", "/items/{item}", 200)
for _ in range(7): t.http.answered("GET", "/items/{item}", 200, 0.1)
assert t.force_flush(10)
say("ready")
time.sleep(600)
"""


@dataclass(frozen=True)
class Told:
    """What the doctor said.

    Attributes:
        status: Its exit status.
        findings: In its order.
    """

    status: int
    findings: list[dict[str, Any]]

    @property
    def first(self) -> str:
        return self.findings[0]["code"] if self.findings else "healthy"


Doctor = Callable[..., Told]


@pytest.fixture(scope="package")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A durable collector to which a process reports."""
    state = tmp_path_factory.mktemp("state")
    state.chmod(0o700)
    with (
        collectors.running(DURABLE) as running,
        started(_REPORTS, running.endpoint, TELEMETRY_STATE_DIR=str(state)) as process,
    ):
        assert line(process) == "ready"
        assert running.settles_at("http_requests_total", 7) == 7
        assert eventually(lambda: running.samples("LEVELS"))
        yield running


def job(name: str, port: int, **more: Any) -> dict[str, Any]:
    return {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}], **more}


def jobs(collector: Collector) -> list[dict[str, Any]]:
    """The jobs of grafana/prometheus-scrape-config.yml."""
    return [
        job("fastapi-queue-system", collector.ports["TOTALS"]),
        job("fastapi-queue-system-now", collector.ports["LEVELS"], honor_labels=True),
        job("otel-collector", collector.ports["METRICS"]),
    ]


@contextmanager
def scraping(collector: Collector, directory: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the collector as it should, and has done so."""
    running = Prometheus([], directory, 0.2, jobs(collector))
    try:
        assert eventually(lambda: has_scraped(running.url, 3))
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="package")
def prometheus(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus of the collector of this folder's tests."""
    with scraping(collector, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def has_scraped(url: str, targets: int) -> bool:
    """Whether it has scraped every target, or tried to."""
    try:
        known = web.get(f"{url}/api/v1/targets", params={"state": "active"}).json()["data"]["activeTargets"]
    except Exception:
        return False
    return len(known) == targets and all(target["health"] != "unknown" for target in known)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A process without a variable that the doctor reads, and with a state directory of its own."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "OTELCOL_", "TELEMETRY_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TELEMETRY_STATE_DIR", str(tmp_path / "boxes"))
    return monkeypatch


@pytest.fixture
def service(bare: pytest.MonkeyPatch, collector: Collector) -> pytest.MonkeyPatch:
    """The variables of a service that reports to the collector."""
    bare.setenv("OTEL_METRICS_EXPORTER", "otlp")
    bare.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    for name, port in collector.ports.items():
        bare.setenv(f"OTELCOL_{name}_PORT", str(port))
    return bare


@pytest.fixture
def most_seconds() -> float:
    """How long an examination may take."""
    return 30.0


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], most_seconds: float) -> Doctor:
    """The command, as JSON."""

    def run(*arguments: str) -> Told:
        began = time.monotonic()
        status = main(["doctor", "--json", *arguments])
        seconds = time.monotonic() - began
        assert seconds < most_seconds
        return Told(status, json.loads(capsys.readouterr().out)["findings"])

    return run


class Pages:
    """The three pages of a collector, that say what a test wants."""

    def __init__(self) -> None:
        self.totals, self.levels, self.own = Peer(), Peer(), Peer()

    def variables(self, patch: pytest.MonkeyPatch) -> None:
        for name, peer in (("TOTALS", self.totals), ("LEVELS", self.levels), ("METRICS", self.own)):
            patch.setenv(f"OTELCOL_{name}_PORT", str(peer.port))


@pytest.fixture(scope="package")
def peers() -> Iterator[Pages]:
    made = Pages()
    yield made
    for peer in (made.totals, made.levels, made.own):
        peer.close()


@pytest.fixture
def pages(peers: Pages, bare: pytest.MonkeyPatch, collector: Collector) -> Pages:
    """Pages that show what the real ones do."""
    for peer, port in ((peers.totals, "TOTALS"), (peers.levels, "LEVELS"), (peers.own, "METRICS")):
        peer.answers.clear()
        peer.date = ""
        peer.says(web.get(collector.url(port)).text)
    peers.variables(bare)
    return peers
