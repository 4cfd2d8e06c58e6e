"""The dashboards in a real Grafana, provisioned and imported: all is drawn, nothing complains, numbers are Prometheus'."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.grafana import expressions
from tests.grafana.live import WINDOW, Prometheus
from tests.grafana.real.pages import dashboard, shown
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
    """Every panel draws what Prometheus has, without a warning of its own or an error in the console."""
    assert prometheus.at is not None
    with dashboard(browser, address(server, board, way), prometheus.at, width) as looked:
        looked.page.screenshot(path=pictures / f"{board}-{way}-{width}.png")
        seen = shown(looked)
    expected = {panel.title: panel for panel in expressions.panels() if panel.board == board}
    assert set(seen) == set(expected)
    assert {title: panel.lines for title, panel in seen.items() if panel.warnings} == {}
    full = {title for title, panel in expected.items() if _has_data(panel, prometheus)}
    assert {title: seen[title].lines for title in full if not seen[title].is_drawn} == {}
    lines = {title for title in full if _is_line(expected[title])}
    assert {title for title in lines if not seen[title].charts} == set()
    assert looked.complaints == []


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
