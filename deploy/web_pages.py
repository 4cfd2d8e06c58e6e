"""Whether a browser that opens an address would see something: asked of the page itself."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from urllib.parse import urljoin

_PATIENCE = 3.0  # seconds
_SCRIPT = re.compile(r"""<script[^>]*\ssrc=["']([^"']+)""", re.IGNORECASE)
_NOT_AUTHORIZED = 401


def opens(url: str) -> bool:
    """Whether it answers, be it with the question who is there."""
    try:
        _read(url)
    except urllib.error.HTTPError as error:
        return error.code == _NOT_AUTHORIZED
    except OSError:
        return False
    return True


def draws(url: str) -> bool:
    """Whether it answers with a page whose first script is there.

    A program that draws its pages by script and was built without them answers with one that is empty or says so.
    """
    try:
        address, page = _read(url)
        script = _SCRIPT.search(page)
        return script is not None and bool(_read(urljoin(address, script[1]))[1])
    except OSError:
        return False


def _read(url: str) -> tuple[str, str]:
    """Where the answer came from in the end, and its beginning."""
    with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:
        return answer.geturl(), answer.read(65_536).decode(errors="replace")
