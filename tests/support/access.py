"""An authority, its certificates and the tokens of a collector, made anew for a test; nothing here is for more than one."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

PROD_TOKEN = "token-of-prod-2f1c9d77aa"
DEV_TOKEN = "token-of-dev-and-stage-0b7e"
ANY_TOKEN = "token-of-everything-991d42c0"
SCRAPE_TOKEN = "token-of-prometheus-51c3f7e0"
WRONG_TOKEN = "token-that-nobody-knows-44"


class Keys:
    """Files of an authority and of those that it knows.

    Args:
        directory: Where they are.
        name: Of its own file.

    Attributes:
        authority: The PEM file by which its certificates are verified.
    """

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.authority = directory / f"{name}.crt"
        self._ca.cert_pem.write_to_path(str(self.authority))

    def issue(self, name: str, host: str = "127.0.0.1", days: float = 1) -> tuple[Path, Path]:
        """A certificate and its key; what was there under the name is replaced at once, as a renewal does.

        Args:
            name: Of the files.
            host: Who shows it.
            days: For how long it holds; a negative number for one that has expired.
        """
        end = datetime.now(UTC) + timedelta(days=days)
        made = self._ca.issue_cert(host, not_before=end - timedelta(days=2), not_after=end)
        certificate, key = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        chain = b"".join(pem.bytes() for pem in made.cert_chain_pems)
        replace(key, made.private_key_pem.bytes())
        replace(certificate, chain)
        return certificate, key

    def context(self, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
        """For a client that trusts this authority, and may have a certificate."""
        made = ssl.create_default_context(cafile=str(self.authority))
        if certificate is not None:
            made.load_cert_chain(certificate, key)
        return made


def replace(path: Path, content: bytes) -> None:
    """Another content, there as a whole or not at all."""
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_bytes(content)
    draft.replace(path)


def tokens(directory: Path) -> Mapping[str, Path]:
    """Files of tokens: of senders, and of readers."""
    files = {"senders": directory / "tokens", "readers": directory / "scrape-tokens"}
    replace(files["senders"], f"{PROD_TOKEN} prod\n{DEV_TOKEN} dev,stage\n{ANY_TOKEN} *\n".encode())
    replace(files["readers"], f"{SCRAPE_TOKEN}\n".encode())
    return files


def collector_variables(keys: Keys, directory: Path, *, mutual: bool = False) -> dict[str, str]:
    """What a collector behind TLS and tokens is told; its files are made.

    Args:
        keys: Of its authority, also for the senders' certificates.
        directory: Where the files are.
        mutual: Whether it asks for certificates.
    """
    certificate, key = keys.issue("collector")
    files = tokens(directory)
    return {
        "OTELCOL_TLS_CERT": str(certificate),
        "OTELCOL_TLS_KEY": str(key),
        "OTELCOL_TLS_CLIENT_CA": str(keys.authority) if mutual else "",
        "OTELCOL_TLS_RELOAD": "100ms",
        "OTELCOL_TOKENS": str(files["senders"]),
        "OTELCOL_SCRAPE_TOKENS": str(files["readers"]),
    }
