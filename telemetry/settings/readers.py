"""Who may read the Prometheus endpoint of a host, as files say it; ``pipeline/access.py`` acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from telemetry.settings import variables
from telemetry.settings.reader import Reader


@dataclass(frozen=True)
class Readers:
    """Whoever reaches it, unless something is set here.

    Attributes:
        certificate: ``TELEMETRY_PROMETHEUS_TLS_CERTIFICATE``: PEM file of the endpoint's; with it there is TLS.
        key: ``TELEMETRY_PROMETHEUS_TLS_KEY``: of its private key; the certificate's file may have it.
        client_authority: ``TELEMETRY_PROMETHEUS_TLS_CLIENT_CA``: readers need a certificate of this authority.
        token_file: ``TELEMETRY_PROMETHEUS_TOKEN_FILE``: readers need one of the tokens in it.
    """

    certificate: Path | None = None
    key: Path | None = None
    client_authority: Path | None = None
    token_file: Path | None = None


EVERYBODY = Readers()


def read(reader: Reader) -> Readers:
    """Those that the environment names. A file that is missing is no wrong value: nobody is let in then."""
    return Readers(
        certificate=reader.read(variables.PROMETHEUS_CERTIFICATE),
        key=reader.read(variables.PROMETHEUS_KEY),
        client_authority=reader.read(variables.PROMETHEUS_CLIENT_CA),
        token_file=reader.read(variables.PROMETHEUS_TOKEN_FILE),
    )
