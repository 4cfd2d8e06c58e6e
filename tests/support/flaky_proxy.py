"""A small proxy in front of a real collector that refuses, hangs or loses answers; it changes no body."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Literal

import httpx

from support import web
from support.ports import free_port
from tests.support.receiving import ExportHandler

Mode = Literal["pass", "503", "hang", "lose answers"]
FORWARDING = {"pass", "lose answers"}


class FlakyProxy:
    """Forwards OTLP over HTTP to a collector.

    Args:
        upstream: The collector's address.

    Attributes:
        mode: What it does with a request: forward it, answer 503, keep it until `close`, or forward it and close the
            connection without an answer; or who is asked that for each request.
        requests: How many came.
    """

    def __init__(self, upstream: str) -> None:
        self.mode: Mode | Callable[[], Mode] = "pass"
        self.requests = 0
        self._upstream = upstream
        self._port = free_port()
        self._closed = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.open()

    @property
    def endpoint(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        """Listen, on the same port as before."""
        self._closed = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._closed.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _forward(self, path: str, body: bytes, kind: str) -> int:
        """The collector's answer, or that of a proxy that got none."""
        try:
            return web.post(self._upstream + path, body, {"Content-Type": kind}).status_code
        except httpx.HTTPError:
            return httpx.codes.BAD_GATEWAY

    def _handler(self) -> type[ExportHandler]:
        proxy, closed = self, self._closed

        class Handler(ExportHandler):
            def do_POST(self) -> None:  # noqa: N802 - http.server's name
                body = self.read_body()
                proxy.requests += 1
                mode = proxy.mode if isinstance(proxy.mode, str) else proxy.mode()
                if mode == "hang":
                    closed.wait(60)
                status = proxy._forward(self.path, body, self.headers["Content-Type"]) if mode in FORWARDING else 503
                if mode in {"hang", "lose answers"}:
                    self.close_connection = True
                    return
                self.answer(status)

        return Handler
