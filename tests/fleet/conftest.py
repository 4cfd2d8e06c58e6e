"""One whole fleet for all tests of this folder, started by the commands users run, on free ports, ended at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from deploy.fleet import Fleet
from deploy.settings import FleetSettings
from tests.fleet.actions import perform
from tests.fleet.client import ChatClient
from tests.fleet.endpoint import Endpoint
from tests.fleet.running import running_fleet

FLEET_ENVIRONMENT = {
    "SIMULATED_LLM_SPEED": "50",
    "SIMULATED_LLM_ERROR_RATE": "0",
    "RATE_LIMITS": '{"free": {"/api/v1/images": "3/minute"}}',
    "FACTS_INTERVAL_SECONDS": "1",
    "TASK_RETRY_BACKOFF_SECONDS": "0.2",
    "LLM_TIMEOUT_SECONDS": "3",
}


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The fleet: 3 replicas, 4 workers, everything else once."""
    directory: Path = tmp_path_factory.mktemp("fleet")
    settings = FleetSettings.isolated(
        directory, worker_concurrency=1, export_interval_ms=1000, scrape_seconds=1, slow_client_seconds=2
    )
    with running_fleet(settings, FLEET_ENVIRONMENT) as fleet:
        yield fleet
    assert not settings.boxes.exists(), "a process left counts that nobody delivered"


@pytest.fixture(scope="session")
def endpoint(fleet: Fleet) -> Endpoint:
    """What the collector shows."""
    return Endpoint(
        fleet.settings.url("OTELCOL_TOTALS_PORT", "/metrics"), fleet.settings.url("OTELCOL_LEVELS_PORT", "/metrics")
    )


@pytest.fixture(scope="session")
def actions(fleet: Fleet) -> Iterator[ChatClient]:
    """The client that did everything once; its truth is what the totals must be."""
    with httpx.Client(base_url=fleet.settings.url("NGINX_PORT"), timeout=30) as http:
        client = ChatClient(http, fleet.secrets()["ADMIN_TOKEN"])
        perform(client)
        yield client


@pytest.fixture
def client(fleet: Fleet) -> Iterator[ChatClient]:
    """A client of the front door that notes every answer it got."""
    with httpx.Client(base_url=fleet.settings.url("NGINX_PORT"), timeout=30) as http:
        yield ChatClient(http, fleet.secrets()["ADMIN_TOKEN"])


@pytest.fixture(scope="session")
def prometheus(fleet: Fleet) -> Callable[[str], list[dict[str, object]]]:
    """Runs a query on the fleet's Prometheus; a query it refuses fails the test."""

    def query(expression: str) -> list[dict[str, object]]:
        url = fleet.settings.url("PROMETHEUS_PORT", "/api/v1/query")
        answer = httpx.get(url, params={"query": expression}, timeout=30)
        body = answer.json()
        assert body["status"] == "success", f"{expression}: {body}"
        result: list[dict[str, object]] = body["data"]["result"]
        return result

    return query
