"""One attempt to hand an export to a collector, and what is known of it afterwards; it retries and keeps nothing.

The SDK's exporter is not used for HTTP: it hides whether a failed export may have been taken, sends it again by itself
when an answer is lost, and logs every attempt.
"""

from __future__ import annotations

import gzip
import json
import zlib
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface
from urllib.parse import urlsplit

from opentelemetry.sdk.metrics.export import MetricsData

from telemetry.pipeline import hints
from telemetry.settings.destination import Compression, Destination, Protocol, TokenError
from telemetry.settings.settings import Settings

if TYPE_CHECKING:
    import requests
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
        ExportMetricsServiceResponse,
    )

EMPTY = MetricsData(resource_metrics=[])

_IDS = frozenset(["traceId", "spanId"])
ROUTE_HEADER = "Telemetry-Sender-Id"

_REFUSED_FOR_GOOD = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
_IN_DOUBT = {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}  # a proxy that did not get the collector's answer


class Outcome(Enum):
    """What is known about an attempt."""

    TAKEN = auto()
    """The collector has it."""
    REFUSED = auto()
    """The collector does not have it and will never take it."""
    BUSY = auto()
    """The collector does not have it, but something answers there."""
    UNREACHABLE = auto()
    """The collector does not have it, and nobody listens there."""
    UNANSWERED = auto()
    """It was sent and no answer came: the collector may have it or not."""


@dataclass(frozen=True)
class Answer:
    """The end of one attempt.

    Attributes:
        outcome: What is known.
        reason: For the log.
        retry_after: Seconds the collector asks to wait.
    """

    outcome: Outcome
    reason: str = ""
    retry_after: float = 0.0


TAKEN = Answer(Outcome.TAKEN)


class Transport(Interface):
    """A way to a collector."""

    def send(self, data: MetricsData, timeout: float, route: str = "") -> Answer:
        """Try once, for at most ``timeout`` seconds of silence; never raises.

        Args:
            data: The export.
            timeout: Seconds.
            route: A balancer in front of several collectors keeps what has the same route with one of them.
        """

    def close(self) -> None:
        """Release what is open."""


class OtlpTransport(ABC):
    """A way by OTLP."""

    def send(self, data: MetricsData, timeout: float, route: str = "") -> Answer:
        """Try once, for at most ``timeout`` seconds of silence; never raises."""
        from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

        try:
            request = encode_metrics(data)
        except Exception as error:
            return Answer(Outcome.REFUSED, f"it cannot be encoded: {error!r}")
        return self.send_encoded(request, timeout, route)

    @abstractmethod
    def send_encoded(self, request: ExportMetricsServiceRequest, timeout: float, route: str = "") -> Answer:
        """The same for a request that says what the SDK's data classes cannot."""

    @abstractmethod
    def close(self) -> None:
        """Release what is open."""


class HttpTransport(OtlpTransport):
    """OTLP over HTTP, on a connection of its own for each export.

    So a connection that cannot be made is known not to have delivered anything, no socket is shared over a fork, and
    exports spread over the collectors behind one address.

    Args:
        destination: Where to.
    """

    def __init__(self, destination: Destination) -> None:
        import requests

        self._destination = destination
        self._encode, content_type = _ENCODINGS[destination.protocol]
        self._compress, encoding = _COMPRESSIONS[destination.compression]
        self._headers = {"Content-Type": content_type, "Connection": "close", **encoding}
        self._verify = destination.certificate or True
        certificate, key = destination.client_certificate, destination.client_key
        self._session = requests.Session()
        self._session.cert = (certificate, key) if certificate and key else certificate or None

    def send_encoded(self, request: ExportMetricsServiceRequest, timeout: float, route: str = "") -> Answer:
        """The same for a request that says what the SDK's data classes cannot."""
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        timeout = min(timeout, self._destination.timeout)
        try:
            body = self._compress(self._encode(request))
        except Exception as error:
            return Answer(Outcome.REFUSED, f"it cannot be encoded: {error!r}")
        try:
            headers = self._destination.headers_now()
        except TokenError as error:
            return Answer(Outcome.UNREACHABLE, str(error))
        try:
            with suppress_instrumentation():
                response = self._session.post(
                    self._destination.url,
                    body,
                    headers={**self._headers, **headers, **({ROUTE_HEADER: route} if route else {})},
                    timeout=timeout,
                    allow_redirects=False,
                    verify=self._verify,  # the session's would give way to REQUESTS_CA_BUNDLE
                )
        except Exception as error:
            return _failed(error, timeout, self._destination)
        finally:
            self._session.close()  # a server that does not announce its close would leave a dead connection in the pool
        return _answered(response, self._destination)

    def close(self) -> None:
        """Release what is open."""
        self._session.close()


def _answered(response: requests.Response, destination: Destination) -> Answer:
    status = response.status_code
    reason = f"it answers {status} {response.reason or ''}".rstrip()
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Answer(Outcome.TAKEN, _partly(response, destination))
    hint = hints.of_answer(destination, status, response.text[:200])
    if status in _REFUSED_FOR_GOOD:
        return Answer(Outcome.REFUSED, f"{reason}: {response.text[:200].strip()}{hint}")
    if status in hints.UNKNOWN_SENDER and (said := _said(response, destination)):
        reason += f": {said}"
    outcome = Outcome.UNANSWERED if status in _IN_DOUBT else Outcome.BUSY
    return Answer(outcome, reason + hint, _retry_after(response.headers))


def _partly(response: requests.Response, destination: Destination) -> str:
    """What a collector says that took an export but for some points; the protocol forbids to send those again."""
    from google.protobuf import json_format
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

    try:
        said = ExportMetricsServiceResponse()
        if destination.protocol == "http/json":
            json_format.Parse(response.content, said, ignore_unknown_fields=True)
        else:
            said.ParseFromString(response.content)
    except Exception:
        return ""
    return partly(said)


def partly(said: ExportMetricsServiceResponse) -> str:
    """What an answer says that took an export but for some points; empty where it took all of it."""
    partial = said.partial_success
    if not partial.rejected_data_points:
        return ""
    return f"it rejected {partial.rejected_data_points} data points: {partial.error_message[:200]}"


def _said(response: requests.Response, destination: Destination) -> str:
    """The words of a collector that refuses, which the protocol has as a ``google.rpc.Status``."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsPartialSuccess

    try:
        if destination.protocol == "http/json":
            message = str(response.json()["message"])
        else:  # it has the same fields as a status: a number, and a text
            message = str(ExportMetricsPartialSuccess.FromString(response.content).error_message)
    except Exception:  # a proxy's page
        return ""
    return destination.without_secrets(message)[:200]


def _failed(error: Exception, timeout: float, destination: Destination) -> Answer:
    import requests

    root = destination.without_secrets(_root(error))[:200]
    if _was_never_connected(error):
        hint = hints.of_no_connection(destination, root, is_tls=isinstance(error, requests.exceptions.SSLError))
        return Answer(Outcome.UNREACHABLE, f"no connection ({root}){hint}")
    if isinstance(error, requests.Timeout):
        return Answer(Outcome.UNANSWERED, f"no answer within {timeout:.3g} s")
    return Answer(Outcome.UNANSWERED, f"no answer ({root}){hints.of_no_answer(destination, root)}")


def _was_never_connected(error: Exception) -> bool:
    import requests
    import urllib3.exceptions

    if isinstance(error, requests.ConnectionError | ValueError):
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        if isinstance(reason, urllib3.exceptions.SSLError) and "EOF" in str(reason):
            return False  # it may also have come after the request
        kinds = requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError | ValueError
        return isinstance(error, kinds) or isinstance(reason, urllib3.exceptions.NewConnectionError)
    return False


def _root(error: BaseException) -> str:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    inner = error.__cause__ or error.__context__ or reason
    cause = getattr(inner, "__cause__", None) or getattr(reason, "__cause__", None)
    return str(cause or reason or error)


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After", 0)))
    except ValueError:
        return 0.0


def _protobuf(request: ExportMetricsServiceRequest) -> bytes:
    return bytes(request.SerializeToString())


def _json(request: ExportMetricsServiceRequest) -> bytes:
    """As OTLP has it: enumerations are numbers, names in camel case, 64-bit integers texts, ids in hexadecimal."""
    from google.protobuf import json_format

    said = json_format.MessageToDict(request, use_integers_for_enums=True)
    for exemplar in _exemplars(said):
        for name in _IDS & exemplar.keys():
            exemplar[name] = b64decode(exemplar[name]).hex()
    return json.dumps(said).encode()


def _exemplars(said: Any) -> Iterator[dict[str, Any]]:
    """Those of histograms, which are the only metrics here that have any."""
    for of_resource in said.get("resourceMetrics", ()):
        for of_scope in of_resource.get("scopeMetrics", ()):
            for metric in of_scope.get("metrics", ()):
                for kind in ("histogram", "exponentialHistogram"):
                    for point in metric.get(kind, {}).get("dataPoints", ()):
                        yield from point.get("exemplars", ())


def _plain(body: bytes) -> bytes:
    return body


_ENCODINGS: Mapping[Protocol, tuple[Callable[[ExportMetricsServiceRequest], bytes], str]] = {
    "http/protobuf": (_protobuf, "application/x-protobuf"),
    "http/json": (_json, "application/json"),
}
_COMPRESSIONS: Mapping[Compression, tuple[Callable[[bytes], bytes], Mapping[str, str]]] = {
    "none": (_plain, {}),
    "gzip": (partial(gzip.compress, mtime=0), {"Content-Encoding": "gzip"}),
    "deflate": (zlib.compress, {"Content-Encoding": "deflate"}),
}


def build_transport(destination: Destination) -> OtlpTransport:
    """The way to the collector by the chosen protocol.

    Raises:
        MissingExtraError: Where ``grpc`` is asked for and its exporter is not installed, naming what to install.
    """
    if destination.protocol != "grpc":
        return HttpTransport(destination)
    from telemetry.pipeline.grpc_transport import GrpcTransport

    return GrpcTransport(destination)


LOCAL = "this host"


def is_same_place(target: str, other: str) -> bool:
    """Whether two targets are one address, with whatever credentials."""
    return target.rpartition(" ")[0] == other.rpartition(" ")[0] != ""


def target_of(settings: Settings) -> str:
    """Where counts go: who delivers to the same place delivers for the dead of others, with credentials of its own."""
    if "otlp" not in settings.exporters:
        return LOCAL
    from hashlib import sha256  # which loads OpenSSL

    destination = settings.destination
    parts = urlsplit(destination.url)
    secret: tuple[object, ...] = (
        parts.netloc + (f"?{parts.query}" if parts.query else ""),
        sorted(destination.headers.items()),
    )
    if destination.token_file:
        secret += (str(destination.token_file),)  # and not the token, which is another one tomorrow
    return f"{destination.protocol} {destination.address} {sha256(repr(secret).encode()).hexdigest()[:8]}"
