"""Answers a browser: the site's files, and Prometheus' answers to what they ask; it changes nothing anywhere."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from telemetry.cli.preview.proxy import Upstream
from telemetry.cli.preview.site import File, Site

_PROXY = "/prometheus"
_HEADERS = {
    # Scripts are ours alone, whatever a label's value or a dashboard contains; the chart library writes styles.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Server:
    """One listening server.

    Args:
        host: The address to listen at.
        port: The port; 0 takes a free one.
        site: What it shows.
        upstream: The Prometheus it asks.

    Raises:
        OSError: If the address cannot be listened at.
    """

    def __init__(self, host: str, port: int, site: Site, upstream: Upstream) -> None:
        handler = type("Handler", (_Handler,), {"site": site, "upstream": upstream, "is_local": _is_loopback(host)})
        self._server = ThreadingHTTPServer((host, port), handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/"

    def serve(self) -> None:
        """Answer until interrupted or closed."""
        with self._server, contextlib.suppress(KeyboardInterrupt):
            self._server.serve_forever()

    def close(self) -> None:
        """End `serve`, from another thread."""
        self._server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    site: Site
    upstream: Upstream
    is_local: bool

    def do_GET(self) -> None:
        """Answer one request."""
        address = urlsplit(self.path)
        if self.is_local and not _is_loopback(urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""):
            # A page of another site whose name leads here would read everything.
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"Open it by its address, http://127.0.0.1.")
        elif address.path.startswith(f"{_PROXY}/"):
            self._pass_on(address.path.removeprefix(_PROXY), address.query)
        elif (file := self.site.file(address.path)) is not None:
            self._show(file)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"There is no such page.")

    def _show(self, file: File) -> None:
        kept = {"Cache-Control": "max-age=86400"} if file.is_kept else {}
        if self._takes_packed():
            packed = {"Content-Encoding": "gzip"}
            self._answer(HTTPStatus.OK, file.media_type, file.packed, {**kept, **packed})
        else:
            self._answer(HTTPStatus.OK, file.media_type, file.read(), kept)

    def _takes_packed(self) -> bool:
        return "gzip" in self.headers.get("Accept-Encoding", "")

    def _pass_on(self, path: str, query: str) -> None:
        answer = self.upstream.ask(path, query)
        if answer is None:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"Only queries are passed on to Prometheus.")
        elif answer.failure:
            self._answer(HTTPStatus.BAD_GATEWAY, "text/plain", f"{self.upstream.shown}: {answer.failure}".encode())
        else:
            self._answer(HTTPStatus(answer.status), "application/json", answer.body)

    def _answer(self, status: HTTPStatus, media_type: str, body: bytes, more: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        headers = {"Content-Type": media_type, "Content-Length": str(len(body)), **_HEADERS, **more}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing of each request."""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
