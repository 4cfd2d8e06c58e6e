"""Loads other instrumentors when their library is imported: one that is loaded imports its library at once.

With those for databases, queues and models installed that is seconds for every process, though most use few of them,
and more than ``uvicorn --workers`` gives its processes to answer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from wrapt import when_imported

from telemetry.instrumentation.zero_code import own_process


def with_its_library(name: str, load: Callable[[], None]) -> None:
    """Call ``load`` when the library of an instrumentor is imported; now, if it is, or if none has its name.

    Args:
        name: Of the instrumentor's entry point, which is that of the package where one library is meant.
        load: Loads it; raises nothing.
    """
    if own_process.patches_later():  # what they import would have real locks
        name = own_process.AFTER_PATCH
    elif name in sys.modules or not _is_package(name):
        load()
        return

    def imported(_: Any) -> None:
        load()

    when_imported(name)(imported)


def _is_package(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
