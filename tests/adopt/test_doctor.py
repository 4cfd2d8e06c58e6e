"""The doctor has nothing to say of the examples that run as their pages say, with variables only."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.collector import Collector
from support.ports import is_open
from support.waiting import eventually
from tests.adopt.installed import Installed, copied, inherited
from tests.adopt.launchers import CONFIGURED, FORMS, SERVERS, SHOP, Launcher
from tests.adopt.running import started
from tests.simulated_llm.conftest import KEY, RunningVendor
from tests.support.prometheus import Prometheus
from tests.telemetry.celery.fleet import Broker
from tests.telemetry.cli.conftest import scraping

PATIENT = ("--import-seconds", "60")  # a machine that is busy with other tests
SERVED = {
    "plain": (SERVERS["uvicorn"], "/items/7"),
    "preload": (CONFIGURED, "/pages/1"),
    "shop": (SHOP, "/products/book/description"),
}


@pytest.fixture(scope="module")
def prometheus(shared: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that scrapes the collector as it should."""
    with scraping(shared, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def findings(
    installed: Installed, prometheus: Prometheus, folder: Path, variables: Mapping[str, str], *target: str
) -> list[Any]:
    """What the doctor finds where the service runs, started as the service is."""
    command = installed.command(
        "python", "-m", "telemetry", "doctor", *target, "--prometheus", prometheus.url, "--json", instrumented=True
    )
    done = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    found: list[Any] = json.loads(done.stdout)["findings"]
    return found


def ports_of(collector: Collector) -> dict[str, str]:
    """Where the doctor finds the collector's pages."""
    return {f"OTELCOL_{name}_PORT": str(port) for name, port in collector.ports.items()}


def asked_for(launcher: Launcher, folder: Path, broker: Broker, vendor: RunningVendor) -> dict[str, str]:
    """The variables of the example's own."""
    if launcher is not SHOP:
        return {}
    return {
        "SHOP_BROKER": broker.url,
        "SHOP_DATABASE": f"sqlite+aiosqlite:///{folder / 'shop.db'}",
        "OPENAI_BASE_URL": f"{vendor.url}/v1",
        "OPENAI_API_KEY": KEY,
    }


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "shop" else pytest.mark.slow) for name in SERVED]
)
def test_doctor_is_silent_on_an_example(
    name: str,
    shared: Collector,
    installed: Installed,
    prometheus: Prometheus,
    broker: Broker,
    vendor: RunningVendor,
    tmp_path: Path,
) -> None:
    """Nothing is found where an example is served, has answered a request, and is scraped."""
    launcher, path = SERVED[name]
    variables = {**ports_of(shared), **asked_for(launcher, tmp_path, broker, vendor)}
    with started(launcher, FORMS[0], shared, installed, tmp_path, variables) as example:
        assert eventually(lambda: is_open(example.port), 60), example.said()
        answer = httpx.get(f"http://127.0.0.1:{example.port}{path}", trust_env=False, timeout=60)
        assert answer.status_code == 200, example.said()
        assert eventually(lambda: bool(example.counted("http_requests_total", "endpoint")))
        assert findings(installed, prometheus, example.folder, example.variables, "own:app", *PATIENT) == []


def test_doctor_is_silent_on_own_metrics(
    shared: Collector, installed: Installed, prometheus: Prometheus, tmp_path: Path
) -> None:
    """Nothing is found of a program with metrics of its own that has run to its end a moment ago."""
    copied("own_metrics", tmp_path)
    variables = {
        **inherited(),
        **installed.variables(),
        **ports_of(shared),
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": shared.endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={tmp_path.name}",
        "TELEMETRY_CATALOGUE": "own_metrics.metrics",
        "TELEMETRY_STATE_DIR": str(tmp_path / "state"),
    }
    command = installed.command("python", "-m", "own_metrics.shop", "3", instrumented=True)
    done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert eventually(lambda: shared.total("shop_orders_total", environment=tmp_path.name) == 3), done.stderr
    assert findings(installed, prometheus, tmp_path, variables) == []
