"""Who may read the Prometheus endpoint of a host, and how many at once; ``pipeline/access.py`` acts on the files."""

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
        connections: ``TELEMETRY_PROMETHEUS_CONNECTIONS``: how many there are at once.
        yield_after: ``TELEMETRY_PROMETHEUS_YIELD_AFTER``: seconds until one is cut off for another, where there are as
            many as may be.
        idle_timeout: ``TELEMETRY_PROMETHEUS_IDLE_TIMEOUT``: seconds for which one may say nothing.
    """

    certificate: Path | None = None
    key: Path | None = None
    client_authority: Path | None = None
    token_file: Path | None = None
    connections: int = variables.PROMETHEUS_CONNECTIONS.default
    yield_after: float = variables.PROMETHEUS_YIELD_AFTER.default
    idle_timeout: float = variables.PROMETHEUS_IDLE_TIMEOUT.default


EVERYBODY = Readers()


def read(reader: Reader) -> Readers:
    """Those that the environment names. A file that is missing is no wrong value: nobody is let in then."""
    return Readers(
        certificate=reader.read(variables.PROMETHEUS_CERTIFICATE),
        key=reader.read(variables.PROMETHEUS_KEY),
        client_authority=reader.read(variables.PROMETHEUS_CLIENT_CA),
        token_file=reader.read(variables.PROMETHEUS_TOKEN_FILE),
        connections=reader.read(variables.PROMETHEUS_CONNECTIONS),
        yield_after=reader.read(variables.PROMETHEUS_YIELD_AFTER),
        idle_timeout=reader.read(variables.PROMETHEUS_IDLE_TIMEOUT),
    )
