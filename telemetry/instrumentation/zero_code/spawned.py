"""Lets the processes that multiprocessing spawns begin as this one did, as ``uvicorn --workers`` and ``--reload`` do.

A spawned process is a new Python: what reaches it is its environment. OpenTelemetry takes the directory of its
``sitecustomize`` out of it (older versions for good), so that other programs that are started stay as they are. A
spawned process is no other program.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import util
from pathlib import Path
from typing import Any

from telemetry.fork_lock import ForkLock
from telemetry.instrumentation.zero_code.assumptions import spawning_is_seen

_OURS = ("multiprocessing.spawn", "multiprocessing.forkserver")
_VARIABLE = "PYTHONPATH"
_changing = ForkLock(1.0)


def follow() -> None:
    """Follow this program into what it spawns."""
    spec = find_spec("opentelemetry.instrumentation.auto_instrumentation")
    if spec is None or spec.origin is None or not spawning_is_seen():
        return
    directory = str(Path(spec.origin).parent)
    spawn = util.spawnv_passfds

    @functools.wraps(spawn)
    def spawning(path: Any, arguments: Any, passed: Any) -> Any:
        with _reaching(directory) if _is_ours(arguments) else _unchanged():
            return spawn(path, arguments, passed)

    vars(util)["spawnv_passfds"] = spawning


def _is_ours(arguments: Any) -> bool:
    return any(name in os.fsdecode(argument) for argument in arguments for name in _OURS)


@contextmanager
def _unchanged() -> Iterator[None]:
    yield


@contextmanager
def _reaching(directory: str) -> Iterator[None]:
    """Have the directory in the environment for as long as it takes to start a process."""
    with _changing.lock:
        before = os.environ.get(_VARIABLE)
        paths = before.split(os.pathsep) if before else []
        if directory in paths:
            yield
            return
        os.environ[_VARIABLE] = os.pathsep.join([directory, *paths])
        try:
            yield
        finally:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before
