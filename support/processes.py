"""Processes by their id, and where programs are; it starts nothing."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def program(path: Path) -> str:
    """The program's full path; a bare name is also looked for where only root's PATH looks."""
    found = shutil.which(str(path), path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return found or str(path)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that are still there; none if it is gone itself."""
    found: list[int] = []
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, path.read_text().split())
    return found


def kill(pid: int) -> bool:
    """SIGKILL one process; whether there was one."""
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process does nothing for the length of a block: SIGSTOP, and SIGCONT at its end."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def kill_group(pid: int) -> bool:
    """SIGKILL a process with everything it started; whether there was something."""
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
        return True
    return False


def peak_memory(*pids: int) -> float:
    """MiB that these processes used at most since they began, or since `forget_peak_memory`, all together."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(status.partition("VmHWM:")[2].split()[0]) for status in statuses) / 1024


def forget_peak_memory(pid: int) -> None:
    """What it uses now is from now on the most that it used."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
