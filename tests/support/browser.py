"""Debian's Chromium without a window, and what a person would complain about on its pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Page, Request, sync_playwright

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Without the background's own requests: nothing but the page under test is asked for.
_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
_CUT_OFF = (Path(__file__).parent / "cut_off.js").read_text()
HEIGHT = 900
_PATIENCE = 90_000  # milliseconds; a busy machine draws slowly


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for the length of a block."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    assert program, "there is no Chromium: `make install-tests` brings Debian's"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Looked:
    """A page that is looked at.

    Attributes:
        page: The page.
        complaints: Errors of its console, its scripts and its requests.
        answers: Each query that it asked Prometheus: whether of one moment, its text, the answer's text.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    answers: list[tuple[bool, str, str]] = field(default_factory=list)

    def cut_off(self, within: str) -> list[str]:
        """Texts below these elements of which a part cannot be seen."""
        found: list[str] = self.page.evaluate(_CUT_OFF, within)
        return found

    def wait_drawn(self) -> None:
        """Await that the page says that all of it is drawn."""
        self.page.wait_for_selector("body[data-state=drawn]")

    def texts(self, selector: str) -> list[str]:
        """Texts of these elements."""
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]


def _note(looked: Looked, request: Request) -> None:
    address = urlsplit(request.url)
    query = parse_qs(address.query).get("query")
    answer = request.response() if query else None
    if query and answer:
        looked.answers.append((address.path.endswith("/query"), query[0], answer.text()))


@contextmanager
def looking(browser: Browser, url: str, width: int = 1280, **context: Any) -> Iterator[Looked]:
    """A page of this address, in a session of its own.

    Args:
        browser: The browser.
        url: The address.
        width: Of the window, in pixels.
        context: More settings of the session, such as credentials.
    """
    session = browser.new_context(viewport={"width": width, "height": HEIGHT}, **context)
    session.set_default_timeout(_PATIENCE)
    page = session.new_page()
    looked = Looked(page)
    page.on("console", lambda message: message.type == "error" and looked.complaints.append(message.text))
    page.on("pageerror", lambda error: looked.complaints.append(str(error)))
    page.on("requestfinished", lambda request: _note(looked, request))
    page.on("requestfailed", lambda request: looked.complaints.append(f"{request.url}: {request.failure}"))
    try:
        page.goto(url)
        yield looked
    finally:
        session.close()
