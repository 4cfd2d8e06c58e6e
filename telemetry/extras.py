"""What is not installed with the package itself: a sentence with the ``pip install`` that brings it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class MissingExtraError(ImportError):
    """A library is asked for that an extra of the package brings; the message names the library and the extra."""


@contextmanager
def needed(extra: str, asked_by: str) -> Iterator[None]:
    """Import what an extra brings.

    Args:
        extra: Its name.
        asked_by: What needs it, for the message.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "telemetry"}:
            raise
        raise MissingExtraError(
            f"{asked_by} needs {missing}, which is not installed: pip install 'fleet-telemetry[{extra}]'",
            name=error.name,
        ) from error
