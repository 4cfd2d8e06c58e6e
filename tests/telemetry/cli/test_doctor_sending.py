"""What is wrong with a service that sends: each case breaks one thing of a healthy one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support import collector as collectors
from support.collector import Collector
from support.ports import closed_url, free_port
from support.waiting import eventually
from telemetry.cli.doctor import exporter, state, versions
from telemetry.cli.doctor.canary import NAME
from telemetry.cli.doctor.state import _LEAST_SPACE
from tests.support.processes import line, started
from tests.telemetry.cli.conftest import Doctor, Pages
from tests.telemetry.cli.peers import Peer, listening

Patch = pytest.MonkeyPatch
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_healthy_service_is_silent(service: Patch, doctor: Doctor) -> None:
    """A service whose exports arrive, and whose collector is well, gives no finding and status 0."""
    told = doctor()
    assert (told.status, told.findings) == (0, [])


def test_nothing_is_left_behind(service: Patch, doctor: Doctor, collector: Collector) -> None:
    """What the doctor has sent is gone from the collector's pages when it ends, and was never among the totals."""
    assert doctor().findings == []
    assert eventually(lambda: not collector.series(NAME), 10)


@pytest.mark.slow
def test_official_configuration_forgets_it_too(bare: Patch, doctor: Doctor) -> None:
    """With otel-collector.yaml a healthy service is silent, too, and the canary is gone when the doctor ends."""
    with collectors.running() as official:
        bare.setenv(_ENDPOINT, official.endpoint)
        for name, port in official.ports.items():
            bare.setenv(f"OTELCOL_{name}_PORT", str(port))
        told = doctor()
        assert told.first == "fleet-absent"
        assert len(told.findings) == 1
        assert eventually(lambda: not official.series(NAME), 5)


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"OTEL_METRIC_EXPORT_INTERVAL": "abc"}, "setting-invalid"),
        ({"OTEL_SDK_DISABLED": "true"}, "sdk-disabled"),
        ({"OTEL_METRICS_EXPORTER": "none"}, "exporter-none"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "60000"}, "interval-too-long"),
        ({"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "cumulative"}, "setting-ignored"),
        ({_ENDPOINT: "http://collector.invalid:4318"}, "host-unknown"),
        ({_ENDPOINT: "{host}:{HTTP}"}, "setting-invalid"),
        ({_ENDPOINT: "http://{host}:{HTTP}/v1/metrics"}, "setting-invalid"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://{host}:{HTTP}"}, "endpoint-path-missing"),
        ({_ENDPOINT: "http://{host}:{HTTP}/otlp"}, "export-not-found"),
        ({_ENDPOINT: "http://{host}:{GRPC}"}, "http-to-grpc-port"),
        ({_ENDPOINT: "https://{host}:{HTTP}"}, "tls-fails"),
        (
            {_ENDPOINT: "https://{host}:{HTTP}", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/not/there.pem"},
            "setting-invalid",
        ),
        ({_ENDPOINT: "http://{host}:{closed}"}, "collector-down"),
        ({"HTTP_PROXY": "http://{host}:{closed}"}, "proxy-between"),
        ({"OTELCOL_TOTALS_PORT": "{closed}"}, "totals-unread"),
        ({"OTELCOL_LEVELS_PORT": "{closed}"}, "levels-unread"),
        ({"OTELCOL_METRICS_PORT": "{closed}"}, "own-unread"),
        ({"OTELCOL_LEVELS_PORT": "{TOTALS}"}, "page-is-another"),
        ({"OTELCOL_TOTALS_PORT": "{LEVELS}"}, "page-is-another"),
        ({f"OTELCOL_{name}_PORT": "{closed}" for name in ("TOTALS", "LEVELS", "METRICS")}, "collector-pages-gone"),
        ({"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "{closed}"}, "endpoint-gone"),
        ({"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "{METRICS}"}, "endpoint-is-anothers"),
        ({"TELEMETRY_STATE_DIR": "/etc/passwd/boxes"}, "state-unusable"),
    ],
)
def test_wrong_variable_is_the_first_finding(
    service: Patch, doctor: Doctor, collector: Collector, variables: dict[str, str], code: str
) -> None:
    """One wrong variable of a service, or of the doctor, is named first."""
    for name, value in variables.items():
        service.setenv(name, value.format(host="127.0.0.1", closed=free_port(), **collector.ports))
    told = doctor()
    assert (told.status, told.first) == (1, code), told.findings


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "export-refused"),
        (401, "export-unauthorized"),
        (404, "export-not-found"),
        (502, "export-unanswered"),
        (503, "collector-refuses"),
        (200, "canary-lost"),
    ],
)
def test_answer_of_the_peer_is_the_first_finding(service: Patch, doctor: Doctor, status: int, code: str) -> None:
    """What answers at the endpoint is told apart by its answer; one that takes everything and shows nothing, too."""
    peer = Peer()
    peer.says("", status)
    service.setenv(_ENDPOINT, peer.url)
    assert doctor().first == code
    peer.close()


def test_answer_through_a_proxy_is_the_collectors(service: Patch, doctor: Doctor) -> None:
    """A proxy that reaches the collector, which then lets nobody in, is not what is wrong; nor is a name only it knows."""
    proxy = Peer()
    proxy.says("", 401)
    proxy.says("", 401, path="http://")
    service.setenv("HTTP_PROXY", proxy.url)
    service.setenv(_ENDPOINT, "http://collector.invalid:4318")
    assert doctor().first == "export-unauthorized"
    proxy.says("", 503)
    proxy.says("", 503, path="http://")
    assert doctor().first == "proxy-between"
    proxy.close()


@pytest.mark.parametrize(("listens_at", "asked_at"), [("::1", "[::1]"), ("::", "[::1]")])
def test_endpoint_of_ipv6_is_asked(service: Patch, doctor: Doctor, listens_at: str, asked_at: str) -> None:
    """An endpoint that listens on IPv6 is asked there; one that nobody serves is named by an address that is one."""
    service.setenv("OTEL_METRICS_EXPORTER", "prometheus")
    service.setenv("OTEL_EXPORTER_PROMETHEUS_HOST", listens_at)
    service.setenv("OTEL_EXPORTER_PROMETHEUS_PORT", str(free_port()))
    told = doctor()
    assert told.first == "endpoint-gone"
    assert f"http://{asked_at}:" in told.findings[0]["problem"]
    assert "ValueError" not in told.findings[0]["problem"]


def test_peer_that_never_answers_is_the_first_finding(service: Patch, doctor: Doctor) -> None:
    """A listener that gives no answer is not taken for one that is gone."""
    with listening() as url:
        service.setenv(_ENDPOINT, url)
        assert doctor().first == "collector-silent"


def test_missing_exporter_of_grpc_is_the_first_finding(service: Patch, doctor: Doctor) -> None:
    """gRPC without its package is named with what to install."""
    service.setitem(__import__("sys").modules, "grpc", None)
    service.setattr("telemetry.settings.destination._has_grpc", lambda: True)  # it is there, and cannot be imported
    service.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert doctor().first == "grpc-not-installed"


def test_other_environment_is_the_first_finding(service: Patch, doctor: Doctor) -> None:
    """A process that reports under another environment than the one asked for is named, with what to set."""
    told = doctor("--environment", "prod")
    assert told.first == "environment-differs"
    assert "deployment.environment.name=prod" in told.findings[0]["remedy"]


def _state(path: Path) -> None:
    path.mkdir(mode=0o755)


def _damaged(path: Path) -> None:
    path.mkdir(mode=0o700)
    (path / "1.damaged").touch()


@pytest.mark.parametrize(("prepare", "code"), [(_state, "state-unusable"), (_damaged, "box-damaged")])
def test_state_directory_is_the_first_finding(
    service: Patch, doctor: Doctor, tmp_path: Path, prepare: Callable[[Path], None], code: str
) -> None:
    """A state directory that others can read, or with a box that nobody can, is named."""
    prepare(tmp_path / "boxes")
    assert doctor().first == code


def test_full_state_directory_is_the_first_finding(service: Patch, doctor: Doctor) -> None:
    """A file system without room for boxes is named."""
    usage: Any = type("Usage", (), {"free": _LEAST_SPACE - 1})
    service.setattr(shutil, "disk_usage", lambda path: usage)
    assert doctor().first == "state-full"


def test_counts_of_the_dead_are_the_first_finding(
    service: Patch, doctor: Doctor, tmp_path: Path, collector: Collector
) -> None:
    """What a killed process has left for this collector is named; what it left for another one is not this service's."""
    boxes = {"TELEMETRY_STATE_DIR": str(tmp_path / "boxes"), "OTEL_METRIC_EXPORT_INTERVAL": "60000"}
    for endpoint in (collector.endpoint, closed_url()):
        with started("t.http.failed(ValueError()); say(1); time.sleep(60)", endpoint, **boxes) as process:
            line(process)
            process.kill()
            process.wait(10)
    assert doctor().findings == []
    service.setattr(state, "_DELIVERED_WITHIN", -1.0)
    told = doctor()
    assert told.first == "dead-undelivered"
    assert told.findings[0]["problem"].endswith(": 1")


def _installed(directory: Path, name: str, *files: str) -> None:
    """A distribution as pip leaves it."""
    info = directory / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def test_package_of_the_same_name_is_the_first_finding(service: Patch, doctor: Doctor, tmp_path: Path) -> None:
    """Another distribution that installs a package `telemetry` is named with what to uninstall."""
    _installed(tmp_path / "site", "telemetry", "telemetry/__init__.py", "telemetry/__main__.py")
    service.syspath_prepend(tmp_path / "site")
    told = doctor()
    assert told.first == "package-shadowed"
    assert "pip uninstall telemetry," in told.findings[0]["remedy"]


def test_distro_is_the_first_finding(service: Patch, doctor: Doctor, tmp_path: Path, collector: Collector) -> None:
    """opentelemetry-distro beside an endpoint of HTTP is named, and is none where the protocol is."""
    _installed(tmp_path / "site", "opentelemetry-distro")
    service.syspath_prepend(tmp_path / "site")
    service.setattr(exporter, "_HTTP_PORT", collector.ports["HTTP"])
    service.setattr(exporter, "_has_distro_of_ours", lambda: False)
    assert doctor().first == "distro-sets-grpc"
    service.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    assert doctor().findings == []


def test_version_out_of_range_is_the_first_finding(service: Patch, doctor: Doctor) -> None:
    """An installed library outside of the declared range is named with both versions."""
    service.setattr(versions, "_requirements", lambda: {"fastapi>=99"})
    told = doctor()
    assert told.first == "version-out-of-range"
    assert "fastapi>=99" in told.findings[0]["problem"]


def test_libraries_of_tools_are_no_finding(service: Patch, tmp_path: Path) -> None:
    """What the extras for tests and for a terminal want is not asked of a service, which may have older ones."""
    wanted = ["opentelemetry-api<2,>=1.38", "rich>=13; extra == 'watch'", "pytest>=8; extra == 'testing'"]
    wanted.append("celery>=5.4; extra == 'celery'")
    service.setattr(versions, "distribution", lambda name: SimpleNamespace(requires=wanted))
    assert versions._requirements() == {"opentelemetry-api<2,>=1.38", "celery>=5.4"}


def test_old_prices_are_the_first_finding(service: Patch, doctor: Doctor) -> None:
    """A price table older than a year is named."""
    service.setattr(versions, "_OLD", -1)
    assert doctor().first == "prices-old"


def test_clock_of_the_collector_is_the_first_finding(service: Patch, doctor: Doctor, pages: Pages) -> None:
    """A collector whose clock is an hour off is named with by how much."""
    pages.totals.date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600))
    service.delenv(_ENDPOINT)
    service.delenv("OTEL_METRICS_EXPORTER")
    told = doctor("--collector", "127.0.0.1")
    assert told.first == "clock-skew"
    assert "ahead" in told.findings[0]["problem"]
