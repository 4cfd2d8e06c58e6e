"""Levels of a worker or a schedule, read at each collection as long as it lives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from telemetry import process
from telemetry.lifetime import when_gone
from telemetry.metrics.bound import Reading

if TYPE_CHECKING:
    from telemetry.setup import Telemetry


class Levels:
    """What each collection reads of ``owner``, until it is gone or this is closed; children of this process do not.

    Args:
        owner: What is read; it is not kept alive.
    """

    def __init__(self, owner: object) -> None:
        self._readings: list[Reading[Any]] = []
        when_gone(owner, self.close)
        process.lifetime.forked.subscribe(self.close)
        self._subscription = process.when_configured(self._configured)

    def close(self) -> None:
        """Read it no more."""
        self._subscription.close()
        for reading in self._readings:
            reading.close()

    def read_from(self, telemetry: Telemetry) -> Iterable[Reading[Any]]:
        """Let ``telemetry`` read it."""
        raise NotImplementedError

    def _configured(self, telemetry: Telemetry) -> None:
        self._readings += self.read_from(telemetry)
