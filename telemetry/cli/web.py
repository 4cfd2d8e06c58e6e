"""One question to an HTTP server, answered or not: for pages of metrics and for Prometheus; nothing here raises."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from telemetry.settings.destination import without_credentials

PATIENCE = 2.0
_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        url: What was asked, without credentials.
        status: Of HTTP; 0 where there was no answer.
        body: What it says.
        headers: With names in small letters.
        failure: Why there was no answer; empty where there was.
        at: Our clock when it came, in unix seconds.
    """

    url: str
    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    at: float = 0.0

    @property
    def is_ok(self) -> bool:
        """Whether it answered, and well."""
        return self.status == http.client.OK

    @property
    def problem(self) -> str:
        """What is wrong with it, in half a sentence."""
        return self.failure or f"it answers {self.status}"

    def ahead(self) -> float | None:
        """By how many seconds the server's clock is ahead of ours, to the second; ``None`` where it does not say."""
        try:
            return parsedate_to_datetime(self.headers["date"]).timestamp() - self.at
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True)
class Access:
    """Whom a reader trusts, and how it shows who it is; files are read for each question.

    Attributes:
        authority: PEM file of the authorities that are trusted; empty for the system's.
        certificate: PEM file of its own certificate.
        key: PEM file of the key of that.
        token_file: Where a bearer token is.
    """

    authority: str = ""
    certificate: str = ""
    key: str = ""
    token_file: str = ""

    def context(self) -> ssl.SSLContext:
        """For an encrypted connection.

        Raises:
            OSError: If a file cannot be read.
        """
        made = ssl.create_default_context(cafile=self.authority or None)
        if self.certificate:
            made.load_cert_chain(self.certificate, self.key or None)
        return made

    def headers(self) -> dict[str, str]:
        """The token.

        Raises:
            OSError: If it cannot be read.
        """
        words = Path(self.token_file).read_text().split() if self.token_file else []
        return {"Authorization": f"Bearer {words[0]}"} if words else {}


NO_ACCESS = Access()


def get(
    url: str,
    timeout: float = PATIENCE,
    *,
    accept: str = "*/*",
    body: bytes | None = None,
    access: Access = NO_ACCESS,
) -> Answer:
    """Ask, with the credentials of the address; redirects are not followed and proxies are not used.

    Args:
        url: An address of ``http`` or ``https``.
        timeout: Seconds of silence until it is given up.
        accept: Which form of the answer is wanted.
        body: A form to post instead.
        access: Whom it trusts, and its token.
    """
    try:
        shown = access.headers() if url.startswith("https:") else {}  # a token is for nobody on the way
        return _ask(url, timeout, {"Accept": accept, **shown}, body, access)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(without_credentials(url), failure=_reason(error, timeout))


def _ask(url: str, timeout: float, asked: Mapping[str, str], body: bytes | None, access: Access) -> Answer:
    parts = urlsplit(url)
    connection = _connection(parts, timeout, access)
    credentials = _credentials(parts)
    form = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET" if body is None else "POST", path, body, {**asked, **form, **credentials})
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(without_credentials(url), response.status, response.read(_LARGEST), headers, at=time.time())
    finally:
        connection.close()


def _connection(parts: SplitResult, timeout: float, access: Access) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=access.context())
    return http.client.HTTPConnection(host, parts.port, timeout=timeout)


def _credentials(parts: SplitResult) -> dict[str, str]:
    """Those of an address, as a header."""
    if parts.username is None:
        return {}
    said = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(said.encode()).decode()}"}


def _reason(error: Exception, timeout: float) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {timeout:g} s"
        case socket.gaierror():
            return "its name cannot be resolved"
        case ssl.SSLError():
            return f"TLS fails ({error.reason})"
        case OSError():
            return error.strerror or str(error)
    return f"no HTTP ({type(error).__name__})"
