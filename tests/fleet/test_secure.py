"""`make demo SECURE=1`: every documented metric comes through TLS and tokens, what people use works, and nobody else is let in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import httpx
import pytest

from deploy import certificates
from deploy.fleet import Fleet
from deploy.settings import FleetSettings
from support import exposition
from support.waiting import eventually
from telemetry.cli import web
from tests.support import processes

pytestmark = pytest.mark.slow

COUNTS = "message(); print(t.force_flush(5), flush=True); telemetry.shutdown()"
MESSAGES = "messages_sent_total"


@dataclass(frozen=True)
class Demo:
    """A secure fleet as people start it, and what it said."""

    fleet: Fleet
    variables: Mapping[str, str]
    said: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of our commands with what the fleet's programs have."""
        return _run(self.variables, *words)

    def sends(self, directory: Path, **other: str) -> processes.Finished:
        """A process of the fleet's that counts one message, with some of its variables changed."""
        variables = {**self.fleet.environment(), "TELEMETRY_STATE_DIR": str(directory), "TELEMETRY_EXIT_DEADLINE": "1"}
        endpoint = self.fleet.settings.url("OTELCOL_HTTP_PORT")
        process = processes.start(COUNTS, endpoint, **(variables | other))
        return processes.finish(process)

    def ports(self) -> dict[str, str]:
        """Where the collector's pages are, for the doctor."""
        return {name: value for name, value in self.variables.items() if name.startswith("OTELCOL_")}

    def messages(self) -> float:
        """How many the front door's page shows."""
        page = exposition.scrape(self.fleet.settings.url("NGINX_PORT", "/metrics"))
        return exposition.total(page, MESSAGES, {})


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo of a small fleet, ended at the end."""
    settings = FleetSettings.isolated(
        tmp_path_factory.mktemp("secure"), secure=True, app_replicas=2, worker_nodes=1, scrape_seconds=1
    )
    variables = {**os.environ, **{spec.metadata["name"]: _text(settings, spec.name) for spec in fields(settings)}}
    try:
        done = _run(variables, "deploy", "demo", "--seconds", "12")
        assert done.returncode == 0, done.stdout + done.stderr
        yield Demo(Fleet(settings), variables, done.stdout)
    finally:
        _run(variables, "deploy", "down")
    assert not settings.boxes.exists(), "a process left counts that nobody delivered"


def _text(settings: FleetSettings, name: str) -> str:
    value = getattr(settings, name)
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _run(variables: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)


def test_every_metric_is_there(demo: Demo) -> None:
    """The demo ends with all of its documented metrics, and its commands work as they do without."""
    assert "28 of 28 documented metrics have data." in demo.said
    assert demo.run("deploy", "status").returncode == 0
    assert "28 of 28" in demo.run("deploy", "report").stdout


def test_pages_open(demo: Demo) -> None:
    """Every page of the last lines for a browser opens; those of the collector are behind TLS."""
    addresses = dict(re.findall(r"^(\w[\w, ]*?) {2,}(https?://\S+)", demo.said, re.MULTILINE))
    assert {name for name, address in addresses.items() if address.startswith("https:")} == {"totals", "levels, facts"}
    for name in ("front door", "dashboards", "API", "metrics", "Flower", "Prometheus"):
        answer = httpx.get(addresses[name], trust_env=False, follow_redirects=True, timeout=20)
        assert answer.status_code in {200, 401} if name == "Flower" else answer.is_success, name
    assert demo.messages() > 0


def test_prometheus_scrapes(demo: Demo) -> None:
    """Prometheus reads all three pages of the collector over TLS, with its token."""
    url = demo.fleet.settings.url("PROMETHEUS_PORT", "/api/v1/targets?state=active")
    targets = httpx.get(url, trust_env=False).json()["data"]["activeTargets"]
    assert [(target["health"], target["scrapeUrl"].partition(":")[0]) for target in targets] == [("up", "https")] * 3


def test_doctor_finds_it_healthy(demo: Demo) -> None:
    """The doctor, with what the fleet's programs have, finds nothing wrong."""
    token = demo.fleet.settings.secrets_of("reader") / "scrape-token"
    prometheus = demo.fleet.settings.url("PROMETHEUS_PORT")
    words = ("telemetry", "doctor", "--prometheus", prometheus, "--scrape-token", str(token))
    done = _run({**demo.fleet.environment(), **demo.ports()}, *words)
    assert done.returncode == 0, done.stdout
    assert "healthy: " in done.stdout


def test_who_has_the_token_is_let_in(demo: Demo, tmp_path: Path) -> None:
    """A process with the fleet's variables delivers, and its count is added."""
    before = demo.messages()
    assert demo.sends(tmp_path / "boxes").output == "True\n"
    assert eventually(lambda: demo.messages() == before + 1)


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("TELEMETRY_OTLP_TOKEN_FILE", "401 Unauthorized"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "the collector hangs up|TLS"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "certificate of yours|hangs up"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "authority that is not trusted"),
        ("OTEL_RESOURCE_ATTRIBUTES", "403 Forbidden"),
    ],
    ids=["wrong token", "plain text", "no certificate", "not our authority", "another environment"],
)
def test_nobody_else_is(demo: Demo, tmp_path: Path, variable: str, reason: str) -> None:
    """Without the token, TLS, the certificate, or for another environment, nothing is taken, and the log says why."""
    token = tmp_path / "token"
    token.write_text("a-token-that-nobody-knows")
    endpoint = demo.fleet.settings.url("OTELCOL_HTTP_PORT").replace("https:", "http:")
    values = {
        "TELEMETRY_OTLP_TOKEN_FILE": str(token),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=another",
    }
    other = {variable: values.get(variable, "")}
    if variable == "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE":
        other["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = ""
    before = demo.messages()
    finished = demo.sends(tmp_path / "boxes", **other)
    assert finished.output == "False\n"
    assert re.search(reason, finished.errors), finished.errors
    assert demo.messages() == before


def test_pages_of_the_collector_ask_for_a_token(demo: Demo) -> None:
    """With the certificate alone nobody reads a page, and without it nobody gets so far."""
    reader = certificates.of_readers(demo.fleet.settings)
    for setting in ("OTELCOL_TOTALS_PORT", "OTELCOL_LEVELS_PORT", "OTELCOL_METRICS_PORT"):
        url = demo.fleet.settings.url(setting, "/metrics")
        assert web.get(url, access=reader).status == httpx.codes.OK
        assert web.get(url, access=replace(reader, token_file="")).status == httpx.codes.UNAUTHORIZED
        assert web.get(url, access=replace(reader, certificate="", key="")).failure
