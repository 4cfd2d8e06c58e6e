"""What may befall whatever a service depends on, each as a block in which it does; nothing is measured here.

A site is a service with a collector, a broker and a disk of its own. The service and who loads it have one processor,
all else the others: what the rest does is not felt for lack of a processor.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.link import Link
from benchmarks.scale.programs import fleet
from benchmarks.service import Service, serving
from support import web
from support.collector import DURABLE, Collector
from support.ports import free_port
from support.processes import program, stopped
from support.waiting import eventually

INTERVAL = 0.5  # seconds between exports: more of them fall into a turn than of a service that is left as it is
EXPORT_TIMEOUT = 2
SLOW_ANSWER, SLOW_REDIS = 1.5, 2.0
_CPUS = sorted(os.sched_getaffinity(0))
_FLOOD = {"senders": 64, "points": 2000, "series": 2000, "rate": 4_000_000, "for_": "1h", "connection": "kept"}
_SATURATED = 0.2  # seconds for an export of nothing, which takes an idle collector one millisecond


@contextmanager
def on_the_service_s_processor() -> Iterator[None]:
    """What is started in the block runs where the service does."""
    with _on(set(_CPUS[:1])):
        yield


@contextmanager
def elsewhere() -> Iterator[None]:
    """This process, and what is started in the block, leave that processor alone, if there is another one."""
    with _on(set(_CPUS[1:] or _CPUS)):
        yield


@contextmanager
def _on(cpus: set[int]) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass
class Site:
    """What a crew has.

    Attributes:
        service: It has room for its counts.
        cramped: One whose state directory has been full from the beginning; ``None`` where nothing can be mounted.
        collector: Both export to it.
        another: A collector that they do not know.
        exports: The way to theirs.
        redis: The way to their broker.
        disk: Where the collector stores; ``None`` where nothing can be mounted.
        flood: Senders that take all that a collector can give.
    """

    service: Service
    cramped: Service | None
    collector: Collector
    another: Collector
    exports: Link
    redis: Link
    disk: Path | None
    flood: Path

    @property
    def services(self) -> tuple[Service, ...]:
        """Those that export to the collector."""
        return (self.service,) if self.cramped is None else (self.service, self.cramped)


@contextmanager
def none(site: Site) -> Iterator[Service]:
    """No trouble."""
    yield site.service


@contextmanager
def _flooded(site: Site, collector: Collector) -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="flood-") as state:
        senders = fleet(site.flood, url=f"{collector.endpoint}/v1/metrics", state=state, **_FLOOD)
        try:
            if not eventually(lambda: _takes(collector) >= _SATURATED):
                raise RuntimeError("the collector is not saturated: it answers at once")
            yield site.service
        finally:
            senders.kill()
            senders.communicate()


def _takes(collector: Collector) -> float:
    """Seconds until it has answered an export of nothing."""
    began = time.monotonic()
    with suppress(httpx.HTTPError):
        web.post(f"{collector.endpoint}/v1/metrics", b"", {"Content-Type": "application/x-protobuf"})
    return time.monotonic() - began


@contextmanager
def _stopped(site: Site) -> Iterator[Service]:
    with stopped(site.collector.pid):
        yield site.service


@contextmanager
def _busy(site: Site) -> Iterator[Service]:
    with site.exports.busy():
        yield site.service


@contextmanager
def _delayed(site: Site, way: Link, seconds: float) -> Iterator[Service]:
    with way.delayed(seconds):
        yield site.service


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


State = Callable[[Site], AbstractContextManager[Service]]


@dataclass(frozen=True)
class Trouble:
    """A state that is compared with another one.

    Attributes:
        state: What it is to have the trouble.
        calm: What it is not to have it.
    """

    state: State
    calm: State = none


def _another_flooded(site: Site) -> AbstractContextManager[Service]:
    return _flooded(site, site.another)


NONE = "none"
ANYWHERE: Mapping[str, Trouble] = {
    NONE: Trouble(none),
    "collector stopped (SIGSTOP)": Trouble(_stopped),
    "collector busy (503)": Trouble(_busy),
    "collector saturated": Trouble(lambda site: _flooded(site, site.collector), _another_flooded),
    f"collector answers after {SLOW_ANSWER:g} s": Trouble(lambda site: _delayed(site, site.exports, SLOW_ANSWER)),
    f"Redis answers after {SLOW_REDIS:g} s": Trouble(lambda site: _delayed(site, site.redis, SLOW_REDIS)),
}
AS_ROOT: Mapping[str, Trouble] = {
    "collector's disk full": Trouble(_disk_full),
    "state directory full": Trouble(_boxes_full),
}


def possible() -> Mapping[str, Trouble]:
    """Those that can be made here."""
    return {**ANYWHERE, **(AS_ROOT if os.geteuid() == 0 else {})}


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
def site(flood: Path) -> Iterator[Site]:
    """A crew of fresh processes.

    Args:
        flood: The load generator.
    """
    is_root = os.geteuid() == 0
    with ExitStack() as stack:
        stack.enter_context(elsewhere())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="backpressure-")))
        disk = stack.enter_context(small_disk(folder / "store", "24m")) if is_root else None
        full = stack.enter_context(small_disk(folder / "full", "16k")) if is_root else None
        collector, another = (_collector(stack, state) for state in (disk, None))
        exports, redis = Link(collector.ports["HTTP"]), Link(_redis(stack, folder))
        stack.enter_context(exports.open())
        stack.enter_context(redis.open())
        with on_the_service_s_processor():
            service = stack.enter_context(serving(_variables(folder / "boxes", exports.port, redis.port)))
            cramped = None
            if full is not None:
                fill(full)
                cramped = stack.enter_context(serving(_variables(full, exports.port, redis.port)))
        yield Site(service, cramped, collector, another, exports, redis, disk, flood)


def _collector(stack: ExitStack, state: Path | None) -> Collector:
    collector = Collector(DURABLE, state=state)
    stack.callback(collector.close)
    collector.start()
    return collector


def _redis(stack: ExitStack, folder: Path) -> int:
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    server = subprocess.Popen([program(Path("redis-server")), *options], stdout=subprocess.DEVNULL)
    stack.callback(server.wait)
    stack.callback(server.terminate)
    return port


def _variables(boxes: Path, exports: int, redis: int) -> Mapping[str, str]:
    return {
        "CELERY_BROKER_URL": f"redis://127.0.0.1:{redis}/0",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{exports}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": str(EXPORT_TIMEOUT),
        "OTEL_METRIC_EXPORT_INTERVAL": str(int(INTERVAL * 1000)),
        "TELEMETRY_STATE_DIR": str(boxes),
    }
