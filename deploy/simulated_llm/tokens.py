"""Cuts text into tokens and remembers prompts for the prompt cache; a stand-in for the vendors' tokenizers."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

_TOKEN = re.compile(r"\w{1,6}|[^\w\s]")
_PIECE = re.compile(r"\s*(?:\w{1,6}|[^\w\s])")

CACHE_MINIMUM = 1024
CACHE_STEP = 128


def tokenize(text: str) -> list[str]:
    """The tokens of a text."""
    return _TOKEN.findall(text)


def pieces(text: str) -> list[str]:
    """The tokens with the white space before them, so that joining them gives the text."""
    return _PIECE.findall(text)


class PromptCache:
    """The beginnings of prompts a vendor has seen, as digests; forgets those not used for longest."""

    def __init__(self, limit: int = 50_000) -> None:
        self._limit = limit
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def longest_known(self, model: str, tokens: Sequence[str], lengths: Iterable[int]) -> int:
        """Return the longest of these prefix lengths that is known (0 if none is), and remember them all.

        Args:
            model: Caches are not shared between models.
            tokens: The whole prompt.
            lengths: Ascending prefix lengths at which the prompt may be cached.
        """
        longest = 0
        for length, digest in _digests(model, tokens, lengths):
            if digest in self._known:
                longest = length
            self._remember(digest)
        return longest

    def _remember(self, digest: bytes) -> None:
        self._known[digest] = None
        self._known.move_to_end(digest)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)


def _digests(model: str, tokens: Sequence[str], lengths: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    running = hashlib.blake2b(f"{model}\n".encode(), digest_size=16)
    done = 0
    for length in lengths:
        running.update("\n".join([*tokens[done:length], ""]).encode())
        done = length
        yield length, running.copy().digest()


def automatic_lengths(total: int) -> range:
    """Where a prompt is cached without being asked to: from 1,024 tokens on, every 128; never all of it."""
    return range(CACHE_MINIMUM, total, CACHE_STEP)
