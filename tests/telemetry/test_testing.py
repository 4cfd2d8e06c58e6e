"""What `telemetry.testing` gives users: assertions whose failures say what is there, golden files, the linter of files."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from telemetry import testing
from telemetry.catalogue import CounterSpec, NoLabels
from telemetry.testing.files import check_files, filled_in
from telemetry.testing.series import Series
from tests.support import own_metrics as own

pytest_plugins = ["pytester"]


def _said(metric: object, labels: dict[str, str], n: float) -> list[str]:
    with pytest.raises(AssertionError) as failed:
        testing.assert_counted(metric, labels, n)  # type: ignore[arg-type]
    return str(failed.value).splitlines()


def test_failure_shows_the_nearest_series() -> None:
    """An assertion that fails shows what was counted, the series that share most labels first."""
    with testing.captured(catalogue=own):
        own.ORDERS.add(1, {"plan": "pro", "shop": "b"})
        own.ORDERS.add(2, {"plan": "free", "shop": "b"})
        testing.assert_counted(own.ORDERS_PLACED, {"shop": "b"}, 3)
        testing.assert_counted("own_orders_total", {"shop": "b", "plan": "free"}, 2)
        assert _said(own.ORDERS_PLACED, {"shop": "a", "plan": "free"}, 2) == [
            'own_orders_total{shop="a", plan="free"} counted 0, not 2',
            "its series, the nearest first:",
            '  own_orders_total{plan="free", shop="b"} 2',
            '  own_orders_total{plan="pro", shop="b"} 1',
        ]


def test_failure_shows_so_many_series() -> None:
    """However many series there are, the message stays one that can be read."""
    with testing.captured() as captured:
        for number in range(50):
            captured.telemetry.http.answered("GET", f"/{number}", 200, 0.1)
        said = _said("http_requests_total", {"endpoint": "/none"}, 1)
    assert len(said) == 13
    assert said[-1] == "  … and 40 more"


def test_failure_says_what_is_misspelt() -> None:
    """A metric or a label that does not exist is named, with what may have been meant."""
    with testing.captured(catalogue=own) as captured:
        own.SEEN.add(1, {})
        assert _said("own_order_total", {}, 1)[1] == "there is no such metric; did you mean own_orders_total?"
        assert "nothing was counted in it in this block; counted was own_seen_total" in _said(own.REFUNDS, {}, 1)[1]
        captured.telemetry.http.answered("GET", "/x", 200, 0.1)
        assert _said("http_requests_total", {"handler": "/x"}, 1)[-1] == (
            "http_requests_total has no label handler: it has method, endpoint, status_code"
        )


def test_assertion_outside_of_a_block() -> None:
    """Where nothing is captured, the error says what is missing."""
    with pytest.raises(RuntimeError, match=r"with telemetry\.testing\.captured\(\)"):
        testing.assert_counted("http_requests_total", {}, 1)


def test_golden_file_shows_the_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A golden file has declarations and zero series; a change shows as a difference, and one variable writes it."""
    file = tmp_path / "metrics.txt"
    monkeypatch.setenv("UPDATE_GOLDEN", "1")
    testing.assert_golden(file, own)
    monkeypatch.delenv("UPDATE_GOLDEN")
    testing.assert_golden(file, "tests.support.own_metrics")
    lines = file.read_text().splitlines()
    assert 'own_refunds_total{plan="pro"} 0' in lines
    assert "#   shop: at most 3, else other" in lines
    assert "#   le: 0.1 1" in lines
    changed = ModuleType("changed")
    changed.X = CounterSpec(name="own_refunds_total", help="Refunds.", labels=NoLabels)  # type: ignore[attr-defined]
    with pytest.raises(AssertionError, match="UPDATE_GOLDEN=1") as failed:
        testing.assert_golden(file, changed)
    assert '-own_refunds_total{plan="pro"} 0' in str(failed.value)


def test_fixture_is_one_line_away(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users have the fixture `captured` by naming a plugin."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    pytester.makeconftest('pytest_plugins = ["telemetry.testing.fixtures"]')
    pytester.makepyfile(
        """
        import telemetry
        from telemetry.testing import assert_counted

        def test_it(captured):
            telemetry.get().errors.occurred("ValueError", component="http")
            assert_counted("errors_total", {"component": "http"}, 1)
            assert captured.total("errors_total") == 1
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


DASHBOARD = {
    "panels": [
        {"title": "Good", "targets": [{"expr": 'own_carts_open{environment=~"$environment"}'}]},
        {
            "title": "Row",
            "type": "row",
            "panels": [{"title": "Inside", "targets": [{"expr": "sum by (environment) (own_order_total)"}]}],
        },
        {"title": "Recorded", "targets": [{"expr": "shop:orders:rate5m > node_load1"}, {"expr": ""}]},
    ]
}
RULES = """
groups:
  - name: shop
    rules:
      - {record: "shop:orders:rate5m", expr: "sum by (environment, service_namespace) (rate(own_orders_total[5m]))"}
      - {alert: "Bad", expr: "rate(own_carts_open[5m]) > 1"}
      - {alert: "Unreadable", expr: "sum by ("}
"""


def test_files_are_read_as_prometheus_reads_them(tmp_path: Path) -> None:
    """Each mistake in dashboards and rules is named with its place; what rules record and others have may be queried."""
    board, rules = tmp_path / "shop.json", tmp_path / "rules.yaml"
    board.write_text(json.dumps(DASHBOARD))
    rules.write_text(RULES)
    known = {"node_load1": Series("gauge", frozenset({"environment", "service_namespace"}))}
    found = check_files([board, rules], own, also=known)
    assert sorted({problem.partition(": ")[0] for problem in found}) == [
        "rules.yaml/Bad",
        "rules.yaml/Unreadable",
        "shop/Inside",
    ]
    assert "no counter" in found[0]
    assert "own_order_total is not a metric of the catalogue: did you mean own_orders_total?" in found[2]
    assert any("node_load1 is not a metric" in problem for problem in check_files([board, rules], own))


def test_variables_of_grafana_are_filled_in() -> None:
    """Variables in each way of writing become what parses, intervals of one's own included."""
    query = 'rate(a{b=~"$b", c=~"${c:regex}"}[$window]) + rate(a[${window}]) + rate(a[$__rate_interval])'
    assert filled_in(query, {"b": "x.y"}) == r'rate(a{b=~"x\\.y", c=~".*"}[5m]) + rate(a[5m]) + rate(a[1m])'
