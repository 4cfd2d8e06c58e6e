"""Every alert through `promtool test rules`: fires in time and not before, not just below, ends, and what it does without data."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from telemetry.runbooks import RUNBOOKS
from telemetry.shipped import ANCHORED
from tests.grafana import expressions
from tests.grafana.expressions import ROOT, RULE_FILES
from tests.grafana.scenarios import PROD, ROUTE, SCENARIOS, TASK, Scenario, Series, minutes, of

PROMTOOL = Path(sys.prefix) / "bin" / "promtool"
GUIDE = ROOT / "docs" / "guide-alerts.yaml"
WITH_ALERTS = [path for path in RULE_FILES if any("alert" in rule for rule in expressions.rules(path))]
OF_THE_COLLECTOR = {name for name in SCENARIOS if name.startswith("Collector")}
FIRES_WITHOUT_DATA = {"NoActiveWorkers", "CollectorDown", "FleetMetricsAbsent"}


def run(
    directory: Path, tests: list[dict[str, Any]], rule_files: list[Path] = WITH_ALERTS, interval: str = "1m"
) -> None:
    """Run promtool on these tests of our rules."""
    file = directory / "tests.yaml"
    body = {"rule_files": [str(path) for path in rule_files], "evaluation_interval": interval, "tests": tests}
    file.write_text(yaml.safe_dump(body))
    done = subprocess.run([PROMTOOL, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def file_of(name: str) -> list[Path]:
    """The rule file of an alert, which needs no other: promtool evaluates each rule at each minute."""
    return [path for path in WITH_ALERTS if any(rule.get("alert") == name for rule in expressions.rules(path))]


def in_namespace(namespace: str, series: Series) -> Series:
    """The same series, as a service with a namespace reports them."""
    return {f'{name[:-1]}, service_namespace="{namespace}"}}': values for name, values in series.items()}


def _expect(name: str, minute: float, firing: list[dict[str, str]]) -> dict[str, Any]:
    """What `ALERTS` says about one alert at a moment, its texts not compared."""
    return {
        "expr": f'count by ({", ".join(["alertname", *sorted(firing[0])])}) (ALERTS{{alertname="{name}", '
        f'alertstate="firing"}})'
        if firing
        else f'ALERTS{{alertname="{name}", alertstate="firing"}}',
        "eval_time": f"{int(minute * 60)}s",
        "exp_samples": [
            {
                "labels": "{"
                + ", ".join(f'{key}="{value}"' for key, value in {"alertname": name, **labels}.items())
                + "}",
                "value": 1,
            }
            for labels in firing
        ],
    }


def _case(title: str, series: dict[str, str], expectations: list[dict[str, Any]]) -> dict[str, Any]:
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    return {"name": title, "interval": "1m", "input_series": inputs, "promql_expr_test": expectations}


def cases(name: str, scenario: Scenario) -> list[dict[str, Any]]:
    """Fires in time, then ends; stays quiet just below at every moment of the same time."""
    quiet_at = [scenario.fires_after * step / 4 for step in range(1, 5)] + [scenario.ends_after]
    return [
        _case(
            f"{name} fires and ends",
            scenario.bad,
            [
                _expect(name, scenario.fires_after - 1, []),
                _expect(name, scenario.fires_after, [scenario.labels]),
                _expect(name, scenario.ends_after, []),
            ],
        ),
        *(
            _case(f"{name} does not fire: {number}", series, [_expect(name, at, []) for at in quiet_at])
            for number, series in enumerate((scenario.just_below, *scenario.never))
        ),
        *(
            _case(f"{name} fires, too: {number}", series, [_expect(name, scenario.fires_after, [scenario.labels])])
            for number, series in enumerate(scenario.also_bad)
        ),
    ]


@pytest.mark.parametrize("name", sorted(expressions.alerts()))
def test_alert_fires_when_it_should(name: str, tmp_path: Path) -> None:
    """Not a minute before its time; in its time, with the labels that say where; not below; and it ends."""
    assert name in SCENARIOS, f"{name} has no scenario: add one to tests/grafana/scenarios.py"
    run(tmp_path, cases(name, SCENARIOS[name]), file_of(name))


def test_without_any_data(tmp_path: Path) -> None:
    """A Prometheus without a single series: exactly the alerts that say so fire."""
    expectations = [
        _expect(name, 30, [{}] if name in FIRES_WITHOUT_DATA else []) for name in sorted(expressions.alerts())
    ]
    run(tmp_path, [_case("nothing at all", {}, expectations)])


def test_texts_are_filled_in(tmp_path: Path) -> None:
    """Labels and values appear in what people read."""
    scenario = SCENARIOS["QueueBacklog"]
    alert = expressions.alerts()["QueueBacklog"]
    expected = {
        "exp_labels": {"severity": "warning", **scenario.labels},
        "exp_annotations": {
            **alert["annotations"],
            "description": "Queue high in prod has 101 pending tasks",
        },
    }
    body = _case("texts", scenario.bad, [])
    body["alert_rule_test"] = [
        {"eval_time": f"{scenario.fires_after}m", "alertname": "QueueBacklog", "exp_alerts": [expected]}
    ]
    run(tmp_path, [body])


def test_environments_do_not_dilute_each_other(tmp_path: Path) -> None:
    """All prod workers dead, all prod requests failing: busy healthy stage changes nothing."""
    series = {
        'celery_active_workers{environment="prod", hostname="a"}': "0x30",
        'celery_active_workers{environment="stage", hostname="b"}': "1x30",
        'http_requests_total{environment="prod", method="GET", endpoint="/x", status_code="500"}': "0+10x30",
        'http_requests_total{environment="stage", method="GET", endpoint="/x", status_code="200"}': "0+10000x30",
    }
    expectations = [_expect(name, 20, [{"environment": "prod"}]) for name in ("NoActiveWorkers", "HighErrorRate")]
    run(tmp_path, [_case("two environments", series, expectations)])


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - FIRES_WITHOUT_DATA - OF_THE_COLLECTOR))
def test_namespaces_do_not_hide_each_other(name: str, tmp_path: Path) -> None:
    """What is wrong with one service of an environment fires for it alone, and one nearly as bad stays silent beside it."""
    scenario = SCENARIOS[name]
    series = in_namespace("shop", scenario.bad) | in_namespace("search", scenario.just_below)
    labels = {**scenario.labels, "service_namespace": "shop"}
    expectations = [
        _expect(name, scenario.fires_after - 1, []),
        _expect(name, scenario.fires_after, [labels]),
        _expect(name, scenario.ends_after, []),
    ]
    run(tmp_path, [_case("two namespaces", series, expectations)], file_of(name))


def test_dead_workers_of_one_namespace(tmp_path: Path) -> None:
    """All workers of one service are dead, or its broker is away, while another's work: the alert names the service."""
    series = {
        of("celery_active_workers", PROD, service_namespace="dead", hostname="a"): "0x30",
        of("celery_active_workers", PROD, service_namespace="well", hostname="a"): "1x30",
        of("celery_tasks_submitted_total", TASK, service_namespace="away"): "3x30",
        of("http_requests_total", ROUTE, service_namespace="away", status_code="500"): "0+10x30",
    }
    firing = [{**PROD, "service_namespace": namespace} for namespace in ("away", "dead")]
    run(tmp_path, [_case("workers", series, [_expect("NoActiveWorkers", 20, firing)])])


def test_tasks_of_every_day(tmp_path: Path) -> None:
    """A task of every day that fails is seen at its third failure, four days after its last success at the latest, and not before."""
    day = 24 * 12  # turns of five minutes
    runs = {"failed": f"0x{2 * day} 1x{day} 2x{day} 3x{2 * day}", "completed": f"0x{day} 1x{5 * day}"}
    series = {of(f"celery_tasks_{outcome}_total", TASK): values for outcome, values in runs.items()}
    silent, seen = (
        _expect("TaskAlwaysFails", hours * 60, firing) for hours, firing in ((4 * 24 + 12, []), (5.1 * 24, [TASK]))
    )
    case = _case("daily", series, [silent, seen]) | {"interval": "5m"}
    run(tmp_path, [case], file_of("TaskAlwaysFails"), interval="5m")


def test_two_collectors_count_once(tmp_path: Path) -> None:
    """Facts shown by two collectors are one fact; totals split over two are one total."""
    series = {
        f'celery_queue_length{{environment="prod", queue="high", instance="{collector}"}}': "101x30"
        for collector in "ab"
    } | {
        f'celery_tasks_{outcome}_total{{environment="prod", queue="q", task_name="t", instance="{collector}"}}': rate
        for outcome, rate, collector in (
            ("completed", "0+88x30", "a"),
            ("failed", "0+6x30", "a"),
            ("failed", "0+6x30", "b"),
        )
    }
    run(
        tmp_path,
        [
            _case(
                "two collectors",
                series,
                [
                    _expect("QueueBacklog", 20, [{"environment": "prod", "queue": "high"}]),
                    _expect("HighTaskFailureRate", 20, [{"environment": "prod", "queue": "q", "task_name": "t"}]),
                ],
            )
        ],
    )


@pytest.mark.parametrize(
    ("name", "series", "firing"),
    [
        ("NoActiveWorkers", SCENARIOS["NoActiveWorkers"].also_bad[0], 0),
        ("HighTaskFailureRate", SCENARIOS["HighTaskFailureRate"].also_bad[1], 0),
        ("HighErrorRate", SCENARIOS["HighErrorRate"].also_bad[0], 0),
        ("HighResponseTime", SCENARIOS["HighResponseTime"].never[0], 1),
        ("LowCacheHitRate", SCENARIOS["LowCacheHitRate"].also_bad[0], 0),
        (
            "QueueBacklog",
            {of("celery_queue_length", PROD, queue="high", instance=collector): "101x30" for collector in "ab"},
            2,
        ),
    ],
)
def test_reason_to_differ_is_true(name: str, series: Series, firing: int, tmp_path: Path) -> None:
    """The guide's own expression does go wrong where ours does not: silent in trouble, or loud without."""
    expectation = {
        "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)',
        "eval_time": f"{int(SCENARIOS[name].fires_after * 60)}s",
        "exp_samples": [{"labels": "{}", "value": firing}],
    }
    run(tmp_path, [_case("the guide's", series, [expectation])], [GUIDE])


@pytest.mark.parametrize("name", sorted(expressions.alerts()))
def test_alert_has_a_runbook(name: str) -> None:
    """The page exists, is about this alert, and says where to look and what to do."""
    address, _, file = expressions.alerts()[name]["annotations"]["runbook_url"].rpartition("/")
    assert address == RUNBOOKS
    page = ROOT / "docs" / "runbooks" / file
    text = page.read_text()
    assert text.startswith(f"# {name}\n")
    assert "\n## Look\n" in text
    assert "\n## Do\n" in text
    for link in re.findall(r"\]\((\w+\.md)\)", text):
        assert (page.parent / link).exists(), link


def test_alerts_count_whole_events() -> None:
    """What alerts count is whole, not extrapolated from where samples happen to lie; the guide's cost stays word for word."""
    guide = {rule["alert"] for rule in expressions.rules(GUIDE) if "increase(" in rule["expr"]}
    alerts = [rule for path in WITH_ALERTS for rule in expressions.rules(path) if "alert" in rule]
    assert guide == {"HighLLMCost"}
    for rule in alerts:
        counted = rule["expr"].count("increase(")
        assert rule["expr"].count(ANCHORED) == (0 if rule["alert"] in guide else counted), rule["alert"]


def test_guide_contract_is_kept() -> None:
    """The guide's seven keep their names, severities and durations; the expression keeps its threshold."""
    literal = {rule["alert"]: rule for rule in expressions.rules(GUIDE)}
    ours = {rule["alert"]: rule for rule in expressions.rules(ROOT / "grafana" / "alerts" / "guide.yaml")}
    assert list(ours) == list(literal)
    for name, rule in literal.items():
        assert ours[name]["labels"] == rule["labels"], name
        assert ours[name].get("for") == rule.get("for"), name
        threshold = rule["expr"].split()[-2:]
        assert " ".join(threshold) in " ".join(ours[name]["expr"].split()), name


def test_scenarios_are_of_alerts() -> None:
    """No scenario of an alert that is gone; and a duration reads as minutes."""
    assert set(SCENARIOS) == set(expressions.alerts())
    assert minutes("2h") == 120
