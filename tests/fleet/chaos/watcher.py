"""Scrapes the collector's totals all the time and says which sample ever fell or was gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from support.exposition import Samples, parse
from tests.support.beside import beside

_BETWEEN = 0.1


class Watcher:
    """A scraper that remembers the page before.

    Args:
        url: The page.

    Attributes:
        pages: How many it got.
        refused: How often there was none: the collector is dead, or does not know all totals yet.
        wrong: What fell or was gone, in words.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._last: Samples = {}
        self.pages = self.refused = 0
        self.wrong: list[str] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """It looks for the length of a block."""
        with beside(self._run):
            yield

    def _run(self, over: threading.Event) -> None:
        with httpx.Client(timeout=10) as http:
            while not over.wait(_BETWEEN):
                try:
                    answer = http.get(self._url)
                except httpx.HTTPError:
                    self.refused += 1
                    continue
                if answer.status_code == httpx.codes.OK:
                    self._look(parse(answer.text))
                else:
                    self.refused += 1

    def _look(self, page: Samples) -> None:
        for key, before in self._last.items():
            now = page.get(key)
            if now is None:
                self.wrong.append(f"{key} is gone")
            elif now < before:
                self.wrong.append(f"{key} fell from {before:g} to {now:g}")
        self._last = page
        self.pages += 1
