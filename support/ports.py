"""Ports that are free at this moment; nothing here keeps one open."""

from __future__ import annotations

import random
import socket


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


def free_ports(count: int) -> list[int]:
    """Consecutive ports that a server can open now, outside the range from which clients get theirs.

    Raises:
        OSError: If none are found.
    """
    for _ in range(200):
        first = random.randrange(20_000, 32_000 - count)  # no secret
        ports = list(range(first, first + count))
        if all(is_free(port) for port in ports):
            return ports
    raise OSError(f"no {count} consecutive free ports between 20000 and 32000")


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
