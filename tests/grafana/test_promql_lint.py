"""Every PromQL expression in `grafana/` and the runbooks, parsed: what it names exists, and it means what it seems to."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from own_metrics import metrics as own_metrics

from app.catalogue import FLEET
from grafana.rules.slo import FAST_ENOUGH
from telemetry.catalogue import http
from telemetry.testing.promql import Linter, check, labels_of
from telemetry.testing.series import OF_OTHERS, Series, of_catalogue
from tests.grafana import expressions
from tests.grafana.expressions import ROOT, Expression


@cache
def known() -> dict[str, Series]:
    """Series that exist: measured, of others, recorded; recordings may build on earlier ones."""
    found = of_catalogue(FLEET.including(own_metrics), ("dev", "stage", "prod")) | OF_OTHERS
    for name, expression in expressions.recordings().items():
        found[name] = Series("gauge", labels_of(expression, found))
    return found


def _id(expression: Expression) -> str:
    return expression.where


@pytest.mark.parametrize("expression", [*expressions.of_rules(), *expressions.of_pages()], ids=_id)
def test_rule_is_sound(expression: Expression) -> None:
    """Metrics, labels and values exist; rates are of counters; environments stay apart; both sides match."""
    assert check(expression.text, known()) == []


@pytest.mark.parametrize("expression", list(expressions.of_dashboards()), ids=_id)
def test_panel_is_sound(expression: Expression) -> None:
    """As for rules, and no panel shows a counter's running total, which restarts make meaningless.

    How many alerts fire is said of all environments: one without an alert has none to be named by.
    """
    linter = Linter(known(), may_drop_environment=expression.text.startswith("count(ALERTS{"))
    result = linter.read(expression.text)
    assert linter.problems == []
    assert not result.raw_counter, expression.text


@pytest.mark.parametrize("panel", expressions.panels(), ids=lambda panel: panel.name)
def test_panel_filters_and_names(panel: expressions.Panel) -> None:
    """A panel of a metric of the fleet obeys `$environment` and `$service_namespace`, and its legend names labels that are there."""
    for query, legend in zip(panel.queries, panel.legends, strict=True):
        labels = labels_of(expressions.filled_in(query), known())
        named = set(re.findall(r"\{\{(\w+)\}\}", legend))
        assert named <= labels, f"{panel.name}: legend names {named - labels}"
        selectors = re.findall(r"\b(\w+)\{([^}]*)\}", query)
        for name, matchers in selectors:
            if "environment" in known()[name].labels and name != "ALERTS":
                assert 'environment=~"$environment"' in matchers, f"{panel.name}: {name} ignores $environment"
                chosen = 'service_namespace=~"$service_namespace"' in matchers
                assert chosen, f"{panel.name}: {name} ignores $service_namespace"
                assert {"environment", "service_namespace"} <= named, (
                    f"{panel.name}: the legend does not say whose it is"
                )


def test_rules_read_what_buckets_keep() -> None:
    """Every bound that the rules read by value is one that other buckets have to have."""
    assert [f'le="{bound:g}"' for bound in http.DURATION.relied_on] == [FAST_ENOUGH]


@pytest.mark.parametrize("title", expressions.custom_queries())
def test_custom_query_is_sound(title: str) -> None:
    """The guide's queries name what exists; they are word for word, so they may mix environments."""
    assert check(expressions.custom_queries()[title], known(), may_drop_environment=True) == []


@pytest.mark.parametrize("board", expressions.dashboards())
def test_variables_ask_for_what_exists(board: str) -> None:
    """The query of each variable names a metric and one of its labels."""
    for name, query in expressions.variables(board).items():
        inside = re.fullmatch(r"label_values\((?:(.+), )?(\w+)\)", query)
        assert inside, query
        assert inside[2] == name
        if inside[1]:
            assert check(expressions.filled_in(inside[1]), known()) == []
            assert name in labels_of(expressions.filled_in(inside[1]), known())


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("sum by (environment) (rate(http_request_total[5m]))", "not a metric"),
        ('sum by (environment) (rate(http_requests_total{code="200"}[5m]))', "no label code"),
        ('sum by (environment) (rate(http_requests_total{method="FETCH"}[5m]))', "never FETCH"),
        ('celery_queue_length{environment=~"prod|production"}', "never production"),
        ("rate(celery_queue_length[5m])", "no counter"),
        ("delta(http_requests_total[5m])", "of a counter"),
        ("sum(rate(http_requests_total[5m]))", "mixes environments"),
        ("sum without (environment) (rate(http_requests_total[5m]))", "mixes environments"),
        ("sum by (environment) (rate(http_requests_total[5m]))", "mixes namespaces"),
        ("celery_queue_length unless on (environment, queue) celery_queue_oldest_seconds", "mixes namespaces"),
        ("sum by (environment, service_namespace, queue) (rate(http_requests_total[5m]))", "not there: queue"),
        ('rate(http_request_duration_seconds_bucket{le="2"}[5m])', "never 2"),
        ("histogram_quantile(0.9, sum by (environment) (rate(http_request_duration_seconds_bucket[5m])))", "buckets"),
        ("histogram_quantile(0.9, sum by (environment, le) (http_request_duration_seconds_bucket))", "rate"),
        ("rate(http_requests_total[5m]) / rate(http_request_duration_seconds_count[5m])", "differ in labels"),
        ("celery_queue_length / on (environment, hostname) celery_active_workers", "not on both sides"),
        ('{environment="prod"}', "every series"),
    ],
)
def test_linter_finds(expression: str, complaint: str) -> None:
    """The linter is worth something: it objects to each of these mistakes."""
    assert any(complaint in problem for problem in check(expression, known())), check(expression, known())


@pytest.mark.parametrize(
    "expression",
    [
        "sum by (environment, service_namespace) (increase(http_requests_total[5m] anchored))",
        "sum by (environment, service_namespace) (rate(http_requests_total[5m] smoothed offset 1h))",
        "sum by (environment, service_namespace) (celery_queue_length{} smoothed)",
    ],
)
def test_linter_knows_modifiers(expression: str) -> None:
    """Windows as Prometheus 3.16 takes them are no mistake, and what stands beside one is checked."""
    assert check(expression, known()) == []
    unknown = expression.replace("_total", "_sum").replace("length", "size")
    assert any("not a metric" in problem for problem in check(unknown, known()))


def test_linter_leaves_values_alone() -> None:
    """Inside quotes it is a value, which the label may not have."""
    quoted = 'sum by (environment, service_namespace) (rate(http_requests_total{method="] anchored"}[5m]))'
    assert any("never ] anchored" in problem for problem in check(quoted, known()))


def test_pages_hold_what_is_checked() -> None:
    """The runbooks have expressions to paste, so checking them is not empty."""
    assert len(list(Path(ROOT / "docs" / "runbooks").glob("*.md"))) == len(expressions.alerts())
    assert len(expressions.of_pages()) > len(expressions.alerts()) / 2
