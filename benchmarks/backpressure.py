"""What a service feels of a collector that is stopped, busy, slow or out of disk, of full boxes and of a slow Redis.

It is loaded for a few seconds with the trouble and as long without it, in turns; each pair of neighbours gives the
ratio of their p99. Crews of fresh processes are taken one after the other. ``none`` is no trouble: that is noise.

Needs ``wrk`` (Debian's package) on the path, and root for full disks. Usage:
``python -m benchmarks.backpressure [--crews 3] [--pairs 6] [--seconds 2]``
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, stdev

import httpx

from benchmarks.http_apps import last_path
from benchmarks.link import Link
from benchmarks.load import load, need_wrk
from benchmarks.measure import store
from support.collector import DURABLE, Collector
from support.ports import free_port
from support.processes import program
from support.student import quantile
from support.waiting import eventually

ROUTES = 50
INTERVAL = 0.5  # seconds between exports: more of them fall into a turn than of a service that is left as it is
EXPORT_TIMEOUT = 2
SLOW_ANSWER, SLOW_REDIS = 1.5, 2.0
SETTLING = 0.7  # seconds within which the next export meets the trouble, or its end
PACKAGES = ("fastapi", "uvicorn", "celery", "redis", "requests")


@dataclass
class Service:
    """A process under load.

    Attributes:
        url: A route of it.
        pid: Its id.
    """

    url: str
    pid: int


@dataclass
class Site:
    """What a crew has.

    Attributes:
        service: It has room for its counts.
        cramped: One whose state directory has been full from the beginning; ``None`` where nothing can be mounted.
        collector: Both export to it.
        exports: The way there.
        redis: The way to their broker.
        disk: Where the collector stores; ``None`` where nothing can be mounted.
    """

    service: Service
    cramped: Service | None
    collector: Collector
    exports: Link
    redis: Link
    disk: Path | None


@contextmanager
def _none(site: Site) -> Iterator[Service]:
    yield site.service


@contextmanager
def _stopped(site: Site) -> Iterator[Service]:
    pid = site.collector.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield site.service
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _busy(site: Site) -> Iterator[Service]:
    site.exports.is_busy = True
    try:
        yield site.service
    finally:
        site.exports.is_busy = False


@contextmanager
def _delayed(site: Site, way: Link, seconds: float) -> Iterator[Service]:
    way.delay = seconds
    try:
        yield site.service
    finally:
        way.delay = 0.0


@contextmanager
def _disk_full(site: Site) -> Iterator[Service]:
    assert site.disk is not None
    filler = fill(site.disk)
    try:
        yield site.service
    finally:
        filler.unlink()


@contextmanager
def _boxes_full(site: Site) -> Iterator[Service]:
    assert site.cramped is not None
    yield site.cramped


Trouble = Callable[[Site], AbstractContextManager[Service]]
ANYWHERE: Mapping[str, Trouble] = {
    "none": _none,
    "collector stopped (SIGSTOP)": _stopped,
    "collector busy (503)": _busy,
    f"collector answers after {SLOW_ANSWER:g} s": lambda site: _delayed(site, site.exports, SLOW_ANSWER),
    f"Redis answers after {SLOW_REDIS:g} s": lambda site: _delayed(site, site.redis, SLOW_REDIS),
}
AS_ROOT: Mapping[str, Trouble] = {
    "collector's disk full": _disk_full,
    "state directory full": _boxes_full,
}


def fill(folder: Path) -> Path:
    """Leave no byte free in a file system; the file that takes them."""
    filler = folder / "filler"
    file = os.open(filler, os.O_WRONLY | os.O_CREAT)
    for size in (1 << 16, 1 << 12):
        try:
            while os.write(file, bytes(size)):
                pass
        except OSError:
            continue
    os.close(file)
    return filler


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, as root."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def _site(is_root: bool) -> Iterator[Site]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="backpressure-")))
        disk = stack.enter_context(small_disk(folder / "store", "24m")) if is_root else None
        full = stack.enter_context(small_disk(folder / "full", "16k")) if is_root else None
        collector = Collector(DURABLE, state=disk)
        stack.callback(collector.close)
        collector.start()
        exports, redis = Link(collector.ports["HTTP"]), Link(_redis(stack, folder))
        stack.enter_context(exports.open())
        stack.enter_context(redis.open())
        service = stack.enter_context(serving(_variables(folder / "boxes", exports.port, redis.port)))
        cramped = None
        if full is not None:
            fill(full)
            cramped = stack.enter_context(serving(_variables(full, exports.port, redis.port)))
        yield Site(service, cramped, collector, exports, redis, disk)


def _redis(stack: ExitStack, folder: Path) -> int:
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    server = subprocess.Popen([program(Path("redis-server")), *options], stdout=subprocess.DEVNULL)
    stack.callback(server.wait)
    stack.callback(server.terminate)
    return port


@contextmanager
def serving(variables: Mapping[str, str]) -> Iterator[Service]:
    """A process of ``backpressure_app``; what it logs of the troubles goes to a file."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.backpressure_app:served", "--port", str(port)]
    env = {**os.environ, "BENCHMARK_ROUTES": str(ROUTES), "CELERY_BROKER_URL": "memory://", **variables}
    quiet = ["--log-level", "warning", "--no-access-log"]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([*command, *quiet], env=env, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}{last_path(ROUTES)}"
            if not eventually(lambda: _answers(url), 60):
                log.seek(0)
                raise RuntimeError(f"the service does not answer: {log.read().decode()[-2000:]}")
            yield Service(url, server.pid)
        finally:
            server.terminate()
            server.wait(30)


def _variables(boxes: Path, exports: int, redis: int) -> Mapping[str, str]:
    return {
        "CELERY_BROKER_URL": f"redis://127.0.0.1:{redis}/0",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{exports}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": str(EXPORT_TIMEOUT),
        "OTEL_METRIC_EXPORT_INTERVAL": str(int(INTERVAL * 1000)),
        "TELEMETRY_STATE_DIR": str(boxes),
    }


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


Pair = tuple[Mapping[str, float], Mapping[str, float]]


def measure(crews: int, pairs: int, seconds: int) -> dict[str, list[Pair]]:
    """Without and with each trouble, pair by pair; every second pair begins with the trouble."""
    is_root = os.geteuid() == 0
    troubles = {**ANYWHERE, **(AS_ROOT if is_root else {})}
    found: dict[str, list[Pair]] = {name: [] for name in troubles}
    for _ in range(crews):
        with _site(is_root) as site:
            load(site.service.url, site.service.pid, 1)
            for number in range(pairs):
                for name, trouble in troubles.items():
                    found[name].append(_pair(site, trouble, seconds, trouble_first=number % 2 == 1))
    return found


def _pair(site: Site, trouble: Trouble, seconds: int, *, trouble_first: bool) -> Pair:
    turns = {}
    for has_it in (trouble_first, not trouble_first):
        with (trouble if has_it else _none)(site) as service:
            time.sleep(SETTLING)
            turns[has_it] = load(service.url, service.pid, seconds)
        time.sleep(SETTLING)
    return turns[False], turns[True]


def summary(pairs: Sequence[Pair]) -> dict[str, float]:
    """Medians, and the ratio of p99 with its interval (95 %)."""
    logs = [math.log(with_it["p99_ms"] / without["p99_ms"]) for without, with_it in pairs]
    middle, error = fmean(logs), quantile(len(logs) - 1) * stdev(logs) / len(logs) ** 0.5
    return {
        "p99_ms_without": round(median(without["p99_ms"] for without, _ in pairs), 2),
        "p99_ms_with": round(median(with_it["p99_ms"] for _, with_it in pairs), 2),
        "ratio": round(math.exp(middle), 3),
        "least": round(math.exp(middle - error), 3),
        "most": round(math.exp(middle + error), 3),
        "requests_ratio": round(
            median(with_it["requests_per_second"] / without["requests_per_second"] for without, with_it in pairs), 3
        ),
        "pairs": len(pairs),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crews", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=2)
    chosen = parser.parse_args()
    need_wrk()
    outcome = {name: summary(pairs) for name, pairs in measure(chosen.crews, chosen.pairs, chosen.seconds).items()}
    store("backpressure", {**vars(chosen), "troubles": outcome}, PACKAGES)
