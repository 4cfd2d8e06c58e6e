"""gRPC is not spoken to the port where collectors take HTTP."""

from __future__ import annotations

import pytest

from telemetry.instrumentation.zero_code import protocol

GENERAL, OF_METRICS = "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"
ENDPOINT, METRICS_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
HTTP, GRPC = "http://collector:4318", "http://collector:4317"


@pytest.mark.parametrize(
    ("given", "general", "of_metrics"),
    [
        ({ENDPOINT: HTTP}, protocol.HTTP, protocol.HTTP),
        ({ENDPOINT: f"{HTTP}/"}, protocol.HTTP, protocol.HTTP),
        ({ENDPOINT: GRPC}, None, None),
        ({ENDPOINT: GRPC, METRICS_ENDPOINT: f"{HTTP}/v1/metrics"}, None, protocol.HTTP),
        ({ENDPOINT: HTTP, METRICS_ENDPOINT: GRPC}, protocol.HTTP, None),
        ({}, None, protocol.HTTP),
        ({OF_METRICS: "grpc"}, None, "grpc"),
        ({GENERAL: "grpc", ENDPOINT: GRPC}, "grpc", None),
    ],
)
def test_what_the_user_leaves_open_is_chosen(
    given: dict[str, str], general: str | None, of_metrics: str | None
) -> None:
    """Where no protocol is set, the port of the endpoint says which; what is set stays."""
    environment = dict(given)
    protocol.choose(environment)
    assert (environment.get(GENERAL), environment.get(OF_METRICS)) == (general, of_metrics)
