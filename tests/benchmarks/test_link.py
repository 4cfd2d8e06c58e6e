"""The way to a server that benchmarks make slow or busy."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from benchmarks.link import Link


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server that says what it is told."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def _post(link: Link, body: bytes = b"hello") -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{link.port}/", content=body)


def test_link_forwards_and_keeps(port: int) -> None:
    """What comes is forwarded whole, and kept where that is wanted."""
    link, body = Link(port, keeps=True), bytes(300_000)
    with link.open():
        assert _post(link, body).content == body
    ((_, kept),) = link.kept
    assert kept.endswith(body)


def test_link_is_busy_or_slow(port: int) -> None:
    """A busy one answers 503 in the server's place; a slow one keeps each answer back."""
    link = Link(port)
    with link.open():
        with link.busy():
            assert _post(link).status_code == 503
        with link.delayed(0.2):
            began = time.monotonic()
            assert _post(link).content == b"hello"
            assert time.monotonic() - began >= 0.2
        assert _post(link).is_success


def test_refused_requests_are_kept(port: int) -> None:
    """What a busy one refuses is kept as it came, where that is wanted."""
    link, body = Link(port, keeps=True), bytes(300_000)
    with link.open(), link.busy():
        assert _post(link, body).status_code == 503
    ((_, kept),) = link.kept
    assert kept.endswith(body)


def test_link_hangs_up_with_its_client() -> None:
    """A client that gives up is gone for the server, too, which has not answered yet."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = Link(server.getsockname()[1])
        with link.open():
            with socket.create_connection(("127.0.0.1", link.port)) as client:
                client.sendall(b"hello")
                there, _ = server.accept()
                there.settimeout(10)
                assert there.recv(5) == b"hello"
            assert there.recv(1) == b""
        there.close()


def test_link_is_closed(port: int) -> None:
    """While it is closed nothing listens at its port, which is the same afterwards."""
    link = Link(port)
    with link.open():
        assert _post(link).is_success
        with link.closed(), pytest.raises(httpx.ConnectError):
            _post(link)
        assert _post(link).is_success
