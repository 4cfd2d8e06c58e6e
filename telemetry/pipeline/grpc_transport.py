"""One attempt to hand an export to a collector over gRPC, and what is known of it afterwards; keeps nothing.

The SDK's exporter is not used: it says only whether it succeeded, retries by itself, and keeps the certificates that it
was made with.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from telemetry import extras
from telemetry.pipeline import hints
from telemetry.pipeline.transport import ROUTE_HEADER, TAKEN, Answer, OtlpTransport, Outcome, partly
from telemetry.settings.destination import Destination, TokenError

if TYPE_CHECKING:
    import grpc
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

_METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
# Each export has a connection of its own: without the first, gRPC would take one that it has, with its certificates.
_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
_NEVER_CONNECTED = ("failed to connect to all addresses", "DNS resolution failed", "empty address list")
_TOO_LARGE = "larger than max"
_REFUSED_FOR_GOOD = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE"})
_NOT_TAKEN = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED", "INTERNAL"})


class GrpcTransport(OtlpTransport):
    """OTLP over gRPC, on a connection of its own for each export: certificates are those of now, no fork shares it.

    Args:
        destination: Where to.

    Raises:
        MissingExtraError: If there is no gRPC here, naming what to install.
    """

    def __init__(self, destination: Destination) -> None:
        with extras.needed("grpc", "OTEL_EXPORTER_OTLP_PROTOCOL='grpc'"):
            import grpc
        self._grpc = grpc
        self._destination = destination
        self._target = urlsplit(destination.address).netloc or destination.address
        self._channel: grpc.Channel | None = None

    def send_encoded(self, request: ExportMetricsServiceRequest, timeout: float, route: str = "") -> Answer:
        """The same for a request that says what the SDK's data classes cannot."""
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        timeout = min(timeout, self._destination.timeout)
        try:
            metadata = self._metadata(route)
            with suppress_instrumentation(), self._connected() as channel:
                return self._answered(_export(channel)(request, metadata=metadata, timeout=timeout))
        except TokenError as error:
            return Answer(Outcome.UNREACHABLE, str(error))
        except self._grpc.RpcError as error:
            return self._failed(error, timeout)
        except Exception as error:  # an unreadable file, a header that cannot be sent, a channel that was closed
            return Answer(Outcome.UNREACHABLE, f"it cannot be sent ({self._shown(error)})")
        finally:
            self._channel = None

    def close(self) -> None:
        """End a request that is under way."""
        channel = self._channel
        if channel is not None:
            channel.close()

    def _metadata(self, route: str) -> list[tuple[str, str]]:
        headers = self._destination.headers_now()
        return [*headers.items(), *([(ROUTE_HEADER.lower(), route)] if route else [])]

    def _connected(self) -> grpc.Channel:
        compressions = {"gzip": self._grpc.Compression.Gzip, "deflate": self._grpc.Compression.Deflate}
        compression = compressions.get(self._destination.compression, self._grpc.Compression.NoCompression)
        if self._destination.insecure:
            channel = self._grpc.insecure_channel(self._target, _OPTIONS, compression)
        else:
            channel = self._grpc.secure_channel(self._target, self._credentials(), _OPTIONS, compression)
        self._channel = channel
        return channel

    def _credentials(self) -> grpc.ChannelCredentials:
        of = self._destination
        files = (of.certificate, of.client_key, of.client_certificate)
        return self._grpc.ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files))

    def _answered(self, said: Any) -> Answer:
        reason = partly(said)
        return Answer(Outcome.TAKEN, reason) if reason else TAKEN

    def _failed(self, error: grpc.RpcError, timeout: float) -> Answer:
        code, details = error.code().name, self._shown(error.details() or "")
        if any(words in details for words in _NEVER_CONNECTED):
            last = details.rpartition("last error: ")[2]
            return Answer(Outcome.UNREACHABLE, f"no connection ({last}){hints.of_no_grpc(self._destination, last)}")
        if code == "DEADLINE_EXCEEDED":
            return Answer(Outcome.UNANSWERED, f"no answer within {timeout:.3g} s")
        reason = f"it answers {code}: {details}{hints.of_grpc(self._destination, code)}"
        if code in _REFUSED_FOR_GOOD or (code == "RESOURCE_EXHAUSTED" and _TOO_LARGE in details):
            return Answer(Outcome.REFUSED, reason)
        return Answer(Outcome.BUSY if code in _NOT_TAKEN else Outcome.UNANSWERED, reason)

    def _shown(self, said: object) -> str:
        return self._destination.without_secrets(str(said))[:300]


def _export(channel: grpc.Channel) -> Any:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
        ExportMetricsServiceResponse,
    )

    return channel.unary_unary(
        _METHOD, ExportMetricsServiceRequest.SerializeToString, ExportMetricsServiceResponse.FromString
    )
