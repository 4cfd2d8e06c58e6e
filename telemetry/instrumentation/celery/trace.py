"""The trace that a task belongs to, made current where its outcome is recorded: no span of the task runs there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from opentelemetry.context import attach, detach
from opentelemetry.propagate import extract

from telemetry.process import get

_NOT_ASKED_FOR = nullcontext()


def of(message: Mapping[str, Any]) -> AbstractContextManager[None]:
    """What the publisher of a task said of its trace is current for the length of a block, where exemplars are kept.

    Args:
        message: The headers of the task's message.
    """
    return _NOT_ASKED_FOR if get().settings.exemplar_filter == "always_off" else _current(message)


@contextmanager
def _current(message: Mapping[str, Any]) -> Iterator[None]:
    token = attach(extract(message))
    try:
        yield
    finally:
        detach(token)
