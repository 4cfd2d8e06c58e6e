"""The totals of all processes of a state directory, living and dead, for an endpoint that any of them serves.

The dead are added up in one file for each group of processes. It is written anew and renamed, and says which boxes are
in it, so a kill at any point leaves each box counted once. Who reads holds the lock of the directory with others who
read, who adds up holds it alone.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from telemetry.box import locks
from telemetry.box.box import Box, standing_exemplars
from telemetry.box.dead import dead_boxes
from telemetry.box.directory import SUFFIX, why_no_box, why_not_believed
from telemetry.box.exemplars import Exemplar
from telemetry.box.header import LENGTH, DamagedError, OtherVersionError, Role
from telemetry.box.identity import Entry, Kind, ReadEntry
from telemetry.box.segment import Moved, Segment
from telemetry.box.storage import Image

_logger = logging.getLogger("telemetry")

SUM = ".sum"
LOCK_SECONDS = 2.0
_TORN_AT_MOST = 5

Group = Callable[[Mapping[str, Any]], str | None]


@dataclass
class Standing:
    """What one box says.

    Attributes:
        process: What its process said of itself.
        totals: Its series with what their cells stand at.
        page: What series without cells stand at, and since when, if the process lives.
        exemplars: By which spans its newest values were recorded.
    """

    process: Mapping[str, Any]
    totals: list[Moved] = field(default_factory=list)
    page: list[tuple[Entry, float, float]] = field(default_factory=list)
    exemplars: list[tuple[Entry, Exemplar]] = field(default_factory=list)


class Host:
    """The boxes of a state directory.

    Args:
        directory: Where they are.
        group_of: Which processes are added up together, by what a process said of itself; ``None`` for one that is not
            part of this.
        settle: Comes back to the notes of a dead process.
    """

    def __init__(self, directory: Path, group_of: Group, settle: Callable[[Box], object] = lambda box: True) -> None:
        self._directory = directory
        self._group_of = group_of
        self._settle = settle
        self._known: dict[Path, list[Segment]] = {}

    def read(self, own: Collection[Path] = ()) -> list[Standing]:
        """What every process of the directory says, each once.

        Args:
            own: Boxes to leave out.

        Raises:
            OSError: If it cannot be read now.
        """
        if not self._directory.is_dir() or why_not_believed(self._directory):
            return []
        with locks.directory_locked(self._directory, shared=True, timeout=LOCK_SECONDS):
            sums = self._all(self._paths(SUM))
            absorbed = {name for standing in sums for name in standing.process["absorbed"]} | {
                path.name for path in own
            }
            boxes = self._all(path for path in self._paths(SUFFIX) if path.name not in absorbed)
            self._known = {path: known for path, known in self._known.items() if path.exists()}
            return [*sums, *(standing for standing in boxes if self._group_of(standing.process) is not None)]

    def _all(self, paths: Iterable[Path]) -> list[Standing]:
        return [standing for standing in map(self._read, paths) if standing is not None]

    def _paths(self, suffix: str) -> list[Path]:
        found = [path for path in self._directory.iterdir() if path.suffix == suffix]
        return sorted(path for path in found if not path.name.startswith("."))

    def _read(self, path: Path) -> Standing | None:
        for _ in range(_TORN_AT_MOST):
            try:
                return self._once(path)
            except OtherVersionError:
                return None
            except (DamagedError, OSError):  # a page that is being written, or a box whose process is ending
                continue
        return None

    def _once(self, path: Path) -> Standing | None:
        lives = locks.is_locked(path)
        segments = _blocks(_content(path), self._known.get(path, []))
        self._known[path] = segments
        if segments[0].process is None:
            return None
        standing = Standing(segments[0].process)
        for segment in segments:
            if segment.header.role is Role.TOTALS:
                standing.totals += segment.standing()
            elif lives:
                standing.page += segment.page
        standing.exemplars = standing_exemplars(segments)
        return standing

    def absorb(self) -> int:
        """Add up what dead processes counted that owe nothing to a collector, and remove their boxes; how many.

        Raises:
            OSError: If there is no room, or the directory cannot be read now.
        """
        if not self._directory.is_dir() or why_not_believed(self._directory):
            return 0
        with locks.directory_locked(self._directory, shared=False, timeout=LOCK_SECONDS):
            taken: list[Box] = []
            try:
                for box in dead_boxes(self._directory):
                    if box.is_shown or self._group_of(box.process) is None:
                        box.leave()
                    else:
                        taken.append(box)
                self._add_all(taken)
            finally:
                for box in taken:
                    box.leave()
            return len(taken)

    def keep(self, boxes: Iterable[Box]) -> None:
        """Add up what dead processes counted whose boxes the caller has taken, and remove them; then to be left.

        Raises:
            OSError: If there is no room, or the directory cannot be read now.
        """
        with locks.directory_locked(self._directory, shared=False, timeout=LOCK_SECONDS):
            self._add_all(boxes)

    def _add_all(self, boxes: Iterable[Box]) -> None:
        groups: dict[str, list[Box]] = defaultdict(list)
        for box in boxes:
            group = self._group_of(box.process)
            if group is not None:
                groups[group].append(box)
        for group, of_group in groups.items():
            self._add(group, of_group)

    def _add(self, group: str, boxes: list[Box]) -> None:
        path = self._directory / f"{sha256(group.encode()).hexdigest()[:16]}{SUM}"
        before = self._read(path) if path.exists() else None
        done = set(before.process["absorbed"]) if before else set()
        totals = _Totals()
        totals.add(before.totals if before else ())
        settled: list[Box] = []
        for box in boxes:
            if box.path is None or (box.path.name not in done and not self._settle(box)):
                continue
            settled.append(box)
            if box.path.name not in done:
                totals.add(box.standing(Role.TOTALS))
        if not settled:
            return
        there = {name for name in done if (self._directory / name).exists()}  # somebody died before it was removed
        process = {**settled[0].process, "absorbed": sorted(there | {box.path.name for box in settled if box.path})}
        totals.write(path, process)
        for box in settled:
            box.remove()


class _Totals:
    """Cells by metric and labels."""

    def __init__(self) -> None:
        self._cells: dict[tuple[Any, ...], tuple[Entry, list[float]]] = {}

    def add(self, standing: Iterable[Moved]) -> None:
        for entry, cells in standing:
            if entry.identity.kind not in {Kind.SUM, Kind.HISTOGRAM}:
                continue
            key = (entry.identity, entry.keys, entry.values)
            _, known = self._cells.setdefault(key, (entry, [0.0] * len(cells)))
            known[:] = [a + b for a, b in zip(known, cells, strict=True)]

    def write(self, path: Path, process: Mapping[str, Any]) -> None:
        """Let the file be these totals, at once."""
        image = Image()
        box = Box(image, process)
        for known, cells in self._cells.values():
            entry = ReadEntry(known.identity, known.keys, known.values)
            box.place(entry).put(entry, cells)
        partial = path.with_name(f".{secrets.token_hex(8)}{SUM}")
        try:
            partial.touch(0o600)
            partial.write_bytes(image.content())
            partial.rename(path)
        except OSError:
            with suppress(OSError):
                partial.unlink()
            raise


def _content(path: Path) -> bytes:
    """What is in a file of this user.

    Raises:
        OSError: If it cannot be read.
        DamagedError: If it is none of ours.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        why = why_no_box(found) if stat.S_ISREG(found.st_mode) else "it is no file"
        if why:
            raise DamagedError(why)
        return file.read()


def _blocks(content: bytes, known: list[Segment]) -> list[Segment]:
    """The blocks of a file whose process may be writing it.

    Raises:
        DamagedError: If they cannot be read as they are now.
        OtherVersionError: If another version of this code wrote them.
    """
    segments: list[Segment] = []
    start, blocks = 0, 1
    while len(segments) < blocks:
        size = int.from_bytes(content[start + 8 : start + 16], "little")
        if size <= LENGTH or size % 8 or start + size > len(content):
            raise DamagedError("truncated")
        segment = Segment(bytearray(content[start : start + size]))
        segment.read(known[len(segments)] if len(segments) < len(known) else None)
        blocks = segments[0].header.blocks if segments else segment.header.blocks
        segments.append(segment)
        start += size
    return segments
