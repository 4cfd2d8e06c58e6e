"""What is wrong with a Prometheus or its configuration: each case breaks one thing of one that scrapes as it should."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.collector import Collector
from support.ports import closed_url, free_port
from support.waiting import eventually
from telemetry.cli.prometheus_api import Prometheus as Api
from tests.support.prometheus import Prometheus
from tests.telemetry.cli.conftest import Doctor, Told, has_scraped, job, jobs
from tests.telemetry.cli.peers import Peer

Patch = pytest.MonkeyPatch
Jobs = list[dict[str, Any]]

DASHBOARDS = Path(__file__).parents[3] / "grafana" / "dashboards"


def test_healthy_fleet_is_silent(service: Patch, doctor: Doctor, prometheus: Prometheus) -> None:
    """A fleet that is scraped as it should be gives no finding, dashboards included; the canary has been there, and is gone."""
    told = doctor("--prometheus", prometheus.url, "--dashboards", str(DASHBOARDS))
    assert (told.status, told.findings) == (0, [])
    assert prometheus.query("telemetry_doctor_canary[1m]")
    assert eventually(lambda: not prometheus.query("telemetry_doctor_canary"))


def test_healthy_prometheus_alone_is_silent(bare: Patch, doctor: Doctor, prometheus: Prometheus) -> None:
    """With nothing but the address of a Prometheus, nothing is sent, and a healthy fleet gives no finding."""
    assert doctor("--prometheus", prometheus.url).findings == []


def _without(name: str) -> Callable[[Collector], Jobs]:
    return lambda collector: [each for each in jobs(collector) if each["job_name"] != name]


def _down(collector: Collector) -> Jobs:
    second = {"job_name": "second", "static_configs": [{"targets": [f"nowhere.invalid:{collector.ports['TOTALS']}"]}]}
    return [*jobs(collector), second]


def _not_honored(collector: Collector) -> Jobs:
    return [{**each, "honor_labels": False} for each in jobs(collector)]


def _twice(collector: Collector) -> Jobs:
    return [*jobs(collector), job("front-door", collector.ports["TOTALS"])]


def _dropping(collector: Collector) -> Jobs:
    rule = {"source_labels": ["__name__"], "regex": "http_requests_total", "action": "drop"}
    return [{**each, "metric_relabel_configs": [rule]} for each in jobs(collector)]


def _renamed(collector: Collector) -> Jobs:
    return [{**each, "job_name": f"my-{number}"} for number, each in enumerate(jobs(collector))]


_CONFIGURATIONS: dict[str, Callable[[Collector], Jobs]] = {
    "totals-not-scraped": _without("fastapi-queue-system"),
    "levels-not-scraped": _without("fastapi-queue-system-now"),
    "target-down": _down,
    "labels-not-honored": _not_honored,
    "scraped-twice": _twice,
    "metric-missing": _dropping,
}


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """A page that another library has."""
    made = Peer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def stale() -> Iterator[Peer]:
    """A page whose totals are two minutes old, in its own words."""
    made = Peer()
    labels = 'method="GET",endpoint="/",status_code="200",environment="dev"'
    levels = 'http_requests_in_progress{method="GET",endpoint="/",environment="dev"} 1\n'
    made.says(f"http_requests_total{{{labels}}} 7 {(time.time() - 120) * 1000:.0f}\n{levels}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def configured(
    collector: Collector, peer: Peer, stale: Peer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Addresses of one Prometheus for each mistake: all begun at once, each needs five seconds for its first scrape."""
    peer.says('http_requests_total{handler="/items/{item}",method="GET",status="2xx"} 7\n')
    configurations = {code: configure(collector) for code, configure in _CONFIGURATIONS.items()}
    configurations["another"] = [*jobs(collector), job("app", peer.port)]
    configurations["stale"] = [job("totals", stale.port)]
    configurations["renamed"] = _renamed(collector)
    configurations["shared"] = [*jobs(collector), job("printers", free_port())]
    running = {
        name: Prometheus([], tmp_path_factory.mktemp("prometheus"), 1, configuration)
        for name, configuration in configurations.items()
    }
    try:
        for name, each in running.items():
            wanted = len(configurations[name])
            assert eventually(lambda url=each.url, wanted=wanted: has_scraped(url, wanted))  # type: ignore[misc]
        yield {name: each.url for name, each in running.items()}
    finally:
        for each in running.values():
            each.stop()


@pytest.mark.parametrize("code", _CONFIGURATIONS)
def test_wrong_scrape_configuration_is_the_first_finding(
    service: Patch, doctor: Doctor, configured: dict[str, str], code: str
) -> None:
    """One mistake in `scrape_configs` is named first."""
    told = _told(doctor, configured[code], code)
    assert told.first == code, told.findings


def _told(doctor: Doctor, prometheus: str, code: str) -> Told:
    """What it says; a Prometheus on a busy machine may have missed the last scrape."""
    return eventually(lambda: doctor("--prometheus", prometheus), wanted=lambda told: told.first == code)


def test_what_others_have_in_a_shared_prometheus_is_no_finding(
    service: Patch, doctor: Doctor, configured: dict[str, str]
) -> None:
    """A target that never showed the fleet may be down, and a rule about something else may fail."""
    assert doctor("--prometheus", configured["shared"]).findings == []
    peer = Peer(configured["shared"])
    peer.says(_rules("PrinterOnFire", "printer_temperature / a", "many-to-many"), path="/api/v1/rules")
    assert doctor("--prometheus", peer.url).findings == []
    peer.says(_rules("Mine", "rate(http_requests_total[5m]) / a", "many-to-many"), path="/api/v1/rules")
    assert doctor("--prometheus", peer.url).first == "rule-fails"
    peer.close()


def test_series_of_another_library_are_the_first_finding(
    bare: Patch, doctor: Doctor, configured: dict[str, str]
) -> None:
    """A page of another library with `http_requests_total` beside ours is named with the library."""
    told = _told(doctor, configured["another"], "series-of-another-library")
    assert told.first == "series-of-another-library", told.findings
    assert "prometheus-fastapi-instrumentator" in told.findings[0]["problem"]


def test_series_that_stand_still_are_the_first_finding(bare: Patch, doctor: Doctor, configured: dict[str, str]) -> None:
    """Totals whose newest sample is old, though their target is up, are named."""
    told = doctor("--prometheus", configured["stale"])
    assert told.first == "series-stale", told.findings


def test_prometheus_that_is_gone_is_the_first_finding(service: Patch, doctor: Doctor) -> None:
    """No Prometheus at the address is named, and so is something else that answers there."""
    assert doctor("--prometheus", closed_url()).first == "prometheus-down"
    peer = Peer()
    peer.says("<html>welcome</html>")
    assert doctor("--prometheus", peer.url).first == "prometheus-down"
    peer.close()


def test_receiver_of_prometheus_is_the_first_finding(service: Patch, doctor: Doctor, prometheus: Prometheus) -> None:
    """Exports to Prometheus' own receiver of OTLP are named: it takes no differences."""
    service.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{prometheus.url}/api/v1/otlp")
    service.setenv("OTELCOL_TOTALS_PORT", str(free_port()))
    assert doctor().first == "delta-to-prometheus"


def _rules(name: str, query: str, error: str = "") -> str:
    rule = {"name": name, "query": query, "lastError": error}
    return json.dumps({"status": "success", "data": {"groups": [{"rules": [rule]}]}})


def _flags() -> str:
    return json.dumps({"status": "success", "data": {"enable-feature": "exemplar-storage"}})


@pytest.mark.parametrize(
    ("path", "answer", "code"),
    [
        ("/api/v1/status/flags", _flags, "zero-ingestion-off"),
        ("/api/v1/rules", lambda: _rules("HighErrorRate", "a / b", "many-to-many matching not allowed"), "rule-fails"),
    ],
)
def test_what_prometheus_says_of_itself_is_the_first_finding(
    service: Patch, doctor: Doctor, prometheus: Prometheus, path: str, answer: Callable[[], str], code: str
) -> None:
    """A feature that is off, or a rule that fails, is named first."""
    peer = Peer(prometheus.url)
    peer.says(answer(), path=path)
    told = doctor("--prometheus", peer.url)
    peer.close()
    assert told.first == code, told.findings


def test_alerts_that_reach_nobody_are_the_first_finding(service: Patch, doctor: Doctor, prometheus: Prometheus) -> None:
    """Alerts of ours in a Prometheus without an Alertmanager are named, until it has one; where it does not say, nothing is."""
    peer = Peer(prometheus.url)
    peer.says(_rules("QueueBacklog", "max(celery_queue_length) > 100"), path="/api/v1/rules")
    assert doctor("--prometheus", peer.url).first == "alerts-reach-nobody"
    known = {"activeAlertmanagers": [{"url": "http://alertmanager:9093/api/v2/alerts"}]}
    for status, answer in ((200, json.dumps({"status": "success", "data": known})), (404, "")):
        peer.says(answer, status, path="/api/v1/alertmanagers")
        assert doctor("--prometheus", peer.url).findings == []
    peer.close()


def test_other_names_of_jobs_are_the_first_finding(service: Patch, doctor: Doctor, configured: dict[str, str]) -> None:
    """Jobs that the loaded alerts do not know are named."""
    peer = Peer(configured["renamed"])
    peer.says(_rules("CollectorDown", 'absent(up{job=~"otel-collector|fastapi-.*"})'), path="/api/v1/rules")
    told = doctor("--prometheus", peer.url)
    peer.close()
    assert told.first == "job-unknown"


def test_clock_of_prometheus_is_the_first_finding(service: Patch, doctor: Doctor, prometheus: Prometheus) -> None:
    """A Prometheus whose clock is ten minutes behind is named."""
    service.setattr(Api, "clock", lambda api: (-600.0, 0.01))
    assert doctor("--prometheus", prometheus.url).first == "clock-skew"


def test_query_that_fails_is_the_first_finding(
    service: Patch, doctor: Doctor, prometheus: Prometheus, tmp_path: Path
) -> None:
    """A panel whose query does not parse is named by its title."""
    panel = {"title": "Requests", "targets": [{"expr": "sum(rate(http_requests_total[$__rate_interval])"}]}
    (tmp_path / "board.json").write_text(json.dumps({"panels": [{"panels": [panel]}]}))
    told = doctor("--prometheus", prometheus.url, "--dashboards", str(tmp_path))
    assert told.first == "dashboard-query-fails"
    assert told.findings[0]["evidence"][0].startswith("Requests: ")


def test_exemplars_that_nobody_keeps_are_told(service: Patch, doctor: Doctor, prometheus: Prometheus) -> None:
    """A service that records exemplars, and a Prometheus without their storage, are a finding; with it there is none."""
    service.setenv("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based")
    assert doctor("--prometheus", prometheus.url).findings == []
    peer = Peer(prometheus.url)
    flags = {"enable-feature": "created-timestamp-zero-ingestion"}
    peer.says(json.dumps({"status": "success", "data": flags}), path="/api/v1/status/flags")
    told = doctor("--prometheus", peer.url)
    peer.close()
    assert told.first == "exemplars-not-kept", told.findings
