"""One Grafana and one browser for all tests of this folder, beside the fleet of the folder above."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from deploy import grafana
from deploy.fleet import Fleet
from deploy.settings import FleetSettings
from support.waiting import eventually
from tests.grafana.live import Prometheus
from tests.grafana.real.server import Server, running
from tests.support.browser import chromium

STEP_SECONDS = 75  # the longest of the dashboards


@pytest.fixture(scope="package")
def found(tmp_path_factory: pytest.TempPathFactory) -> grafana.Grafana:
    """The Grafana that GRAFANA names, or that is on PATH."""
    named = os.environ.get("GRAFANA", "")
    there = grafana.find(FleetSettings.isolated(tmp_path_factory.mktemp("none"), grafana=named))
    if there is None or there.is_container:
        pytest.skip("no Grafana to start here: GRAFANA=… names the program of an installed or unpacked one")
    return there


@pytest.fixture(scope="package")
def server(found: grafana.Grafana, fleet: Fleet) -> Iterator[Server]:
    """Grafana with the provisioned data source and dashboards."""
    with running(found, fleet.settings) as started:
        yield started


@pytest.fixture(scope="package")
def prometheus(server: Server, prometheus: Prometheus) -> Prometheus:
    """The fleet's, as of a moment when Grafana, which asks in whole steps, has one behind it in which all was done."""
    assert prometheus.at is not None
    later = replace(prometheus, at=prometheus.at + STEP_SECONDS)
    scraped = f"max(timestamp(up)) > {later.at}"
    assert eventually(lambda: Prometheus(prometheus.url).query(scraped), 2 * STEP_SECONDS)
    return later


@pytest.fixture(scope="package")
def browser(server: Server) -> Iterator[Browser]:
    """One browser for all tests: while it runs, no other event loop can."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a picture of each dashboard goes: what PICTURES names, or the tests' own directory."""
    directory = Path(os.environ.get("PICTURES") or tmp_path_factory.mktemp("pictures"))
    directory.mkdir(parents=True, exist_ok=True)
    return directory
