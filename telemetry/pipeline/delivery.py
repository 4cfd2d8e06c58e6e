"""Hands prepared exports to a collector until each is acknowledged; the box prepares them, ``export.py`` says when."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any, Protocol

from opentelemetry.sdk.metrics.export import MetricsData

from telemetry.box.exemplars import OfSeries
from telemetry.box.identity import Entry
from telemetry.box.segment import Segment
from telemetry.pipeline.otlp import amounts_of, export_of, listed
from telemetry.pipeline.outage import Outage
from telemetry.pipeline.transport import EMPTY, Answer, Outcome, Transport

_logger = logging.getLogger("telemetry")

MOST_POINTS = 2_000  # in a request of several exports: about 200 kB of counters or 700 kB of histograms
MOST_EXPORTS = 64  # in a request
MOST_REFUSALS = 64
REACHED_LATELY = 30.0
LONGEST_PAUSE = 60.0


class ExportListener(Protocol):
    """Who wants to count what did not go well."""

    def export_unanswered(self) -> None:
        """An export is sent again though the collector may have taken it."""

    def given_up(self, amounts: Mapping[str, float]) -> None:
        """The collector refuses these counts, by metric, for good."""


class _Collector:
    """When any process of this family last reached it; a forked child knows what its parent knew."""

    reached_at: float | None = None


@dataclass(frozen=True)
class Export:
    """An export that is prepared and not acknowledged.

    Attributes:
        segment: The block it is prepared in.
        resource: What its process said of itself.
        exemplars: Of its interval, by series.
        is_part: Whether series were withheld from it.
    """

    segment: Segment
    resource: Mapping[str, Any]
    exemplars: OfSeries = field(default_factory=dict)
    is_part: bool = False

    @property
    def route(self) -> str:
        """By which name it goes to a collector."""
        return self.segment.header.route.hex()

    @cached_property
    def carried(self) -> list[Entry]:
        """The series it carries."""
        return self.segment.carried()


class Delivery:
    """Sends exports and acknowledges them in their blocks. Not thread-safe: the one export thread of a process owns it.

    An export keeps its sender, its sequence and its content until it is acknowledged, so a collector that remembers the
    last sequence of a sender counts it once however often it comes.

    Args:
        transport: Made by this process, never inherited from its parent.
        listener: Who counts what did not go well.
        lock: Held while an export is prepared.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        transport: Transport,
        listener: ExportListener,
        lock: AbstractContextManager[Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._listener = listener
        self._lock = lock
        self._clock = clock
        self._last = Answer(Outcome.TAKEN)
        self._in_doubt = self._has_delivered = False
        self._outage = Outage(clock)
        self._refused_before: set[str] = set()

    def pause(self, interval: float) -> float:
        """Seconds until the next export: sooner than the interval after a failure, never at once."""
        if not self._outage.failures:
            return interval
        soon = min(interval, 2.0 ** min(self._outage.failures - 1, 10)) * random.uniform(0.8, 1.0)  # noqa: S311
        return max(soon, min(self._last.retry_after, LONGEST_PAUSE))

    @property
    def is_failing(self) -> bool:
        """Whether the last exports were not acknowledged."""
        return self._outage.failures > 0

    @property
    def has_delivered(self) -> bool:
        """Whether the last exports were acknowledged, and there were any."""
        return self._has_delivered and not self.is_failing

    def is_worth_another_try(self) -> bool:
        """Whether a failed export may succeed within seconds: something answers, or did until a moment ago."""
        if self._last.outcome is Outcome.UNREACHABLE:
            reached = _Collector.reached_at
            return reached is not None and self._clock() - reached < REACHED_LATELY
        return True

    def close(self) -> None:
        """Release the connection and interrupt a retry that is waiting."""
        self._transport.close()

    def send(self, exports: Iterable[Export], timeout: float) -> bool:
        """Send exports, and acknowledge in its block each that the collector has.

        Args:
            exports: What is prepared.
            timeout: Seconds it may take.

        Returns:
            Whether the collector has everything.
        """
        deadline = self._clock() + timeout
        requests = deque(_requests(exports))
        if not requests:
            return True
        if self._send_all(requests, deadline):
            self._outage.ended()
            self._has_delivered = True
            return True
        self._outage.failed(self._last)
        return False

    def send_levels(self, levels: MetricsData, timeout: float, route: str) -> bool:
        """Send how things stand, once: the next export says it anew."""
        answer = self._attempt(levels, self._clock() + timeout, route)
        if answer.outcome is Outcome.TAKEN:
            self._outage.ended()
        elif answer.outcome is not Outcome.REFUSED:
            self._outage.failed(answer)
        return answer.outcome is Outcome.TAKEN

    def _send_all(self, requests: deque[list[Export]], deadline: float) -> bool:
        left = False
        refusals = 0
        busy: set[str] = set()
        # Once an export got no answer, nothing is sent again before the collector answers an empty one: where it does
        # not remember sequences, an outage that swallows answers doubles one export, not one per try.
        while requests and (not self._in_doubt or self._takes_anything(deadline, requests[0][0].route)):
            request = requests.popleft()
            if request[0].route in busy:
                left = True
                continue
            answer = self._attempt(_data(request), deadline, request[0].route)
            match answer.outcome:
                case Outcome.TAKEN:
                    requests.extendleft(self._acknowledged(request))
                case Outcome.REFUSED if refusals < MOST_REFUSALS:
                    if not refusals and not self._takes_anything(deadline, request[0].route):
                        return False
                    refusals += 1
                    requests.extendleft(reversed(self._taken_apart(request, answer.reason)))
                case Outcome.BUSY if self._clock() < deadline:
                    busy.add(request[0].route)
                    left = True
                case _:
                    if answer.outcome is Outcome.UNANSWERED:
                        self._in_doubt = True
                        self._outage.unanswered += len(request)
                        self._listener.export_unanswered()
                    return False
        return not (requests or left)

    def _attempt(self, data: MetricsData, deadline: float, route: str) -> Answer:
        remaining = deadline - self._clock()
        if remaining <= 0:
            self._last = Answer(Outcome.BUSY, "no time is left")
            return self._last
        self._last = self._transport.send(data, remaining, route)
        if self._last.outcome is Outcome.TAKEN:
            self._in_doubt = False
        if self._last.outcome in {Outcome.TAKEN, Outcome.BUSY, Outcome.REFUSED}:
            _Collector.reached_at = self._clock()
        if self._last.outcome is Outcome.TAKEN and self._last.reason:
            _logger.error("the collector took an export only in part: %s", self._last.reason)
        return self._last

    def _takes_anything(self, deadline: float, route: str) -> bool:
        """Whether the collector takes an empty export; what answers 400 even to that is none."""
        answer = self._attempt(EMPTY, deadline, route)
        if answer.outcome is Outcome.REFUSED:
            self._last = Answer(Outcome.BUSY, answer.reason)
        return answer.outcome is Outcome.TAKEN

    def _acknowledged(self, request: Iterable[Export]) -> list[list[Export]]:
        """What was withheld from exports that the collector has."""
        rest: list[list[Export]] = []
        for export in request:
            export.segment.acknowledge()
            if export.is_part:
                rest += self._rest_of(export)
        return rest

    def _rest_of(self, export: Export) -> list[list[Export]]:
        with self._lock:
            if export.segment.prepare(export.segment.header.route):
                return [[Export(export.segment, export.resource)]]
        return []

    def _taken_apart(self, request: Sequence[Export], reason: str) -> list[list[Export]]:
        """Refused exports one by one, a refused one by half; a series that is refused alone is given up."""
        if len(request) > 1:
            return [[export] for export in request]
        (export,) = request
        carried = export.carried
        if len(carried) > 1:
            export.segment.withhold(carried[(len(carried) + 1) // 2 :])
            return [[replace(export, is_part=True)]]
        self._give_up(amounts_of(export.segment.moved(carried)), reason)
        export.segment.acknowledge()
        return self._rest_of(export)

    def _give_up(self, amounts: Mapping[str, float], reason: str) -> None:
        self._listener.given_up(amounts)
        new = {name: amount for name, amount in amounts.items() if name not in self._refused_before}
        if new:
            self._refused_before.update(new)
            _logger.error("the collector refuses some counts for good: %s; lost: %s", reason, listed(new))


def _data(request: Iterable[Export]) -> MetricsData:
    return MetricsData(
        [export_of(export.segment, export.carried, export.resource, export.exemplars) for export in request]
    )


def _requests(exports: Iterable[Export]) -> Iterator[list[Export]]:
    """Exports of one route together, as many as fit into one request."""
    for _, of_route in groupby(sorted(exports, key=lambda export: export.route), key=lambda export: export.route):
        request: list[Export] = []
        points = 0
        for export in of_route:
            if request and (points + len(export.carried) > MOST_POINTS or len(request) == MOST_EXPORTS):
                yield request
                request, points = [], 0
            request.append(export)
            points += len(export.carried)
        yield request
