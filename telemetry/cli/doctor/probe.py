"""What listens at an address: HTTP/1.1, HTTP/2 as gRPC has it, or nothing; asking exports nothing."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import SplitResult, urlsplit

from telemetry.cli import web

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME_HEADER, _SETTINGS = 9, 4
_HTTP_PORT = 80


def resolves(address: str) -> bool:
    """Whether its host has an address."""
    parts = _parts(address)
    try:
        return bool(socket.getaddrinfo(parts.hostname, parts.port or _HTTP_PORT))
    except (OSError, UnicodeError):
        return False


def is_closed(address: str) -> bool:
    """Whether no connection can be made."""
    try:
        _connected(address).close()
    except OSError:
        return True
    return False


def speaks_http(address: str) -> bool:
    """Whether a server of HTTP/1.1 answers there, whatever it says."""
    return web.get(f"http://{_parts(address).netloc.rpartition('@')[2]}/").status > 0


def speaks_http2(address: str) -> bool:
    """Whether a server without TLS greets a client of HTTP/2, as gRPC's do and OTLP's over HTTP do not."""
    try:
        with _connected(address) as connection:
            connection.settimeout(web.PATIENCE)
            connection.sendall(_PREFACE)
            answer = connection.recv(_FRAME_HEADER)
    except (OSError, ValueError):
        return False
    return len(answer) == _FRAME_HEADER and answer[3] == _SETTINGS


def speaks_tls(address: str) -> bool:
    """Whether what listens there answers a client of TLS, whatever its certificate is."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with _connected(address) as connection, context.wrap_socket(connection):
            return True
    except (OSError, ValueError):
        return False


def tls_alert(address: str, access: web.Access) -> str:
    """Why a server of TLS ends a connection that it has made: it says so when the client's certificate has come."""
    try:
        context = access.context()
        with (
            _connected(address) as connection,
            context.wrap_socket(connection, server_hostname=_parts(address).hostname) as encrypted,
        ):
            encrypted.recv(1)
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _connected(address: str) -> socket.socket:
    parts = _parts(address)
    return socket.create_connection((parts.hostname or "", parts.port or _HTTP_PORT), web.PATIENCE)


def _parts(address: str) -> SplitResult:
    """One without a scheme, as gRPC takes it, has one."""
    return urlsplit(address if "://" in address else f"http://{address}")
