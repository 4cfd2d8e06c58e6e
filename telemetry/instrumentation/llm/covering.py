"""Which calls to vendors are part of one that is measured already, so that each call counts once.

A client of one vendor calls that of another (LiteLLM calls OpenAI's), a method calls its neighbour, and a program says
itself what it calls: whoever began first counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Protocol, TypeAlias

Covers = Callable[[], bool]
Cover: TypeAlias = "Token[Covers | None]"

_covers: ContextVar[Covers | None] = ContextVar("telemetry_llm_call", default=None)


class Coverable(Protocol):
    """A call that is measured."""

    def is_open(self) -> bool:
        """Whether it is not over yet."""


def is_covered() -> bool:
    """Whether what is called now is part of a call that is measured."""
    covers = _covers.get()
    return covers is not None and covers()


def begin(covers: Covers) -> Cover:
    """From here on, calls are part of another as long as ``covers`` says so.

    Args:
        covers: Is asked when one is made; false for ever once that other call is over.
    """
    return _covers.set(covers)


def end(cover: Cover) -> None:
    """Until here; a generator may be left in another context than it was entered in, where there is nothing to undo."""
    try:
        _covers.reset(cover)
    except ValueError:
        return


@contextmanager
def covering(call: Coverable) -> Iterator[None]:
    """What the code of the block calls is part of ``call``."""
    cover = begin(call.is_open)
    try:
        yield
    finally:
        end(cover)
