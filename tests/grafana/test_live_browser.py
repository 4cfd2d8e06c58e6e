"""What a person sees in a browser: the front door, the API's page, Flower, and every dashboard drawn by the preview."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Browser

from app.catalogue import FLEET
from deploy import report
from deploy.fleet import Fleet
from tests.grafana import expressions
from tests.grafana.another_environment import EACH, READING, label_sets
from tests.grafana.live import IMAGES, MESSAGES, PLANS, TASKS, WINDOW_SECONDS, Prometheus
from tests.support.browser import Looked, chromium, looking

WIDTHS = (1280, 1600)
FEW = 4  # panels that say nothing of a young fleet with little traffic
CELERY, APPLICATION, HEALTH = "celery-monitoring", "application-performance", "telemetry-health"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this module: while it runs, no other event loop can."""
    with chromium() as started:
        yield started


@contextmanager
def _dashboard(
    browser: Browser, fleet: Fleet, prometheus: Prometheus, board: str, width: int = 1280, **chosen: str
) -> Iterator[Looked]:
    """A dashboard as of the moment of the last scrape, with every row opened."""
    assert prometheus.at is not None
    moments = {"from": round((prometheus.at - WINDOW_SECONDS) * 1000), "to": round(prometheus.at * 1000), "refresh": ""}
    query = urlencode(moments | {f"var-{name}": value for name, value in chosen.items()})
    with looking(browser, f"{fleet.settings.url('DASHBOARDS_PORT')}/d/{board}?{query}", width) as looked:
        looked.wait_drawn()
        while looked.page.locator(".section.closed > .row").count():
            looked.page.locator(".section.closed > .row").first.click()
        looked.wait_drawn()
        looked.page.wait_for_selector(".panel.asking", state="detached")
        yield looked


@pytest.mark.parametrize("width", WIDTHS)
def test_front_door_shows_the_fleet(browser: Browser, fleet: Fleet, width: int) -> None:
    """The front door's page names the fleet, says that each part runs, and is legible."""
    with looking(browser, fleet.settings.url("NGINX_PORT", "/"), width) as looked:
        looked.wait_drawn()
        parts = looked.page.locator("[data-part]")
        assert {part.get_attribute("data-part") for part in parts.all()} == {each.name for each in fleet.processes()}
        assert {part.get_attribute("data-state") for part in parts.all()} == {"running"}
        assert looked.texts("#summary") == [f"All {parts.count()} parts run."]
        assert (looked.cut_off(".card"), looked.complaints) == ([], [])


def test_front_door_links_open(browser: Browser, fleet: Fleet) -> None:
    """What the front door links to opens; a program without pages is not linked, which is said."""
    with looking(browser, fleet.settings.url("NGINX_PORT", "/")) as looked:
        looked.wait_drawn()
        links = {
            link.locator("strong").inner_text(): link.get_attribute("href")
            for link in looked.page.locator("a.card").all()
        }
        assert {"API", "Flower", "Metrics", *_titles()} <= set(links)
        assert ("Prometheus" in links) == report.has_web_interface(fleet.settings)
        for title, address in links.items():
            assert httpx.get(address or "", follow_redirects=True).status_code == (401 if title == "Flower" else 200), (
                title
            )


def _titles() -> set[str]:
    return {body["title"] for body in expressions.dashboards().values()}


def test_api_page_draws_its_schema(browser: Browser, fleet: Fleet) -> None:
    """The API's page draws every operation, and a click shows what it takes and answers."""
    described = httpx.get(fleet.settings.url("NGINX_PORT", "/openapi.json")).json()["paths"]
    with looking(browser, fleet.settings.url("NGINX_PORT", "/docs")) as looked:
        looked.page.wait_for_selector(".opblock")
        assert looked.page.locator(".opblock").count() == sum(len(methods) for methods in described.values())
        looked.page.locator(".opblock-post .opblock-summary-control").first.click()
        looked.page.wait_for_selector(".opblock.is-open .responses-table .response")
        assert looked.complaints == []


def test_flower_lets_its_user_in(browser: Browser, fleet: Fleet) -> None:
    """Flower asks who it is, and shows the workers to its user."""
    secrets, address = fleet.secrets(), fleet.settings.url("FLOWER_PORT", "/workers")
    assert httpx.get(address).status_code == 401
    credentials = {"username": secrets["FLOWER_USER"], "password": secrets["FLOWER_PASSWORD"]}
    with looking(browser, address, http_credentials=credentials) as looked:
        looked.page.wait_for_selector("text=worker1@")
        assert looked.complaints == []


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("/targets", "fastapi-queue-system"),
        ("/alerts", "CollectorDown"),
        ("/query?g0.tab=1&g0.expr=celery_active_workers", "environment"),
    ],
    ids=["targets", "alerts", "query"],
)
def test_prometheus_pages_draw(browser: Browser, fleet: Fleet, page: str, text: str) -> None:
    """Prometheus' own pages draw where it has any; one that was built where Node.js is missing has none, which is said."""
    if not report.has_web_interface(fleet.settings):
        assert "no web pages" in report.addresses(fleet.settings, "admin", has_web_interface=False)
        return
    with looking(browser, fleet.settings.url("PROMETHEUS_PORT", page)) as looked:
        looked.page.wait_for_selector(f"text={text}")
        assert looked.complaints == []


def _pattern(expression: str) -> str:
    """What matches an expression with its variables written."""
    return ".*".join(map(re.escape, re.split(r"\$\{?\w+\}?", expression)))


def _was_answered_with_nothing(looked: Looked, panel: expressions.Panel) -> bool:
    """Whether Prometheus had nothing for what the page asked for a panel, whatever the page wrote for its variables."""
    answers = [
        body
        for target in panel.model["targets"]
        for is_instant, asked, body in looked.answers
        if is_instant == bool(target.get("instant")) and re.fullmatch(_pattern(target["expr"]), asked, re.DOTALL)
    ]
    return bool(answers) and all('"result":[]' in body for body in answers)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("board", expressions.dashboards())
def test_dashboard_is_drawn(browser: Browser, fleet: Fleet, prometheus: Prometheus, board: str, width: int) -> None:
    """Every panel of every dashboard draws what Prometheus has, legibly, and without an error in the console."""
    with _dashboard(browser, fleet, prometheus, board, width) as looked:
        panels = looked.page.locator(".panel").all()
        states = {panel.get_attribute("data-title"): panel.get_attribute("data-state") for panel in panels}
        expected = {panel.title: panel for panel in expressions.panels() if panel.board == board}
        assert set(states) == set(expected)
        assert set(states.values()) <= {"drawn", "empty"}
        empty = {title for title, state in states.items() if state == "empty"}
        assert [title for title in empty if not _was_answered_with_nothing(looked, expected[title])] == []
        assert len(empty) <= FEW
        assert (looked.cut_off(".panel"), looked.cut_off("#bar"), looked.complaints) == ([], [], [])


def _numbers(looked: Looked, title: str) -> dict[str, str]:
    """What a panel shows, by series: the number of a stat or bar, the last value of a line."""
    panel = looked.page.locator(f'.panel[data-title="{title}"]')
    rows = panel.locator("[data-series]").all()
    return {row.get_attribute("data-series") or "": row.locator(".value, .number").first.inner_text() for row in rows}


def _whole(text: str) -> int:
    """A number as a person reads it; a fraction is none of these."""
    assert re.fullmatch(r"\d{1,3}(,\d{3})*|\d+", text.strip()), f"{text!r} is no whole number"
    return int(text.replace(",", ""))


def _sum(looked: Looked, title: str, starts: str = "") -> int:
    return sum(_whole(text) for series, text in _numbers(looked, title).items() if series.startswith(starts))


def test_values_are_what_was_done(
    browser: Browser, fleet: Fleet, prometheus: Prometheus, truth: dict[str, Any]
) -> None:
    """Numbers read off the panels are the test's own actions, whole numbers to the last digit."""
    with _dashboard(browser, fleet, prometheus, APPLICATION, environment="prod") as looked:
        assert {plan: _sum(looked, "Messages in the time range", plan) for plan in MESSAGES} == MESSAGES
        assert _sum(looked, "Images generated") == IMAGES
        assert _sum(looked, "LLM tokens by model") == sum(row["count"] for row in truth["ledger"]["tokens"])
    with _dashboard(browser, fleet, prometheus, CELERY, environment="prod") as looked:
        assert (_sum(looked, "Active workers"), _sum(looked, "Tasks waiting")) == (2, 0)
        assert _sum(looked, "Exceptions of failed tasks") == len(PLANS)
        by_queue = {queue: _sum(looked, "Priority distribution by message priority", queue) for queue in TASKS}
        assert by_queue == TASKS


def test_values_of_another_environment(browser: Browser, fleet: Fleet, prometheus: Prometheus) -> None:
    """An environment beside it, chosen in the page, shows what it counted, and nothing of the others."""

    def of(metric: str) -> int:
        return EACH * len(list(label_sets(FLEET.by_name[metric])))

    with _dashboard(browser, fleet, prometheus, HEALTH, environment="dev") as looked:
        assert _sum(looked, "Counts that were not delivered") == of("telemetry_undelivered_total")
        assert _sum(looked, "Rejected values") == of("telemetry_rejected_values_total")
        assert _sum(looked, "LLM calls of unknown cost") == of("llm_unpriced_requests_total")
    with _dashboard(browser, fleet, prometheus, CELERY, environment="dev") as looked:
        assert (_sum(looked, "Active workers"), _sum(looked, "Tasks waiting")) == (READING, READING * 3)
