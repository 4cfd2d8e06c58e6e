"""What the open descriptors of a process are: files by their kind, connections by who is at the other end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_SOCKET = "socket:["
_LISTENS = "0A"  # of the kernel's table
_INODE = 9


class Connections:
    """Every TCP socket of this machine at one moment, by its inode.

    Args:
        names: Who listens at a port, by port.
        table: What the kernel says of sockets.
    """

    def __init__(self, names: Mapping[int, str], table: Path = Path("/proc/net/tcp")) -> None:
        self._kinds: dict[str, str] = {}
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            local, remote, state = _port(fields[1]), _port(fields[2]), fields[3]
            self._kinds[fields[_INODE]] = (
                "listens" if state == _LISTENS else _connection(names.get(local), names.get(remote))
            )

    def of(self, pid: int) -> Counter[str]:
        """How many descriptors of each kind a process has.

        Raises:
            OSError: If the process is gone.
        """
        found: Counter[str] = Counter()
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found[self._kind(str(descriptor.readlink()))] += 1
        return found

    def _kind(self, target: str) -> str:
        if target.startswith(_SOCKET):
            return self._kinds.get(target[len(_SOCKET) : -1], "other socket")
        if target.startswith("/"):
            return f"file *{Path(target).suffix}" if Path(target).suffix else "file"
        return target.partition(":")[0]


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _connection(local: str | None, remote: str | None) -> str:
    if remote is not None:
        return f"to {remote}"
    return "from clients" if local is not None else "other connection"
