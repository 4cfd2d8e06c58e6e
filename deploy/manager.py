"""Talks to supervisor, which keeps the processes alive; what the processes are is in `processes`."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from deploy.settings import FleetSettings

_UNREACHABLE = (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError)


class ManagerError(RuntimeError):
    """Supervisor could not be started or does not do what it was told."""


@dataclass(frozen=True)
class State:
    """What supervisor knows about one process: RUNNING, STARTING, BACKOFF, FATAL, STOPPED or EXITED."""

    name: str
    status: str
    pid: int
    running_seconds: int

    @property
    def alive(self) -> bool:
        """Whether the process runs or is about to."""
        return self.status in {"RUNNING", "STARTING"}

    @property
    def given_up(self) -> bool:
        """Whether supervisor has stopped trying to start it."""
        return self.status in {"FATAL", "EXITED"}


class Manager:
    """One supervisord, found by the socket in the fleet's directory."""

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings
        self._conf = settings.conf / "supervisord.conf"

    def running(self) -> bool:
        """Whether this fleet's supervisord answers."""
        try:
            self._call("getPID")
        except _UNREACHABLE:
            return False
        return True

    def start(self) -> None:
        """Start supervisord; it starts no process by itself.

        Raises:
            ManagerError: If it does not come up; with what it said.
        """
        self._settings.socket.unlink(missing_ok=True)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._conf)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while done.returncode == 0 and time.monotonic() < deadline:
            if self.running():
                return
            time.sleep(0.1)
        said = (done.stderr or done.stdout).strip() or f"see {self._settings.logs / 'supervisord.log'}"
        raise ManagerError(f"supervisord does not start: {said}")

    def states(self) -> dict[str, State]:
        """Every process that supervisord knows, by name; none when it does not run."""
        try:
            found: list[dict[str, Any]] = self._call("getAllProcessInfo")
        except _UNREACHABLE:
            return {}
        return {info["name"]: _state(info) for info in found}

    def start_process(self, name: str) -> None:
        """Start one process without waiting; one that runs already is left alone."""
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise ManagerError(f"{name} does not start: {fault.faultString}") from None

    def stop_process(self, name: str) -> None:
        """Tell one process to stop without waiting for it."""
        try:
            self._call("stopProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.NOT_RUNNING:
                raise ManagerError(f"{name} does not stop: {fault.faultString}") from None

    def shut_down(self, patience: float = 20.0) -> None:
        """End supervisord and with it whatever still runs; kill it if it does not end."""
        pid = self._pid()
        with suppress(*_UNREACHABLE):
            self._call("shutdown")
        deadline = time.monotonic() + patience
        while pid and _exists(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        if pid and _exists(pid):
            os.kill(pid, signal.SIGKILL)
        self._settings.socket.unlink(missing_ok=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing that dies is started anew for the length of a block."""
        pid = self._pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _pid(self) -> int:
        try:
            return int(self._call("getPID"))
        except _UNREACHABLE:
            return 0

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._settings.socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()


def _state(info: dict[str, Any]) -> State:
    seconds = max(0, info["now"] - info["start"]) if info["pid"] else 0
    return State(info["name"], info["statename"], info["pid"], seconds)


def _exists(pid: int) -> bool:
    """A zombie counts as gone: supervisord may be the child of a test that has not collected it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
