"""Who a series is: its metric and its labels, as a box keeps them; what it stands at is in ``segment.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

Value = str | bool | int | float | Sequence[str] | Sequence[bool] | Sequence[int] | Sequence[float]


class Kind(Enum):
    """What a metric says, and what its series keep in a box."""

    SUM = "sum"
    """A total that only grows: one cell."""
    HISTOGRAM = "histogram"
    """A distribution: a cell for each bucket, then the sum of the values; their count is the sum of the buckets."""
    NOTE = "note"
    """How often something happened that this code has to come back to: one cell; no exporter ever sees it."""
    LEVEL = "level"
    """A sum that goes up and down and ends with its process: no cell, others read it from a page."""
    GAUGE = "gauge"
    """The last value that somebody set: no cell, others read it from a page."""


@dataclass(frozen=True)
class Scope:
    """Which library counts: an instrumentation scope of OpenTelemetry.

    Attributes:
        name: Name of the meter.
        version: Its version.
        schema_url: Its schema.
        attributes: What else the meter says of itself.
    """

    name: str
    version: str | None = None
    schema_url: str | None = None
    attributes: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True)
class Identity:
    """A metric: what the series of one stream have in common.

    Attributes:
        name: Name of the metric.
        kind: What its cells mean.
        unit: UCUM unit.
        description: For people.
        bounds: Upper bounds of the buckets of a histogram.
        scope: Which library counts.
    """

    name: str
    kind: Kind
    unit: str = ""
    description: str = ""
    bounds: tuple[float, ...] = ()
    scope: Scope = Scope("telemetry")

    @property
    def cells(self) -> int:
        """How many cells a series takes."""
        return len(self.bounds) + 2 if self.kind is Kind.HISTOGRAM else 1


class Entry(Protocol):
    """A series in a segment.

    Attributes:
        keys: Names of its labels.
        values: Their values, in the same order.
        slot: Its first cell, once it is placed.
    """

    keys: tuple[str, ...]
    values: tuple[Value, ...]
    slot: int

    @property
    def identity(self) -> Identity:
        """Its metric."""


@dataclass(slots=True)
class ReadEntry:
    """A series read from a file that another process wrote."""

    identity: Identity
    keys: tuple[str, ...]
    values: tuple[Value, ...]
    slot: int = -1


def attributes_of(entry: Entry) -> Mapping[str, Value]:
    """The labels of a series by name."""
    return dict(zip(entry.keys, entry.values, strict=True))
