"""What is said where a library is missing that one of this package's extras installs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Imports of what an extra installs.

    Args:
        extra: Its name.
        what: What the user asked for, to begin a sentence.

    Raises:
        ImportError: If it is not installed, with the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "telemetry"}:
            raise
        raise ImportError(
            f'{what} needs {missing}, which is not installed: pip install "fleet-telemetry[{extra}]"', name=error.name
        ) from error
