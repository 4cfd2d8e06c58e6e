"""Lets in to the Prometheus endpoint who has the token and the certificate that are asked for; shows nothing itself."""

from __future__ import annotations

import hmac
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from telemetry.settings import variables
from telemetry.settings.readers import Readers

_SCHEME = "bearer "


class AccessError(Exception):
    """Nobody can be let in; the message names the setting and the remedy."""


def tokens(path: Path) -> Iterator[bytes]:
    """The tokens of a file: the first word of each line that is no comment.

    Raises:
        AccessError: If it cannot be read, or has none.
    """
    try:
        words = [line.split()[0] for line in path.read_bytes().splitlines() if line.strip() and line[:1] != b"#"]
    except OSError as error:
        name = variables.PROMETHEUS_TOKEN_FILE.name
        raise AccessError(f"{name}={path} cannot be read ({error.strerror}): write a token there") from error
    if not words:
        raise AccessError(f"{variables.PROMETHEUS_TOKEN_FILE.name}={path} has no token: write one there")
    yield from words


def is_let_in(readers: Readers, authorization: str) -> bool:
    """Whether a reader has a token, where one is asked for; the file is read each time.

    Args:
        readers: Who may read.
        authorization: The header of that name.

    Raises:
        AccessError: If there is no token to compare with.
    """
    if readers.token_file is None:
        return True
    presented = authorization[len(_SCHEME) :].strip().encode("utf-8", "replace")
    is_known = any(hmac.compare_digest(token, presented) for token in tokens(readers.token_file))
    return is_known and authorization[: len(_SCHEME)].lower() == _SCHEME


class Certificates:
    """TLS as the files say it now: a renewed one holds from the next connection on.

    Args:
        readers: Who may read.

    Raises:
        AccessError: If a file cannot be used.
    """

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._files = [file for file in (readers.certificate, readers.key, readers.client_authority) if file]
        self._version = self._look()
        self._context = self._made()

    def context(self) -> ssl.SSLContext | None:
        """For the next connection; the one before while new files cannot be used, ``None`` without TLS."""
        version = self._look()
        if version != self._version:
            with suppress(AccessError):
                self._context = self._made()
                self._version = version
        return self._context

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_version(file) for file in self._files]

    def _made(self) -> ssl.SSLContext | None:
        of = self._readers
        if of.certificate is None:
            self._needs_no_certificate()
            return None
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            made.load_cert_chain(of.certificate, of.key)
        except (OSError, ValueError) as error:
            raise _unusable(variables.PROMETHEUS_CERTIFICATE.name, of.certificate, error) from error
        if of.client_authority is not None:
            try:
                made.load_verify_locations(of.client_authority)
            except (OSError, ValueError) as error:
                raise _unusable(variables.PROMETHEUS_CLIENT_CA.name, of.client_authority, error) from error
            made.verify_mode = ssl.CERT_REQUIRED
        return made

    def _needs_no_certificate(self) -> None:
        for variable, file in (
            (variables.PROMETHEUS_KEY, self._readers.key),
            (variables.PROMETHEUS_CLIENT_CA, self._readers.client_authority),
        ):
            if file is not None:
                raise AccessError(f"{variable.name}={file} needs {variables.PROMETHEUS_CERTIFICATE.name}: set both")


def _unusable(name: str, file: Path, error: Exception) -> AccessError:
    why = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
    return AccessError(f"{name}={file} cannot be used ({why}): set it to a PEM file, with the key that belongs to it")


def _version(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
