"""Ports that are free at this moment; nothing here keeps one open."""

from __future__ import annotations

import os
import random
import socket

_FIRST, _LAST = 20_000, 32_000  # below the range from which clients get theirs
_given: set[int] = set()


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could open this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
        return True


def _share() -> tuple[int, int]:
    """The ports of this process: where pytest shares tests out, none takes a port that another one is about to open."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (_LAST - _FIRST) // workers
    return _FIRST + number * size, _FIRST + (number + 1) * size


def free_ports(count: int) -> list[int]:
    """Consecutive ports that a server can open now and that were not given before, below the range of clients.

    Raises:
        OSError: If none are found.
    """
    least, most = _share()
    for _ in range(200):
        first = random.randrange(least, most - count)  # no secret
        ports = list(range(first, first + count))
        if _given.isdisjoint(ports) and all(is_free(port) for port in ports):
            _given.update(ports)
            return ports
    raise OSError(f"no {count} consecutive free ports between {least} and {most}")


def free_port() -> int:
    """One port that a server can open now."""
    return free_ports(1)[0]


def closed_url() -> str:
    """An HTTP address at which every connection is refused."""
    return f"http://127.0.0.1:{free_port()}"


def is_open(port: int) -> bool:
    """Whether a server on this machine accepts connections on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
