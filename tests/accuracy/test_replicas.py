"""Replicas under real servers are stopped, killed and forked: every answered request counts once."""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from support.ports import free_port
from support.processes import children
from support.waiting import eventually
from tests.accuracy.conftest import Scale
from tests.accuracy.measure import Bound, Check
from tests.accuracy.programs import Notes
from tests.accuracy.systems.base import System
from tests.support.processes import environment

pytestmark = pytest.mark.costly
APP = "tests.accuracy.replica:noted"
UVICORN = ("-m", "uvicorn", APP, "--log-level", "warning")
GUNICORN = ("-m", "gunicorn", APP, "-k", "uvicorn_worker.UvicornWorker", "--log-level", "critical", "-w", "3")
SERVERS = {
    "uvicorn": (*UVICORN, "--port"),
    "uvicorn, 2 processes": (*UVICORN, "--workers", "2", "--port"),
    "gunicorn": (*GUNICORN, "-b"),
    "gunicorn with preload": (*GUNICORN, "--preload", "-b"),
    "gunicorn, recycling every 20 requests": (*GUNICORN, "--preload", "--max-requests", "20", "-b"),
}
TWICE = "an export in flight at a kill may count twice"


class Replica:
    """A server on a port that stays."""

    def __init__(self, system: System, server: str, notes: Notes, interval: str) -> None:
        self.port = free_port()
        address = f"127.0.0.1:{self.port}" if "gunicorn" in server else str(self.port)
        self._command = [sys.executable, *SERVERS[server], address]
        more = {**notes.variables, "MEASURED_BY": system.measured_by, "OTEL_METRIC_EXPORT_INTERVAL": interval}
        self._variables = environment("", **{**system.variables(), **more})

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.process = subprocess.Popen(self._command, env=self._variables, start_new_session=True)
        assert eventually(lambda: _status(self.port, "/nothing-here") == http.HTTPStatus.NOT_FOUND, 60)

    def stop(self, by: int = signal.SIGTERM) -> None:
        """End it, in good order or not."""
        if by == signal.SIGKILL:
            os.killpg(self.process.pid, by)
        else:
            self.process.send_signal(by)
        self.process.wait(30)

    def kill_worker(self, draw: random.Random) -> None:
        """SIGKILL one of its processes; the server starts another one."""
        os.kill(draw.choice(children(self.process.pid)), signal.SIGKILL)


@contextmanager
def _serving(
    system: System, server: str, notes: Notes, count: int = 1, interval: str = "60000"
) -> Iterator[list[Replica]]:
    with ExitStack() as stack:
        replicas: list[Replica] = []
        for _ in range(count):
            replicas.append(Replica(system, server, notes, interval))
            stack.callback(_kill, replicas[-1])
            replicas[-1].start()
        yield replicas


def _kill(replica: Replica) -> None:
    if replica.process.poll() is None:
        replica.stop(signal.SIGKILL)


def _status(port: int, path: str) -> int:
    """What a replica answers on a connection of its own; 0 if it does not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _ask(ports: Sequence[int], requests: int) -> int:
    """How many of so many requests were answered."""
    return sum(
        _status(ports[number % len(ports)], f"/items/{number}") == http.HTTPStatus.OK for number in range(requests)
    )


@contextmanager
def _load(replicas: Sequence[Replica]) -> Iterator[None]:
    """Requests from four clients until the end of the block."""
    over, ports = threading.Event(), [replica.port for replica in replicas]

    def ask() -> None:
        while not over.wait(0.01):
            _ask(ports, len(ports))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        over.set()
        for client in clients:
            client.join()


@pytest.mark.parametrize("server", SERVERS)
def test_stopped_replica(check: Check, system: System, scale: Scale, notes: Notes, server: str) -> None:
    """Replica stopped by SIGTERM long before its next export: every request it answered is there."""
    with _serving(system, server, notes) as (replica,):
        truth = _ask([replica.port], scale.requests)
        replica.stop()
        eventually(lambda: set(system.requests().values()) == {truth}, system.patience)
        for what, counted in system.requests().items():
            check.exact(f"{what} ({server})", truth, counted)


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_killed_replica(check: Check, system: System, scale: Scale, notes: Notes, server: str) -> None:
    """Replicas and their workers SIGKILLed under load: the others deliver what was counted, but for the requests under way."""
    draw = random.Random(1)
    with _serving(system, server, notes, 1 if server == "gunicorn" else 3, "200") as replicas:
        with _load(replicas):
            for number in range(scale.kills):
                before = notes.done
                assert eventually(lambda before=before: notes.done > before + scale.requests / 2)
                if server == "gunicorn":
                    replicas[0].kill_worker(draw)
                else:
                    replicas[number % 3].stop(signal.SIGKILL)
                    replicas[number % 3].start()
            before = notes.done
            assert eventually(lambda: notes.done > before + scale.requests / 2)
        for replica in replicas:
            replica.stop()
        system.deliver()
        eventually(lambda: _are_between(system.requests(), notes), system.patience)
        for what, counted in system.requests().items():
            bound = Bound(TWICE, doubled=notes.begun)
            check.between(f"{what} ({server})", notes.done, notes.begun, counted, bound)


def _are_between(counted: dict[str, float], notes: Notes) -> bool:
    return all(notes.done <= count <= notes.begun for count in counted.values())
