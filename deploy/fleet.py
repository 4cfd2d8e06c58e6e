"""Starts, stops and looks after one fleet; the commands are in `__main__` (`python -m deploy`)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from deploy import certificates, collector_program, credentials, ports, render
from deploy.manager import Manager, State
from deploy.processes import PYTHON, Process, all_processes, application_environment
from deploy.settings import ROOT, FleetSettings
from support.generated import outdated
from support.ports import is_free
from support.processes import children, program


class FleetError(RuntimeError):
    """The fleet cannot do what it was told; the message is for people and says what to do."""


@dataclass(frozen=True)
class Row:
    """One line of `status`."""

    name: str
    status: str
    pid: int
    running_seconds: int
    memory_mib: float


class Fleet:
    """One fleet. Making the object touches nothing; `up` makes directories, secrets and processes.

    Example:
        fleet = Fleet(FleetSettings.isolated(tmp_path, worker_nodes=1), say=lambda line: None)
        fleet.up()
        ...
        fleet.down()
    """

    def __init__(self, settings: FleetSettings, say: Callable[[str], None] = print) -> None:
        self.settings = settings
        self._say = say
        self._manager = Manager(settings)

    def secrets(self) -> dict[str, str]:
        """The fleet's secrets, made at the first call."""
        render.make_directories(self.settings)
        return credentials.load_or_create(self.settings.fleet_dir / "secrets.env")

    def processes(self) -> list[Process]:
        """Every process of the fleet, in order of start."""
        return all_processes(self.settings, self.secrets())

    def environment(self) -> dict[str, str]:
        """What the fleet's own programs get: for traffic, migrations and a user's shell."""
        return {**os.environ, **application_environment(self.settings, self.secrets())}

    def up(self, only: Iterable[str] | None = None) -> None:
        """Start what does not run yet and wait until all of it is ready.

        Args:
            only: Stages to start instead of all, for tests that need a part of the fleet.

        Raises:
            FleetError: If a port is taken or a process does not get ready in time.
        """
        processes = [process for process in self.processes() if only is None or process.stage in set(only)]
        started = time.monotonic()
        self._prepare(processes)
        for stage, members in groupby(processes, key=lambda process: process.stage):
            if stage == "app":
                self._migrate()
            self._start_stage(list(members))
        self._say(f"The fleet is up after {time.monotonic() - started:.1f} s.")

    def down(self) -> None:
        """Stop everything `up` started, in the opposite order, within bounded time."""
        states = self._manager.states()
        if not states:
            self._say("The fleet is not running.")
            return
        for _, members in groupby(reversed(self.processes()), key=lambda process: process.stage):
            self._stop_stage([process for process in members if _state_of(process, states).pid])
        self._manager.shut_down()
        self._say("The fleet is down.")
        undelivered = list(self.settings.boxes.glob("*.box"))
        if undelivered:
            self._say(f"Counts of {len(undelivered)} processes wait in {self.settings.boxes}: the next start delivers.")
        else:
            shutil.rmtree(self.settings.boxes, ignore_errors=True)

    def restart(self) -> None:
        """Stop and start everything, with the settings as they are now."""
        self.down()
        self.up()

    def status(self) -> list[Row]:
        """Every process with its state, in order of start."""
        states = self._manager.states()
        return [_row(states.get(process.name, State(process.name, "STOPPED", 0, 0))) for process in self.processes()]

    def log_file(self, name: str) -> Path:
        """The log of one process."""
        return self.settings.logs / f"{name}.log"

    def stop_process(self, name: str) -> None:
        """Stop one process and wait for its end; for tests that look at outages."""
        self._stop_stage([process for process in self.processes() if process.name == name])

    def start_process(self, name: str) -> None:
        """Start one process and wait until it is ready."""
        self._start_stage([process for process in self.processes() if process.name == name])

    @contextmanager
    def killed(self, names: Iterable[str]) -> Iterator[None]:
        """Processes killed at once with their children, and dead for the length of a block; for tests of crashes."""
        pids = [self.pid(name) for name in names]
        with self._manager.paused():
            for pid in pids:
                os.killpg(pid, signal.SIGKILL)
            yield

    def kill_process(self, name: str) -> None:
        """Kill one process and its children at once, and keep it dead; for tests that look at crashes."""
        os.killpg(self.pid(name), signal.SIGKILL)
        # The manager has started it anew by then: that one is stopped before it does anything.
        self.stop_process(name)

    def pid(self, name: str) -> int:
        """The process id of one process, 0 when it does not run."""
        return self._manager.states()[name].pid

    def _prepare(self, processes: list[Process]) -> None:
        if self.settings.secure:
            certificates.make(self.settings)
        files = render.render(self.settings, self.processes())
        if self._manager.running():
            names = ", ".join(path.name for path in outdated(files))
            if names:
                self._say(f"Settings have changed since the fleet started ({names}): `make restart` applies them.")
            return
        self._check_programs(processes)
        limitation = collector_program.limitation(program(self.settings.otelcol))
        if limitation:
            self._say(limitation)
        self._check_ports()
        render.write(files)
        self._manager.start()

    def _check_programs(self, processes: list[Process]) -> None:
        missing = sorted({process.command[0] for process in processes if not os.access(process.command[0], os.X_OK)})
        if missing:
            raise FleetError(f"Not installed: {', '.join(missing)}. Run `make install`.")

    def _check_ports(self) -> None:
        taken = [
            ports.explain_taken(setting, port)
            for setting, port in self.settings.ports().items()
            if not is_free(port, self.settings.host_of(setting))
        ]
        if taken:
            raise FleetError("\n".join(taken))

    def _start_stage(self, processes: list[Process]) -> None:
        states = self._manager.states()
        for process in processes:
            if not _state_of(process, states).alive:
                self._manager.start_process(process.name)
        for process in processes:
            seconds = self._await_ready(process)
            was_there = _state_of(process, states).status == "RUNNING"
            self._say(f"  {process.name:<14} {'runs already' if was_there else f'ready after {seconds:.1f} s'}")

    def _await_ready(self, process: Process) -> float:
        started = time.monotonic()
        while True:
            state = _state_of(process, self._manager.states())
            reason = f"supervisor says {state.status}" if state.given_up else process.ready()
            waited = time.monotonic() - started
            if reason is None and state.alive:
                return waited
            if state.given_up or waited > self.settings.ready_seconds:
                raise FleetError(self._not_ready(process, reason or "it stopped", waited))
            time.sleep(0.2)

    def _not_ready(self, process: Process, reason: str, waited: float) -> str:
        log = self.log_file(process.name)
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        said = "\n".join(f"    {line}" for line in lines) or "    (nothing)"
        return (
            f"{process.name} is not ready after {waited:.0f} s: {reason}. The end of its log, {log}:\n{said}\n"
            "What started before it still runs; `make down` stops it."
        )

    def _migrate(self) -> None:
        log = self.log_file("migrations")
        command = [PYTHON, "-m", "alembic", "-c", "app/alembic.ini", "upgrade", "head"]
        with log.open("w") as output:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise FleetError(f"The database could not be migrated. The end of {log}:\n{_tail(log)}")
        self._say(f"  {'migrations':<14} applied")

    def _stop_stage(self, processes: list[Process]) -> None:
        for process in processes:
            self._manager.stop_process(process.name)
        deadline = time.monotonic() + max((process.stop_seconds for process in processes), default=0) + 10
        while time.monotonic() < deadline:
            states = self._manager.states()
            if not any(_state_of(process, states).pid for process in processes):
                break
            time.sleep(0.1)
        for process in processes:
            self._say(f"  {process.name:<14} stopped")


def _tail(log: Path) -> str:
    return "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-15:])


def _state_of(process: Process, states: dict[str, State]) -> State:
    return states.get(process.name, State(process.name, "STOPPED", 0, 0))


def _row(state: State) -> Row:
    return Row(state.name, state.status, state.pid, state.running_seconds, memory_of_tree(state.pid))


def memory_of_tree(pid: int) -> float:
    """MiB that a process and its children use, shared pages divided among those that share them."""
    if not pid:
        return 0.0
    kib = 0
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            kib += int(line.split()[1]) if line.startswith("Pss:") else 0
    return kib / 1024 + sum(memory_of_tree(child) for child in children(pid))
