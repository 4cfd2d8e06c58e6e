"""Loss-free delivery: what the collector did not acknowledge goes out with the next export; others decide when."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from opentelemetry.sdk.metrics.export import MetricsData

from telemetry.pipeline.merge import merge
from telemetry.pipeline.parts import count_points, deltas, join, sizes, split, totals, without_zeros
from telemetry.pipeline.transport import EMPTY, Answer, Outcome, Transport

_logger = logging.getLogger("telemetry")

MAX_POINTS = 2_000  # about 200 kB of counters or 700 kB of histograms: below the limits of proxies and of gRPC
MAX_REFUSALS = 64
ANNOUNCE_EVERY = 30.0
REACHED_LATELY = 30.0
LONGEST_PAUSE = 60.0


class Observer(Protocol):
    """Who wants to count what did not go well."""

    def export_unanswered(self) -> None:
        """An export is sent again though the collector may have taken it."""

    def given_up(self, amounts: Mapping[str, float]) -> None:
        """The collector refuses these counts, by metric, for good."""


class _Silent:
    def export_unanswered(self) -> None:
        pass

    def given_up(self, amounts: Mapping[str, float]) -> None:
        pass


class _Collector:
    """When any process of this family last reached it; a forked child knows what its parent knew."""

    reached_at: float | None = None


class Delivery:
    """Hands exports to a transport and keeps what it could not deliver.

    Memory is bounded by the number of series, not by the length of an outage. A counter that did not move is left out
    of an export, unless it is new. It is named again every ``ANNOUNCE_EVERY`` seconds and after an outage, so that a
    collector that was restarted learns every series. Not thread-safe: the one export thread of a process owns it.

    Args:
        transport: Made by this process, never inherited from its parent.
        observer: Who counts what did not go well.
        clock: Seconds that never go back.
    """

    def __init__(
        self, transport: Transport, observer: Observer | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._transport = transport
        self._observer = observer or _Silent()
        self._clock = clock
        self._pending: MetricsData | None = None
        self._announced_at: float | None = None
        self._announced: dict[str, int] = {}
        self._last = Answer(Outcome.TAKEN)
        self._in_doubt = False
        self._outage = _Outage(clock)
        self._refused_before: set[str] = set()

    @property
    def pending(self) -> MetricsData | None:
        """What is recorded and not acknowledged."""
        return self._pending

    def deliver(self, collected: MetricsData | None, timeout: float) -> bool:
        """Send what is pending and what was collected.

        Args:
            collected: The deltas since the last collection.
            timeout: Seconds it may take.

        Returns:
            Whether the collector acknowledged everything.
        """
        deadline = self._clock() + timeout
        announces = self._announces()
        fresh = collected if announces else without_zeros(collected, self._announced)
        self._announced = sizes(collected)
        data = fresh if self._pending is None else self._pending if fresh is None else merge(self._pending, fresh)
        self._pending = deltas(data)
        if data is None:
            return True
        undelivered = self._send_all(data, deadline)
        self._pending = join(undelivered)
        if undelivered:
            return False
        if announces:
            self._announced_at = self._clock()
        return True

    def pause(self, interval: float) -> float:
        """Seconds until the next export: sooner than the interval after a failure, never at once."""
        if not self._outage.failures:
            return interval
        soon = min(interval, 2.0 ** min(self._outage.failures - 1, 10)) * random.uniform(0.8, 1.0)  # noqa: S311
        return max(soon, min(self._last.retry_after, LONGEST_PAUSE))

    def is_worth_another_try(self) -> bool:
        """Whether a failed export may succeed within seconds: something answers, or did until a moment ago."""
        if self._last.outcome is Outcome.UNREACHABLE:
            reached = _Collector.reached_at
            return reached is not None and self._clock() - reached < REACHED_LATELY
        return True

    def close(self) -> None:
        """Release the connection and interrupt a retry that is waiting."""
        self._transport.close()

    def _announces(self) -> bool:
        if self._announced_at is None or self._outage.failures:
            return True
        return self._clock() - self._announced_at >= ANNOUNCE_EVERY

    def _send_all(self, data: MetricsData, deadline: float) -> list[MetricsData]:
        """Send it in parts; what was not acknowledged."""
        queue = deque(split(data, MAX_POINTS))
        hopeless: list[MetricsData] = []
        refusals = 0
        reason = ""
        # Once an export got no answer, nothing is sent again before the collector answers an empty one: so an outage
        # that swallows answers doubles one export, not one per try.
        while queue and (not self._in_doubt or self._takes_anything(deadline)):
            answer = self._send(queue[0], deadline)
            if answer.outcome is Outcome.TAKEN:
                queue.popleft()
                self._pending = join([*hopeless, *queue])  # a process may have to end between two parts
            elif answer.outcome is Outcome.REFUSED and refusals < MAX_REFUSALS:
                if not refusals and not self._takes_anything(deadline):
                    break
                refusals += 1
                reason = answer.reason
                self._take_apart(queue, hopeless)
            else:
                break
        if hopeless:
            self._give_up(hopeless, reason)
        if queue:
            self._outage.failed(self._last)
        else:
            self._outage.ended()
        return list(queue)

    def _send(self, data: MetricsData, deadline: float) -> Answer:
        remaining = deadline - self._clock()
        if remaining <= 0:
            return Answer(Outcome.BUSY, "no time is left")
        self._last = self._transport.send(data, remaining)
        if self._last.outcome is Outcome.TAKEN:
            self._in_doubt = False
        elif self._last.outcome is Outcome.UNANSWERED and data is not EMPTY:
            self._in_doubt = True
            self._outage.unanswered += 1
            self._observer.export_unanswered()
        if self._last.outcome in {Outcome.TAKEN, Outcome.BUSY, Outcome.REFUSED}:
            _Collector.reached_at = self._clock()
        if self._last.outcome is Outcome.TAKEN and self._last.reason:
            _logger.error("the collector took an export only in part: %s", self._last.reason)
        return self._last

    def _takes_anything(self, deadline: float) -> bool:
        """Whether the collector takes an empty export; what answers 400 even to that is none."""
        answer = self._send(EMPTY, deadline)
        if answer.outcome is Outcome.REFUSED:
            self._last = Answer(Outcome.BUSY, answer.reason)
        return answer.outcome is Outcome.TAKEN

    def _take_apart(self, queue: deque[MetricsData], hopeless: list[MetricsData]) -> None:
        refused = queue.popleft()
        points = count_points(refused)
        if points == 1:
            hopeless.append(refused)
        else:
            queue.extendleft(reversed(split(refused, (points + 1) // 2)))

    def _give_up(self, hopeless: list[MetricsData], reason: str) -> None:
        amounts = totals(join(hopeless))
        self._observer.given_up(amounts)
        new = {name: amount for name, amount in amounts.items() if name not in self._refused_before}
        if new:
            self._refused_before.update(new)
            _logger.error("the collector refuses some counts for good: %s; lost: %s", reason, listed(new))


class _Outage:
    """One line in the log when it begins and one when it ends."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = 0.0
        self.unanswered = 0
        self.failures = 0

    def failed(self, answer: Answer) -> None:
        self.failures += 1
        if self.failures == 1:
            self._began = self._clock()
            _logger.warning(
                "metrics cannot be delivered to the collector: %s; they are kept and sent again", answer.reason
            )

    def ended(self) -> None:
        if self.failures:
            lost = "nothing was lost"
            if self.unanswered:
                lost += f"; {self.unanswered} got no answer, what those carried may be counted twice"
            _logger.warning(
                "metrics are delivered again after %.0f s and %d failed exports; %s",
                self._clock() - self._began,
                self.failures,
                lost,
            )
        self.failures = self.unanswered = 0


def listed(amounts: Mapping[str, float]) -> str:
    """Amounts by metric, for the log."""
    return ", ".join(f"{name} {amount:g}" for name, amount in sorted(amounts.items()))
