"""Something that goes on in a thread beside a block of a test, until the block is over."""

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
