"""Several durable collectors behind the gateway, under load: they come, go, are lost and restored, and the sum over them stays exact."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from collector.gateway.gateway import Gateway
from support import exposition
from support.collector import DURABLE, Collector, running
from support.ports import free_port
from support.processes import program
from support.waiting import eventually

COUNTED = ("http_requests_total", "http_request_duration_seconds")
TAKEN = "fleet_totals_exports_total"


class Fleet:
    """Sixty senders at one gateway, and the collectors behind it.

    Args:
        gateway: It runs.
        senders: The process that plays the senders.
        collectors: By name.
    """

    def __init__(self, gateway: Gateway, senders: subprocess.Popen[str], collectors: dict[str, Collector]) -> None:
        self.gateway = gateway
        self.collectors = collectors
        self._senders = senders

    def goes_on(self, *names: str) -> None:
        """Each of these takes exports from now on."""
        before = {name: self.collectors[name].own(TAKEN) for name in names}
        assert eventually(lambda: all(self.collectors[name].own(TAKEN) > before[name] for name in names))

    def truth(self) -> dict[str, Any]:
        """What the senders say when they are told to end."""
        self._senders.terminate()
        said, _ = self._senders.communicate(timeout=30)
        told: dict[str, Any] = json.loads(said)
        return told

    def sum(self) -> float:
        """Over all collectors."""
        return sum(exposition.total(c.samples(), metric, {}) for c in self.collectors.values() for metric in COUNTED)


@pytest.fixture
def fleet(fleetload: Path, tmp_path: Path) -> Iterator[Fleet]:
    """Two collectors under load, each with its share."""
    with ExitStack() as stack:
        collectors = {name: stack.enter_context(running(DURABLE)) for name in "ab"}
        gateway, address = stack.enter_context(_gateway(tmp_path / "gateway", collectors))
        command = [str(fleetload), "fleet", "-url", f"http://{address}/v1/metrics", "-for", "60s"]
        command += ["-senders", "60", "-points", "20", "-series", "200", "-rate", "6000", "-life", "3s"]
        senders = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(senders.kill)
        made = Fleet(gateway, senders, collectors)
        made.goes_on("a", "b")
        yield made


@contextmanager
def _gateway(directory: Path, collectors: dict[str, Collector]) -> Iterator[tuple[Gateway, str]]:
    gateway = Gateway(directory, program(Path("nginx")))
    listen = f"127.0.0.1:{free_port()}"
    gateway.configure(listen, {name: _address(collector) for name, collector in collectors.items()})
    with subprocess.Popen(gateway.command, stderr=subprocess.DEVNULL) as process:
        try:
            yield gateway, listen
        finally:
            process.terminate()


def _address(collector: Collector) -> str:
    return collector.endpoint.removeprefix("http://")


def test_they_come_go_and_are_restored(fleet: Fleet) -> None:
    """One is added, one drained and stopped, one SIGKILLed and started with its volume: the sum is the truth at the end."""
    with running(DURABLE) as added:
        fleet.collectors["c"] = added
        fleet.gateway.add("c", _address(added))
        fleet.goes_on("a", "b", "c")
        fleet.gateway.drain("a")
        taken = fleet.collectors["a"].own(TAKEN)
        fleet.goes_on("b", "c")
        assert fleet.collectors["a"].own(TAKEN) == taken
        fleet.collectors["b"].kill()
        fleet.goes_on("c")
        fleet.collectors["b"].start()
        fleet.goes_on("b")
        fleet.collectors["a"].stop()
        fleet.collectors["a"].start()
        fleet.gateway.admit("a")
        fleet.goes_on("a", "b", "c")
        told = fleet.truth()
        assert told["retries"] > 0
        assert eventually(lambda: fleet.sum() == told["events"]), (fleet.sum(), told)
