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
        ({ENDPOINT: GRPC}, None, protocol.HTTP),
        ({}, None, protocol.HTTP),
        ({OF_METRICS: "grpc"}, None, "grpc"),
        ({GENERAL: "grpc", ENDPOINT: GRPC}, "grpc", None),
    ],
)
def test_what_the_user_leaves_open_is_chosen(
    given: dict[str, str], general: str | None, of_metrics: str | None
) -> None:
    """Where no protocol is set, the endpoint says which; what is set stays."""
    environment = dict(given)
    protocol.choose(environment)
    assert (environment.get(GENERAL), environment.get(OF_METRICS)) == (general, of_metrics)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({GENERAL: "grpc", ENDPOINT: HTTP}, GENERAL),
        ({GENERAL: "grpc", ENDPOINT: "collector:4318"}, GENERAL),
        ({GENERAL: "grpc", ENDPOINT: GRPC, METRICS_ENDPOINT: f"{HTTP}/v1/metrics"}, GENERAL),
        ({OF_METRICS: "grpc", ENDPOINT: HTTP}, OF_METRICS),
    ],
)
def test_a_mistake_is_corrected_and_named(given: dict[str, str], named: str) -> None:
    """gRPC to port 4318 becomes HTTP for metrics, and a sentence names variable, endpoint and remedy."""
    environment = dict(given)
    said = protocol.correct(environment)
    assert environment[OF_METRICS] == protocol.HTTP
    assert f"{named}='grpc'" in said
    assert "4318" in said
    assert f"set {named}={protocol.HTTP}" in said


@pytest.mark.parametrize(
    "given",
    [
        {GENERAL: "grpc", ENDPOINT: GRPC},
        {GENERAL: "http/protobuf", ENDPOINT: HTTP},
        {GENERAL: "grpc"},
        {GENERAL: "grpc", ENDPOINT: "http://[broken:4318"},
        {OF_METRICS: "http/protobuf", GENERAL: "grpc", ENDPOINT: HTTP},
    ],
)
def test_what_fits_stays(given: dict[str, str]) -> None:
    """Nothing is said or changed where protocol and port may fit."""
    environment = dict(given)
    assert protocol.correct(environment) == ""
    assert environment == given


def test_credentials_are_not_said() -> None:
    """A password in the endpoint stays out of the log."""
    said = protocol.correct({GENERAL: "grpc", ENDPOINT: "http://user:secret@collector:4318"})
    assert "collector:4318" in said
    assert "secret" not in said
