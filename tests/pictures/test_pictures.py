"""Takes the documentation's pictures, of a real fleet; `make pictures` runs it, and somebody looks at them."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from deploy.fleet import Fleet
from deploy.processes import PYTHON
from deploy.settings import ROOT, FleetSettings
from docs import pictures
from support.waiting import eventually
from tests.fleet.conftest import FLEET_ENVIRONMENT
from tests.fleet.running import running_fleet
from tests.grafana import expressions
from tests.support.browser import Looked, chromium, looking

pytestmark = [pytest.mark.pictures, pytest.mark.timeout(900)]

SECONDS_OF_TRAFFIC = 180
WIDTH = 1600
# Without the fonts, which rich would have the reader's browser fetch.
SVG = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
TERMINAL = {"COLUMNS": "80", "LINES": "24", "FORCE_COLOR": "1", "TERM": "xterm-256color"}


_IN_A_CHECKOUT = """folder => document.querySelectorAll("a.card *").forEach(
    each => { if (!each.children.length) each.textContent = each.textContent.replace(folder, ".fleet") })"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet after some minutes of chat traffic; its alerts are sixty times as quick as in earnest."""
    settings = FleetSettings.isolated(
        tmp_path_factory.mktemp("fleet"),
        app_replicas=2,
        worker_nodes=2,
        worker_concurrency=2,
        export_interval_ms=1000,
        scrape_seconds=5,
        alert_speed=60,
    )
    with running_fleet(settings, FLEET_ENVIRONMENT) as started:
        assert _traffic(started, SECONDS_OF_TRAFFIC).wait() == 0
        yield started


def _traffic(fleet: Fleet, seconds: int) -> subprocess.Popen[bytes]:
    """Chat traffic through the front door for so long."""
    command = [
        PYTHON,
        "-m",
        "deploy.traffic",
        "--base-url",
        fleet.settings.url("NGINX_PORT"),
        "--seconds",
        str(seconds),
    ]
    return subprocess.Popen(command, cwd=ROOT, env=fleet.environment(), stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all pictures."""
    with chromium() as started:
        yield started


def _keep(looked: Looked, name: str) -> None:
    looked.page.screenshot(path=pictures.FOLDER / name)
    pictures.has_taken(name)


@pytest.mark.parametrize("board", expressions.dashboards())
def test_dashboard(browser: Browser, fleet: Fleet, board: str) -> None:
    """The first screen of a dashboard, as the fleet's preview draws it."""
    address = fleet.settings.url("DASHBOARDS_PORT", f"/d/{board}?from=now-5m&to=now&refresh=")
    with looking(browser, address, WIDTH) as looked:
        looked.wait_drawn()
        _keep(looked, f"{board}.png")


def test_front_page(browser: Browser, fleet: Fleet) -> None:
    """The page at the front door's `/`."""
    with looking(browser, fleet.settings.url("NGINX_PORT", "/")) as looked:
        looked.wait_drawn()
        # The secrets of a fleet that is no test's are in its checkout.
        looked.page.evaluate(_IN_A_CHECKOUT, str(fleet.settings.fleet_dir))
        _keep(looked, "front-page.png")


def test_watch(fleet: Fleet) -> None:
    """A moment of `fleet-telemetry watch` in a terminal of 80 by 24."""
    command = [sys.executable, "-m", "telemetry", "watch", "--once", "--interval", "10"]
    command += ["--prometheus", fleet.settings.url("PROMETHEUS_PORT")]
    with _traffic(fleet, 30):
        shown = subprocess.run(command, env={**os.environ, **TERMINAL}, capture_output=True, text=True, check=True)
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(Text.from_ansi(shown.stdout.rstrip("\n")))
    svg = console.export_svg(title="fleet-telemetry watch", code_format=SVG)
    (pictures.FOLDER / "watch.svg").write_text(svg)
    pictures.has_taken("watch.svg")


def test_alert_on_its_way(browser: Browser, fleet: Fleet) -> None:
    """A worker is gone: the alert has arrived at Alertmanager, and Telemetry Health names it and leads to its runbook."""

    def arrived() -> bool:
        alerts = httpx.get(fleet.settings.url("ALERTMANAGER_PORT", "/api/v2/alerts")).json()
        return any(alert["labels"]["alertname"] == "WorkersMissing" for alert in alerts)

    with fleet.killed(["worker1"]):
        assert eventually(arrived, 120)
        with looking(
            browser, fleet.settings.url("DASHBOARDS_PORT", "/d/telemetry-health?from=now-5m&refresh=")
        ) as looked:
            looked.wait_drawn()
            _keep(looked, "alert.png")
    fleet.start_process("worker1")
