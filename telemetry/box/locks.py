"""Files that are locked as long as their process lives, and whose locks no forked child inherits."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from telemetry.fork_lock import ForkLock

try:
    import fcntl
except ImportError:  # Windows: no file is ever locked, so counts stay in memory
    fcntl = None  # type: ignore[assignment]

_BETWEEN_TRIES = 0.002
_LONGEST_WAIT = 1.0  # of a fork, for a thread that is between opening and noting a file

# A lock belongs to the description of an open file, which a fork shares: a child that kept it would keep its parent's
# box from being adopted. So no fork may fall between opening a file and noting it here.
_opening = ForkLock(_LONGEST_WAIT)
_files: set[int] = set()


def _leave_to_parent() -> None:
    for file in _files:
        with suppress(OSError):
            os.close(file)  # closed, not unlocked: the lock is the parent's
    _files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def open_locked(path: Path, flags: int = 0) -> int:
    """A file descriptor that holds the lock of a file until ``unlock``, or until its process is dead.

    Args:
        path: The file, no symbolic link.
        flags: For ``os.open``, besides reading and writing.

    Raises:
        OSError: If there is no such file, or another description of it holds the lock.
    """
    if fcntl is None:
        raise OSError("this system has no locks of files")
    flags |= os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with _opening.lock:
        file = os.open(path, flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise
        _files.add(file)
        return file


@contextmanager
def directory_locked(path: Path, *, shared: bool, timeout: float) -> Iterator[None]:
    """The lock of a directory for the length of a block.

    Args:
        path: The directory.
        shared: Whether others may have it at the same time that also want it shared.
        timeout: Seconds to wait for it.

    Raises:
        OSError: If there is no such directory, or somebody else has the lock for longer.
    """
    if fcntl is None:
        raise OSError("this system has no locks of files")
    with _opening.lock:
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _files.add(file)
    try:
        _wait_for(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, time.monotonic() + timeout)
        yield
    finally:
        unlock(file)


def _wait_for(file: int, kind: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_BETWEEN_TRIES)
        else:
            return


def unlock(file: int) -> None:
    """Close a file of ``open_locked``; in a forked child, which does not have it, nothing happens."""
    with _opening.lock:
        if file in _files:
            _files.discard(file)
            os.close(file)


def is_locked(path: Path) -> bool:
    """Whether somebody, be it this process, holds the lock of a file; asking is no lock that others would see."""
    if fcntl is None:
        return False
    file = -1
    try:
        with _opening.lock:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            _files.add(file)
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        unlock(file)
    return False
