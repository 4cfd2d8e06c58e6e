"""The dashboards in a real Grafana, provisioned and imported: all is drawn, nothing complains, numbers are Prometheus'."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from grafana.rules import slo
from telemetry.objectives.written import files
from tests.grafana import expressions
from tests.grafana.live import IMAGES, MESSAGES, PLANS, TASKS, WINDOW, Prometheus
from tests.grafana.real.pages import PANELS, dashboard, shown
from tests.grafana.real.server import Server

pytestmark = [pytest.mark.grafana, pytest.mark.timeout(600)]

WIDTHS = (1280, 1600)
WAYS = ("provisioned", "imported")
BOARDS = expressions.dashboards()
RATE_INTERVAL = "60s"  # four scrape intervals of the provisioned data source


def address(server: Server, board: str, way: str) -> str:
    """Where Grafana shows a dashboard that came to it this way."""
    body = BOARDS[board]
    return server.imported(body) if way == "imported" else f"{server.url}/d/{body['uid']}"


def _is_line(panel: expressions.Panel) -> bool:
    return bool(panel.model["type"] == "timeseries")


def _has_data(panel: expressions.Panel, prometheus: Prometheus) -> bool:
    """Whether Prometheus has anything for it: for a line, at some time of the range; for a number, at its end."""
    built_in = {"__rate_interval": WINDOW if _is_line(panel) else RATE_INTERVAL, "__range": WINDOW, "__interval": "1s"}
    return any(prometheus.query(expressions.filled_in(query, {}, built_in)) for query in panel.queries)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("board", BOARDS)
def test_dashboard_is_drawn(
    board: str, way: str, width: int, server: Server, prometheus: Prometheus, browser: Browser, pictures: Path
) -> None:
    """Every panel draws what Prometheus has, legibly, without a warning of its own or an error in the console."""
    assert prometheus.at is not None
    with dashboard(browser, address(server, board, way), prometheus.at, width) as looked:
        looked.page.screenshot(path=pictures / f"{board}-{way}-{width}.png")
        seen, cut_off = shown(looked), looked.cut_off(PANELS)
    expected = {panel.title: panel for panel in expressions.panels() if panel.board == board}
    assert set(seen) == set(expected)
    assert {title: panel.lines for title, panel in seen.items() if panel.warnings} == {}
    full = {title for title, panel in expected.items() if _has_data(panel, prometheus)}
    assert {title: seen[title].lines for title in full if not seen[title].is_drawn} == {}
    lines = {title for title in full if _is_line(expected[title])}
    assert {title for title in lines if not seen[title].charts} == set()
    assert (cut_off, looked.complaints) == ([], [])


@pytest.mark.parametrize("width", WIDTHS)
def test_objectives_are_drawn(
    width: int, server: Server, prometheus: Prometheus, browser: Browser, pictures: Path
) -> None:
    """The dashboard that is made of objectives is drawn legibly, too, without a complaint."""
    assert prometheus.at is not None
    written = files(slo.OBJECTIVES, slo.SOURCE)
    body = json.loads(next(text for name, text in written.items() if name.endswith(".json")))
    with dashboard(browser, server.imported(body), prometheus.at, width) as looked:
        looked.page.screenshot(path=pictures / f"objectives-{width}.png")
        seen, cut_off = shown(looked), looked.cut_off(PANELS)
    assert set(seen) == {panel["title"] for panel in body["panels"] if panel["type"] != "row"}
    assert {title: panel.lines for title, panel in seen.items() if panel.warnings} == {}
    assert seen["Share of bad events"].charts
    assert (cut_off, looked.complaints) == ([], [])


@pytest.mark.parametrize("board", BOARDS)
def test_counts_are_whole(board: str, server: Server, prometheus: Prometheus, browser: Browser) -> None:
    """Counts that are read off panels are what Prometheus has counted, to the last digit."""
    assert prometheus.at is not None
    counts = [panel for panel in expressions.panels() if panel.board == board and panel.counts]
    with dashboard(browser, address(server, board, "provisioned"), prometheus.at, 1600) as looked:
        seen = shown(looked)
    for panel in counts:
        expected = Counter(f"{value:,.0f}" for samples in prometheus.panel(panel) for _, value in samples)
        read = Counter(line for line in seen[panel.title].lines if re.fullmatch(r"[\d.,]+( ?[KM])?", line))
        assert read == expected, panel.name


def test_values_are_what_was_done(
    server: Server, prometheus: Prometheus, browser: Browser, truth: dict[str, Any]
) -> None:
    """Numbers read off Grafana's panels are the test's own actions, whole numbers to the last digit."""
    assert prometheus.at is not None
    read = {}
    for board in ("application-performance", "celery-monitoring"):
        opened = dashboard(browser, address(server, board, "provisioned"), prometheus.at, 1600, environment="prod")
        with opened as looked:
            read |= shown(looked)
    assert {plan: read["Messages in the time range"].sum(plan) for plan in MESSAGES} == MESSAGES
    assert {queue: read["Priority distribution by message priority"].sum(queue) for queue in TASKS} == TASKS
    assert read["Images generated"].sum() == IMAGES
    assert read["LLM tokens by model"].sum() == sum(row["count"] for row in truth["ledger"]["tokens"])
    assert read["Exceptions of failed tasks"].sum() == len(PLANS)
    assert (read["Active workers"].sum(), read["Tasks waiting"].sum()) == (2, 0)


def test_provisioning_is_complete(server: Server) -> None:
    """Without a variable for a contact point, Grafana starts with the data source and every dashboard, and logs no error."""
    found: list[dict[str, Any]] = server.asked("/api/search?type=dash-db&folderIds=&query=")
    provisioned = {each["uid"] for each in found if each.get("folderTitle") == "Fleet"}
    assert provisioned == {body["uid"] for body in BOARDS.values()}
    health = server.asked("/api/datasources/name/Prometheus")
    assert health["url"].startswith("http://127.0.0.1:")
    logged = server.log.read_text(errors="replace").splitlines()
    errors = [line for line in logged if "level=error" in line and "provisioning" in line]
    # It also complains of each kind of provisioning that there is no directory for.
    assert [line for line in errors if "no such file or directory" not in line] == []
