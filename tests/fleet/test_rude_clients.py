"""Clients of the front door that mean harm: they are told so or cut off, and whoever is honest is answered and counted exactly."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx

from deploy.fleet import Fleet
from support.processes import children
from support.waiting import eventually
from tests.fleet.client import ChatClient
from tests.fleet.endpoint import Endpoint

CHAT = "/api/v1/chat/conversations"
MIB = 1 << 20
HONEST = 30
MEMORY_MIB = 64
"""What NGINX uses at most, both of its processes."""


def _connected(fleet: Fleet, begin: bytes, open_ones: ExitStack) -> socket.socket:
    made = open_ones.enter_context(
        socket.create_connection((fleet.settings.listen_host, fleet.settings.nginx_port), 30)
    )
    with suppress(ConnectionError):
        made.sendall(begin)
    return made


def _is_cut_off(connection: socket.socket) -> bool:
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


def _status(fleet: Fleet, request: bytes) -> bytes:
    with ExitStack() as open_ones:
        return _connected(fleet, request, open_ones).recv(100).split(b" ")[1]


def _nginx_memory(fleet: Fleet) -> float:
    master = int((fleet.settings.run / "nginx" / "nginx.pid").read_text())
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in (master, *children(master))]
    return sum(int(status.partition("VmHWM:")[2].split()[0]) for status in statuses) / 1024


def test_slow_clients_are_cut_off(fleet: Fleet, endpoint: Endpoint, client: ChatClient) -> None:
    """Hundreds of heads and bodies that never end take nobody's place, and are let go in time."""
    before = endpoint.total("http_requests_total", endpoint="unmatched", method="GET")
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode()
    with ExitStack() as open_ones:
        held = [
            _connected(fleet, begin, open_ones) for begin in (b"GET / HTTP/1.1\r\nA: ", head, b"") for _ in range(150)
        ]
        for number in range(HONEST):
            assert client.call("GET", f"/nothing/honest/{number}").status_code == 404
        assert all(_is_cut_off(connection) for connection in held[:: len(held) // 9])
    expected = before + HONEST
    assert eventually(lambda: endpoint.total("http_requests_total", endpoint="unmatched", method="GET") == expected, 30)
    assert _nginx_memory(fleet) < MEMORY_MIB


def test_long_requests_are_refused(fleet: Fleet, client: ChatClient) -> None:
    """Addresses, headers and bodies beyond their limits get the status that says which, before a replica sees them."""
    assert _status(fleet, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n") == b"414"
    assert _status(fleet, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100_000 + b"\r\n\r\n") == b"400"
    assert _status(fleet, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n") == b"400"
    too_long = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 40}\r\n\r\n".encode()
    assert _status(fleet, too_long) == b"413"
    assert client.call("GET", "/health").status_code == 200


def test_app_says_what_is_too_large(fleet: Fleet, client: ChatClient) -> None:
    """A body below the front door's limit and above the app's is refused by the app with a sentence, compressed or not."""
    key = client.create_user("free")
    for headers in ({}, {"Content-Encoding": "gzip"}):
        answer = client.call(
            "POST", CHAT, key, content=bytes(40 * MIB), headers={"Content-Type": "application/json", **headers}
        )
        assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
        assert "larger" in answer.json()["error"]["message"].lower() or "too large" in answer.text.lower()
