"""Programs that a measurement starts and ends: the load, a Prometheus, and whatever aggregates; with what they cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from support import prometheus_program, web
from support.ports import free_port
from support.processes import children, kill
from support.waiting import eventually

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fleet-telemetry"
VMAGENT = "v1.151.0"
"""The newest whose module asks for no newer Go than the collector's."""
_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 1024


class UnavailableError(RuntimeError):
    """A program of others is not here and cannot be built; the message says why."""


class Program:
    """A process that can be killed and started again.

    Args:
        command: What starts it.
        ready: The address that answers 200 when it is ready.
        log: Where it logs.
    """

    def __init__(self, command: Sequence[str], ready: str, log: Path) -> None:
        self._command = list(command)
        self._ready = ready
        self._log = log
        self._spent = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            TimeoutError: If it is not, with the end of its log.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        if not eventually(lambda: web.is_ok(self._ready), 60):
            self.kill()
            raise TimeoutError(f"{self._command[0]} is not ready: {self._log.read_text()[-1500:]}")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._spent = self.cpu()
            self._process.kill()
            self._process.wait()
            self._process = None

    def cpu(self) -> float:
        """Seconds of processor time over all its lives."""
        if self._process is None:
            return self._spent
        return self._spent + cpu_of(self._process.pid)

    def memory(self) -> float:
        """MiB that it has in memory."""
        return memory_of(self._process.pid) if self._process is not None else 0.0


def cpu_of(pid: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_of(pid: int) -> float:
    """Resident MiB of a process."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / _MIB


class Prometheus(Program):
    """A Prometheus of its own.

    Args:
        directory: For its data.
        flags: More than where it listens and keeps its data.
        settings: Its configuration.
    """

    def __init__(self, directory: Path, flags: Sequence[str] = (), settings: Mapping[str, Any] | None = None) -> None:
        directory.mkdir(parents=True)
        self.url = f"http://127.0.0.1:{free_port()}"
        config = directory / "prometheus.yml"
        config.write_text(yaml.safe_dump(dict(settings or {})))
        program = os.environ.get("PROMETHEUS") or str(Path(sys.executable).parent / "prometheus")
        where = (
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        )
        enough = "--query.max-samples=200000000"
        super().__init__(
            [program, f"--config.file={config}", *where, enough, *flags], f"{self.url}/-/ready", directory / "log"
        )
        self.start()

    @classmethod
    def scraping(cls, directory: Path, page: str, seconds: float = 1) -> Prometheus:
        """One that scrapes a page, ``host:port``."""
        jobs = [{"job_name": "totals", "static_configs": [{"targets": [page]}]}]
        settings = {"global": {"scrape_interval": f"{seconds * 1000:.0f}ms"}, "scrape_configs": jobs}
        program = os.environ.get("PROMETHEUS") or str(Path(sys.executable).parent / "prometheus")
        return cls(directory, prometheus_program.flags(program), settings)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        answer = web.get(f"{self.url}/api/v1/query", params={"query": expression}).json()
        if answer["status"] != "success":
            raise RuntimeError(f"{expression}: {answer}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def samples(self, selector: str) -> list[list[float]]:
        """The samples of each series in the last hour."""
        return [[float(value) for _, value in series["values"]] for series in self.query(f"{selector}[1h]")]

    def value(self, expression: str) -> float:
        """The only value that an expression has, or 0."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else 0.0


@contextmanager
def fleetload() -> Iterator[Path]:
    """The load generator, built from this tree, with a directory beside it for what runs write.

    What this process has started ends with the block.
    """
    folder = ROOT / ".fleet"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scale-", dir=folder, ignore_cleanup_errors=True) as directory:
        program = Path(directory) / "fleetload"
        subprocess.run(["go", "build", "-o", str(program), "./cmd/fleetload"], cwd=ROOT / "collector", check=True)
        try:
            yield program
        finally:
            for started in children(os.getpid()):
                for pid in (*children(started), started):
                    kill(pid)


def fleet(program: Path, **flags: object) -> subprocess.Popen[str]:
    """Senders that begin to send; `said` waits for their end."""
    given = [text for name, value in flags.items() for text in _flag(name, value)]
    return subprocess.Popen([str(program), "fleet", *given], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _flag(name: str, value: object) -> tuple[str]:
    return (f"-{name.rstrip('_').replace('_', '-')}={str(value).lower() if isinstance(value, bool) else value}",)


def said(senders: subprocess.Popen[str]) -> dict[str, Any]:
    """What they measured.

    Raises:
        RuntimeError: If they could not.
    """
    output, _ = senders.communicate()
    if not output:
        raise RuntimeError(f"fleetload ended with status {senders.returncode} and said nothing")
    found: dict[str, Any] = json.loads(output)
    return found


def vmagent() -> str:
    """VictoriaMetrics' agent, built by the Go proxy once and kept.

    Raises:
        UnavailableError: If it cannot be built.
    """
    home = CACHE / f"vmagent-{VMAGENT}"
    if not (home / "vmagent").exists():
        module = f"github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent@{VMAGENT}"
        variables = {**os.environ, "GOBIN": str(home), "CGO_ENABLED": "0"}
        done = subprocess.run(["go", "install", module], env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UnavailableError(f"go install {module}: {done.stderr.strip().splitlines()[-1]}")
    return str(home / "vmagent")
