"""Boxes of dead processes: finds them, reads them, and holds their locks while somebody delivers what is in them."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from telemetry import guard
from telemetry.box import locks
from telemetry.box.box import Box
from telemetry.box.directory import DAMAGED, NOTE, SUFFIX, why_no_box, why_not_believed
from telemetry.box.header import LENGTH, DamagedError, OtherVersionError, Role
from telemetry.box.segment import Segment
from telemetry.box.storage import DeadFile

_logger = logging.getLogger("telemetry")

_UNNAMED_FOR = 60.0  # seconds a file may take from its making to its name
_DAMAGED_FOR = 7 * 86400.0


def dead_boxes(directory: Path) -> Iterator[Box]:
    """Every box whose process is dead and that nobody else delivers; whoever gets one closes it.

    A box that cannot be read, or that is another user's, is set aside with an error in the log; one of another version
    is left to that. Of a directory that others can write in, nothing is taken.

    Args:
        directory: Where boxes are kept; it may not exist.
    """
    if why_not_believed(directory):
        return
    with suppress(OSError):
        for path in sorted(directory.iterdir()):
            if path.suffix != SUFFIX or path.name.startswith("."):
                _sweep(path)
            elif (box := _taken(path)) is not None:
                yield box


def look_at_dead(directory: Path) -> Iterator[Box]:
    """The same boxes to look at: nothing is set aside, swept or removed, and each is left for whoever delivers it.

    Args:
        directory: Where boxes are kept.
    """
    if why_not_believed(directory):
        return
    for path in sorted(directory.glob(f"[!.]*{SUFFIX}")):
        lock = _lock_of_the_dead(path)
        if lock is None:
            continue
        try:
            box = read_box(_own_file(path, lock))
        except Exception:  # whoever delivers says so
            locks.unlock(lock)
            continue
        try:
            yield box
        finally:
            box.leave()


def _taken(path: Path) -> Box | None:
    lock = _lock_of_the_dead(path)
    if lock is None:
        return None
    try:
        return read_box(_own_file(path, lock))
    except OtherVersionError:
        _logger.info("%s was written by another version of fleet-telemetry and is left to it", path)
    except Exception as error:
        if guard.is_the_hosts(error):
            locks.unlock(lock)
            raise
        _set_aside(path, error)
    locks.unlock(lock)
    return None


def _lock_of_the_dead(path: Path) -> int | None:
    """``None`` for a file that is gone, or whose process lives, or that somebody else takes."""
    try:
        lock = locks.open_locked(path)
    except OSError:
        return None
    with suppress(OSError):
        mine, named = os.fstat(lock), path.stat()
        if stat.S_ISREG(mine.st_mode) and (mine.st_ino, mine.st_dev) == (named.st_ino, named.st_dev):
            return lock
    locks.unlock(lock)
    return None


def _own_file(path: Path, lock: int) -> DeadFile:
    why = why_no_box(os.fstat(lock))
    if why:
        raise DamagedError(why)
    return DeadFile(path, lock)


def read_box(file: DeadFile) -> Box:
    """What a process left.

    Raises:
        DamagedError: If it says something that was never written.
        OtherVersionError: If another version of this code wrote it.
    """
    segments: list[Segment] = []
    process: Mapping[str, Any] | None = None
    start, blocks = 0, 1
    while len(segments) < blocks:
        segment = Segment(*file.block(start, _size_at(file, start)))
        segment.read()
        if segment.header.role is Role.TOTALS:
            segment.check_values()
        if not segments:
            process, blocks = segment.process, segment.header.blocks
        segments.append(segment)
        start += len(segment)
    del file.content[start:]
    if process is None:
        raise DamagedError("it does not say whose it is")
    return Box(file, process, segments)


def _size_at(file: DeadFile, start: int) -> int:
    """Bytes of the block that begins there, from its header."""
    size = int.from_bytes(file.content[start + 8 : start + 16], "little")
    if size <= LENGTH or size % 8 or start + size > len(file.content):
        raise DamagedError("truncated")
    return size


def _set_aside(path: Path, error: Exception) -> None:
    _logger.error("%s cannot be read (%s) and is set aside: what it counted is not delivered", path, error)
    with suppress(OSError):
        path.rename(path.with_suffix(DAMAGED))


def _sweep(path: Path) -> None:
    """Remove what a dead process left unnamed or said to others, and after a week a box that was set aside."""
    with suppress(OSError):
        age = time.time() - path.lstat().st_mtime
        if path.suffix == DAMAGED and age > _DAMAGED_FOR:
            path.unlink()
        elif path.suffix == NOTE or (path.suffix == SUFFIX and age > _UNNAMED_FOR):
            lock = _lock_of_the_dead(path)
            if lock is not None:
                path.unlink()
                locks.unlock(lock)
