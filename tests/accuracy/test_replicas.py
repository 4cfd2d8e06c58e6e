"""Replicas under real servers are stopped, killed and forked: every answered request counts once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.accuracy.conftest import Check, Scale
from tests.support.collector import Collector
from tests.support.ports import free_port
from tests.support.processes import environment, eventually

APP = "tests.accuracy.replica:app"
LONG = "60000"
UVICORN = ("-m", "uvicorn", APP, "--log-level", "warning")
GUNICORN = ("-m", "gunicorn", APP, "-k", "uvicorn_worker.UvicornWorker", "--log-level", "warning", "-w", "3")
SERVERS = {
    "uvicorn": (*UVICORN, "--port"),
    "uvicorn, 2 processes": (*UVICORN, "--workers", "2", "--port"),
    "gunicorn": (*GUNICORN, "-b"),
    "gunicorn with preload": (*GUNICORN, "--preload", "-b"),
    "gunicorn, recycling every 20 requests": (*GUNICORN, "--preload", "--max-requests", "20", "-b"),
}


@contextmanager
def _serving(server: str, collector: Collector, interval: str = LONG) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    address = f"127.0.0.1:{port}" if "gunicorn" in server else str(port)
    variables = environment(collector.endpoint, OTEL_METRIC_EXPORT_INTERVAL=interval)
    with subprocess.Popen([sys.executable, *SERVERS[server], address], env=variables) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            assert eventually(lambda: _answers(url))
            yield url, process
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/nothing-here").status_code == httpx.codes.NOT_FOUND
    except httpx.HTTPError:
        return False


def _ask(urls: Sequence[str], requests: int) -> int:
    """How many requests were answered, on a connection of its own each, so that every process gets some."""
    answered = 0
    for number in range(requests):
        try:
            answered += httpx.get(f"{urls[number % len(urls)]}/items/{number}").status_code == httpx.codes.OK
        except httpx.TransportError:
            continue
    return answered


def _counted(collector: Collector, truth: float, seconds: float = 15.0) -> float:
    return collector.settles_at("http_requests_total", truth, seconds, endpoint="/items/{number}", status_code="200")


@pytest.mark.parametrize("server", SERVERS)
def test_stopped_replica(check: Check, collector: Collector, scale: Scale, server: str) -> None:
    """Replica stopped by SIGTERM long before its next export: every request it answered is there."""
    with _serving(server, collector) as (url, process):
        truth = _ask([url], min(scale.events, 2_000))
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        check.exact(f"requests ({server})", truth, _counted(collector, truth))
        check.exact(
            f"durations ({server})", truth, collector.total("http_request_duration_seconds", endpoint="/items/{number}")
        )


def test_killed_replica(check: Check, collector: Collector, scale: Scale) -> None:
    """One of 3 replicas SIGKILLed under load: lost is what it answered after its last export; the others go on."""
    with ExitStack() as stack:
        replicas = [stack.enter_context(_serving("uvicorn", collector, "200")) for _ in range(3)]
        urls = [url for url, _ in replicas]
        victim = replicas[0][1]
        truth = _ask(urls, scale.events)
        check.exact("requests before the kill", truth, _counted(collector, truth))
        unseen = _ask(urls[:1], 20)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        truth += unseen + _ask(urls, scale.events)
        counted = _counted(collector, truth, 3.0)
        check.within("requests after it", truth, counted, truth - unseen, truth, "answered after its last export")
