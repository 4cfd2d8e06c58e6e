"""Programs with their pages and without: which of them a browser would see something of."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from deploy import web_pages

ANSWERS = {
    "/new/query": '<!doctype html><script type="module" src="./assets/index.js"></script><div id="root"></div>',
    "/new/assets/index.js": "draw()",
    "/old": "<HTML><SCRIPT defer SRC='/old/main.js'></SCRIPT></HTML>",
    "/old/main.js": "draw()",
    "/unbuilt": '<html><script src="/unbuilt/main.js"></script></html>',
    "/empty-script": '<html><script src="/empty.js"></script></html>',
    "/empty.js": "",
    "/says-so": "<html>This binary was built without its user interface.</html>",
    "/blank": "",
}
MOVED = {"/new": "/new/query"}


class Program(BaseHTTPRequestHandler):
    """Answers with what stands above."""

    def do_GET(self) -> None:
        """One answer."""
        if self.path in MOVED:
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", MOVED[self.path])
            self.end_headers()
        elif self.path in ANSWERS:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            self.wfile.write(ANSWERS[self.path].encode())
        else:
            self.send_error(HTTPStatus.UNAUTHORIZED if self.path == "/private" else HTTPStatus.NOT_FOUND)

    def log_message(self, *_: object) -> None:
        """Nothing is written."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where it listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Program) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("path", ["/new", "/new/query", "/old"])
def test_page_with_its_script_draws(url: str, path: str) -> None:
    """A page whose script is there draws, wherever the program sends a browser first."""
    assert web_pages.draws(url + path)


@pytest.mark.parametrize("path", ["/unbuilt", "/empty-script", "/says-so", "/blank", "/missing"])
def test_page_without_its_script_does_not(url: str, path: str) -> None:
    """A program that was built without its pages draws nothing, whichever way it says so."""
    assert not web_pages.draws(url + path)


@pytest.mark.parametrize(
    ("path", "expected"), [("/says-so", True), ("/private", True), ("/missing", False)], ids=["page", "login", "none"]
)
def test_login_opens(url: str, path: str, expected: bool) -> None:
    """What asks who is there opens, what is not there does not."""
    assert web_pages.opens(url + path) == expected


def test_nobody_there_opens_nothing() -> None:
    """Where nothing listens, nothing opens."""
    assert (web_pages.opens("http://127.0.0.1:1/"), web_pages.draws("http://127.0.0.1:1/")) == (False, False)
