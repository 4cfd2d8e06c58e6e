"""Dashboards on a real Prometheus of a real fleet: every panel draws, whatever is chosen, and what it draws is true."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import httpx
import pytest

from app.catalogue import FLEET
from deploy.fleet import Fleet
from telemetry.testing.series import OF_OFFICIAL, OF_OTHERS
from tests.fleet.actions import AUDIO_SECONDS, FILE, FILES, IMAGES_ALLOWED
from tests.grafana import expressions
from tests.grafana.another_environment import EACH, READING, SECONDS, label_sets
from tests.grafana.live import OTHERS, PLANS, WINDOW_SECONDS, Prometheus

CELERY, APPLICATION, HEALTH = "celery-monitoring", "application-performance", "telemetry-health"
Truth = dict[str, Any]


@pytest.mark.parametrize("panel", expressions.panels(), ids=lambda panel: panel.name)
def test_panel_draws(panel: expressions.Panel, prometheus: Prometheus) -> None:
    """With everything at All, each query of each panel returns data."""
    for query, samples in zip(panel.queries, prometheus.panel(panel), strict=True):
        assert samples, query


@pytest.mark.parametrize("environment", ["prod", *OTHERS])
@pytest.mark.parametrize(
    "panel", [panel for panel in expressions.panels() if panel.uses("environment")], ids=lambda panel: panel.name
)
def test_panel_draws_each_environment(panel: expressions.Panel, environment: str, prometheus: Prometheus) -> None:
    """Each environment by itself has data, and no other environment's."""
    shown = prometheus.panel(panel, environment=environment)
    assert any(shown), panel.queries
    assert {labels["environment"] for samples in shown for labels, _ in samples} == {environment}


@pytest.mark.parametrize(
    ("board", "variable"),
    [
        (board, name)
        for board in expressions.dashboards()
        for name in expressions.variables(board)
        if name != "service_namespace"  # this fleet has none; test_live_namespaces.py
    ],
)
def test_panel_draws_each_value(board: str, variable: str, prometheus: Prometheus) -> None:
    """Each value that Grafana offers for a variable has data in every panel that obeys it, but for shares of few events."""
    values = prometheus.values_of(expressions.variables(board)[variable])
    assert len(values) > 2, values
    obeying = [panel for panel in expressions.panels() if panel.board == board and panel.uses(variable)]
    assert obeying
    empty = [
        f"{panel.title} for {value}"
        for panel in obeying
        for value in values
        if not any(prometheus.panel(panel, **{variable: value})) and not _asks_for_many(panel)
    ]
    assert empty == []


def _asks_for_many(panel: expressions.Panel) -> bool:
    return any(re.search(r">= \d\d+\)", query) for query in panel.queries)


@pytest.mark.parametrize(
    "panel", [panel for panel in expressions.panels() if panel.counts], ids=lambda panel: panel.name
)
def test_counts_are_whole(panel: expressions.Panel, prometheus: Prometheus) -> None:
    """Counts of a time range are whole numbers, whenever they are looked at."""
    between_scrapes = Prometheus(prometheus.url)
    for samples in between_scrapes.panel(panel):
        assert samples
        assert all(value.is_integer() for _, value in samples), samples


def test_environments_are_offered(prometheus: Prometheus) -> None:
    """`$environment` offers exactly those that report."""
    for board in expressions.dashboards():
        assert prometheus.values_of(expressions.variables(board)["environment"]) == ["dev", "prod", "stage"]


def _per_second(count: float) -> float:
    return count / WINDOW_SECONDS


def _tasks() -> dict[str, float]:
    """Tasks by queue: those of `perform`, and one that fails and one that is retried for each plan."""
    return {"low": 1 + IMAGES_ALLOWED + 2, "medium": 2 + 2 + 1 + 2, "high": 3 + 1 + 2}


@pytest.mark.parametrize("queue", ["low", "medium", "high"])
def test_celery_panels_are_true(queue: str, prometheus: Prometheus) -> None:
    """Submitted, completed, failed, retried by queue: what was done."""
    tasks = _tasks()
    expected = {
        ("Tasks submitted by queue", 0): _per_second(tasks[queue]),
        ("Tasks completed and failed", 0): _per_second(tasks[queue] - 1),
        ("Tasks completed and failed", 1): _per_second(1),
        ("Retries by queue", 0): _per_second(1),
        ("Priority distribution by queue", 0): tasks[queue] / sum(tasks.values()),
        ("Priority distribution by message priority", 0): tasks[queue],
        ("Queue lengths and backlog", 0): 0,
    }
    shown = {key: prometheus.value(CELERY, *key, queue=queue) for key in expected}
    assert shown == pytest.approx(expected)


def test_celery_numbers_are_true(prometheus: Prometheus) -> None:
    """Workers, waiting tasks and the share that failed."""
    assert prometheus.value(CELERY, "Active workers") == 2
    assert prometheus.value(CELERY, "Tasks waiting") == 0
    assert prometheus.value(CELERY, "Failing now") == pytest.approx(len(PLANS) / sum(_tasks().values()))
    assert prometheus.value(CELERY, "Exceptions of failed tasks") == len(PLANS)


def test_http_panels_are_true(truth: Truth, prometheus: Prometheus) -> None:
    """Requests by route and status: the client's own count."""
    routes: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for (_, route, _), count in truth["answers"].items():
        if route not in {"/health", "/ready"}:
            routes["unmatched" if route.startswith("/nothing") else route] += count
    for route, count in routes.items():
        shown = prometheus.value(APPLICATION, "Request rate by endpoint", endpoint=route)
        assert shown == pytest.approx(_per_second(count)), route
    for (_, _, status), count in truth["answers"].items():
        statuses[status] += count
    for status in ("201", "202", "404", "422", "429"):
        shown = prometheus.value(APPLICATION, "Answers by status", status_code=status)
        assert shown == pytest.approx(_per_second(statuses[status])), status


def test_business_panels_are_true(prometheus: Prometheus) -> None:
    """Messages, images, audio, refusals and storage: what the actions were."""
    messages = {"free": 2 + 2, "pro": 5 + 2, "enterprise": 7 + 2}
    for plan, count in messages.items():
        assert prometheus.value(APPLICATION, "Messages in the time range", user_plan=plan) == count, plan
    assert prometheus.value(APPLICATION, "Images generated") == 1 + IMAGES_ALLOWED
    assert prometheus.value(APPLICATION, "Audio transcribed") == pytest.approx(AUDIO_SECONDS / 60)
    refused = prometheus.value(APPLICATION, "Rate limiting events", plan="free", endpoint="/api/v1/images")
    assert refused == pytest.approx(_per_second(2))
    kept = prometheus.value(APPLICATION, "Storage used by plan", plan="enterprise")
    assert kept == (FILES - 1) * len(FILE)


def test_money_panels_are_true(truth: Truth, prometheus: Prometheus) -> None:
    """Tokens and calls are the vendor's ledger; hit rate and savings follow from it."""
    ledger = truth["ledger"]
    tokens: Counter[str] = Counter()
    for row in ledger["tokens"]:
        tokens[row["type"]] += row["count"]
    for kind, count in tokens.items():
        assert prometheus.value(APPLICATION, "LLM tokens by type", type=kind) == pytest.approx(_per_second(count)), kind
    calls: Counter[str] = Counter()
    for row in ledger["requests"]:
        calls[row["model"]] += row["count"]
    hits = 1
    for model, count in calls.items():
        asked = count + (hits if model == "gpt-4o-mini" else 0)
        assert prometheus.value(APPLICATION, "LLM requests by model", model=model) == pytest.approx(_per_second(asked))
    rate = hits / (calls["gpt-4o-mini"] + hits)
    assert prometheus.value(APPLICATION, "LLM cache hit rate", model="gpt-4o-mini") == pytest.approx(rate)
    cost = prometheus.value(APPLICATION, "LLM cost in the time range")
    assert cost > 0
    assert prometheus.value(APPLICATION, "Saved by the cache") == pytest.approx(hits * cost / sum(calls.values()))


@pytest.mark.parametrize("environment", OTHERS)
def test_other_environments_are_true(environment: str, prometheus: Prometheus) -> None:
    """The environments beside prod show their own counts, exactly."""

    def of(metric: str) -> float:
        return EACH * len(list(label_sets(FLEET.by_name[metric])))

    expected = {
        (APPLICATION, "Messages in the time range"): of("messages_sent_total"),
        (APPLICATION, "LLM cost in the time range"): of("llm_cost_usd_total"),
        (APPLICATION, "Calls of unknown cost"): of("llm_unpriced_requests_total"),
        (CELERY, "Worker time by task"): of("celery_task_duration_seconds") * SECONDS,
        (CELERY, "Active workers"): READING,
        (CELERY, "Tasks waiting"): READING * 3,
        (HEALTH, "Counts that were not delivered"): of("telemetry_undelivered_total"),
    }
    shown = {key: prometheus.value(*key, environment=environment) for key in expected}
    assert shown == pytest.approx(expected)


def test_durations_are_within_their_bucket(prometheus: Prometheus) -> None:
    """The percentile of observations that all took 0.3 s lies in the bucket that 0.3 s falls into."""
    shown = prometheus.value(CELERY, "Task duration percentiles", query=1, environment="stage", queue="high")
    assert 0.25 < shown <= 0.5
    assert math.isfinite(shown)


@pytest.mark.parametrize("expression", expressions.of_pages(), ids=lambda expression: expression.where)
def test_page_can_be_pasted(expression: expressions.Expression, prometheus: Prometheus) -> None:
    """What the runbooks and pages tell people to paste is taken by a real Prometheus."""
    prometheus.query(expression.text)


def test_alerts_lead_to_runbooks(fleet: Fleet, prometheus: Prometheus) -> None:
    """What the fleet's Prometheus says of an alert leads to its page, which the front door shows as text."""
    groups = httpx.get(f"{prometheus.url}/api/v1/rules", params={"type": "alert"}).json()["data"]["groups"]
    rules = {rule["name"]: rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]}
    assert set(rules) == set(expressions.alerts())
    with httpx.Client() as browser:
        for name, address in rules.items():
            answer = browser.get(address)
            assert address.startswith(fleet.settings.url("NGINX_PORT"))
            assert answer.text.startswith(f"# {name}\n")
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("name", expressions.recordings())
def test_recording_has_data(name: str, prometheus: Prometheus) -> None:
    """Each recorded series has something to record on a busy fleet; events that did not happen record nothing."""
    assert prometheus.query(expressions.recordings()[name]) or name.startswith("slo:")


@pytest.mark.parametrize("name", sorted(set(OF_OTHERS) - set(OF_OFFICIAL) - {"ALERTS"}))
def test_series_of_others_exist(name: str, prometheus: Prometheus) -> None:
    """What the linter takes for granted of Prometheus and the collector is there."""
    assert prometheus.query(name), name
