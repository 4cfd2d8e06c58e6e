"""Configuration files users copy: accepted by the programs they are for, consistent with each other, and without a secret."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from deploy import alert_routes, render
from deploy.settings import FleetSettings
from tests.grafana import expressions
from tests.grafana.expressions import GRAFANA

PROMTOOL = Path(sys.prefix) / "bin" / "promtool"
SCRAPE_CONFIGS = sorted(GRAFANA.glob("prometheus-scrape-config*.yml"))
CONTACT_POINTS = GRAFANA / "contact-points.yaml"
PROVISIONING = [*sorted((GRAFANA / "provisioning").rglob("*.yaml")), CONTACT_POINTS]
SECRET_SETTINGS = re.compile(r"(key|url|token|password|addresses)$", re.IGNORECASE)


def _check(path: Path) -> None:
    done = subprocess.run([PROMTOOL, "check", "config", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _strings(node: Any, key: str = "") -> list[tuple[str, str]]:
    if isinstance(node, dict):
        return [pair for name, value in node.items() for pair in _strings(value, name)]
    if isinstance(node, list):
        return [pair for value in node for pair in _strings(value, key)]
    return [(key, node)] if isinstance(node, str) else []


@pytest.mark.parametrize("path", SCRAPE_CONFIGS, ids=lambda path: path.name)
def test_prometheus_takes_scrape_config(path: Path, tmp_path: Path) -> None:
    """`promtool check config` accepts it, rules and files of secrets included."""
    made = tmp_path / "prometheus.yml"
    made.write_text(path.read_text().replace("/etc/prometheus", str(tmp_path)))
    (tmp_path / "alerts").symlink_to(GRAFANA / "alerts")
    for name in ("ca.crt", "sender.crt", "sender.key", "scrape-token"):
        (tmp_path / name).touch()
    _check(made)


def test_all_four_settings_are_there() -> None:
    """Host, Docker network, several collectors, TLS; the job of the guide's queries is in each, totals and levels stay apart."""
    assert len(SCRAPE_CONFIGS) == 4
    for path in SCRAPE_CONFIGS:
        jobs = {job["job_name"]: job for job in yaml.safe_load(path.read_text())["scrape_configs"]}
        assert set(jobs) == {"fastapi-queue-system", "fastapi-queue-system-now", "otel-collector"}, path.name
        assert jobs["fastapi-queue-system-now"]["honor_labels"] is True
        ports = {name: job["static_configs"][0]["targets"][0].rpartition(":")[2] for name, job in jobs.items()}
        assert ports == {
            "fastapi-queue-system": "8889",
            "fastapi-queue-system-now": "8890",
            "otel-collector": "8888",
        }


@pytest.mark.parametrize("speed", [1, 60])
def test_prometheus_takes_the_fleets_config(speed: int, tmp_path: Path) -> None:
    """What `deploy` renders, with rules as they are and with fast ones."""
    settings = FleetSettings.isolated(tmp_path, alert_speed=speed)
    render.make_directories(settings)
    render.write(render.render(settings, []))
    _check(settings.conf / "prometheus.yml")


@pytest.mark.parametrize("path", PROVISIONING, ids=lambda path: path.name)
def test_provisioning_holds_no_secret(path: Path) -> None:
    """Addresses and keys come from the environment, without a default."""
    body = yaml.safe_load(path.read_text())
    assert body["apiVersion"] == 1
    for key, value in _strings(body):
        if SECRET_SETTINGS.search(key):
            assert re.fullmatch(r"\$[A-Z_]+(\$\$\{__value\.raw\})?", value), f"{path.name}: {key}"


def test_provisioning_needs_no_contact_point() -> None:
    """What the documented mount has starts a Grafana without a secret, and an unset variable imports no stray file."""
    mounted = {path.parent.name: yaml.safe_load(path.read_text()) for path in PROVISIONING if path != CONTACT_POINTS}
    assert set(mounted) == {"dashboards", "datasources"}
    path = mounted["dashboards"]["providers"][0]["options"]["path"]
    assert re.sub(r"\$[A-Z_]+", "", path) == "/grafana/dashboards"


def test_contact_points_are_used() -> None:
    """Every policy names a contact point, every contact point has a policy, and every severity has a way."""
    body = yaml.safe_load(CONTACT_POINTS.read_text())
    points = {point["name"] for point in body["contactPoints"]}
    policy = body["policies"][0]
    routes = {route["object_matchers"][0][2]: route["receiver"] for route in policy["routes"]}
    assert {policy["receiver"], *routes.values()} == points
    severities = {alert["labels"]["severity"] for alert in expressions.alerts().values()}
    assert severities == {"critical", "warning", "info"}
    assert set(routes) == severities - {"warning"}


AMTOOL = shutil.which("amtool")


@pytest.mark.skipif(AMTOOL is None, reason="there is no amtool here; Debian's prometheus-alertmanager has it")
@pytest.mark.parametrize("webhook", ["", "http://127.0.0.1:8080/alerts"], ids=["nobody", "webhook"])
def test_alertmanager_takes_its_configuration(webhook: str, tmp_path: Path) -> None:
    """`amtool check-config` accepts what users copy and what `deploy` makes of it."""
    (tmp_path / "alertmanager.yml").write_text(alert_routes.configuration(webhook, 60))
    for path in (GRAFANA / "alertmanager.yml", tmp_path / "alertmanager.yml"):
        done = subprocess.run([str(AMTOOL), "check-config", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_fleet_routes_as_users_do() -> None:
    """The fleet's Alertmanager has the routes and inhibitions of the file that users copy, and no secret: nobody is told, or one webhook."""
    copied = yaml.safe_load((GRAFANA / "alertmanager.yml").read_text())
    for webhook, told in (
        ("", {}),
        ("http://a/b", {"webhook_configs": [{"url": "http://a/b", "send_resolved": True}]}),
    ):
        body = yaml.safe_load(alert_routes.configuration(webhook, 1))
        assert {key: body[key] for key in ("route", "inhibit_rules")} == {
            key: copied[key] for key in ("route", "inhibit_rules")
        }
        assert body["receivers"] == [{"name": receiver["name"], **told} for receiver in copied["receivers"]]
        assert set(body) == {"route", "inhibit_rules", "receivers"}
    assert yaml.safe_load(alert_routes.configuration("", 60))["route"]["group_interval"] == "5000ms"


def test_alertmanager_is_consistent() -> None:
    """Receivers exist, inhibitions name alerts that exist, secrets come from files."""
    body = yaml.safe_load((GRAFANA / "alertmanager.yml").read_text())
    receivers = {receiver["name"] for receiver in body["receivers"]}
    assert {body["route"]["receiver"], *(route["receiver"] for route in body["route"]["routes"])} == receivers
    matchers = [
        matcher for rule in body["inhibit_rules"] for matcher in rule["source_matchers"] + rule["target_matchers"]
    ]
    for matcher in matchers:
        label, values = re.fullmatch(r'(\w+)[!=]~?"(.+)"', matcher).groups()
        known = {
            name if label == "alertname" else alert["labels"].get(label) for name, alert in expressions.alerts().items()
        }
        assert set(values.split("|")) <= known, matcher
    for key, value in _strings(body):
        if re.search(r"(key|url|password)(_file)?$", key):
            assert key.endswith("_file"), key
            assert value.startswith("/etc/alertmanager/")


def test_points_lead_to_traces() -> None:
    """The label of an exemplar that the data source makes a link of is ours, and its id comes behind TRACE_URL."""
    (source,) = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ]
    (destination,) = source["jsonData"]["exemplarTraceIdDestinations"]
    assert destination["name"] == "trace_id"
    # Grafana fills in its environment when it reads the file, `$$` for `$`, and the value when it draws the point.
    expanded = Template(destination["url"]).substitute(TRACE_URL="https://jaeger.example.com/trace/")
    assert expanded == "https://jaeger.example.com/trace/${__value.raw}"
