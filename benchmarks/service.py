"""A service under load in a process of its own, and whether a collector shows what it has served."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from benchmarks.http_apps import last_path
from benchmarks.service_app import SERVED_PATH
from support import web
from support.collector import Collector
from support.ports import free_port
from support.waiting import eventually

ROUTES = 50
_PATH = last_path(ROUTES)
_ENDPOINT = f"{_PATH.rpartition('/')[0]}/{{item}}"  # where nobody else counts


@dataclass(frozen=True)
class Service:
    """A process of ``service_app``.

    Attributes:
        url: A route of it.
        pid: Its id.
    """

    url: str
    pid: int

    def served(self) -> int:
        """How many requests it counted, without telemetry."""
        return int(web.get(str(httpx.URL(self.url).copy_with(path=SERVED_PATH))).text)


@dataclass(frozen=True)
class Counts:
    """What services have served, and what the collector shows of it.

    Attributes:
        served: Counted by the services.
        shown: Counted by telemetry.
    """

    served: int
    shown: int

    @property
    def are_equal(self) -> bool:
        """Whether every request is shown once."""
        return self.served == self.shown


def counts(collector: Collector, *services: Service, seconds: float = 30.0) -> Counts:
    """Those of all services that export to a collector, once they are equal, or as they are when the time is over."""

    def read() -> Counts:
        shown = collector.total("http_requests_total", endpoint=_ENDPOINT)
        return Counts(sum(service.served() for service in services), round(shown))

    return eventually(read, seconds, wanted=lambda found: found.are_equal)


@contextmanager
def serving(variables: Mapping[str, str]) -> Iterator[Service]:
    """A process of ``service_app``; what it logs of troubles goes to a file."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.service_app:served", "--port", str(port)]
    env = {**os.environ, "BENCHMARK_ROUTES": str(ROUTES), "CELERY_BROKER_URL": "memory://", **variables}
    quiet = ["--log-level", "warning", "--no-access-log"]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([*command, *quiet], env=env, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}{_PATH}"
            if not eventually(lambda: web.is_ok(url), 60):
                log.seek(0)
                raise RuntimeError(f"the service does not answer: {log.read().decode()[-2000:]}")
            yield Service(url, server.pid)
        finally:
            server.terminate()
            server.wait(30)
