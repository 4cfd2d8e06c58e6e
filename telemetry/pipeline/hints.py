"""What a failed attempt says of the settings: the variable that is probably wrong, and what to set it to."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from telemetry.pipeline import tls
from telemetry.settings import variables
from telemetry.settings.destination import GRPC_PORT, HTTP_PORT, PATH, Destination

_UNKNOWN_PLACE = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
UNKNOWN_SENDER = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def of_answer(destination: Destination, status: int, text: str) -> str:
    """To continue "it answers 404 Not Found"; nothing where the settings are not suspected."""
    if status in _UNKNOWN_PLACE:
        return f" ({_place(destination)})"
    if status in UNKNOWN_SENDER:
        return f" (check {_token(destination)}, and {_setting(destination)}={destination.address})"
    if status == HTTPStatus.BAD_REQUEST and "HTTPS server" in text:
        return f" (the collector speaks TLS: write {_setting(destination)} with https://)"
    return ""


def _place(destination: Destination) -> str:
    """The collector has nothing at this path."""
    setting = _setting(destination)
    if setting == variables.METRICS_ENDPOINT.name and not destination.url.endswith(PATH):
        return f"{setting}={destination.address} is used as it is: append {PATH}"
    return f"check {setting}: exports go to {destination.address}"


def of_no_connection(destination: Destination, said: str, *, is_tls: bool) -> str:
    """To continue "no connection (…)".

    Args:
        destination: Where to.
        said: The words of the library.
        is_tls: Whether it is known that TLS failed.
    """
    problem = tls.problem_of(said) or tls.TlsProblem.OTHER
    if is_tls:
        return f" ({_of_tls(destination, problem)})"
    if not destination.setting:
        return (
            f" (no collector at {destination.address}: start one, set {variables.ENDPOINT.name} to where one is, or "
            f"{variables.EXPORTERS.name}=none)"
        )
    return f" (check {_setting(destination)})"


def of_no_answer(destination: Destination, said: str) -> str:
    """To continue "no answer (…)"; what hangs up at once usually expects something else there."""
    if destination.url.startswith("https:") and tls.problem_of(said) is tls.TlsProblem.HUNG_UP:
        return f" ({_of_tls(destination, tls.TlsProblem.HUNG_UP)})"
    if urlsplit(destination.url).port == GRPC_PORT:
        return f" (port {GRPC_PORT} is that of gRPC: use port {HTTP_PORT} in {_setting(destination)})"
    return (
        f" (check {_setting(destination)}: {destination.address} may be for gRPC"
        + ("" if destination.url.startswith("https:") else " or TLS")
        + ")"
    )


def of_no_grpc(destination: Destination, said: str) -> str:
    """To continue "no connection (…)" over gRPC, whose words tell whether TLS failed."""
    problem = tls.problem_of(said)
    if destination.insecure and problem is tls.TlsProblem.HUNG_UP:
        return f" (check {_setting(destination)}: {destination.address} may want TLS, which is https://)"
    return of_no_connection(destination, said, is_tls=not destination.insecure and problem is not None)


def of_grpc(destination: Destination, code: str) -> str:
    """To continue "it answers UNAUTHENTICATED: …"."""
    if code in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
        return f" (check {_token(destination)}, and {_setting(destination)}={destination.address})"
    return f" (check {_setting(destination)}: {destination.address} has to speak gRPC)"


_OWN_CERTIFICATE = f"set {variables.CLIENT_CERTIFICATE.name} and {variables.CLIENT_KEY.name}"
_OF_TLS = {
    tls.TlsProblem.NO_TLS: "a collector without TLS needs {setting} with http://",
    tls.TlsProblem.EXPIRED: "the collector's certificate has expired: renew it there",
    tls.TlsProblem.NOT_YET: "the collector's certificate is not valid yet: check it, and the clock of this host",
    tls.TlsProblem.NAME: "the collector's certificate is for another name: have one made for {host}",
    tls.TlsProblem.OWN_MISSING: f"the collector wants a certificate of yours: {_OWN_CERTIFICATE}",
    tls.TlsProblem.OWN_EXPIRED: f"your certificate has expired: renew the file of {variables.CLIENT_CERTIFICATE.name}",
    tls.TlsProblem.OWN_UNKNOWN: f"the collector does not trust your certificate: {_OWN_CERTIFICATE} of its authority",
    tls.TlsProblem.AUTHORITY: "the collector's certificate is of an authority that is not trusted here: set "
    f"{variables.CERTIFICATE.name} to that authority's certificate",
    tls.TlsProblem.HUNG_UP: f"the collector hangs up: it may want a certificate that it trusts, {_OWN_CERTIFICATE}",
    tls.TlsProblem.OTHER: "a collector without TLS needs {setting} with http://, one with a certificate of its own "
    f"{variables.CERTIFICATE.name}",
}


def _of_tls(destination: Destination, problem: tls.TlsProblem) -> str:
    return _OF_TLS[problem].format(setting=_setting(destination), host=_host(destination))


def _host(destination: Destination) -> str:
    url = destination.address
    return urlsplit(url if "://" in url else f"//{url}").hostname or url


def _token(destination: Destination) -> str:
    return f"{variables.TOKEN_FILE.name}={destination.token_file}" if destination.token_file else variables.HEADERS.name


def _setting(destination: Destination) -> str:
    return destination.setting or variables.ENDPOINT.name
