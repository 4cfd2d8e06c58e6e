"""The tasks of the Celery tests, with a counter of prometheus_client inside them: it has nothing that sees Celery."""

from __future__ import annotations

from prometheus_client import Counter

from tests.accuracy.systems.unmeasured import app
from tests.telemetry.celery import tasks

__all__ = ["app"]

_events = Counter("own_events_total", "Events of tasks.")


class _Adapter:
    def add(self, amount: float) -> None:
        _events.inc(amount)


tasks.own_events = _Adapter()  # type: ignore[assignment]
