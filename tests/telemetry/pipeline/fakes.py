"""A transport whose answers a test writes, the counts it took, and a process that exports to it; no socket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics.export import MetricsData

from telemetry import Settings
from telemetry.pipeline.delivery import Delivery
from telemetry.pipeline.otlp import SENDER, SEQUENCE
from telemetry.pipeline.transport import Answer, Outcome
from telemetry.setup import Telemetry
from tests.support import chat

TAKEN = Answer(Outcome.TAKEN)
BUSY = Answer(Outcome.BUSY, "it answers 503")
UNREACHABLE = Answer(Outcome.UNREACHABLE, "no connection (refused)")
UNANSWERED = Answer(Outcome.UNANSWERED, "no answer within 10 s")
REFUSED = Answer(Outcome.REFUSED, "it answers 400 Bad Request")


def points_of(data: MetricsData) -> list[tuple[str, Any]]:
    """Every data point with the name of its metric."""
    metrics = [
        metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    ]
    return [(metric.name, point) for metric in metrics for point in metric.data.data_points]


def moved(data: MetricsData) -> set[str]:
    """Names of the metrics that an export moves."""
    return {name for name, point in points_of(data) if getattr(point, "count", getattr(point, "value", 0))}


class Ledger:
    """Adds up exports as a collector does that counts each sequence of a sender once.

    Attributes:
        counts: Totals of counters and counts of histograms, by metric.
        doubled: The same as a collector adds them up that does not know sequences.
        names: Every metric that came.
        gaps: How many sequences were missing.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.doubled: Counter[str] = Counter()
        self.names: set[str] = set()
        self.gaps = 0
        self._last: dict[str, int] = {}

    def has(self, data: MetricsData) -> bool:
        """Whether it has taken one of these before."""
        senders = [resource.resource.attributes for resource in data.resource_metrics]
        return any(int(str(of[SEQUENCE])) <= self._last.get(str(of[SENDER]), 0) for of in senders)

    def take(self, data: MetricsData) -> None:
        for resource in data.resource_metrics:
            sender, sequence = resource.resource.attributes[SENDER], resource.resource.attributes[SEQUENCE]
            last = self._last.get(str(sender), 0)
            assert isinstance(sequence, int)
            self.gaps += max(0, sequence - last - 1)
            self._last[str(sender)] = max(last, sequence)
            for name, point in points_of(MetricsData([resource])):
                amount = getattr(point, "count", getattr(point, "value", 0))
                self.names.add(name)
                self.doubled[name] += amount
                self.counts[name] += amount if sequence > last else 0


class Script:
    """A transport that answers as `answer` says and keeps what it took.

    Attributes:
        answer: One answer for all, or asked for each export.
        sizes: Points of each export it was sent.
        sent: Every export it was sent, taken or not.
        routes: By which name each came.
    """

    def __init__(self) -> None:
        self.answer: Answer | Callable[[MetricsData], Answer] = TAKEN
        self.sizes: list[int] = []
        self.sent: list[MetricsData] = []
        self.routes: list[str] = []
        self.taken = Ledger()
        self.is_closed = False

    def send(self, data: MetricsData, timeout: float, route: str = "") -> Answer:
        self.sizes.append(len(points_of(data)))
        self.sent.append(data)
        self.routes.append(route)
        answer = self.answer if isinstance(self.answer, Answer) else self.answer(data)
        if answer.outcome is Outcome.TAKEN:
            self.taken.take(data)
        return answer

    def close(self) -> None:
        self.is_closed = True


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Observed:
    """Counts what a delivery reports."""

    def __init__(self) -> None:
        self.unanswered = 0
        self.lost: dict[str, float] = {}

    def export_unanswered(self) -> None:
        self.unanswered += 1

    def given_up(self, amounts: Any) -> None:
        for name, amount in amounts.items():
            self.lost[name] = self.lost.get(name, 0) + amount


class Exporting:
    """A process that records, and exports through a script when it is told.

    Attributes:
        transport: Where to.
        observed: What was reported.
        clock: Its time.
        delivery: What is tested.
        telemetry: Its recorders.
    """

    def __init__(self, directory: Path | None = None, transport: Script | None = None, **said: Any) -> None:
        settings = Settings(**said) if directory is None else Settings(exporters=("otlp",), state_dir=directory, **said)
        self.telemetry = Telemetry(settings, catalogue=chat.CHAT)
        self.telemetry.pipeline.start = lambda: None  # type: ignore[method-assign] - nothing exports by itself
        self.transport, self.observed, self.clock = transport or Script(), Observed(), Clock()
        self.delivery = Delivery(self.transport, self.observed, self.telemetry.meter_provider.lock, self.clock)

    def message(self, plan: str = "free") -> None:
        chat.of(self.telemetry).message_sent(plan=plan)

    def timed(self, endpoint: str = "/x", seconds: float = 0.1) -> None:
        self.telemetry.http.answered("GET", endpoint, 200, seconds)

    def export(self, *, announce: bool = False) -> bool:
        """Deliver what the box has; whether everything was acknowledged."""
        exports, _ = self.telemetry.pipeline.exports(announce=announce)
        return self.delivery.send(exports, 1.0)
