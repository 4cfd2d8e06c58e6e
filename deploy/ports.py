"""Who holds a port that is taken, and what to do about it, in words."""

from __future__ import annotations

import contextlib
from pathlib import Path

_LISTENING = "0A"


def holder(port: int) -> str | None:
    """The process that listens on a port, as `name (pid 123)`, where the system lets us see it."""
    inodes = _listening_inodes(port)
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) in inodes for link in (directory / "fd").iterdir()):
                return f"{(directory / 'comm').read_text().strip()} (pid {directory.name})"
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{columns[9]}]")
    return found


def explain_taken(setting: str, port: int) -> str:
    """One sentence about a port that is taken: which, by whom, and what to do."""
    who = holder(port)
    by = f" by {who}" if who else ""
    return f"Port {port} ({setting}) is taken{by}: stop that, or set {_remedy(setting, port)}."


def _remedy(setting: str, port: int) -> str:
    name, _, offset = setting.partition("+")
    example = port + 1000 - int(offset or 0)
    return f"{name} to another port, for example {name}={example if example < 65_536 else 8900}"
