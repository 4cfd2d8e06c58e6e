"""What this process is: the first of its program, one that its program spawned, or a helper of Python's."""

from __future__ import annotations

import functools
import os
import sys

_ROOT = "TELEMETRY_ROOT_PID"
_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.semaphore_tracker")
_PATCHING_POOLS = {"gevent", "eventlet"}

AFTER_PATCH = "celery.bin.celery"
"""The module that a worker imports once it has replaced threads and sockets."""


def is_a_helper() -> bool:
    """Whether it is a process in which Python keeps house for others, and no code of the program runs."""
    return any(name in argument for argument in sys.orig_argv for name in _HELPERS)


@functools.cache
def is_root() -> bool:
    """Whether it is the first process of its program; it tells those that it starts, and what it becomes by exec."""
    if _ROOT in os.environ:
        return False
    os.environ[_ROOT] = str(os.getpid())
    return True


def patches_later() -> bool:
    """Whether it is a Celery worker that is about to replace threads and sockets by greenlets.

    What is made of them before (the export thread, its locks) would be none of these.
    """
    pools = [
        argument.partition("=")[2] or following
        for argument, following in zip(sys.orig_argv, [*sys.orig_argv[1:], ""], strict=True)
        if argument == "-P" or argument.startswith("--pool")
    ]
    short = [argument[2:] for argument in sys.orig_argv if argument.startswith("-P")]
    is_celery = any("celery" in os.path.basename(argument) for argument in sys.orig_argv)  # noqa: PTH119 - no path
    return is_celery and not _PATCHING_POOLS.isdisjoint(name.strip("= ") for name in (*pools, *short))
