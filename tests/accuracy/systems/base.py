"""What a scenario can ask of whatever counts: to begin a program with, what it shows, and what becomes of the dead."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from support import exposition
from support.collector import Collector
from support.exposition import Samples
from support.waiting import eventually
from tests.accuracy.programs import COUNTER, EVENTS
from tests.support import processes
from tests.support.flaky_proxy import FlakyProxy

Need = Literal["collector", "otlp", "deltas", "tasks", "workers", "zeros"]
ROUTE = "/items/{number}"
_STILL = 25  # times that a figure is the same: half a second, longer than the collector's `batch` and our interval


class System(ABC):
    """One of the things that count, ready to be measured; `close` ends what it started.

    Attributes:
        key: For the names of tests.
        name: For the table.
        is_ours: Whether a wrong figure is a failure.
        is_bounded: Whether less than the truth is promised in some scenarios.
        lacks: What it does not have, and in words why a scenario that needs it is not applicable.
        setup: How a program begins.
        measured_by: What measures a replica, in `measuring.py`.
        application: The Celery application.
        interval: Milliseconds between exports.

    Args:
        directory: For files.
    """

    key: ClassVar[str]
    name: ClassVar[str]
    is_ours: ClassVar[bool] = False
    is_bounded: ClassVar[bool] = False
    lacks: ClassVar[Mapping[Need, str]] = {}
    setup: ClassVar[str]
    measured_by: ClassVar[str]
    application: ClassVar[str] = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def patience(self) -> float:
        """Seconds until a figure that is not the truth is believed."""
        return 20.0 if self.is_ours and not self.is_bounded else 8.0 if self.is_ours else 6.0

    # --- programs -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def variables(self) -> dict[str, str]:
        """What a replica and all it forks get; every call may be another replica."""

    @property
    def begin(self) -> str:
        """How every program of the suite begins."""
        return EVENTS + self.setup

    def start(self, code: str, *, first: str = "", **more: str) -> subprocess.Popen[str]:
        """A program that records and exports every 200 ms; it runs `first` before anything else."""
        return processes.start(code, "", begin=first + self.begin, **{**self.variables(), **more})

    @contextmanager
    def started(self, code: str, **more: str) -> Iterator[subprocess.Popen[str]]:
        """A program that does not survive the block."""
        with processes.started(code, "", begin=self.begin, **{**self.variables(), **more}) as process:
            yield process

    def run(self, code: str, count: int = 1, seconds: float = 240, **more: str) -> int:
        """Programs to their end; how many of their processes hung and had to be killed, of ours none."""
        made = [self.start(code, **more) for _ in range(count)]
        return sum(self.ends(process, seconds) for process in made)

    def ends(self, process: subprocess.Popen[str], seconds: float = 240) -> int:
        """Wait for the end of a program; how many of its processes hung and had to be killed, of ours none."""
        try:
            finished = processes.finish(process, seconds if self.is_ours else 60)
        except subprocess.TimeoutExpired:
            hung = processes.end(process)
            assert not self.is_ours, f"a program hangs, and {hung} that it forked"
            return 1 + hung
        assert not self.is_ours or finished.status == 0, finished.errors
        return 0

    # --- what is shown ------------------------------------------------------------------------------------------------

    @abstractmethod
    def samples(self) -> Samples:
        """Everything it shows, over all replicas."""

    def total(self, metric: str, /, **labels: str) -> float:
        """Sum over the series that have at least these labels; of a histogram, its count."""
        return exposition.total(self.samples(), metric, labels)

    def settles_between(self, least: float, most: float, metric: str = COUNTER, /, **labels: str) -> float:
        """The total once it is as expected, or what it is when the patience is over."""
        eventually(lambda: least <= self.total(metric, **labels) <= most, self.patience)
        return self.total(metric, **labels)

    def now(self, metric: str) -> float:
        """Sum over the series of a level or a fact."""
        return self.total(metric)

    def stands_between(self, least: float, most: float, metric: str = COUNTER) -> float:
        """The same, after what would come twice has had the time to come."""
        self.settles_between(least, most, metric)
        seen: list[float] = []

        def stands_still() -> bool:
            seen.append(self.total(metric))
            return len(seen) > _STILL and len(set(seen[-_STILL:])) == 1

        eventually(stands_still)
        return seen[-1]

    def requests(self) -> dict[str, float]:
        """Answered requests of replicas, by what counts them."""
        return {
            "requests": self.total("http_requests_total", endpoint=ROUTE, status_code="200"),
            "durations": self.total("http_request_duration_seconds", endpoint=ROUTE),
        }

    def tasks(self) -> dict[str, float]:
        """Totals of tasks, by what counts them; there are as many as it has."""
        return {}

    def inside_tasks(self) -> dict[str, float]:
        """Totals of what tasks record themselves."""
        return {"own counter": self.total("own_events_total")}

    def assert_nothing_dropped(self) -> None:  # noqa: B027 - nothing is known of most
        """That no point was refused for good or dropped on the way."""

    # --- what happens to it -------------------------------------------------------------------------------------------

    def deliver(self) -> None:  # noqa: B027 - there is no such thing with most
        """Let somebody deliver what dead processes left, where there is such a thing."""

    def left(self) -> float | None:
        """Files that wait for somebody, or that every scrape has to read; none where it has no files."""
        return None

    @abstractmethod
    def close(self) -> None:
        """End it."""


class WithCollector(System):
    """A system whose processes export to a collector, by a proxy that can be made to fail.

    Attributes:
        collector: It runs.
        proxy: The way to it, where a scenario has asked for one.
        gateway: The address in front of it and others, where a scenario has one.
    """

    config: ClassVar[Path]

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.collector = Collector(self.config)
        self.collector.start()
        self.proxy: FlakyProxy | None = None
        self.gateway = ""

    def behind_a_proxy(self) -> FlakyProxy:
        """From now on processes export by a proxy."""
        self.proxy = FlakyProxy(self.collector.endpoint)
        return self.proxy

    @property
    def endpoint(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return self.gateway or (self.proxy or self.collector).endpoint

    def variables(self) -> dict[str, str]:
        """Where to export to."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint}

    @property
    def page(self) -> str:
        """``host:port`` of the page that Prometheus scrapes."""
        return f"127.0.0.1:{self.collector.ports['TOTALS']}"

    def samples(self) -> Samples:
        """The page of totals."""
        return self.collector.samples("TOTALS")

    def restart(self) -> None:
        """Stop the collector in good order and start it."""
        self.collector.stop()
        self.collector.start()

    def close(self) -> None:
        """End proxy and collector."""
        if self.proxy is not None:
            self.proxy.close()
        self.collector.close()
