"""What receivers of exports share: reading a request and answering it, without a word in the log."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any


class ExportHandler(BaseHTTPRequestHandler):
    """A request of OTLP over HTTP on a connection that may be used again."""

    protocol_version = "HTTP/1.1"

    def read_body(self) -> bytes:
        """The export."""
        return self.rfile.read(int(self.headers["Content-Length"]))

    def answer(self, status: int) -> None:
        """A status and nothing else."""
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Nothing."""
