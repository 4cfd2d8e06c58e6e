"""Where the blocks of a box are: a mapped file of this process, the file of a dead one, or memory."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from telemetry.box import locks
from telemetry.box.directory import SUFFIX

GRANULARITY = mmap.ALLOCATIONGRANULARITY
_PIECE = 1 << 20


class Buffer(NamedTuple):
    """Bytes for one block.

    Attributes:
        bytes: They are zero.
        wrote: To be told what changes.
    """

    bytes: Any
    wrote: Callable[[int, int], None]


def _nothing(start: int, end: int) -> None:
    """What is written is where it belongs."""


class Storage(Protocol):
    """Grows by blocks and never moves one."""

    @property
    def path(self) -> Path | None:
        """The file; ``None`` where there is none."""

    def extend(self, size: int) -> Buffer:
        """Room for one block.

        Raises:
            OSError: If there is none.
        """

    def is_there(self) -> bool:
        """Whether others would find it."""

    def remove(self) -> None:
        """Let nobody find it any more."""

    def close(self) -> None:
        """Let go of it; views of the buffers have to be released before."""


class Memory:
    """Ends with its process."""

    path = None

    def extend(self, size: int) -> Buffer:
        """Room for one block."""
        return Buffer(bytearray(size), _nothing)

    def is_there(self) -> bool:
        """Nobody but this process ever finds it."""
        return True

    def remove(self) -> None:
        """It goes by itself."""

    def close(self) -> None:
        """There is nothing to let go of."""


class Image(Memory):
    """Blocks of a file that is written when it is complete."""

    def __init__(self) -> None:
        self._blocks: list[bytearray] = []

    def extend(self, size: int) -> Buffer:
        """Room for one block."""
        buffer = super().extend(size)
        self._blocks.append(buffer.bytes)
        return buffer

    def content(self) -> bytes:
        """What the file has to be."""
        return b"".join(self._blocks)


class MappedFile:
    """A file of this process, which outlives it; locked until the process is dead.

    It has no name that anybody looks for until ``appear`` gives it one.

    Args:
        directory: A usable one.

    Raises:
        OSError: If it cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        self._named = directory / f"{os.urandom(12).hex()}{SUFFIX}"
        self.path = self._named.with_name(f".{self._named.name}")
        self._lock = locks.open_locked(self.path, os.O_CREAT | os.O_EXCL)
        self._size = 0
        self._mappings: list[mmap.mmap] = []

    def appear(self) -> None:
        """Let others find the file.

        Raises:
            OSError: If it cannot be renamed.
        """
        self.path.rename(self._named)
        self.path = self._named

    def extend(self, size: int) -> Buffer:
        """Map one block more. Its space is reserved before: a hole on a full disk would be a SIGBUS.

        Raises:
            OSError: If there is no space, or the file is gone.
        """
        _reserve(self._lock, self._size, size)
        # A mapping keeps a description of the file open: it must not be the one that holds the lock.
        own = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            mapping = mmap.mmap(own, size, offset=self._size)
        finally:
            os.close(own)
        self._mappings.append(mapping)
        buffer = Buffer(mapping, _nothing)
        self._size += size  # and nothing is called after it: a signal handler that raises comes before or later
        return buffer

    def close(self) -> None:
        """Unmap and unlock it; others may adopt it from now on."""
        for mapping in self._mappings:
            with suppress(BufferError):
                mapping.close()
        self._mappings = []
        locks.unlock(self._lock)

    def is_there(self) -> bool:
        """Whether the path still names the file."""
        return _names(self.path, self._lock)

    def remove(self) -> None:
        """Let nobody find it any more."""
        with suppress(OSError):
            self.path.unlink()


class DeadFile:
    """The file of a dead process, read once and written through: a mapped one could be cut under our feet (SIGBUS).

    Args:
        path: The file.
        lock: Descriptor that holds its lock.

    Attributes:
        content: What was read.

    Raises:
        OSError: If it cannot be read.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self.content = bytearray()
        while piece := os.pread(lock, _PIECE, len(self.content)):
            self.content += piece

    def block(self, start: int, size: int) -> Buffer:
        """A block that is in the file."""
        return self._through(start, bytearray(self.content[start : start + size]))

    def extend(self, size: int) -> Buffer:
        """Room for one block more.

        Raises:
            OSError: If there is no space.
        """
        start = len(self.content)
        _reserve(self._lock, start, size)
        os.pwrite(self._lock, bytes(size), start)  # a block that was not finished may be there
        self.content += bytes(size)
        return self._through(start, bytearray(size))

    def _through(self, start: int, block: bytearray) -> Buffer:
        def wrote(begin: int, end: int) -> None:
            os.pwrite(self._lock, block[begin:end], start + begin)

        return Buffer(block, wrote)

    def close(self) -> None:
        """Leave it to whoever comes next."""
        locks.unlock(self._lock)

    def is_there(self) -> bool:
        """Whether the path still names the file."""
        return _names(self.path, self._lock)

    def remove(self) -> None:
        """Let nobody find it any more."""
        with suppress(OSError):
            self.path.unlink()


def _names(path: Path, file: int) -> bool:
    """Whether a path leads to an open file, and not to another one, or nowhere."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False


def _reserve(file: int, start: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, start, size)
    else:
        os.pwrite(file, bytes(size), start)
