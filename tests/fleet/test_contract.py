"""The fleet's endpoints against the guide's contract: names, types, labels, queries."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.catalogue import FLEET
from deploy.fleet import Fleet
from support.waiting import eventually
from telemetry.catalogue import HistogramSpec
from tests.fleet import queries
from tests.fleet.client import ChatClient
from tests.fleet.endpoint import Endpoint, families_at

GOLDEN = Path(__file__).parent / "metrics.golden.txt"
TYPES = {"counter": "counter", "histogram": "histogram", "level": "gauge", "fact": "gauge"}
Query = Callable[[str], list[dict[str, object]]]


@pytest.fixture(scope="module")
def complete(actions: ChatClient, endpoint: Endpoint) -> Endpoint:
    """The endpoint once every documented metric is there."""
    names = {spec.name for spec in FLEET.documented}
    missing = eventually(lambda: names - set(endpoint.families()), wanted=lambda left: not left)
    assert not missing
    return endpoint


def test_shape_is_golden(complete: Endpoint) -> None:
    """Names, types, label names and buckets behind the real collector are the ones written down."""
    shape = complete.shape()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(shape)
    assert shape == GOLDEN.read_text()


def test_labels_are_the_catalogue(complete: Endpoint) -> None:
    """Every series carries exactly the declared labels and `environment`; a level also says whose it is."""
    for name, family in complete.families().items():
        spec = FLEET.by_name[name]
        level = {"instance"} if spec.kind == "level" else set()
        assert family.type == TYPES[spec.kind], name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == {*spec.documented_labels, *level}, name
        if isinstance(spec, HistogramSpec):
            bounds = {float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels}
            assert bounds == {*spec.buckets, float("inf")}, name


def test_front_door_shows_the_fleet(complete: Endpoint, fleet: Fleet) -> None:
    """`GET :8100/metrics` answers with all documented metrics of the whole fleet."""
    url = fleet.settings.url("NGINX_PORT", "/metrics")
    assert {spec.name for spec in FLEET.documented} <= set(families_at(url))
    assert httpx.get(url).headers["content-type"].startswith("text/plain")


def test_series_do_not_grow_with_replicas(complete: Endpoint) -> None:
    """Totals have one series per label set, whoever counted it."""
    for spec in FLEET.documented:
        if spec.kind in {"counter", "histogram"}:
            keys = list(complete.series(spec.name))
            assert len(keys) == len(set(keys))


@pytest.mark.parametrize("title", queries.custom_queries())
def test_guide_query_returns_data(title: str, complete: Endpoint, prometheus: Query) -> None:
    """Every custom query of the guide, pasted as it stands, returns data."""
    expression = queries.custom_queries()[title]
    assert eventually(lambda: prometheus(expression), 60), expression


@pytest.mark.parametrize("name", queries.alert_expressions())
def test_guide_alert_expression_runs(name: str, complete: Endpoint, prometheus: Query) -> None:
    """Every alert expression of the guide runs, and its inputs exist: without its threshold it returns data."""
    expression = queries.alert_expressions()[name]
    prometheus(expression)
    left_side = expression.rsplit(">", 1)[0].rsplit("==", 1)[0].rsplit("<", 1)[0]
    assert eventually(lambda: prometheus(left_side), 60), left_side


def test_alerts_are_loaded(fleet: Fleet) -> None:
    """Prometheus evaluates the guide's seven rules."""
    rules = httpx.get(fleet.settings.url("PROMETHEUS_PORT", "/api/v1/rules")).json()["data"]["groups"]
    names = {rule["name"] for group in rules for rule in group["rules"]}
    assert set(queries.alert_expressions()) <= names
    assert len(queries.alert_expressions()) == 7


def test_alerts_have_a_way(fleet: Fleet) -> None:
    """Prometheus tells the fleet's Alertmanager, and that one answers."""
    own = fleet.settings.url("ALERTMANAGER_PORT", "/api/v2/alerts")

    def told() -> list[str]:
        answer = httpx.get(fleet.settings.url("PROMETHEUS_PORT", "/api/v1/alertmanagers")).json()
        return [each["url"] for each in answer["data"]["activeAlertmanagers"]]

    assert eventually(told, 30, wanted=lambda found: found == [own]) == [own]
    assert isinstance(httpx.get(own).json(), list)
