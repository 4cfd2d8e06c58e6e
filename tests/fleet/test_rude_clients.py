"""Clients of the front door that mean harm: they are told so or cut off, and whoever is honest is answered and counted exactly."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx

from deploy.fleet import Fleet
from support.processes import children, forget_peak_memory, peak_memory
from support.waiting import eventually
from tests.fleet.client import ChatClient
from tests.fleet.endpoint import Endpoint

CHAT = "/api/v1/chat/conversations"
MIB = 1 << 20
HONEST = 30
LARGE, PIECE = 40 * MIB, b" " * 65536
"""A body beyond every limit of the app, and what it is sent in."""
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
    return peak_memory(master, *children(master))


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


def _endless(url: str, headers: dict[str, str], beginning: bytes) -> int:
    """The status of a body of 40 MiB that does not say its size; 0 where the connection ended before there was one."""

    def pieces() -> Iterator[bytes]:
        yield beginning
        for _ in range(LARGE // len(PIECE)):
            yield PIECE

    with suppress(httpx.TransportError), httpx.Client(trust_env=False, timeout=30) as http:
        return http.post(url, content=pieces(), headers=headers).status_code
    return 0


def test_replicas_hold_no_body(fleet: Fleet, client: ChatClient) -> None:
    """Whatever is sent to a replica, past NGINX, too, it takes less memory than one of the bodies would."""
    key = {"X-API-Key": client.create_user("free")}
    json = {**key, "Content-Type": "application/json"}
    form = {**key, "Content-Type": "multipart/form-data; boundary=b"}
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    field = b'--b\r\nContent-Disposition: form-data; name="' + bytes(MIB)
    attacks = [
        (CHAT, json, b'{"message": "'),
        (CHAT, {**json, "Content-Encoding": "gzip"}, gzip.compress(bytes(LARGE))),
        ("/api/v1/users", json, b"[" * MIB),
        ("/api/v1/files", form, file),
        ("/api/v1/files", form, field),
        ("/api/v1/audio/transcriptions", form, file),
    ]
    replicas = [fleet.pid(process.name) for process in fleet.processes() if process.name.startswith("app-")]
    for pid in replicas:
        forget_peak_memory(pid)
    before = {pid: peak_memory(pid) for pid in replicas}
    ports = (fleet.settings.nginx_port, *fleet.settings.app_ports)
    with ThreadPoolExecutor(8) as attackers:
        sent = [
            attackers.submit(_endless, f"http://127.0.0.1:{port}{path}", headers, beginning)
            for _ in range(3)
            for port in ports
            for path, headers, beginning in attacks
        ]
        statuses = {each.result() for each in sent}
    assert statuses <= {0, 400, 413, 422}
    assert 413 in statuses
    assert client.call("GET", "/health").status_code == 200
    grown = {pid: peak_memory(pid) - before[pid] for pid in replicas}
    assert max(grown.values()) < LARGE / MIB, grown
