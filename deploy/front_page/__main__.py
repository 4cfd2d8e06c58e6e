"""Serves the page and what it shows on a loopback port; NGINX passes `/` on to it. It starts and stops nothing."""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from deploy.front_page.parts import parts
from deploy.manager import Manager
from deploy.settings import FleetSettings

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("index.html", "text/html"),
    "/_front/page.js": ("page.js", "text/javascript"),
    "/_front/style.css": ("style.css", "text/css"),
}
_LINKS_KEEP = 30.0  # seconds
_LINKS_RETRY = 5.0  # while one does not open; a program that was built without pages never does


class Front:
    """What the page shows.

    Args:
        fleet_dir: The fleet's directory, which has its manager's socket.
        links: A file with the fleet's name and links, as `deploy.render` writes it.
    """

    def __init__(self, fleet_dir: Path, links: Path) -> None:
        self._manager = Manager(FleetSettings(fleet_dir=fleet_dir))
        self._links = links
        self._lock = threading.Lock()
        self._asked = -math.inf
        self._opens: list[dict[str, Any]] = []

    def state(self) -> dict[str, Any]:
        """The fleet as it is now."""
        return {
            "name": self._said["name"],
            "note": self._said["note"],
            "parts": parts(self._manager.states().values()),
            "links": self._shown_links(),
        }

    @cached_property
    def _said(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._links.read_text())
        return said

    def _shown_links(self) -> list[dict[str, Any]]:
        """Pages are asked now and then, not by every visitor."""
        from deploy.front_page.links import Link, shown

        with self._lock:
            keep = _LINKS_KEEP if all(link["opens"] for link in self._opens) else _LINKS_RETRY
            if time.monotonic() - self._asked > keep:
                self._opens = shown([Link(**link) for link in self._said["links"]])
                self._asked = time.monotonic()
            return self._opens


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front: Front

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/_front/state":
            self._answer(HTTPStatus.OK, "application/json", json.dumps(self.front.state()).encode())
        elif self.path in _FILES:
            name, media_type = _FILES[self.path]
            self._answer(HTTPStatus.OK, f"{media_type}; charset=utf-8", (_PAGE / name).read_bytes())
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"There is no such page.")

    def _answer(self, status: HTTPStatus, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Security-Policy", "default-src 'self'; img-src data:; frame-ancestors 'none'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing of each request: NGINX does."""


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(prog="python -m deploy.front_page", description=__doc__)
    parser.add_argument("--fleet-dir", type=Path, required=True)
    parser.add_argument("--links", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    handler = type("Handler", (_Handler,), {"front": Front(given.fleet_dir, given.links)})
    ThreadingHTTPServer(("127.0.0.1", given.port), handler).serve_forever()


if __name__ == "__main__":
    main()
