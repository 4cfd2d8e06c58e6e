"""Where exports go: the collector's address, what is sent with each request, and whether these fit each other."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit, urlunsplit

from telemetry.settings import variables
from telemetry.settings.reader import Reader, Said

Protocol = Literal["http/protobuf", "http/json", "grpc"]
Compression = Literal["gzip", "deflate", "none"]

PATH = "/v1/metrics"
HTTP_PORT, GRPC_PORT = 4318, 4317
GRPC_PACKAGE = "grpcio"
_TOKEN = re.compile(r"[\x21-\x7e]+")
_LONGEST_TOKEN = 16 * 1024
_SHORTEST_SECRET = 4  # of less, every other word has some
_DEFAULT_HTTP, _DEFAULT_GRPC = f"http://localhost:{HTTP_PORT}", f"http://localhost:{GRPC_PORT}"


@dataclass(frozen=True)
class Destination:
    """Where exports go, and how.

    Attributes:
        url: Over HTTP exactly what requests are sent to, over gRPC as its exporter takes it.
        setting: The variable that names it; empty for the default.
        protocol: ``OTEL_EXPORTER_OTLP_PROTOCOL``, or what fits the port.
        headers: ``OTEL_EXPORTER_OTLP_HEADERS``.
        compression: ``OTEL_EXPORTER_OTLP_COMPRESSION``.
        timeout: Seconds a request may take, ``OTEL_EXPORTER_OTLP_TIMEOUT``.
        certificate: ``OTEL_EXPORTER_OTLP_CERTIFICATE``; empty for the system's authorities.
        client_certificate: ``OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE``.
        client_key: ``OTEL_EXPORTER_OTLP_CLIENT_KEY``.
        insecure: Whether gRPC goes without TLS.
        token_file: ``TELEMETRY_OTLP_TOKEN_FILE``: where the bearer token is that goes with each export.
    """

    url: str = _DEFAULT_HTTP + PATH
    setting: str = ""
    protocol: Protocol = "http/protobuf"
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    compression: Compression = "none"
    timeout: float = variables.TIMEOUT.default
    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    insecure: bool = False
    token_file: Path | None = None

    @classmethod
    def from_environment(cls, env: Mapping[str, str] | None = None) -> Destination:
        """The one that the environment names, whatever is wrong there."""
        return read(Reader(os.environ if env is None else env))

    @property
    def address(self) -> str:
        """The URL without credentials."""
        return without_credentials(self.url)

    def headers_now(self) -> dict[str, str]:
        """What goes with an export that is sent now: the token is read each time, as it may have been renewed.

        Raises:
            TokenError: If there is none in its file.
        """
        if self.token_file is None:
            return self.headers
        return {**self.headers, "authorization": f"Bearer {_token(self.token_file)}"}

    def __repr__(self) -> str:
        """Without what is secret, as it may land in a log or a traceback."""
        others = (
            (known.name, getattr(self, known.name)) for known in fields(self) if known.repr and known.name != "url"
        )
        return f"Destination(url={self.address!r}, {', '.join(f'{name}={value!r}' for name, value in others)})"

    def without_secrets(self, text: str) -> str:
        """What a library says of a failed request, which may quote the URL or a header."""
        place, _, query = self.url.partition("?")
        credentials = place.rpartition("@")[0].rpartition("://")[2]
        for secret in (self.url, credentials, query, *self.headers.values()):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, self.address if secret == self.url else "…")
        return text


class TokenError(Exception):
    """There is no token; the message names the setting and the remedy, and nothing of what the file has."""


def _token(path: Path) -> str:
    where = f"{variables.TOKEN_FILE.name}={path}"
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_TOKEN + 1).decode().strip()
    except OSError as error:
        raise TokenError(f"{where} cannot be read ({error.strerror}): write the token there") from error
    except UnicodeDecodeError as error:
        raise TokenError(f"{where} has no token: write one line of letters and digits there") from error
    if not _TOKEN.fullmatch(text):
        raise TokenError(f"{where} has no token: write one line of letters and digits there")
    return text


def without_credentials(url: str) -> str:
    """A URL that may be shown."""
    place, query, _ = url.partition("?")
    before, separator, rest = place.rpartition("@")
    scheme = before.partition("://")
    shown = place if not separator else (f"{scheme[0]}://{rest}" if scheme[1] else rest)
    return f"{shown}?…" if query else shown  # some vendors take their key there


def read(reader: Reader) -> Destination:
    """The destination; what does not fit is told to the reader."""
    said = reader.said(variables.METRICS_ENDPOINT)
    endpoint = said if said.raw else reader.said(variables.ENDPOINT)
    protocol = _protocol(reader, endpoint)
    destination = Destination(
        url=_url(reader, endpoint, protocol),
        setting=endpoint.name if endpoint.raw else "",
        protocol=protocol,
        headers=reader.read(variables.HEADERS),
        compression=cast("Compression", reader.read(variables.COMPRESSION)),
        timeout=reader.read(variables.TIMEOUT),
        certificate=reader.read(variables.CERTIFICATE),
        client_certificate=reader.read(variables.CLIENT_CERTIFICATE),
        client_key=reader.read(variables.CLIENT_KEY),
        token_file=reader.read(variables.TOKEN_FILE),
    )
    destination = replace(destination, insecure=_insecure(reader, destination))
    return _checked_certificates(reader, _with_one_token(reader, destination))


# --- protocol ---------------------------------------------------------------------------------------------------------


def _protocol(reader: Reader, endpoint: Said) -> Protocol:
    """The one that is set, or that fits the port."""
    said = reader.said(variables.PROTOCOL)
    protocol = cast("Protocol", reader.read(variables.PROTOCOL))
    port = _port(endpoint.raw)
    if protocol == "grpc":
        return _grpc(reader, said, endpoint, port)
    if port == GRPC_PORT:
        return _at_the_port_of_grpc(reader, said, endpoint, protocol)
    return protocol


def _grpc(reader: Reader, said: Said, endpoint: Said, port: int | None) -> Protocol:
    if port == HTTP_PORT:
        remedy = f"does not fit {_shown(endpoint)}, whose port is that of http/protobuf: set it to http/protobuf"
    elif not _has_grpc():
        remedy = f"needs a package that is not installed: pip install {GRPC_PACKAGE}, or set it to http/protobuf"
    else:
        return "grpc"
    reader.wrong(said.name, said.raw, remedy, "http/protobuf is used")
    return "http/protobuf"


def _at_the_port_of_grpc(reader: Reader, said: Said, endpoint: Said, protocol: Protocol) -> Protocol:
    remedy = f"has the port of gRPC: use port {HTTP_PORT}, or set {variables.PROTOCOL.name}=grpc"
    if said.raw:
        used: Protocol = protocol
    elif _has_grpc():
        used = "grpc"
    else:
        used = protocol
        remedy += f" and pip install {GRPC_PACKAGE}"
    reader.wrong(endpoint.name, without_credentials(endpoint.raw), remedy, f"{used} is used")
    return used


def _has_grpc() -> bool:
    return find_spec("grpc") is not None


def _port(url: str) -> int | None:
    try:
        return urlsplit(url if "://" in url else f"//{url}").port
    except ValueError:
        return None


def _shown(said: Said) -> str:
    return f"{said.name}={without_credentials(said.raw)}"


# --- address ----------------------------------------------------------------------------------------------------------


def _url(reader: Reader, endpoint: Said, protocol: Protocol) -> str:
    if protocol == "grpc":
        return _usable(reader, endpoint, "", needs_scheme=False) or _DEFAULT_GRPC
    url = _usable(reader, endpoint, PATH if endpoint.name == variables.METRICS_ENDPOINT.name else "")
    if endpoint.name != variables.METRICS_ENDPOINT.name or not url:
        return _with_path(reader, endpoint, url or _DEFAULT_HTTP)
    is_meant_for_grpc = reader.said(variables.PROTOCOL).raw.lower() == "grpc"  # and has no path therefore
    return url.rstrip("/") + PATH if is_meant_for_grpc and not urlsplit(url).path.rstrip("/") else url


def _usable(reader: Reader, endpoint: Said, path: str, *, needs_scheme: bool = True) -> str:
    """The address as it can be used; empty for the default."""
    raw = endpoint.raw
    if not raw or (not needs_scheme and "://" not in raw):
        return raw
    url = raw if "://" in raw else f"http://{raw}"
    remedy = f"is no address: set it to a URL, http://collector:{HTTP_PORT}{path} or https://…"
    if not _is_address(url):
        reader.wrong(endpoint.name, without_credentials(raw), remedy, "the default holds")
        return ""
    if url != raw:
        shown = without_credentials(raw)
        reader.wrong(
            endpoint.name, shown, f"has no scheme: set it to http://{shown} or https://{shown}", "http is used"
        )
    return url


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _with_path(reader: Reader, endpoint: Said, url: str) -> str:
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if path.endswith(PATH):
        remedy = f"ends in {PATH} already, which is appended to it: leave it out there"
        reader.wrong(endpoint.name, without_credentials(endpoint.raw), remedy, "it is not appended again")
        path = path.removesuffix(PATH)
    return urlunsplit(parts._replace(path=path + PATH))


# --- security ---------------------------------------------------------------------------------------------------------


def _insecure(reader: Reader, destination: Destination) -> bool:
    scheme, separator, _ = destination.url.partition("://")
    name, raw = reader.said(variables.INSECURE)
    insecure = reader.read(variables.INSECURE)
    if not separator:
        return insecure
    if raw and insecure != (scheme == "http"):
        reader.no_effect(name, raw, f"{destination.setting or 'the endpoint'} says it by {scheme}://")
    return scheme == "http"


def _with_one_token(reader: Reader, destination: Destination) -> Destination:
    if destination.token_file is None or "authorization" not in destination.headers:
        return destination
    name = reader.said(variables.HEADERS).name
    reader.no_effect(name, "authorization=…", f"{variables.TOKEN_FILE.name} gives the token")
    others = {name: value for name, value in destination.headers.items() if name != "authorization"}
    return replace(destination, headers=others)


def _checked_certificates(reader: Reader, destination: Destination) -> Destination:
    key, certificate = reader.said(variables.CLIENT_KEY), reader.said(variables.CLIENT_CERTIFICATE)
    if destination.client_key and not certificate.raw:
        reader.wrong(*key, f"needs {variables.CLIENT_CERTIFICATE.name}: set both", "it is not used")
        destination = replace(destination, client_key="")
    given: dict[str, Any] = {
        "certificate": destination.certificate,
        "client_certificate": destination.client_certificate,
    }
    if destination.insecure and any(given.values()):
        for variable in (variables.CERTIFICATE, variables.CLIENT_CERTIFICATE):
            said = reader.said(variable)
            if said.raw:
                reader.no_effect(*said, f"{destination.address} has no TLS: write it with https://")
    return destination
