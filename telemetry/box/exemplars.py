"""Exemplars of a box: by which span the newest values of its distributions were recorded.

They lie behind the header of a page whose table is empty, so code that knows none of this reads an empty page. A record
takes one of a fixed number of places, by the cell that counted its value: the newest one there wins. It is whole or it
is not there: a kill in the middle of a store leaves a wrong checksum, and counts are stored before and elsewhere.

0    CRC of the rest
4    number of the block whose series it is, 8 first cell of that series
16   the value, 24 when it was recorded, in Unix nanoseconds
32   trace id: 16 bytes, 48 span id: 8 bytes
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from struct import Struct
from typing import Any, NamedTuple

_RECORD = Struct("<LLLxxxxdQ16s8s")
_BODY = Struct("<LLxxxxdQ16s8s")  # the same without its checksum
_CRC = Struct("<L")

BLOCK = 64 * 1024
"""Bytes of the block that holds them: about 1,100 records."""


class Exemplar(NamedTuple):
    """A value that was recorded while a span was current.

    Attributes:
        value: The value.
        at: When, in Unix nanoseconds.
        trace_id: Of the span.
        span_id: Of the span.
    """

    value: float
    at: int
    trace_id: bytes
    span_id: bytes


OfSeries = Mapping[int, Sequence[Exemplar]]
"""Exemplars by the first cell of their series."""


class Exemplars:
    """The records of a block.

    Args:
        records: Its bytes behind the header.
    """

    def __init__(self, records: memoryview[int]) -> None:
        self._places = len(records) // _RECORD.size
        self._records = records[: self._places * _RECORD.size]

    def keep(self, block: int, series: int, cell: int, exemplar: Exemplar) -> None:
        """Keep an exemplar instead of the one whose place it takes.

        Args:
            block: Number of the block that its series is in.
            series: First cell of that series.
            cell: The cell that counted the value.
            exemplar: The exemplar.
        """
        body = _BODY.pack(block, series, *exemplar)
        start = (block * 1021 + cell) % self._places * _RECORD.size
        self._records[start : start + _RECORD.size] = _CRC.pack(zlib.crc32(body)) + body

    def of(self, block: int, after: int = 0, until: int | None = None) -> OfSeries:
        """Those of the series of a block, the oldest first.

        Args:
            block: Its number.
            after: Leave out what is not younger, in Unix nanoseconds.
            until: Leave out what is younger; ``None`` for nothing.
        """
        found: dict[int, list[Exemplar]] = {}
        for series, exemplar in sorted(self._all(block), key=lambda one: one[1].at):
            if exemplar.at > after and (until is None or exemplar.at <= until):
                found.setdefault(series, []).append(exemplar)
        return found

    def _all(self, block: int) -> Iterator[tuple[int, Exemplar]]:
        records = bytes(self._records)  # at once: the process may go on
        for place, (crc, of_block, series, *exemplar) in enumerate(_RECORD.iter_unpack(records)):
            start = place * _RECORD.size
            body = records[start + _CRC.size : start + _RECORD.size]
            if of_block == block and exemplar[1] and crc == zlib.crc32(body):
                yield series, Exemplar(*exemplar)

    def release(self) -> None:
        """Let go of the block."""
        self._records.release()


def of_segments(segments: Iterable[Any]) -> Exemplars | None:
    """The exemplars among the blocks of a box."""
    return next((segment.exemplars for segment in segments if segment.exemplars is not None), None)
