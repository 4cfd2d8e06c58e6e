"""The header of a block: whose exports these are, how many there were, and whether the last one is through.

0    magic and version, written last: a block without it was never used
8    bytes of the block
16   what its cells are for (``Role``)
24   bytes of the table that are valid, stored after the bytes themselves
32   word: sequence << 1 | acknowledged
40   entries the export with this sequence covers << 32 | the first of them that no export has named before
48   when generation 0 was prepared, 56 when generation 1 was
64   when the block was made
72   when its process last said that it lives, 80 how many blocks its file has (both in the first block only)
88   1 for a page that has exemplars behind its header, and no table
96   sender id: 16 random bytes
112  route of the export with this sequence: 16 bytes
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from enum import IntEnum

MAGIC = b"TELEBOX\x01"
LENGTH = 128
WORD = 8  # bytes of every number in a block

_SIZE, _ROLE, _TABLE, _EXPORT, _COVERS, _PREPARED_AT, _MADE_AT, _ALIVE_AT, _BLOCKS = 1, 2, 3, 4, 5, 6, 8, 9, 10
_HAS_EXEMPLARS = 11
_SENDER, _ROUTE = slice(96, 112), slice(112, 128)
_ACKNOWLEDGED = 1
_NONE = 0xFFFF_FFFF

Wrote = Callable[[int, int], None]


class DamagedError(Exception):
    """The block says something that no version of this code wrote."""


class OtherVersionError(Exception):
    """The block was written by another version of this code."""


class Role(IntEnum):
    """What the cells of a block are for."""

    TOTALS = 0
    """They are exported as differences."""
    NOTES = 1
    """They are this code's own."""
    PAGE = 2
    """There are none: the block is a page that other processes read, and ends with its process."""


class Header:
    """The first bytes of a block; every store is one of eight bytes, and the order of stores is what makes it safe.

    Args:
        block: The whole block.
        wrote: Told which bytes changed.
    """

    def __init__(self, block: memoryview[int], wrote: Wrote) -> None:
        self._block = block
        self._words: memoryview[int] = block[:LENGTH].cast("Q")
        self._wrote = wrote

    def make(self, role: Role, *, has_exemplars: bool = False) -> None:
        """Write a new header but for the magic number: the block is not valid yet."""
        words, now = self._words, time.time_ns()
        words[_SIZE], words[_ROLE], words[_TABLE], words[_COVERS], words[_BLOCKS] = len(self._block), role, 0, 0, 1
        words[_HAS_EXEMPLARS] = has_exemplars
        words[_EXPORT] = _ACKNOWLEDGED  # export 0: generation 0 is all zeros
        words[_MADE_AT] = words[_ALIVE_AT] = words[_PREPARED_AT] = words[_PREPARED_AT + 1] = now
        self._block[_SENDER] = os.urandom(16)
        self._wrote(WORD, LENGTH)

    def validate(self) -> None:
        """Make the block one that others read."""
        self._block[:WORD] = MAGIC
        self._wrote(0, WORD)

    def check(self) -> None:
        """Whether this is a block of ours.

        Raises:
            DamagedError: If it is none.
            OtherVersionError: If another version of this code wrote it.
        """
        magic = bytes(self._block[:WORD])
        if magic != MAGIC:
            raise OtherVersionError(magic) if magic[:-1] == MAGIC[:-1] else DamagedError("no magic number")
        if self._words[_ROLE] not in set(Role) or self.table > len(self._block) - LENGTH:
            raise DamagedError("a header that was never written")

    def _store(self, word: int, value: int) -> None:
        self._words[word] = value
        self._wrote(word * WORD, (word + 1) * WORD)

    @property
    def role(self) -> Role:
        """What the cells are for."""
        return Role(self._words[_ROLE])

    @property
    def has_exemplars(self) -> bool:
        """Whether the block is a page of exemplars."""
        return self.role is Role.PAGE and self._words[_HAS_EXEMPLARS] == 1

    @property
    def table(self) -> int:
        """Bytes of the table that are valid."""
        return self._words[_TABLE]

    @table.setter
    def table(self, used: int) -> None:
        self._store(_TABLE, used)

    @property
    def blocks(self) -> int:
        """How many blocks the file has."""
        return self._words[_BLOCKS]

    @blocks.setter
    def blocks(self, count: int) -> None:
        self._store(_BLOCKS, count)

    @property
    def made_at(self) -> int:
        """When the block was made, in Unix nanoseconds."""
        return self._words[_MADE_AT]

    @property
    def alive_at(self) -> int:
        """When the process of the file last said that it lives, in Unix nanoseconds."""
        return self._words[_ALIVE_AT]

    @alive_at.setter
    def alive_at(self, now: int) -> None:
        self._store(_ALIVE_AT, now)

    @property
    def sender(self) -> bytes:
        """Whose exports these are, for who counts each of them once."""
        return bytes(self._block[_SENDER])

    @property
    def route(self) -> bytes:
        """By which name the last export goes to a collector; its repeats go by the same."""
        return bytes(self._block[_ROUTE])

    @property
    def sequence(self) -> int:
        """The number of the last export."""
        return self._words[_EXPORT] >> 1

    @property
    def is_acknowledged(self) -> bool:
        """Whether the last export is through."""
        return bool(self._words[_EXPORT] & _ACKNOWLEDGED)

    @property
    def covers(self) -> int:
        """How many series there were when the last export was prepared."""
        return self._words[_COVERS] >> 32

    @property
    def unnamed(self) -> int:
        """The first series that no export before the last one has named."""
        return self._words[_COVERS] & _NONE

    @property
    def times(self) -> tuple[int, int]:
        """When the interval of the last export began and ended, in Unix nanoseconds."""
        parity = self.sequence % 2
        return self._words[_PREPARED_AT + 1 - parity], self._words[_PREPARED_AT + parity]

    def prepare(self, route: bytes, covers: int, unnamed: int) -> None:
        """Begin the next export, whose generation is written: it is there with the last store."""
        sequence = self.sequence + 1
        self._block[_ROUTE] = route
        self._words[_COVERS] = covers << 32 | unnamed
        self._words[_PREPARED_AT + sequence % 2] = max(time.time_ns(), self.times[1] + 1)
        self._wrote(_COVERS * WORD, LENGTH)
        self._store(_EXPORT, sequence << 1)

    def name_nothing(self) -> None:
        """Let the last export carry nothing that stands at 0."""
        self._store(_COVERS, self._words[_COVERS] | _NONE)

    def acknowledge(self) -> None:
        """The last export is through."""
        self._store(_EXPORT, self._words[_EXPORT] | _ACKNOWLEDGED)

    def release(self) -> None:
        """Let go of the block."""
        self._words.release()
