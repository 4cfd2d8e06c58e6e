"""Series for tests of boxes, without a meter in between."""

from __future__ import annotations

from telemetry.box.box import Box
from telemetry.box.identity import Identity, Kind, ReadEntry
from telemetry.box.segment import Segment

COUNTER = Identity("test_total", Kind.SUM)
SECONDS = Identity("test_seconds", Kind.HISTOGRAM, "s", "Seconds of a test.", (0.1, 1.0))
ROUTE = b"r" * 16


def counter(name: str = "a") -> ReadEntry:
    """A series of a counter."""
    return ReadEntry(COUNTER, ("name",), (name,))


def histogram(name: str = "a") -> ReadEntry:
    """A series of a histogram with two bounds."""
    return ReadEntry(SECONDS, ("name",), (name,))


def count(box: Box, name: str = "a", amount: float = 1.0) -> Segment:
    """Count in a new series of a box."""
    entry = counter(name)
    segment = box.place(entry)
    segment.cells[entry.slot] += amount
    return segment


def carried(segment: Segment) -> dict[str, float]:
    """What the prepared export of a block carries: first cells by the label `name`."""
    return {str(entry.values[0]): amounts[0] for entry, amounts in segment.moved(segment.carried())}
