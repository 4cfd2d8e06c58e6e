"""Chooses OTLP over HTTP before the distro of ``opentelemetry-distro`` sets gRPC wherever the user sets no protocol.

What does not fit a port all the same is found where settings are read (``settings/destination.py``).
"""

from __future__ import annotations

from collections.abc import MutableMapping
from urllib.parse import urlsplit

from telemetry.settings.destination import GRPC_PORT, HTTP_PORT

HTTP = "http/protobuf"
_GENERAL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_OF_METRICS = "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"

Environment = MutableMapping[str, str]


def choose(environment: Environment) -> None:
    """Set what the user leaves open, before another distro does."""
    if _value(environment, _GENERAL):
        return
    endpoint = _value(environment, "OTEL_EXPORTER_OTLP_ENDPOINT")
    if _port(endpoint) == HTTP_PORT:
        environment[_GENERAL] = HTTP
    if _port(_value(environment, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") or endpoint) != GRPC_PORT:
        environment.setdefault(_OF_METRICS, HTTP)


def _value(environment: Environment, name: str) -> str:
    return environment.get(name, "").strip()


def _port(endpoint: str) -> int | None:
    try:
        return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None
