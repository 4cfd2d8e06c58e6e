"""Records what is read from brokers, queues and workers; declared in ``catalogue/celery.py``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from telemetry.catalogue import FactSpec
from telemetry.catalogue import celery as catalogue
from telemetry.metrics.catalogue_instruments import Instruments

_OVERFLOW = "other"


@dataclass(frozen=True)
class BrokerReading:
    """What one broker says at one moment.

    Attributes:
        workers: The known worker nodes, and whether each is alive.
        queue_lengths: How many tasks wait in each queue.
        unacked: How many messages workers hold unacknowledged; ``None`` where that cannot be read.
        oldest: Seconds that the head of a queue has waited.
        fingerprint: Which broker it is, where that can be told.
    """

    workers: Mapping[str, bool] = field(default_factory=dict)
    queue_lengths: Mapping[str, int] = field(default_factory=dict)
    unacked: int | None = None
    oldest: Mapping[str, float] = field(default_factory=dict)
    fingerprint: str | None = None


class BrokerRecorder:
    """The last reading of every reader of this process. Two applications on two brokers are two readers.

    Where both brokers have a queue of one name, its tasks add up; a worker lives if either broker knows it alive.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._readings: WeakKeyDictionary[object, BrokerReading] = WeakKeyDictionary()
        self._queue_length = instruments.fact(catalogue.QUEUE_LENGTH)
        self._active_workers = instruments.fact(catalogue.ACTIVE_WORKERS)
        self._oldest = instruments.fact(catalogue.OLDEST)
        self._unacked = instruments.fact(catalogue.UNACKED)
        self._broker = instruments.fact(catalogue.BROKER)

    def observe(self, reader: object, reading: BrokerReading) -> None:
        """A reader has read its broker; replaces its last reading."""
        self._readings[reader] = reading
        self._show()

    def forget(self, reader: object) -> None:
        """A reader has no reading any more: what only it knew is absent, which is not 0."""
        if self._readings.pop(reader, None) is not None:
            self._show()

    def drop(self, reader: object) -> None:
        """Forget a reading of the parent's, in a forked child, which has shown none yet."""
        self._readings.pop(reader, None)

    def _show(self) -> None:
        readings = list(self._readings.values())
        self._show_queues(readings)
        self._show_workers(_merged((reading.workers for reading in readings), max))
        unacked = [reading.unacked for reading in readings if reading.unacked is not None]
        self._unacked.set_all([({}, sum(unacked))] if unacked else [])
        fingerprints = dict.fromkeys(reading.fingerprint for reading in readings if reading.fingerprint is not None)
        self._broker.set_all([({"fingerprint": fingerprint}, 1) for fingerprint in fingerprints])

    def _show_queues(self, readings: list[BrokerReading]) -> None:
        lengths = _merged((reading.queue_lengths for reading in readings), operator.add)
        named = _within_budget(lengths, _budget(catalogue.QUEUE_LENGTH))
        self._queue_length.set_all([({"queue": queue}, length) for queue, length in named.items()])
        oldest = _merged((reading.oldest for reading in readings), max)
        shown = list(oldest.items())[: _budget(catalogue.OLDEST)]
        self._oldest.set_all([({"queue": queue}, max(0.0, age)) for queue, age in shown])

    def _show_workers(self, alive: Mapping[str, float]) -> None:
        living_first = sorted(alive.items(), key=lambda item: not item[1])[: _budget(catalogue.ACTIVE_WORKERS)]
        self._active_workers.set_all([({"hostname": name}, float(up)) for name, up in living_first])


def _merged(readings: Iterable[Mapping[str, float]], merge: Callable[[float, float], float]) -> dict[str, float]:
    merged: dict[str, float] = {}
    for reading in readings:
        for name, value in reading.items():
            merged[name] = merge(merged[name], value) if name in merged else value
    return merged


def _within_budget(lengths: Mapping[str, float], budget: int) -> dict[str, float]:
    shown: dict[str, float] = {}
    for place, (queue, length) in enumerate(lengths.items()):
        name = queue if place < budget else _OVERFLOW
        shown[name] = shown.get(name, 0) + length
    return shown


def _budget(spec: FactSpec[Any]) -> int:
    budget = spec.label_set()[0].budget
    return budget.limit if budget else 0
