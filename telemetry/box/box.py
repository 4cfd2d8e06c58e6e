"""The box of a process: blocks in which its series have their cells, in a file that outlives it or in memory."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from telemetry.box.exemplars import BLOCK, Exemplar, Exemplars, OfSeries, of_segments
from telemetry.box.header import Role
from telemetry.box.identity import Entry, Kind, ReadEntry
from telemetry.box.segment import Moved, Segment
from telemetry.box.storage import GRANULARITY, Buffer, Memory, Storage
from telemetry.steps import complete

_logger = logging.getLogger("telemetry")

SHOWN = "shown"
"""What a process says of itself where an endpoint shows what it counts, beside a collector."""

# A pool may start hundreds of processes that die with a few series each, in the 64 MB of a container's /dev/shm.
_SIZES = (16 * 1024, 64 * 1024)
_LARGEST = 128 * 1024
_LEFT_TO_SERIES = 12 * 1024  # of the first block, however much the process says of itself


class Box:
    """Blocks in some storage. Not thread-safe: callers take turns, but for those who count in cells they have.

    Args:
        storage: Where the blocks are.
        process: What is to be known of the process after its death.
        segments: Blocks that are there already.

    Attributes:
        process: What is to be known of the process after its death.

    Raises:
        OSError: If there is no room for the first block.
    """

    def __init__(
        self,
        storage: Storage,
        process: Mapping[str, Any],
        segments: Sequence[Segment] = (),
    ) -> None:
        self._storage = storage
        self._memory = Memory()
        self.process = process
        self._segments = list(segments)
        self._in_storage = len(self._segments)
        self._is_full = False
        self._reserved: Buffer | None = None  # a block that the file has and does not count yet
        self._exemplars: Exemplars | None = of_segments(segments)
        self._carried_exemplars: dict[int, tuple[int, OfSeries]] = {}
        if not segments:
            self._segments = [self._first()]

    def _first(self) -> Segment:
        size = max(_size_of(0), _rounded(len(json.dumps(self.process)) + _LEFT_TO_SERIES))
        segment = Segment(*self._storage.extend(size))
        segment.make(Role.TOTALS, self.process)
        self._in_storage = 1
        return segment

    @property
    def totals(self) -> list[Segment]:
        """The blocks that are exported."""
        return [segment for segment in self._segments if segment.header.role is Role.TOTALS]

    @property
    def path(self) -> Path | None:
        """The file that outlives the process; ``None`` for memory."""
        return self._storage.path

    def standing(self, role: Role) -> Iterator[Moved]:
        """Every series of a role with what its cells stand at."""
        for segment in list(self._segments):
            if segment.header.role is role:
                yield from segment.standing()

    def place(self, entry: Entry) -> Segment:
        """Give a new series its cells, in the block that is returned.

        Raises:
            ValueError: If it is too large for any block.
        """
        role = Role.NOTES if entry.identity.kind is Kind.NOTE else Role.TOTALS
        for segment in reversed(self._segments):
            if segment.header.role is role:
                if segment.add(entry):
                    return segment
                break
        for _ in (*_SIZES, _LARGEST):
            segment = self._extend(role)
            if segment.add(entry):
                return segment
        raise ValueError(f"a series of {entry.identity.name} is too large")

    def notes(self, name: str) -> Iterator[tuple[Segment, Moved]]:
        """The notes of a name that somebody has to come back to."""
        for segment in self._segments:
            for moved in segment.standing() if segment.header.role is Role.NOTES else ():
                if moved.entry.identity.name == name and moved.amounts[0]:
                    yield segment, moved

    def count(self, entry: ReadEntry, amount: float) -> None:
        """Count ``amount`` in the series with these labels; nobody else may count here."""
        for segment in self.totals:
            for known, values in segment.standing():
                same = (known.identity.name, known.keys, known.values) == (
                    entry.identity.name,
                    entry.keys,
                    entry.values,
                )
                if same:
                    segment.put(known, [values[0] + amount])
                    return
        self.place(entry).put(entry, [amount])

    def publish(self, standing: Sequence[tuple[Entry, float, float]]) -> None:
        """Let other processes read what series without cells stand at now, where there is room for it."""
        for segment in self._segments:
            if segment.header.role is Role.PAGE and segment.exemplars is None:
                if segment.publish(standing):
                    return
                segment.publish(())
        for _ in (*_SIZES, _LARGEST):
            if self._extend(Role.PAGE).publish(standing):
                return

    def make_room_for_exemplars(self) -> None:
        """Add the block for exemplars, where there is none."""
        if self._exemplars is None:
            self._exemplars = self._extend(Role.PAGE, has_exemplars=True).exemplars

    def keep_exemplar(self, entry: Entry, cells: object, bucket: int, exemplar: Exemplar) -> bool:
        """Keep an exemplar of a series, where there is a block for it; whether there is.

        Args:
            entry: The series.
            cells: Of the block in which it has its own.
            bucket: Which of these counted the value.
            exemplar: The exemplar.
        """
        exemplars = self._exemplars
        if exemplars is None:
            return False
        for number, segment in enumerate(self._segments):
            if segment.cells is cells:
                exemplars.keep(number, entry.slot, entry.slot + bucket, exemplar)
        return True

    def carried_exemplars(self, segment: Segment) -> OfSeries:
        """The exemplars of the interval whose export is prepared in a block; a repeat in this process has the same."""
        if self._exemplars is None:
            return {}
        number = self._segments.index(segment)
        sequence, carried = self._carried_exemplars.get(number, (0, {}))
        if sequence != segment.header.sequence:
            carried = self._exemplars.of(number, *segment.header.times)
            self._carried_exemplars[number] = segment.header.sequence, carried
        return carried

    def exemplars(self) -> list[tuple[Entry, Exemplar]]:
        """Every exemplar, with its series."""
        return standing_exemplars(self._segments)

    def _extend(self, role: Role, *, has_exemplars: bool = False) -> Segment:
        """One block more; the ones before stay where they are, so nobody who counts is stopped."""
        made: list[Segment] = []
        complete([lambda: self._make(made, role, has_exemplars), lambda: self._made(made[-1])])
        return made[-1]

    def _make(self, made: list[Segment], role: Role, has_exemplars: bool) -> None:
        size = _rounded(BLOCK) if has_exemplars else None
        segment = self._stored(role, size, has_exemplars)
        if segment is None:
            segment = Segment(*self._memory.extend(size or _size_of(len(self._segments))))
            segment.make(role, has_exemplars=has_exemplars)
        made.append(segment)

    def _made(self, segment: Segment) -> None:
        """The box has a block more; doing this a second time changes nothing."""
        if segment not in self._segments:
            self._segments = [*self._segments, segment]

    def _stored(self, role: Role, size: int | None, has_exemplars: bool) -> Segment | None:
        if self._is_full:
            return None
        try:
            if self._reserved is None:
                self._reserved = self._storage.extend(size or _size_of(self._in_storage))
        except OSError as error:
            self._is_full = True
            _logger.warning("new series are kept in memory only, a kill would lose their counts: %s", error)
            return None
        segment = Segment(*self._reserved)
        segment.make(role, has_exemplars=has_exemplars)
        blocks = self._in_storage + 1
        self._segments[0].header.blocks = blocks
        self._in_storage, self._reserved = blocks, None  # no call in between: as one, for a signal handler that raises
        return segment

    @property
    def sender(self) -> bytes:
        """The first of the names under which it is exported."""
        return self._segments[0].header.sender

    @property
    def made_at(self) -> int:
        """When it began, in Unix nanoseconds."""
        return self._segments[0].header.made_at

    @property
    def alive_at(self) -> int:
        """When its process last said that it lives, in Unix nanoseconds."""
        return self._segments[0].header.alive_at

    def is_alive(self) -> None:
        """Say that the process lives."""
        self._segments[0].header.alive_at = time.time_ns()

    def is_there(self) -> bool:
        """Whether the file still has its name: somebody may have cleaned the directory."""
        return self._storage.is_there()

    def undelivered(self) -> list[Moved]:
        """What was counted and is not acknowledged."""
        return [moved for segment in self.totals for moved in segment.undelivered()]

    def in_memory(self) -> list[Moved]:
        """The part of it that ends with the process."""
        stored = self._segments[: self._in_storage] if self.path is not None else []
        return [moved for segment in self.totals if segment not in stored for moved in segment.undelivered()]

    @property
    def is_shown(self) -> bool:
        """Whether an endpoint shows its totals, too: who removes it adds them to those of the dead before."""
        return bool(self.process.get(SHOWN))

    def is_done(self) -> bool:
        """Whether nobody needs it any more: the collector has everything, nothing was put off, no endpoint shows it."""
        return not self.is_shown and self.is_delivered()

    def is_delivered(self) -> bool:
        """Whether the collector has everything, and nothing was put off."""
        put_off = any(moved.amounts[0] for moved in self.standing(Role.NOTES))
        return not put_off and all(segment.is_delivered() for segment in self.totals)

    def give_up(self) -> None:
        """Let nothing be owed to the collector any more."""
        for segment in self.totals:
            for _ in range(2):  # what was on its way, then the rest of it
                if segment.prepare(segment.header.route):
                    segment.acknowledge()

    def revoke(self) -> None:
        """Let nobody count here any more; what was counted can still be exported."""
        for segment in self._segments:
            segment.revoke()

    def remove(self) -> None:
        """Let nobody find it any more."""
        self._storage.remove()

    def leave(self) -> None:
        """Let go of it, in a forked child, which has no part in it, or for the next one who looks for the dead."""
        for segment in self._segments:
            segment.forget()
        self._segments = []
        self._storage.close()

    def close(self) -> None:
        """Let go of it, and remove it if nobody needs it any more."""
        self.revoke()
        if self.is_done():
            self.remove()
        self.leave()


def standing_exemplars(segments: Sequence[Segment]) -> list[tuple[Entry, Exemplar]]:
    """Every exemplar that the blocks of a box have, with its series."""
    exemplars = of_segments(segments)
    if exemplars is None:
        return []
    return [
        (entry, exemplar)
        for number, segment in enumerate(segments)
        for of_series in [exemplars.of(number)]
        for entry in segment.entries
        for exemplar in of_series.get(entry.slot, ())
    ]


def _size_of(number: int) -> int:
    return _rounded(_SIZES[number] if number < len(_SIZES) else _LARGEST)


def _rounded(size: int) -> int:
    return -(-size // GRANULARITY) * GRANULARITY
