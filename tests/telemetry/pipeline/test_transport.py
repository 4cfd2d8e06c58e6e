"""What is known after one attempt, over real sockets."""

from __future__ import annotations

import gzip
import logging
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.sdk.metrics.export import MetricsData

from support.ports import closed_url
from telemetry import Settings
from telemetry.extras import MissingExtraError
from telemetry.pipeline.transport import (
    EMPTY,
    LOCAL,
    HttpTransport,
    Outcome,
    build_transport,
    target_of,
)
from telemetry.settings import destination
from telemetry.settings.destination import Destination
from tests.support.otlp_sink import OtlpSink
from tests.telemetry.pipeline.fakes import Exporting


@contextmanager
def raw_server(answer: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A server that keeps what it got and answers these bytes, or closes the connection without any."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    got.append(_request(connection))
                    if answer is not None:
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", got
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def _request(connection: socket.socket) -> bytes:
    """Head and body of one request."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(next(row.split(b":")[1] for row in head.split(b"\r\n") if row.lower().startswith(b"content-length")))
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def _http(endpoint: str, monkeypatch: pytest.MonkeyPatch, **more: str) -> HttpTransport:
    for name, value in {"ENDPOINT": endpoint, **more}.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    return HttpTransport(Destination.from_environment())


def _data() -> MetricsData:
    process = Exporting()
    process.message()
    process.export()
    return process.transport.sent[0]


def test_export_is_taken(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that answers 200 has the counts."""
    assert _http(sink.url, monkeypatch).send(_data(), 5).outcome is Outcome.TAKEN
    assert sink.total("messages_sent_total") == 1


@pytest.mark.parametrize("status", [429, 500, 503, 401, 403, 404, 405, 301])
def test_refusal_keeps_the_data(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """Any refusal that is not about the data means: not taken, try again; a wrong address or key is named as one."""
    sink.status = status
    answer = _http(sink.url, monkeypatch).send(_data(), 5)
    assert answer.outcome is Outcome.BUSY
    assert str(status) in answer.reason
    assert ("OTEL_EXPORTER_OTLP_ENDPOINT" in answer.reason) is (status in {401, 403, 404, 405})


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refused_data_is_known(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A refusal that is about the data is told apart."""
    sink.status = status
    assert _http(sink.url, monkeypatch).send(_data(), 5).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    "endpoint",
    [closed_url(), "http://no-such-host.invalid:4318", "nonsense:0"],
    ids=["closed port", "unknown host", "no address"],
)
def test_no_connection_took_nothing(endpoint: str) -> None:
    """A port nobody listens on, a name nobody knows and an address that is none: surely not delivered, never raised."""
    answer = HttpTransport(Destination(endpoint)).send(_data(), 2)
    assert answer.outcome is Outcome.UNREACHABLE
    assert answer.reason


def test_plain_server_is_no_tls_server(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TLS handshake that fails has delivered nothing."""
    answer = _http(sink.url.replace("http:", "https:"), monkeypatch).send(_data(), 2)
    assert answer.outcome is Outcome.UNREACHABLE


def test_hanging_collector_is_left_in_time(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that does not answer is given up after the timeout, and it is not known whether it has the data."""
    sink.hang_seconds = 3.0
    started = time.monotonic()
    answer = _http(sink.url, monkeypatch).send(_data(), 0.3)
    assert time.monotonic() - started < 2.5
    assert answer.outcome is Outcome.UNANSWERED


def test_lost_answer_is_known(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that ends without an answer is not a refusal."""
    sink.loses_answers = True
    assert _http(sink.url, monkeypatch).send(_data(), 5).outcome is Outcome.UNANSWERED
    assert sink.requests == 1


@pytest.mark.parametrize("status", [502, 504])
def test_proxy_does_not_know(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A proxy that got no answer from the collector behind it does not know whether that has the data."""
    sink.status = status
    assert _http(sink.url, monkeypatch).send(_data(), 5).outcome is Outcome.UNANSWERED


def test_nothing_is_sent_twice(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call is one request, whatever comes of it; the delivery decides about another."""
    transport = _http(sink.url, monkeypatch)
    for status in (200, 503, 400):
        sink.status = status
        transport.send(_data(), 5)
    assert sink.requests == 3


def test_no_connection_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may close an idle connection unannounced; an export sent on it would be lost or count twice."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = _http(f"http://127.0.0.1:{server.getsockname()[1]}", monkeypatch)
        kept_open: list[socket.socket] = []

        def serve() -> None:
            for _ in range(2):
                connection, _address = server.accept()
                kept_open.append(connection)
                _request(connection)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert [transport.send(_data(), 5).outcome for _ in range(2)] == [Outcome.TAKEN] * 2
        thread.join(5)
    assert len(kept_open) == 2
    for connection in kept_open:
        connection.close()


def test_retry_after_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a collector asks to wait is passed on; a date or nonsense is not waited for."""
    for value, seconds in (("7", 7.0), ("-1", 0.0), ("tomorrow", 0.0)):
        answer = f"HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
        with raw_server(answer.encode()) as (url, _):
            assert _http(url, monkeypatch).send(_data(), 5).retry_after == seconds


def test_partial_success_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that took an export but for some points is believed, with its words."""
    response = ExportMetricsServiceResponse()
    response.partial_success.rejected_data_points = 3
    response.partial_success.error_message = "too old"
    body = response.SerializeToString()
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)) as (url, _):
        answer = _http(url, monkeypatch).send(_data(), 5)
    assert answer.outcome is Outcome.TAKEN
    assert answer.reason == "it rejected 3 data points: too old"


@pytest.mark.parametrize(("name", "expand"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_standard_variables_are_honoured(monkeypatch: pytest.MonkeyPatch, name: str, expand: object) -> None:
    """Headers, compression and the exact metrics address are those of `OTEL_EXPORTER_OTLP_*`."""
    assert callable(expand)
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (url, got):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{url}/tenant/metrics")
        transport = _http("http://unused", monkeypatch, HEADERS="Authorization=Basic%20abc", COMPRESSION=name)
        assert transport.send(_data(), 5).outcome is Outcome.TAKEN
    head, _, body = got[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /tenant/metrics ")
    assert b"authorization: Basic abc" in head
    assert b"messages_sent_total" in expand(body)


def test_route_is_in_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """A balancer keeps exports of one route with one collector by a header; without a route there is none."""
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (url, got):
        transport = _http(url, monkeypatch)
        transport.send(_data(), 5, "0a1b")
        transport.send(EMPTY, 5)
    assert b"telemetry-sender-id: 0a1b" in got[0].lower()
    assert b"telemetry-sender-id" not in got[1].lower()


def test_compressed_repeats_are_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeat is byte for byte what was sent before, also where it is compressed and a second has passed."""
    data = _data()
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (url, got):
        transport = _http(url, monkeypatch, COMPRESSION="gzip")
        for now in (1_000_000.0, 2_000_000.0):
            monkeypatch.setattr(time, "time", lambda now=now: now)
            transport.send(data, 5)
    assert len({request.partition(b"\r\n\r\n")[2] for request in got}) == 1


def test_own_certificate_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate for exports is not overruled by the one that the environment names for all of `requests`."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/for/everything/else.pem")
    transport = HttpTransport(Destination("https://127.0.0.1:1", certificate="/for/exports.pem"))
    verified = []

    def send(self: object, request: object, **named: object) -> None:
        verified.append(named["verify"])
        raise OSError("far enough")

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
    transport.send(EMPTY, 1)
    assert verified == ["/for/exports.pem"]


def test_target_tells_collectors_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where counts go is told apart by address, protocol and credentials, none of which it shows."""
    targets = set()
    for endpoint, headers in (
        ("http://one:4318", ""),
        ("http://two:4318", ""),
        ("http://one:4318", "api-key=secret"),
        ("http://user:secret@one:4318", ""),
        ("http://one:4318?key=secret", ""),
    ):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
        settings = Settings(exporters=("otlp",))
        destination = replace(settings.destination, protocol="grpc")
        targets |= {target_of(settings), target_of(replace(settings, destination=destination))}
    assert len(targets) == 10
    assert not any("secret" in target for target in targets)
    assert target_of(Settings(exporters=("prometheus",))) == LOCAL


def test_own_requests_are_not_traced(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Auto-instrumentors do not see the export, which would measure itself."""
    from opentelemetry.instrumentation.utils import is_instrumentation_enabled

    seen = []
    transport = _http(sink.url, monkeypatch)
    post = transport._session.post
    monkeypatch.setattr(
        transport._session, "post", lambda *a, **k: (seen.append(is_instrumentation_enabled()), post(*a, **k))[1]
    )
    transport.send(EMPTY, 5)
    assert seen == [False]


def test_failures_do_not_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The transport says what happened to its caller, not to the log."""
    caplog.set_level(logging.INFO)
    _http(closed_url(), monkeypatch).send(_data(), 1)
    assert caplog.records == []


def test_missing_grpc_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC without its package names the setting and the extra."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtraError, match=r"OTEL_EXPORTER_OTLP_PROTOCOL='grpc' .* 'fleet-telemetry\[grpc\]'"):
        build_transport(Destination(protocol="grpc"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 48\r\n\r\nClient sent an HTTP request to an HTTPS server.\r\n",
            "https://",
        ),
        (None, "may be for gRPC or TLS"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "check OTEL_EXPORTER_OTLP_HEADERS"),
    ],
    ids=["TLS", "hangs up", "forbidden"],
)
def test_failure_names_the_variable(monkeypatch: pytest.MonkeyPatch, answer: bytes | None, said: str) -> None:
    """What an answer tells of a wrong setting is said with the variable; credentials are not."""
    with raw_server(answer) as (url, _):
        reason = _http(url.replace("//", "//me:secret@"), monkeypatch).send(EMPTY, 2).reason
    assert said in reason
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in reason
    assert "secret" not in reason


@pytest.mark.parametrize(
    "destination",
    [
        Destination("http://me:secret@a\ud800b/v1/metrics"),
        Destination(f"{closed_url()}/v1/metrics?key=secret"),
        Destination(f"{closed_url()}/v1/metrics", headers={"api-key": " secret"}),
    ],
    ids=["credentials", "key", "header"],
)
def test_failure_shows_no_secret(destination: Destination) -> None:
    """What libraries say of a request that cannot be sent quotes neither the address as it is, nor a header."""
    answer = HttpTransport(destination).send(EMPTY, 2)
    assert answer.outcome is Outcome.UNREACHABLE
    assert "secret" not in answer.reason


def test_failure_to_connect_names_the_variable(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS where there is none, and no collector where none is named, are told apart from an address that is wrong."""
    assert "with http://" in _http(sink.url.replace("http:", "https:"), monkeypatch).send(EMPTY, 2).reason
    assert "(check OTEL_EXPORTER_OTLP_ENDPOINT)" in _http(closed_url(), monkeypatch).send(EMPTY, 2).reason
    nowhere = HttpTransport(Destination(f"{closed_url()}/v1/metrics")).send(EMPTY, 2).reason
    assert "OTEL_METRICS_EXPORTER=none" in nowhere


@pytest.mark.parametrize(
    ("env", "protocol", "url", "said"),
    [
        (
            {"PROTOCOL": "grpc", "ENDPOINT": "http://c:4318"},
            "http/protobuf",
            "http://c:4318/v1/metrics",
            "does not fit",
        ),
        (
            {"PROTOCOL": "grpc", "METRICS_ENDPOINT": "http://c:4318"},
            "http/protobuf",
            "http://c:4318/v1/metrics",
            "does not fit",
        ),
        ({"ENDPOINT": "http://c:4317"}, "grpc", "http://c:4317", "use port 4318"),
        (
            {"PROTOCOL": "http/protobuf", "ENDPOINT": "http://c:4317"},
            "http/protobuf",
            "http://c:4317/v1/metrics",
            "4318",
        ),
        ({"PROTOCOL": "grpc"}, "grpc", "http://localhost:4317", ""),
        ({"PROTOCOL": "grpc", "ENDPOINT": "c:4317"}, "grpc", "c:4317", ""),
    ],
)
def test_protocol_fits_the_port(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], protocol: str, url: str, said: str
) -> None:
    """A protocol at the other one's port is named, and repaired where only one thing can be meant."""
    monkeypatch.setattr(destination, "_has_grpc", lambda: True)
    settings = Settings.from_environment(env={f"OTEL_EXPORTER_OTLP_{name}": value for name, value in env.items()})
    assert (settings.destination.protocol, settings.destination.url) == (protocol, url)
    assert [said in str(problem) for problem in settings.problems] == [True] * bool(said)
