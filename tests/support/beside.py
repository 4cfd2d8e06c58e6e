"""Threads of a test: one beside a block of it, or many that do the same at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(act: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run ``act`` for the length of a block; the event it gets is set when it has to end."""
    over = threading.Event()
    thread = threading.Thread(target=act, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def at_once(act: Callable[[int], object], count: int) -> None:
    """Call ``act`` in so many threads at once, each with its number, and wait until all have ended."""
    threads = [threading.Thread(target=act, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
