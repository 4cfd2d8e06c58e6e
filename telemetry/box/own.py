"""The box of the calling process: in the state directory where that can be had, else in memory, which it says once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from telemetry.box.box import Box
from telemetry.box.directory import UnusableError, make_usable
from telemetry.box.storage import MappedFile, Memory

_logger = logging.getLogger("telemetry")


class _Said:
    """Directories that were found unusable; a forked child does not say so again."""

    directories: set[Path] = set()  # noqa: RUF012 - of the process and all it forks


def new_box(directory: Path | None, process: Mapping[str, Any]) -> Box:
    """A new box.

    Args:
        directory: Where boxes are kept; ``None`` where nobody would ever deliver what is left there.
        process: What is to be known of the process after its death.
    """
    if directory is not None:
        try:
            make_usable(directory)
            return _in_a_file(directory, process)
        except (UnusableError, OSError) as error:
            _say(directory, error)
    return Box(Memory(), process)


def _in_a_file(directory: Path, process: Mapping[str, Any]) -> Box:
    file = MappedFile(directory)
    try:
        box = Box(file, process)
        file.appear()
    except BaseException:
        file.remove()
        file.close()
        raise
    return box


def _say(directory: Path, error: Exception) -> None:
    if directory not in _Said.directories:
        _Said.directories.add(directory)
        _logger.warning(
            "TELEMETRY_STATE_DIR=%s cannot be used (%s): counts are kept in memory, and a process that is killed loses "
            "what it has not exported; set it to a directory of this user alone on a local file system",
            directory,
            getattr(error, "strerror", None) or error,
        )
