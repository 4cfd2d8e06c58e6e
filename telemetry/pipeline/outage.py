"""An outage of the collector in the log: one line when it begins and one when it ends, however long it lasts."""

from __future__ import annotations

import logging
from collections.abc import Callable

from telemetry.pipeline.transport import Answer

_logger = logging.getLogger("telemetry")


class Outage:
    """What is known of exports that were not acknowledged.

    Args:
        clock: Seconds that never go back.

    Attributes:
        failures: How many there were since the last one that was acknowledged.
        unanswered: How many of them got no answer.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = 0.0
        self.failures = 0
        self.unanswered = 0

    def failed(self, answer: Answer) -> None:
        """An export was not acknowledged."""
        self.failures += 1
        if self.failures == 1:
            self._began = self._clock()
            _logger.warning(
                "metrics cannot be delivered to the collector: %s; they are kept and sent again", answer.reason
            )

    def ended(self) -> None:
        """Everything is acknowledged."""
        if self.failures:
            lost = "nothing was lost"
            if self.unanswered:
                lost += (
                    f"; {self.unanswered} got no answer: a collector that does not remember sequences may have "
                    "counted them twice"
                )
            _logger.warning(
                "metrics are delivered again after %.0f s and %d failed exports; %s",
                self._clock() - self._began,
                self.failures,
                lost,
            )
        self.failures = self.unanswered = 0
