"""Chooses OTLP over HTTP where gRPC would be spoken to the port on which collectors take HTTP.

The distro of ``opentelemetry-distro`` sets gRPC wherever the user sets no protocol, so his endpoint decides.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from urllib.parse import urlsplit

HTTP = "http/protobuf"
_HTTP_PORT = 4318
_GENERAL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_OF_METRICS = "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"

Environment = MutableMapping[str, str]


def choose(environment: Environment) -> None:
    """Set what the user leaves open, before another distro does."""
    if _value(environment, _GENERAL):
        return
    if _port(environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")) == _HTTP_PORT:
        environment[_GENERAL] = HTTP
    environment.setdefault(_OF_METRICS, HTTP)


def _value(environment: Environment, name: str) -> str:
    return environment.get(name, "").strip()


def _port(endpoint: str) -> int | None:
    try:
        return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None
