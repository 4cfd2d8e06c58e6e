"""Peers that misbehave as they are told: servers of HTTP in this process with the addresses of real ones."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support import web


class Peer:
    """A server on a port of its own.

    Args:
        real: Whom it asks what it does not answer itself.

    Attributes:
        answers: Status and body by the beginning of a path; the longest that fits.
        date: What it says for the time of its clock.
        authorizations: Every one it was sent.
    """

    def __init__(self, real: str = "") -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        self.authorizations: set[str] = set()
        self._real = real
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                peer.answer(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Silent."""

            def version_string(self) -> str:
                return "peer"

            def date_time_string(self, timestamp: float | None = None) -> str:
                return peer.date or super().date_time_string(timestamp)

        self.date = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def says(self, text: str, status: int = 200, path: str = "/") -> None:
        """Answer this from now on."""
        self.answers[path] = (status, text)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if "Authorization" in request.headers:
            self.authorizations.add(request.headers["Authorization"])
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        fitting = [path for path in self.answers if request.path.startswith(path)]
        if fitting:
            status, text = self.answers[max(fitting, key=len)]
        elif self._real and request.command == "POST":
            real = web.post(self._real + request.path, body, {"Content-Type": request.headers["Content-Type"]})
            status, text = real.status_code, real.text
        elif self._real:
            real = web.get(self._real + request.path)
            status, text = real.status_code, real.text
        else:
            status, text = 404, ""
        request.send_response(status)
        request.send_header("Content-Type", "text/plain; version=0.0.4")
        request.send_header("Content-Length", str(len(text.encode())))
        request.end_headers()
        request.wfile.write(text.encode())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def listening() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
