"""Free ports for tests, and one that nobody listens on; nothing here keeps a port open."""

from __future__ import annotations

from deploy.ports import free_port_run


def free_ports(count: int) -> list[int]:
    """Ports that a server can open now, outside the range from which clients get theirs."""
    return free_port_run(count)


def free_port() -> int:
    """One port that a server can open now."""
    return free_port_run(1)[0]


def closed_url() -> str:
    """An HTTP address at which every connection is refused."""
    return f"http://127.0.0.1:{free_port()}"
