"""Chance that can be repeated: drawn from the seed, a request's content and how often that was seen; knows no clock."""

from __future__ import annotations

import hashlib
import random
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chance:
    """The chance of one request.

    Attributes:
        seed: The vendor's.
        digest: Of the request's content.
        nth: 1 for the first time this content is seen.
    """

    seed: int
    digest: str
    nth: int

    def stream(self, purpose: str) -> random.Random:
        """Random numbers for one purpose; a draw for one never shifts another."""
        return random.Random(self.hex(purpose))

    def hex(self, purpose: str) -> str:
        """64 hexadecimal digits that are the same at every repetition."""
        return hashlib.sha256(f"{self.seed}|{purpose}|{self.digest}|{self.nth}".encode()).hexdigest()


class Seen:
    """How often each content was seen; forgets the contents not seen for longest."""

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._counts: OrderedDict[str, int] = OrderedDict()

    def count(self, digest: str) -> int:
        """Count one more and return the number."""
        number = self._counts.pop(digest, 0) + 1
        self._counts[digest] = number
        if len(self._counts) > self._limit:
            self._counts.popitem(last=False)
        return number
