"""What a failed attempt says of the settings: the variable that is probably wrong, and what to set it to."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from telemetry.settings import variables
from telemetry.settings.destination import GRPC_PORT, HTTP_PORT, PATH, Destination

_UNKNOWN_PLACE = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
_UNKNOWN_SENDER = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


def of_answer(destination: Destination, status: int, text: str) -> str:
    """To continue "it answers 404 Not Found"; nothing where the settings are not suspected."""
    if status in _UNKNOWN_PLACE:
        return f" ({_place(destination)})"
    if status in _UNKNOWN_SENDER:
        return f" (check {variables.HEADERS.name}, and {_setting(destination)}={destination.address})"
    if status == HTTPStatus.BAD_REQUEST and "HTTPS server" in text:
        return f" (the collector speaks TLS: write {_setting(destination)} with https://)"
    return ""


def _place(destination: Destination) -> str:
    """The collector has nothing at this path."""
    setting = _setting(destination)
    if setting == variables.METRICS_ENDPOINT.name and not destination.url.endswith(PATH):
        return f"{setting}={destination.address} is used as it is: append {PATH}"
    return f"check {setting}: exports go to {destination.address}"


def of_no_connection(destination: Destination, *, is_tls: bool) -> str:
    """To continue "no connection (…)"."""
    if is_tls:
        return (
            f" (a collector without TLS needs {_setting(destination)} with http://, one with a certificate of its own "
            f"{variables.CERTIFICATE.name})"
        )
    if not destination.setting:
        return (
            f" (no collector at {destination.address}: start one, set {variables.ENDPOINT.name} to where one is, or "
            f"{variables.EXPORTERS.name}=none)"
        )
    return f" (check {_setting(destination)})"


def of_no_answer(destination: Destination) -> str:
    """To continue "no answer (…)"; what hangs up at once usually expects something else there."""
    if urlsplit(destination.url).port == GRPC_PORT:
        return f" (port {GRPC_PORT} is that of gRPC: use port {HTTP_PORT} in {_setting(destination)})"
    return (
        f" (check {_setting(destination)}: {destination.address} may be for gRPC"
        + ("" if destination.url.startswith("https:") else " or TLS")
        + ")"
    )


def of_grpc(destination: Destination) -> str:
    """To continue "the export failed"; the exporter has said why."""
    return f" (check {_setting(destination)}: {destination.address} has to speak gRPC)"


def _setting(destination: Destination) -> str:
    return destination.setting or variables.ENDPOINT.name
