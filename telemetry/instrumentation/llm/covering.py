"""Which calls to vendors are part of one that is measured already, so that each call counts once.

A client of one vendor calls that of another (LiteLLM calls OpenAI's), a method calls its neighbour, and a program says
itself what it calls: whoever began first counts.

A measured call covers what is called in its own task, or in its own thread where there is none. What begins in another
task or thread while it goes on may be the call itself, handed to an executor or to ``asyncio.wait_for``, or one in the
background. It is the call itself where it is the only one, and over before the measured one is, which is known
when it ends. Whatever else begins there is a call by itself.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Protocol, Self

_UNKNOWN = "unknown"


class Coverable(Protocol):
    """A call that is measured.

    Attributes:
        provider: The vendor.
        model: As sent to it.
        is_found: Whether a hook found it; else the program said so.
    """

    provider: str
    model: str
    is_found: bool

    def is_open(self) -> bool:
        """Whether it is not over yet."""


class Cover:
    """A measured call, and the task or thread in which all that is called is part of it.

    Args:
        call: The call.
        covers: Whether it covers what is called now; false for ever once it is over.

    Attributes:
        is_seen: Whether a call was made where this one is, which is this one, therefore.
    """

    def __init__(self, call: Coverable, covers: Callable[[], bool]) -> None:
        self.call = call
        self.covers = covers
        self.is_seen = False
        self._where = _here()
        self._free = [None]  # for one call of another task or thread; a list, because its pop() is atomic
        self._before: Token[Cover | None] | None = None

    def begin(self) -> None:
        """From here on, calls are part of it."""
        self._before = _cover.set(self)

    def end(self) -> None:
        """Until here; a generator may be left in another context than it was entered in, with nothing to undo there."""
        before, self._before = self._before, None
        if before is not None:
            with suppress(ValueError):
                _cover.reset(before)

    def part(self, model: str) -> Part | PartElsewhere | None:
        """What a call is that is made now, if it is part of this one."""
        if not self.covers():
            return None
        if self._where == _here():
            return Part(self)
        is_likely = not self.is_seen and not (self.call.is_found and self.call.model not in {model, _UNKNOWN})
        return PartElsewhere(self) if is_likely and self._take() else None

    def _take(self) -> bool:
        try:
            self._free.pop()
        except IndexError:
            return False
        return True

    def give_back(self) -> None:
        """Another call of another task or thread may be this one, after one that failed."""
        self._free.append(None)


class Part:
    """A call that is a measured one; what it calls itself, where it runs, is so, too.

    Args:
        cover: Of the measured one.
    """

    def __init__(self, cover: Cover) -> None:
        self._cover = cover
        self._inside = Cover(cover.call, cover.covers)

    def __enter__(self) -> Self:
        self._cover.is_seen = True
        self._inside.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._inside.end()
        if kind is not None:
            self._cover.is_seen = False


class PartElsewhere:
    """A call of another task or thread that may be a measured one.

    Args:
        cover: Of the measured one.
    """

    def __init__(self, cover: Cover) -> None:
        self._cover = cover

    def is_another(self, error: BaseException | None) -> bool:
        """Whether it was a call by itself, now that it is over; ``error`` is what it raised."""
        if error is not None:
            self._cover.give_back()
        return self._cover.is_seen or not self._cover.call.is_open()


_cover: ContextVar[Cover | None] = ContextVar("telemetry_llm_call", default=None)
_said: dict[int, Cover] = {}
"""Of the calls that the program said and that go on in any thread."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_said.clear)  # the other threads are the parent's


def _here() -> tuple[int, weakref.ref[Any] | None]:
    """The thread, and its task if it has one."""
    asyncio = sys.modules.get("asyncio")  # where nobody has imported it, there is no task
    if asyncio is None or asyncio._get_running_loop() is None:  # noqa: SLF001 - `get_running_loop` raises where none is
        return threading.get_ident(), None
    task = asyncio.current_task()
    return threading.get_ident(), None if task is None else weakref.ref(task)


def part_of_another(provider: str, model: str) -> Part | PartElsewhere | None:
    """What a call is that is made now, if it is part of one that is measured.

    A thread that was given no context, as those of executors, works for a call to the same model which the program said
    and which goes on.

    Args:
        provider: The vendor that is called.
        model: As sent to it.
    """
    cover = _cover.get()
    if cover is not None:
        return cover.part(model)
    if not _said or _here()[1] is not None:
        return None
    for cover in list(_said.values()):
        part = cover.part(model) if (cover.call.provider, cover.call.model) == (provider, model) else None
        if part is not None:
            return part
    return None


def begin(call: Coverable, covers: Callable[[], bool]) -> Cover:
    """From here on, calls are part of another as long as ``covers`` says so.

    Args:
        call: The other one.
        covers: Is asked when one is made; false for ever once that other call is over.
    """
    cover = Cover(call, covers)
    if not call.is_found:
        _said[id(cover)] = cover
    cover.begin()
    return cover


def end(cover: Cover) -> None:
    """Until here."""
    _said.pop(id(cover), None)
    cover.end()


@contextmanager
def covering(call: Coverable) -> Iterator[None]:
    """What the code of the block calls is part of ``call``."""
    cover = begin(call, call.is_open)
    try:
        yield
    finally:
        end(cover)
