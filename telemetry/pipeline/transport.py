"""One attempt to hand an export to a collector, and what is known of it afterwards; it retries and keeps nothing.

The SDK's exporter is not used for HTTP: it hides whether a failed export may have been taken, sends it again by itself
when an answer is lost, and logs every attempt.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit, urlunsplit

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.util.re import parse_env_headers

from telemetry import extras
from telemetry.settings.settings import Settings

if TYPE_CHECKING:
    import requests

EMPTY = MetricsData(resource_metrics=[])

ROUTE_HEADER = "Telemetry-Sender-Id"

_DEFAULT_ENDPOINT = "http://localhost:4318"
_PATH = "/v1/metrics"
_REFUSED_FOR_GOOD = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
_IN_DOUBT = {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}  # a proxy that did not get the collector's answer
_MISTAKES = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}


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


class Transport(Protocol):
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


class HttpTransport:
    """OTLP over HTTP, on a connection of its own for each export.

    So a connection that cannot be made is known not to have delivered anything, no socket is shared over a fork, and
    exports spread over the collectors behind one address.
    """

    def __init__(self) -> None:
        import requests

        self._url = _endpoint()
        self._compress, encoding = _compression()
        self._headers = {"Content-Type": "application/x-protobuf", "Connection": "close", **encoding, **_headers()}
        self._verify = _variable("CERTIFICATE") or True
        certificate, key = _variable("CLIENT_CERTIFICATE"), _variable("CLIENT_KEY")
        self._session = requests.Session()
        self._session.cert = (certificate, key) if certificate and key else certificate or None

    def send(self, data: MetricsData, timeout: float, route: str = "") -> Answer:
        """Try once, for at most ``timeout`` seconds of silence; never raises."""
        from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        try:
            body = self._compress(encode_metrics(data).SerializeToString())
        except Exception as error:
            return Answer(Outcome.REFUSED, f"it cannot be encoded: {error!r}")
        try:
            with suppress_instrumentation():
                response = self._session.post(
                    self._url,
                    body,
                    headers={**self._headers, ROUTE_HEADER: route} if route else self._headers,
                    timeout=timeout,
                    allow_redirects=False,
                    verify=self._verify,  # the session's would give way to REQUESTS_CA_BUNDLE
                )
        except Exception as error:
            return _failed(error, timeout)
        finally:
            self._session.close()  # a server that does not announce its close would leave a dead connection in the pool
        return _answered(response)

    def close(self) -> None:
        """Release what is open."""
        self._session.close()


class SdkTransport:
    """An exporter of the SDK (OTLP over gRPC), which says only whether it succeeded.

    Args:
        exporter: Made by this process, never inherited from its parent.
    """

    def __init__(self, exporter: MetricExporter) -> None:
        self._exporter = exporter

    def send(self, data: MetricsData, timeout: float, route: str = "") -> Answer:
        """Try once; the exporter may try again by itself within ``timeout``. It has no header for a single export."""
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        try:
            with suppress_instrumentation():
                result = self._exporter.export(data, timeout_millis=timeout * 1000)
        except Exception as error:
            return Answer(Outcome.UNANSWERED, f"the exporter failed: {error!r}")
        return TAKEN if result is MetricExportResult.SUCCESS else Answer(Outcome.UNANSWERED, "the export failed")

    def close(self) -> None:
        """Release the channel and interrupt a retry that is waiting."""
        self._exporter.shutdown()


def _answered(response: requests.Response) -> Answer:
    status = response.status_code
    reason = f"it answers {status} {response.reason or ''}".rstrip()
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Answer(Outcome.TAKEN, _partly(response.content))
    if status in _REFUSED_FOR_GOOD:
        return Answer(Outcome.REFUSED, f"{reason}: {response.text[:200]}")
    if status in _MISTAKES:
        reason += " (check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS)"
    outcome = Outcome.UNANSWERED if status in _IN_DOUBT else Outcome.BUSY
    return Answer(outcome, reason, _retry_after(response.headers))


def _partly(body: bytes) -> str:
    """What a collector says that took an export but for some points; the protocol forbids to send those again."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

    try:
        partial = ExportMetricsServiceResponse.FromString(body).partial_success
    except Exception:
        return ""
    if not partial.rejected_data_points:
        return ""
    return f"it rejected {partial.rejected_data_points} data points: {partial.error_message[:200]}"


def _failed(error: Exception, timeout: float) -> Answer:
    import requests

    if _was_never_connected(error):
        return Answer(Outcome.UNREACHABLE, f"no connection ({_root(error)})")
    if isinstance(error, requests.Timeout):
        return Answer(Outcome.UNANSWERED, f"no answer within {timeout:.3g} s")
    return Answer(Outcome.UNANSWERED, f"no answer ({_root(error)})")


def _was_never_connected(error: Exception) -> bool:
    import requests
    import urllib3.exceptions

    if isinstance(error, requests.ConnectionError | ValueError):
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        kinds = requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError | ValueError
        return isinstance(error, kinds) or isinstance(reason, urllib3.exceptions.NewConnectionError)
    return False


def _root(error: BaseException) -> str:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    inner = error.__cause__ or error.__context__ or reason
    cause = getattr(inner, "__cause__", None) or getattr(reason, "__cause__", None)
    return str(cause or reason or error)[:200]


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After", 0)))
    except ValueError:
        return 0.0


def _variable(name: str) -> str:
    return (
        os.environ.get(f"OTEL_EXPORTER_OTLP_METRICS_{name}") or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") or ""
    ).strip()


def _endpoint() -> str:
    exact = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "").strip()
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or _DEFAULT_ENDPOINT
    return exact or base.rstrip("/") + _PATH


def _headers() -> Mapping[str, str]:
    return parse_env_headers(_variable("HEADERS"), liberal=True)


def _compression() -> tuple[Callable[[bytes], bytes], dict[str, str]]:
    match _variable("COMPRESSION").lower():
        case "gzip":
            return partial(gzip.compress, mtime=0), {"Content-Encoding": "gzip"}
        case "deflate":
            return zlib.compress, {"Content-Encoding": "deflate"}
    return lambda body: body, {}


def build_transport(settings: Settings) -> Transport:
    """The way to the collector by the chosen protocol; endpoint, headers and certificates come from ``OTEL_*``.

    Raises:
        MissingExtraError: Where ``grpc`` is asked for and its exporter is not installed, naming what to install.
    """
    if settings.protocol == "http/protobuf":
        return HttpTransport()
    with extras.needed("grpc", "OTEL_EXPORTER_OTLP_PROTOCOL='grpc'"):
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    return SdkTransport(OTLPMetricExporter())


LOCAL = "this host"


def target_of(settings: Settings) -> str:
    """Where counts go: who delivers to the same place delivers for the dead of others, with credentials of its own."""
    if settings.sink != "otlp":
        return LOCAL
    from hashlib import sha256  # which loads OpenSSL

    parts = urlsplit(_endpoint() if settings.protocol == "http/protobuf" else _variable("ENDPOINT"))
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    credentials = sha256(repr((parts.netloc, sorted(_headers().items()))).encode()).hexdigest()[:8]
    return f"{settings.protocol} {address} {credentials}"
