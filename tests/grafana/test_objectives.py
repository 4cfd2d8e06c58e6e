"""Objectives that users declare: their rules through `promtool`, their runbooks, their dashboard, and files that are wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from telemetry.cli.main import main
from telemetry.looks import COUNT, NEUTRAL, NOTHING
from telemetry.shipped import write_files
from telemetry.testing.files import check_files
from tests.grafana.expressions import GRAFANA, ROOT, rules
from tests.grafana.scenarios import PROD, Series, of
from tests.grafana.test_alerts import _case, _expect, run

DECLARED = """
objectives:
  - name: checkout_availability
    target: 99.9
    window: 4w
    indicator: http_availability
    selector: 'endpoint="/checkout"'
  - name: search_speed
    promise: searches are fast
    target: 90
    indicator: http_latency
    within: 5
    selector: endpoint="/search"
  - name: mails
    target: 99
    window: 7d
    indicator: task_success
    selector: '{task_name="mail"}'
  - name: model_speed
    target: 50
    indicator: latency
    histogram: llm_request_duration_seconds{provider="openai"}
    within: 30
  - name: payments_bad
    target: 99
    indicator: ratio
    bad: payments_total{outcome="failed"}
    total: payments_total
    least_events: 20
    remedy: Call the bank.
  - name: payments_good
    target: 99
    indicator: ratio
    good: payments_total{outcome="paid"}
    total: payments_total
    least_events: 20
  - name: payments_both
    target: 99
    indicator: ratio
    good: payments_total{outcome="paid"}
    bad: payments_total{outcome="failed"}
    selector: shop="north"
    least_events: 20
"""
ROUTE = {**PROD, "method": "POST"}
Made = tuple[Path, Path]  # where, and its rule file


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """What the command writes."""
    directory = tmp_path_factory.mktemp("objectives")
    (directory / "mine.yaml").write_text(DECLARED)
    assert (
        main(["objectives", str(directory / "mine.yaml"), str(directory), "--runbooks", "https://example.org/r/"]) == 0
    )
    return directory, directory / "grafana" / "alerts" / "mine.yaml"


def requests(errors: str, fine: str, endpoint: str) -> Series:
    """Requests of a route that are answered with 500 and with 200."""
    return {
        of("http_requests_total", ROUTE, endpoint=endpoint, status_code=status): values
        for status, values in (("500", errors), ("200", fine))
    }


def durations(metric: str, labels: dict[str, str], bound: str, within: str, every: str) -> Series:
    """A histogram of which a share is within a bound."""
    buckets = {of(f"{metric}_bucket", labels, le=le): values for le, values in ((bound, within), ("+Inf", every))}
    return buckets | {of(f"{metric}_count", labels): every}


def payments(failed: str, paid: str, shop: str = "north") -> Series:
    """A metric that no catalogue here has."""
    return {of("payments_total", PROD, shop=shop, outcome="failed"): failed} | {
        of("payments_total", PROD, shop=shop, outcome="paid"): paid
    }


def speeds(endpoint: str, within: str, bound: str = "5.0") -> Series:
    """Durations of requests of a route."""
    return durations("http_request_duration_seconds", {**ROUTE, "endpoint": endpoint}, bound, within, "0+100x60")


def models(within: str, provider: str = "openai") -> Series:
    """Durations of calls of a vendor."""
    labels = {**PROD, "provider": provider, "model": "m"}
    return durations("llm_request_duration_seconds", labels, "30.0", within, "0+100x60")


def mails(failed: str, completed: str, task: str = "mail") -> Series:
    """Tasks that end."""
    labels = {**PROD, "queue": "q", "task_name": task}
    return {of("celery_tasks_failed_total", labels): failed, of("celery_tasks_completed_total", labels): completed}


@pytest.mark.parametrize(
    ("alert", "bad", "fine"),
    [
        (
            "CheckoutAvailabilityBurnsFast",
            requests("0+2x60", "0+98x60", "/checkout"),
            requests("0+1x60", "0+199x60", "/checkout") | requests("0+100x60", "0x60", "/other"),
        ),
        (
            "CheckoutAvailabilityBurnsFast",
            requests("0+2x60", "0x60", "/checkout"),
            requests("0+1x60", "0x60", "/checkout"),
        ),
        ("SearchSpeedBurnsFast", speeds("/search", "0+30x60"), speeds("/search", "0+80x60") | speeds("/other", "0x60")),
        (
            "SearchSpeedBurnsFast",
            speeds("/search", "0+30x60", "5"),
            speeds("/search", "0+80x60", "5"),
        ),  # of Prometheus 2
        ("MailsBurnsFast", mails("0+4x60", "0+96x60"), mails("0+1x60", "0+99x60") | mails("0+9x60", "0x60", "other")),
        ("ModelSpeedBurnsFast", models("0+5x60"), models("0+60x60") | models("0x60", "other")),
        ("PaymentsBadBurnsFast", payments("0+1x60", "0+4x60"), payments("0+1x60", "0+99x60")),
        ("PaymentsGoodBurnsFast", payments("0+1x60", "0+4x60"), payments("0+1x60", "0+99x60")),
        ("PaymentsGoodBurnsFast", {of("payments_total", PROD, outcome="lost"): "0+5x60"}, payments("0x60", "0+5x60")),
        (
            "PaymentsBothBurnsFast",
            payments("0+1x60", "0+4x60"),
            payments("0+1x60", "0+99x60") | payments("0+9x60", "0x60", "south"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_declared_objective_is_watched(alert: str, bad: Series, fine: Series, made: Made, tmp_path: Path) -> None:
    """Each kind of indicator: its alert fires when the allowance goes too fast, and not for others, or for what is allowed."""
    cases = [
        _case("fires", bad, [_expect(alert, 40, [PROD])]),
        _case("does not", fine, [_expect(alert, 40, []), _expect(alert, 59, [])]),
    ]
    run(tmp_path, cases, [made[1]])


def test_slow_burn_is_a_warning(made: Made, tmp_path: Path) -> None:
    """What the allowance does not last the window with raises the second alert, and not the first."""
    series = payments("0+2x120", "0+98x120")
    expectations = [_expect("PaymentsBadBurnsSlowly", 60, [PROD]), _expect("PaymentsBadBurnsFast", 60, [])]
    run(tmp_path, [_case("slow", series, expectations)], [made[1]])


def limits(path: Path, alert: str) -> list[float]:
    """The bad shares that an alert compares with."""
    expression = next(rule["expr"] for rule in rules(path) if rule.get("alert") == alert)
    return sorted({float(limit) for limit in re.findall(r"> ([\d.]+)", expression)}, reverse=True)


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        ("PaymentsBadBurnsFast", [0.144, 0.06]),  # 14.4 and 6 times 1 %
        ("PaymentsBadBurnsSlowly", [0.03, 0.01]),
        ("CheckoutAvailabilityBurnsFast", [0.01344, 0.0056]),  # of four weeks
        ("MailsBurnsFast", [0.0336, 0.014]),  # of a week
        ("MailsBurnsSlowly", [0.01]),  # never less than is allowed
        ("ModelSpeedBurnsFast", [0.9]),  # several times what is allowed would be more than everything
    ],
)
def test_limits_follow_from_target_and_window(alert: str, expected: list[float], made: Made) -> None:
    """An alert says that 2 % of the allowance went within an hour, 5 % within six, 10 % within a day or three; an outage is always too much."""
    assert limits(made[1], alert) == expected


def test_rules_link_to_runbooks_that_are_there(made: Made) -> None:
    """Each alert has a page, with what to look at, what to do and where to change it, at the address that was asked for."""
    directory, file = made
    for rule in (rule for rule in rules(file) if "alert" in rule):
        url = rule["annotations"]["runbook_url"]
        assert url == f"https://example.org/r/{rule['alert']}.md"
        text = (directory / "docs" / "runbooks" / f"{rule['alert']}.md").read_text()
        assert text.startswith(f"# {rule['alert']}\n")
        assert "\n## Look\n" in text
        assert "`mine.yaml`" in text
        assert ("Call the bank." in text) == rule["alert"].startswith("PaymentsBad")


def test_queries_are_sound(made: Made) -> None:
    """Rules and panels ask for metrics, labels and values that exist, as far as anybody has declared them."""
    directory, file = made
    problems = check_files([file, directory / "grafana" / "dashboards" / "mine.json"])
    assert [problem for problem in problems if "payments" not in problem] == []


def _grid(panel: dict[str, Any]) -> Iterator[tuple[int, int]]:
    at = panel["gridPos"]
    assert at["x"] + at["w"] <= 24
    return ((at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"]))


def test_dashboard_is_grafanas(made: Made) -> None:
    """Grafana's types read it and lose nothing; a row for each objective; no panel covers another; variables have no id, queries have names."""
    board = json.loads((made[0] / "grafana" / "dashboards" / "mine.json").read_text())
    body = {key: value for key, value in board.items() if not key.startswith("__")}
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(body), cls=JSONEncoder))
    assert _contains(again, body)
    assert [panel["title"].partition(":")[0] for panel in board["panels"] if panel["type"] == "row"] == [
        "checkout_availability",
        "search_speed",
        "mails",
        "model_speed",
        "payments_bad",
        "payments_good",
        "payments_both",
    ]
    cells = [cell for panel in board["panels"] for cell in _grid(panel)]
    assert len(cells) == len(set(cells))
    assert all("id" not in variable for variable in board["templating"]["list"])
    assert all(target["refId"] for panel in board["panels"] for target in panel.get("targets", ()))


def test_dashboard_looks_like_the_others(made: Made) -> None:
    """No value is neutral, legends have the largest on top, counts are whole, and it opens with the alerts that fire, each a way to its runbook."""
    board = json.loads((made[0] / "grafana" / "dashboards" / "mine.json").read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert {panel["fieldConfig"]["defaults"]["noValue"] for panel in panels} == {NOTHING}
    for panel in panels:
        defaults, options = panel["fieldConfig"]["defaults"], panel["options"]
        if panel["type"] == "timeseries":
            assert (options["legend"]["sortBy"], options["legend"]["sortDesc"]) == ("Last *", True)
            assert defaults["custom"]["axisSoftMax"] > defaults["thresholds"]["steps"][-1]["value"]
        else:
            assert defaults["mappings"][0]["options"]["result"] == {"text": NOTHING, "color": NEUTRAL, "index": 0}
    assert {panel["fieldConfig"]["defaults"]["unit"] for panel in panels if panel["title"].startswith("Events")} == {
        COUNT
    }
    firing = panels[0]
    alerts = [rule["alert"] for rule in rules(made[1]) if "alert" in rule]
    assert (firing["title"], firing["gridPos"]["y"]) == ("Alerts firing", 0)
    assert all(alert in firing["targets"][0]["expr"] for alert in alerts)
    link = firing["fieldConfig"]["defaults"]["links"][0]["url"]
    assert link == "https://example.org/r/${__field.labels.alertname}.md"


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(key in whole and _contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(_contains, whole, part))
    return bool(whole == part)


def test_shipped_objectives_are_the_example(tmp_path: Path) -> None:
    """`files`, and then `objectives` on the file it brings: the shipped rules and runbooks, written once more."""
    write_files(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "telemetry", "objectives", "grafana/objectives.yaml", "."],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert rules(tmp_path / "grafana" / "alerts" / "objectives.yaml") == rules(GRAFANA / "alerts" / "objectives.yaml")
    for name in ("HttpLatencyBurnsFast", "TaskSuccessBurnsSlowly"):
        page = Path("docs") / "runbooks" / f"{name}.md"
        assert (tmp_path / page).read_text().split("## When")[0] == (ROOT / page).read_text().split("## When")[0]


def one(**values: object) -> str:
    """A file of one objective that is right but for some values."""
    entry = {"name": "fine", "target": 99, "indicator": "task_success", **values}
    return json.dumps({"objectives": [{key: value for key, value in entry.items() if value is not None}]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (one(target=None), "objective 1 (fine): target is missing: write for instance `target: 99.5`"),
        (one(target="99%"), "target: '99%' is no number: write for instance `target: 99.5`, without a unit"),
        (one(target=0.995), "target: 0.995 is a share of 1, not of 100: write 99.5"),
        (one(target=100), "target: 100 is no target: write a percentage between 0 and 100"),
        (one(target=True), "target: True is no number"),
        (
            one(name="Fine-1"),
            "name: 'Fine-1' is no name for series: write small letters, digits and single underscores",
        ),
        (one(name=None), "objective 1: name is missing"),
        (one(window="1y"), "window: '1y' cannot be used: write 7d to 90d, or weeks, such as 30d or 4w"),
        (one(window="91d"), "window: '91d' cannot be used"),
        (one(windw="30d"), "windw: '30d' is not known (is `window` meant?)"),
        (one(within=5), "within: 5 is not known"),
        (one(indicator="availability"), "indicator: 'availability' is not known (is `http_availability` meant?)"),
        (one(indicator=None), "indicator is missing"),
        (one(selector="endpoint=/x"), "selector: 'endpoint=/x' are no matchers of PromQL: write for instance"),
        (
            one(selector='taskname="x"'),
            "celery_tasks_completed_total has no label taskname; its labels are environment, ",
        ),
        (one(least_events=0), "least_events: 0 is no number of events: write a whole number from 1 on"),
        (one(promise=7), "promise: 7 is no text: write one, in quotes"),
        (one(indicator={"ratio": {}}), "indicator: {'ratio': {}} is no text"),
        (one(selector=["a"]), "selector: ['a'] is no text"),
        (one(indicator="http_latency", within=-1), "within: -1 is no time: write seconds, such as 2.5"),
        (
            one(indicator="http_latency", within=3),
            "within: 3 is no bound of the buckets of http_request_duration_seconds: take one of 0.005, ",
        ),
        (one(indicator="http_latency"), "within is missing: write for instance `within: 2.5`"),
        (one(indicator="latency", within=1), "histogram is missing"),
        (one(indicator="ratio"), "needs two counters, and `good`, `bad` and `total` are missing: name two of them"),
        (one(indicator="ratio", good="a", bad="b", total="c"), "3 of `good`, `bad` and `total` are there"),
        (
            one(indicator="ratio", good="rate(a[5m])", total="b"),
            "good: 'rate(a[5m])' is no selector of series: write a name",
        ),
        (one(indicator="ratio", bad="celery_queue_length", total="a"), "celery_queue_length is no counter"),
        ('{"objectives": ["fine"]}', "objective 1: 'fine' is no objective"),
        ('{"objectives": []}', "write `objectives:`, and below it a list of at least one objective"),
        ("", "has no keys at its top"),
        ("a: [", "is no YAML: while parsing"),
        (
            "apiVersion: openslo/v1",
            "seems to be a file of OpenSLO or Pyrra, which is not read: write its objectives under",
        ),
        ("slos: []", "seems to be a file of Sloth"),
        (
            json.dumps({"objectives": [{"name": "a_b", "target": 1, "indicator": "task_success"}] * 2}),
            "objective 2: name: 'a_b' is that of objective 1: give each its own",
        ),
    ],
)
def test_wrong_file_is_explained(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The objective, the key, its value and what to write; nothing is written."""
    (tmp_path / "mine.yaml").write_text(text)
    assert main(["objectives", str(tmp_path / "mine.yaml"), str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each."""
    (tmp_path / "mine.yaml").write_text(one(target=0.9, window="1y", selector="x"))
    main(["objectives", str(tmp_path / "mine.yaml"), str(tmp_path / "out")])
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_files_of_others_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was not made of objectives is not overwritten, until that is asked for; one that was is made anew."""
    (tmp_path / "celery.yaml").write_text(one())
    alerts = tmp_path / "grafana" / "alerts" / "celery.yaml"
    alerts.parent.mkdir(parents=True)
    alerts.write_text("groups: []")
    command = ["objectives", str(tmp_path / "celery.yaml"), str(tmp_path)]
    assert main(command) == 2
    assert f"there already, and not of these objectives: {alerts}" in capsys.readouterr().err
    assert alerts.read_text() == "groups: []"
    assert main([*command, "--overwrite"]) == 0
    assert main(command) == 0


def test_objective_in_two_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that other rules of the directory record is said to be there already, whatever is to be overwritten."""
    write_files(tmp_path)
    (tmp_path / "mine.yaml").write_text(one(name="task_success"))
    assert main(["objectives", str(tmp_path / "mine.yaml"), str(tmp_path), "--overwrite"]) == 2
    assert f"task_success is in {tmp_path}/grafana/alerts/objectives.yaml as well" in capsys.readouterr().err


def test_unknown_metric_is_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A metric that is in no catalogue may be one of somebody else's: it is said, with what may be meant."""
    (tmp_path / "mine.yaml").write_text(one(indicator="ratio", bad="celery_task_failed_total", total="payments_total"))
    assert main(["objectives", str(tmp_path / "mine.yaml"), str(tmp_path)]) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert (
        "celery_task_failed_total is in no catalogue that is known here; is celery_tasks_failed_total meant?"
        in notes[0]
    )
    assert "payments_total is in no catalogue that is known here; name the module" in notes[1]


def test_missing_libraries_are_named(tmp_path: Path) -> None:
    """Without the extra, the command says which one."""
    program = (
        "import sys; sys.modules['yaml'] = None; from telemetry.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "objectives", str(tmp_path / "x.yaml"), str(tmp_path)]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'fleet-telemetry[objectives]'" in done.stderr
