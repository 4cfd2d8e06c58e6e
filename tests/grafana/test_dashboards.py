"""Dashboard files as Grafana takes them: current, importable with a data source of choice, complete, and leading somewhere."""

from __future__ import annotations

import json
import re
from string import ascii_uppercase
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.boards.__main__ import BOARDS, BOUNDED, FOLDER, render
from grafana.rules import slo
from telemetry.looks import BLUE, COUNT, NEUTRAL
from telemetry.runbooks import RUNBOOKS
from telemetry.shipped import ANCHORED
from tests.grafana import expressions
from tests.grafana.expressions import ROOT

BOARD_NAMES = sorted(expressions.dashboards())
# The monitoring guide's lists: what its two dashboards show.
GUIDE = {
    "celery-monitoring": {
        "Task submission rates by queue": "celery_tasks_submitted_total",
        "Task success rates": "celery_tasks_completed_total",
        "Task failure rates": "celery_tasks_failed_total",
        "Task duration percentiles": "celery_task_duration_seconds_bucket",
        "Queue lengths and backlogs": "celery_queue_length",
        "Active workers": "celery_active_workers",
        "Task retries": "celery_tasks_retried_total",
        "Priority distribution": "celery_tasks_by_priority_total",
    },
    "application-performance": {
        "HTTP request rates": "http_requests_total",
        "Response times": "http_request_duration_seconds_bucket",
        "Error rates (4xx/5xx)": 'status_code=~"4.."',
        "LLM token usage": "llm_tokens_used_total",
        "LLM costs": "llm_cost_usd_total",
        "LLM cache hit rates": "llm_cache_hits_total",
        "Database connection pools, in use": "db_connections_active",
        "Database connection pools, idle": "db_connections_idle",
        "Query performance": "db_query_duration_seconds_bucket",
        "Active users by plan": "users_active",
        "Messages generated": "messages_sent_total",
        "Images generated": "images_generated_total",
        "Storage usage": "storage_quota_used_bytes",
        "Rate limiting events": "rate_limit_exceeded_total",
        "Top errors": "errors_total",
    },
}


def imported(board: dict[str, Any], **chosen: str) -> dict[str, Any]:
    """The dashboard after an import: inputs replaced by what was chosen, as Grafana's importer does."""
    inputs = {f"${{{name}}}": value for name, value in chosen.items()}

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replaced(inner) for key, inner in value.items() if not key.startswith("__")}
        if isinstance(value, list):
            return [replaced(inner) for inner in value]
        return re.sub(r"\$\{.+?\}", lambda m: inputs.get(m[0], m[0]), value) if isinstance(value, str) else value

    whole = {key: value for key, value in board.items() if not key.startswith("__")}
    done: dict[str, Any] = replaced(whole)
    return done


def sources(node: Any) -> list[str]:
    """The uid of every reference to a data source."""
    if isinstance(node, list):
        return [uid for each in node for uid in sources(each)]
    if not isinstance(node, dict):
        return []
    own = [node["datasource"]["uid"]] if isinstance(node.get("datasource"), dict) else []
    return own + [uid for value in node.values() for uid in sources(value)]


def test_files_are_current() -> None:
    """The files are what the code makes, and there is no other."""
    assert {path.name for path in FOLDER.glob("*.json")} == {f"{board.uid}.json" for board in BOARDS}
    for board in BOARDS:
        assert (FOLDER / f"{board.uid}.json").read_text() == render(board), "run `make dashboards`"


@pytest.mark.parametrize("name", BOARD_NAMES)
def test_import_asks_for_a_data_source(name: str) -> None:
    """The import offers Prometheus data sources; the one chosen becomes the dashboard's, for every panel."""
    board = expressions.dashboards()[name]
    assert [asked["pluginId"] for asked in board["__inputs"] if asked["type"] == "datasource"] == ["prometheus"]
    after = imported(board, DS_PROMETHEUS="my-prometheus")
    variables = {variable["name"]: variable for variable in after["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["current"]["value"] == "my-prometheus"
    assert set(sources(after)) == {"${datasource}"}
    assert "DS_PROMETHEUS" not in json.dumps(after)
    assert after["uid"] == name
    assert not after.get("id")


@pytest.mark.parametrize("name", BOARD_NAMES)
def test_import_asks_for_runbooks(name: str) -> None:
    """Links to runbooks begin with what the import was told; where none was, as in provisioning, with the default."""
    board = expressions.dashboards()[name]
    asked = next(each for each in board["__inputs"] if each["type"] == "constant")
    assert asked["value"] == RUNBOOKS
    assert _links(imported(board, VAR_RUNBOOKS="https://wiki.example/fleet"), {}) == {"https://wiki.example/fleet"}
    variables = {variable["name"]: variable["query"] for variable in board["templating"]["list"]}
    assert _links(imported(board), {asked["name"]: variables[asked["name"]]}) == {RUNBOOKS}


def _links(board: dict[str, Any], variables: dict[str, str]) -> set[str]:
    """Where links of panels and of values lead, but for the page."""
    links = [
        link
        for panel in expressions.all_panels(board)
        for link in (*panel.get("links", ()), *panel.get("fieldConfig", {}).get("defaults", {}).get("links", ()))
    ]
    whole = [re.sub(r"\$\{(\w+)\}", lambda m: variables.get(m[1], m[0]), link["url"]) for link in links]
    return {url.rpartition("/")[0] for url in whole}


@pytest.mark.parametrize("name", BOARD_NAMES)
def test_hidden_variables_stay(name: str) -> None:
    """A link to a neighbour passes on what people chose, and not what another dashboard was set up with."""
    for variable in expressions.dashboards()[name]["templating"]["list"]:
        assert variable["skipUrlSync"] is (variable["hide"] != expressions.SHOWN)
        assert variable["hide"] != expressions.SHOWN or variable["label"]


@pytest.mark.parametrize("name", BOARD_NAMES)
def test_file_is_of_grafanas_schema(name: str) -> None:
    """The schema's types read the file and write the same again: no unknown field, nothing lost."""
    register_default_plugins()
    body = {key: value for key, value in expressions.dashboards()[name].items() if not key.startswith("__")}
    again = json.loads(json.dumps(Dashboard.from_json(body), cls=JSONEncoder))
    for variable in again["templating"]["list"]:
        del variable["id"]  # the types' default
    for panel in expressions.all_panels(again):
        if panel["type"] == "bargauge":
            panel["options"] |= BOUNDED
    assert again == body


@pytest.mark.parametrize("name", BOARD_NAMES)
def test_variables_have_no_id(name: str) -> None:
    """A Grafana before 11.3 keys variables by their id where they have one: equal ones overwrite each other."""
    variables = expressions.dashboards()[name]["templating"]["list"]
    assert [variable["name"] for variable in variables if "id" in variable] == []
    assert len({variable["name"] for variable in variables}) == len(variables)


@pytest.mark.parametrize("name", BOARD_NAMES)
def test_panels_and_rows_have_ids(name: str) -> None:
    """Each panel and each row has an id of its own, by which links, permissions and repairs go."""
    ids = [panel["id"] for panel in expressions.all_panels(expressions.dashboards()[name])]
    assert all(ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("panel", expressions.panels(), ids=lambda panel: panel.name)
def test_queries_are_named(panel: expressions.Panel) -> None:
    """A panel's queries are A, B, C …, as Grafana would name them."""
    names = [target["refId"] for target in panel.model["targets"]]
    assert names == list(ascii_uppercase[: len(names)])


@pytest.mark.parametrize("name", BOARD_NAMES)
def test_environment_can_be_chosen(name: str) -> None:
    """`$environment` lists dev, stage, prod and All, and asks the data source for others."""
    listed = expressions.dashboards()[name]["templating"]["list"]
    variable = next(each for each in listed if each["name"] == "environment")
    assert [option["text"] for option in variable["options"]] == ["All", "dev", "stage", "prod"]
    assert variable["includeAll"] is True
    assert variable["multi"] is True
    assert variable["query"] == "label_values(environment)"


@pytest.mark.parametrize("name", BOARD_NAMES)
def test_namespace_can_be_chosen(name: str) -> None:
    """`$service_namespace` is All where nobody chose, which series without a namespace pass, too."""
    listed = expressions.dashboards()[name]["templating"]["list"]
    variable = next(each for each in listed if each["name"] == "service_namespace")
    assert (variable["current"]["value"], variable["allValue"]) == ("$__all", ".*")
    assert variable["query"] == "label_values(service_namespace)"


@pytest.mark.parametrize("name", sorted(GUIDE))
def test_guides_list_is_complete(name: str) -> None:
    """Each item of the guide's list is on its dashboard."""
    asked = "\n".join(query for panel in expressions.panels() if panel.board == name for query in panel.queries)
    missing = [item for item, needle in GUIDE[name].items() if needle not in asked]
    assert missing == []


@pytest.mark.parametrize("name", BOARD_NAMES)
def test_rows_are_by_role(name: str) -> None:
    """Each row says for whom it is; all three roles find one."""
    rows = [panel["title"] for panel in expressions.dashboards()[name]["panels"] if panel["type"] == "row"]
    assert all(re.match(r"(DevOps|Product|Finance)\b", row) for row in rows), rows
    assert all(any(role in row for row in rows) for role in ("DevOps", "Product", "Finance"))


@pytest.mark.parametrize("panel", expressions.panels(), ids=lambda panel: panel.name)
def test_panel_explains_itself(panel: expressions.Panel) -> None:
    """A panel has a unit, a description that is a sentence, and links only to runbooks that exist."""
    model = panel.model
    assert model["description"].endswith(".")
    assert model["fieldConfig"]["defaults"]["unit"]
    assert all(target["legendFormat"] for target in model["targets"])
    for page in panel.runbooks:
        assert (ROOT / "docs" / "runbooks" / page).exists(), page


@pytest.mark.parametrize("name", BOARD_NAMES)
def test_panels_do_not_overlap(name: str) -> None:
    """Panels fill the grid of 24 columns, none covers another, with rows open or closed; titles are unique."""
    panels = expressions.dashboards()[name]["panels"]
    _assert_filled(panels)
    for row in panels:
        if row["type"] == "row" and row["collapsed"]:
            _assert_filled([row, *row["panels"]])
    titles = [panel["title"] for panel in expressions.all_panels(expressions.dashboards()[name])]
    assert len(set(titles)) == len(titles)


def _assert_filled(panels: list[dict[str, Any]]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
    lines = {y for _, y in taken}
    assert len(taken) == 24 * len(lines), "a hole"
    assert max(lines) - min(lines) + 1 == len(lines), "a gap"


@pytest.mark.parametrize("name", BOARD_NAMES)
def test_first_screen_says_how_it_is(name: str) -> None:
    """What operators look at is open, Product's and Finance's rows are a click away; the first row says what fires."""
    panels = expressions.dashboards()[name]["panels"]
    for row in panels:
        if row["type"] == "row":
            assert row["collapsed"] is (not re.search(r"\bDevOps\b", row["title"])), row["title"]
    first = [panel["title"] for panel in panels if panel["gridPos"]["y"] == 1]
    assert "Alerts firing" in first


def test_every_alert_is_on_a_panel() -> None:
    """Whoever gets an alert finds a panel that shows it, and the other way round."""
    linked = {page.removesuffix(".md") for panel in expressions.panels() for page in panel.runbooks}
    assert set(expressions.alerts()) - linked == set()


def _of_kind(*kinds: str) -> list[expressions.Panel]:
    return [panel for panel in expressions.panels() if panel.model["type"] in kinds]


@pytest.mark.parametrize("panel", _of_kind("stat", "bargauge"), ids=lambda panel: panel.name)
def test_no_value_is_neutral(panel: expressions.Panel) -> None:
    """What has no value is neither good nor bad: it is in the colour of writing, not in that of a value below all steps."""
    nothing = panel.model["fieldConfig"]["defaults"]["mappings"][0]
    assert (nothing["type"], nothing["options"]["match"]) == ("special", "null+nan")
    assert nothing["options"]["result"]["color"] == NEUTRAL
    steps = panel.model["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert len(steps) > 1 or steps[0]["color"] in {NEUTRAL, BLUE}, "nothing is judged, so nothing is good"


@pytest.mark.parametrize("panel", _of_kind("bargauge"), ids=lambda panel: panel.name)
def test_bars_are_a_list_by_size(panel: expressions.Panel) -> None:
    """The largest on top, each with its name, no taller than its name needs, and none of 0 but one that says `none`."""
    assert all(re.match(r"(?s)sort_desc\(.+\)$", query) for query in panel.queries)
    assert all(re.search(r"> 0|topk|ALERTS", query) for query in panel.queries)
    assert panel.model["fieldConfig"]["defaults"]["displayName"] == "${__series.name}"
    assert panel.model["options"]["minVizHeight"] > 40  # from which on Grafana writes the name above the bar
    assert panel.model["options"]["maxVizHeight"] < 80


@pytest.mark.parametrize("panel", _of_kind("bargauge"), ids=lambda panel: panel.name)
def test_bars_have_room_for_six(panel: expressions.Panel) -> None:
    """The least height of six bars and what is between them is no more than a panel has for them."""
    of_panel = panel.model["gridPos"]["h"] * 38 - 8
    heading_and_padding, between = 50, 10
    assert 6 * panel.model["options"]["minVizHeight"] + 5 * between <= of_panel - heading_and_padding


@pytest.mark.parametrize("panel", _of_kind("timeseries"), ids=lambda panel: panel.name)
def test_charts_have_one_scale(panel: expressions.Panel) -> None:
    """A chart has one axis, and shares of several environments are not added up to more than all."""
    defaults = panel.model["fieldConfig"]["defaults"]
    set_by = [each["id"] for override in panel.model["fieldConfig"]["overrides"] for each in override["properties"]]
    assert [name for name in set_by if name in {"unit", "custom.axisPlacement"}] == []
    is_stacked = defaults["custom"].get("stacking", {}).get("mode", "none") != "none"
    assert not (is_stacked and defaults["unit"] == "percentunit")


@pytest.mark.parametrize("panel", _of_kind("timeseries"), ids=lambda panel: panel.name)
def test_durations_lead_to_traces(panel: expressions.Panel) -> None:
    """A chart asks for exemplars, which lead to traces, if it shows durations of distributions, and only then."""
    is_of_seconds = panel.model["fieldConfig"]["defaults"]["unit"] == "s"
    for target in panel.model["targets"]:
        assert target.get("exemplar", False) == (is_of_seconds and "histogram_quantile(" in target["expr"])


@pytest.mark.parametrize("panel", _of_kind("timeseries"), ids=lambda panel: panel.name)
def test_charts_can_be_read(panel: expressions.Panel) -> None:
    """A legend has room for the common three lines, the largest of now on top; a 0 throughout has an axis that says so."""
    legend = panel.model["options"]["legend"]
    assert (legend["displayMode"], legend["sortBy"], legend["sortDesc"]) == ("table", "Last *", True)
    assert panel.model["gridPos"]["h"] >= 9
    quiet = panel.model["fieldConfig"]["defaults"]["custom"].get("axisSoftMax")
    assert quiet or panel.model["fieldConfig"]["defaults"]["unit"] == "s"
    assert all("{{endpoint}}" not in legend for legend in panel.legends) or panel.model["gridPos"]["w"] >= 8


@pytest.mark.parametrize("panel", expressions.panels(), ids=lambda panel: panel.name)
def test_values_have_their_unit(panel: expressions.Panel) -> None:
    """Dollars are of metrics in dollars, a percentile without observations is absent, and counts are whole numbers."""
    unit = panel.model["fieldConfig"]["defaults"]["unit"]
    for query in panel.queries:
        assert unit != "currencyUSD" or "_usd_" in query
        assert query.count("histogram_quantile(") == query.count(">= 0")
        assert query.count("increase(") == query.count(ANCHORED)
    assert unit != "ops"
    if unit == COUNT and panel.model["type"] != "timeseries":
        assert panel.model["fieldConfig"]["defaults"]["decimals"] == 0


@pytest.mark.parametrize(
    ("number", "chart"),
    [("Server errors", "Server errors, 5xx"), ("Response time, P95", "Response time percentiles")],
    ids=["errors", "times"],
)
def test_number_and_chart_agree(number: str, chart: str) -> None:
    """What is one number above and a line below is asked for in the same words, over windows of the same length."""
    panels = {panel.title: panel for panel in expressions.panels()}
    assert panels[number].queries[0] in panels[chart].queries
    assert panels[number].model["maxDataPoints"] == panels[chart].model["maxDataPoints"]
    shortest = {target.get("interval") for title in (number, chart) for target in panels[title].model["targets"]}
    assert len(shortest) == 1


def test_one_error_is_no_emergency() -> None:
    """A share is drawn from so many events on that one bad one is below the panel's red."""
    allowed = 1 - slo.HTTP_AVAILABILITY.good_share
    for title, least, unit in (
        ("Server errors", 25, 1),
        ("Failing now", 12, 1),
        ("Allowance for errors, times used", 40, allowed),
    ):
        panel = next(panel for panel in expressions.panels() if panel.title == title)
        assert f">= {least})" in panel.queries[0]
        assert 1 / least / unit < panel.model["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
