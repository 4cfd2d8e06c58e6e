"""Two services with namespaces and one without behind one collector, in one environment, as Prometheus and Grafana see them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.collector import DURABLE, running
from support.waiting import eventually
from tests.grafana import expressions
from tests.grafana.another_environment import EACH, READING
from tests.grafana.live import Prometheus, as_of_last_scrape, process_of, prometheus_of, scraping

NAMESPACES = ("", "search", "shop")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus of a collector to which a process of each service has exported everything once."""
    with running(DURABLE) as collector, ExitStack() as stack:
        for namespace in NAMESPACES:
            stack.enter_context(process_of("prod", collector.endpoint, namespace))
        url = stack.enter_context(prometheus_of(tmp_path_factory.mktemp("services"), scraping([collector])))
        everything = "count(celery_queue_length) == 9 and on () count(messages_sent_total) == 9"
        assert eventually(lambda: Prometheus(url).query(everything))
        complete = eventually(lambda: as_of_last_scrape(url), wanted=lambda seen: bool(seen.query(everything)))
        assert complete.query(everything)
        yield complete


def _namespaces(samples: list[tuple[dict[str, str], float]]) -> set[str]:
    return {labels.get("service_namespace", "") for labels, _ in samples}


def test_namespaces_are_offered(prometheus: Prometheus) -> None:
    """`$service_namespace` offers exactly those that report."""
    for board in expressions.dashboards():
        assert prometheus.values_of(expressions.variables(board)["service_namespace"]) == ["search", "shop"]


@pytest.mark.parametrize(
    "panel", [panel for panel in expressions.panels() if panel.uses("service_namespace")], ids=lambda panel: panel.name
)
def test_panel_draws_each_service(panel: expressions.Panel, prometheus: Prometheus) -> None:
    """All shows every service by itself, a chosen one is alone."""
    for samples in prometheus.panel(panel):
        assert _namespaces(samples) in (set(NAMESPACES), set())
    assert any(prometheus.panel(panel))
    for samples in prometheus.panel(panel, service_namespace="shop"):
        assert _namespaces(samples) <= {"shop"}
    assert any(prometheus.panel(panel, service_namespace="shop"))


@pytest.mark.parametrize("record", [name for name in expressions.recordings() if name.startswith("fleet:")])
def test_recording_is_by_service(record: str, prometheus: Prometheus) -> None:
    """Each recording has as many series of each service."""
    samples = prometheus.query(expressions.recordings()[record].replace("[5m]", "[10m]"))
    by_service = [[1 for labels, _ in samples if labels.get("service_namespace", "") == name] for name in NAMESPACES]
    assert by_service[0]
    assert by_service[0] == by_service[1] == by_service[2]


def test_services_are_counted_exactly(prometheus: Prometheus) -> None:
    """Totals, counts of a histogram, facts and levels of each service are its own."""
    for query, each in (
        ("sum by (service_namespace) (messages_sent_total)", 3 * EACH),
        ("sum by (service_namespace) (celery_task_wait_seconds_count)", 3 * EACH),
        ("sum by (service_namespace) (celery_queue_length)", 3 * READING),
        ("sum by (service_namespace) (celery_worker_pool_size)", READING),
    ):
        found = {labels.get("service_namespace", ""): value for labels, value in prometheus.query(query)}
        assert found == dict.fromkeys(NAMESPACES, float(each)), query
