"""Certificates and tokens of a secure fleet: made once, by `fleet-certificates.sh`, and who is told which of them."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.settings import ROOT, FleetSettings
from telemetry.cli.web import NO_ACCESS, Access

_SCRIPT = ROOT / "deploy" / "fleet-certificates.sh"
_NAMES = ("DNS:otel-collector", "DNS:localhost", "IP:127.0.0.1")
_OF_COLLECTOR = {
    "collector.crt": "OTELCOL_TLS_CERT",
    "collector.key": "OTELCOL_TLS_KEY",
    "ca.crt": "OTELCOL_TLS_CLIENT_CA",
    "tokens": "OTELCOL_TOKENS",
    "scrape-tokens": "OTELCOL_SCRAPE_TOKENS",
}
_OF_SENDERS = {
    "ca.crt": "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "sender.crt": "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "sender.key": "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "token": "TELEMETRY_OTLP_TOKEN_FILE",
}


class CertificatesError(RuntimeError):
    """They cannot be made, or do not fit the fleet; the message is for people and says what to do."""


def make(settings: FleetSettings) -> None:
    """Make them where there are none: what is there stays, so that it can be renewed by hand.

    Raises:
        CertificatesError: If openssl is missing or refuses, or the token there is for other environments.
    """
    folder = settings.fleet_dir / "secrets"
    if not folder.exists():
        _make(folder, settings)
    tokens = settings.secrets_of("collector") / "tokens"
    if not _may_write(tokens.read_text(), settings.environment):
        raise CertificatesError(
            f"No token of {tokens} is for ENVIRONMENT={settings.environment}: add it to the line of a token, "
            f"or delete {folder}, which is made anew then."
        )


def _make(folder: Path, settings: FleetSettings) -> None:
    """There as a whole or not at all."""
    variables = {"ENVIRONMENT": settings.environment, "COLLECTOR_NAMES": _names(settings.otelcol_host)}
    with tempfile.TemporaryDirectory(dir=settings.fleet_dir) as draft:
        done = subprocess.run(
            [str(_SCRIPT)], cwd=draft, env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CertificatesError(f"SECURE=1 needs openssl, which says: {done.stderr.strip()}")
        (Path(draft) / "secrets").rename(folder)


def _names(host: str) -> str:
    kind = "IP" if re.fullmatch(r"[0-9.]+", host) else "DNS"
    return ",".join(dict.fromkeys((*_NAMES, f"{kind}:{host}")))


def _may_write(tokens: str, environment: str) -> bool:
    allowed = {name for line in tokens.splitlines() for name in line.partition(" ")[2].strip().split(",")}
    return bool(allowed & {environment, "*"})


def of_collector(settings: FleetSettings) -> dict[str, str]:
    """What the collector is told of its own; nothing where the fleet is not secure."""
    return _told(settings, "collector", _OF_COLLECTOR)


def of_senders(settings: FleetSettings) -> dict[str, str]:
    """What everybody who counts is told; nothing where the fleet is not secure."""
    return _told(settings, "sender", _OF_SENDERS)


def _told(settings: FleetSettings, role: str, variables: Mapping[str, str]) -> dict[str, str]:
    folder = settings.secrets_of(role)
    return {variable: str(folder / file) for file, variable in variables.items()} if settings.secure else {}


def of_readers(settings: FleetSettings) -> Access:
    """How the collector's pages are read."""
    if not settings.secure:
        return NO_ACCESS
    folder = settings.secrets_of("reader")
    return Access(*(str(folder / name) for name in ("ca.crt", "sender.crt", "sender.key", "scrape-token")))
