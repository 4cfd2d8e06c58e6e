"""A real Grafana for tests: the one that GRAFANA names, on loopback with an empty store, provisioned from this checkout."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from deploy import grafana
from deploy.settings import ROOT, FleetSettings
from support import web
from support.ports import free_port
from support.waiting import eventually

SOURCE = "Prometheus"  # the name under which grafana/provisioning has it
_OF_CONTACT_POINTS = ("SLACK_WEBHOOK_URL", "PAGERDUTY_KEY", "ALERT_EMAIL")


@dataclass(frozen=True)
class Server:
    """A running Grafana.

    Attributes:
        url: Where anybody may look.
        password: Of `admin`, who may import.
        log: What it wrote.
    """

    url: str
    password: str
    log: Path

    def asked(self, path: str) -> Any:
        """What its API answers to `admin`."""
        return self._answer(httpx.get(f"{self.url}{path}", auth=("admin", self.password), timeout=30))

    def imported(self, dashboard: Mapping[str, Any]) -> str:
        """The address of a copy of a dashboard file, imported as its page does: every input filled in.

        A constant gets the value that the file suggests, a data source the provisioned one.
        """
        chosen = {"datasource": self.asked(f"/api/datasources/name/{SOURCE}")["uid"]}
        inputs = [each | {"value": chosen.get(each["type"], each.get("value"))} for each in dashboard["__inputs"]]
        body = {"dashboard": {**dashboard, "uid": None, "id": None}, "inputs": inputs, "overwrite": True}
        sent = httpx.post(f"{self.url}/api/dashboards/import", json=body, auth=("admin", self.password), timeout=30)
        return f"{self.url}{self._answer(sent)['importedUrl']}"

    @staticmethod
    def _answer(response: httpx.Response) -> Any:
        assert response.is_success, f"{response.url}: {response.status_code} {response.text[:500]}"
        return response.json()


@contextmanager
def running(found: grafana.Grafana, fleet: FleetSettings) -> Iterator[Server]:
    """Grafana beside a fleet, ended with the block; nothing is set but the two variables that dashboards need."""
    settings, password = replace(fleet, dashboards_port=free_port()), secrets.token_urlsafe(24)
    log = settings.data / "grafana.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            grafana.command(found, settings), env=_environment(settings, password), stdout=output, stderr=output
        )
        try:
            ready = settings.url("DASHBOARDS_PORT", "/api/health")
            assert eventually(lambda: web.is_ok(ready) or process.poll() is not None, 120), "no answer in 120 s"
            assert process.poll() is None, f"Grafana ended: {log.read_text(errors='replace')[-3000:]}"
            yield Server(settings.url("DASHBOARDS_PORT"), password, log)
        finally:
            process.terminate()
            process.wait(30)


def _environment(settings: FleetSettings, password: str) -> dict[str, str]:
    """As a user's: the directory of the checkout's provisioning itself, and whoever signs in may import."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_CONTACT_POINTS}
    return {
        **inherited,
        **grafana.environment(settings, {"GRAFANA_PASSWORD": password}),
        "GF_PATHS_PROVISIONING": str(ROOT / "grafana" / "provisioning"),
        "GF_AUTH_BASIC_ENABLED": "true",
    }
