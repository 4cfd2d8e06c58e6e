"""What connections can do to whoever takes OTLP: a collector, or the gateway in front of some; it asserts how each is refused."""

from __future__ import annotations

import gzip
import random
import socket
import threading
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any, Protocol

import grpc
import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from deploy.settings import FleetSettings

TIMEOUT = 2
"""Seconds that a collector gives a request."""
MESSAGE_MIB, REQUESTS = 4, 16
MEMORY_MIB = 640
"""Above what `test_hostile_senders` allows: requests that wait have their room, too, over HTTP and over gRPC."""
DEPLOYED = {"GOMEMLIMIT": FleetSettings().gomemlimit}
"""As every deployment of `deploy/` sets it."""
SETTINGS = {
    **DEPLOYED,
    "OTELCOL_REQUEST_TIMEOUT": f"{TIMEOUT}s",
    "OTELCOL_GRPC_MESSAGE_MIB": str(MESSAGE_MIB),
    "OTELCOL_GRPC_REQUESTS": str(REQUESTS),
    "OTELCOL_WAITING_MIB": "32",
}
"""Of a collector that is attacked."""
EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
PROTOBUF = {"Content-Type": "application/x-protobuf"}
MIB = 1 << 20
SPEAK_HTTP = ("HTTP", "TOTALS", "LEVELS", "METRICS", "HEALTH")


class Attacked(Protocol):
    """Whoever takes OTLP.

    Attributes:
        ports: Its ports on this machine, by name; `HTTP` for OTLP over HTTP.
    """

    ports: Mapping[str, int]

    @property
    def endpoint(self) -> str:
        """Base address of OTLP over HTTP."""


def smallest_points(points: int) -> bytes:
    """An export that takes as much memory as one of its size can."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="points_total")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 1
    point = metric.sum.data_points.add(as_double=1)
    point.attributes.add(key="k").value.string_value = "x"
    metric.sum.data_points.extend([point] * (points - 1))
    return request.SerializeToString()


def zstd(window: int, blocks: int) -> bytes:
    """A frame of Zstandard made of blocks that each repeat one byte 128 KiB long, with this window descriptor."""
    block = (0b010 | (128 << 10) << 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + block * blocks + (0b011 | 1 << 3).to_bytes(3, "little") + b"\0"


BOMBS = {
    "gzip": (gzip.compress(bytes(100 * MIB)), 413, "max_request_body_size"),
    "deflate": (zlib.compress(bytes(100 * MIB)), 413, "max_request_body_size"),
    "zstd": (zstd(0x68, 4000), 400, "unsupported Content-Encoding"),
    "snappy": (b"\xff\xff\xff\xff\x0f" + bytes(100), 400, "exceeds max request body size"),
}


def bombs(at: Attacked, encoding: str) -> None:
    """A dozen small bodies that are huge uncompressed get a status of their own and a sentence, or have to wait: not all of them."""
    bomb, status, sentence = BOMBS[encoding]
    with ThreadPoolExecutor(8) as attackers:
        answers = list(attackers.map(lambda _: post(at, bomb, encoding), range(12)))
    refused = [answer for answer in answers if answer.status_code != 503]
    assert {answer.status_code for answer in refused} == {status}, {answer.text for answer in answers}
    assert all(sentence in answer.text for answer in refused)


def post(at: Attacked, body: bytes, encoding: str = "") -> httpx.Response:
    """Send a body as it is."""
    head = {**PROTOBUF, **({"Content-Encoding": encoding} if encoding else {})}
    with httpx.Client(verify=False, trust_env=False, timeout=60) as client:
        return client.post(f"{at.endpoint}/v1/metrics", content=body, headers=head)


def widest_window(at: Attacked) -> None:
    """Frames of Zstandard that ask for half a gigabyte, to hold a few bytes in: nobody is refused for them."""
    for _ in range(20):
        post(at, zstd(0x98, 1), "zstd")
    assert post(at, smallest_points(10)).status_code == 200


def small_and_many(at: Attacked) -> None:
    """Small compressed requests over HTTP, all at once, that are each hundreds of times their size when they are decoded."""
    body = gzip.compress(smallest_points(250_000), 1)
    with ThreadPoolExecutor(24) as attackers:
        statuses = {answer.status_code for answer in attackers.map(lambda _: post(at, body, "gzip"), range(14))}
    assert statuses <= {200, 503}


def small_and_many_by_grpc(at: Attacked) -> None:
    """Small compressed messages over gRPC, all at once, that are as large when they are decoded."""
    body = smallest_points(MESSAGE_MIB * MIB // 24)
    with channel_to(at) as channel, ThreadPoolExecutor(32) as attackers:
        codes = set(attackers.map(lambda _: export(channel, body, compressed=True)[0], range(24)))
    assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def channel_to(at: Attacked) -> grpc.Channel:
    """To its port for gRPC."""
    return grpc.insecure_channel(f"127.0.0.1:{at.ports['GRPC']}")


def export(channel: grpc.Channel, body: bytes, *, compressed: bool = False) -> tuple[grpc.StatusCode, str]:
    """Send a message as it is; the status and its sentence."""
    compression = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression
    try:
        channel.unary_unary(EXPORT)(body, timeout=30, compression=compression)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def slow_heads(at: Attacked) -> None:
    """Requests whose head never ends are cut off in time, on every port that speaks HTTP."""
    begin = b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nA: "
    with ExitStack() as open_ones:
        held = [connect(at, port, open_ones, begin) for port in _http(at) if port != "METRICS" for _ in range(50)]
        assert all(is_closed(each) for each in held)


def slow_bodies(at: Attacked) -> None:
    """Requests whose body never ends hold a part of what may wait, until they are cut off."""
    head = b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000000\r\n\r\n"
    with ExitStack() as open_ones:
        held = [connect(at, "HTTP", open_ones, head + bytes(1000)) for _ in range(200)]
        said = [each.recv(4096) for each in held]
    assert {line.split(b" ")[1] for line in said if line} <= {b"408"}
    assert any(b"timeout of fleet_admission" in line for line in said)


def connect(at: Attacked, port: str, open_ones: ExitStack, begin: bytes) -> socket.socket:
    """A connection on which this much is said."""
    made = open_ones.enter_context(socket.create_connection(("127.0.0.1", at.ports[port]), timeout=30))
    made.sendall(begin)
    return made


def _http(at: Attacked) -> list[str]:
    return [port for port in SPEAK_HTTP if port in at.ports]


def is_closed(connection: socket.socket) -> bool:
    """Whether it ends before its timeout, whatever is said until then."""
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def idle_connections(at: Attacked) -> None:
    """A thousand connections that say nothing."""
    with ExitStack() as open_ones:
        for _ in range(1000):
            connect(at, "HTTP", open_ones, b"")
        assert post(at, b"").status_code == 200


def long_heads(at: Attacked) -> None:
    """Headers and addresses of megabytes, and thousands of headers, are refused for what they are."""
    lines = [
        b"GET /metrics?" + b"a" * 2 * MIB + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 2 * MIB + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
        + b"".join(b"A%d: b\r\n" % number for number in range(200_000))
        + b"\r\n",
    ]
    for port in _http(at):
        for line in lines:
            assert answer_of(at, port, line) in {b"431", b"414", b""}


def answer_of(at: Attacked, port: str, request: bytes) -> bytes:
    """The status; nothing where the connection ended before it could be read."""
    with suppress(ConnectionError), ExitStack() as open_ones:
        made = connect(at, port, open_ones, request)
        return made.recv(100).split(b" ")[1]
    return b""


def garbage(at: Attacked) -> None:
    """Random bytes, another protocol's greeting, half a request: on every port."""
    draw = random.Random(1)
    greetings = [
        draw.randbytes(5000),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + draw.randbytes(900),
        b"\x16\x03\x01\x02\x00\x01",
    ]
    for port in at.ports:
        for greeting in greetings * 5:
            with suppress(ConnectionError), ExitStack() as open_ones:
                connect(at, port, open_ones, greeting)


def streams_without_end(at: Attacked) -> None:
    """Requests over gRPC that begin and send nothing have as many places as there are, and not for long."""
    over = threading.Event()

    def nothing() -> Iterator[bytes]:
        over.wait(20)
        yield from ()

    with ExitStack() as open_ones:
        channels = [open_ones.enter_context(channel_to(at)) for _ in range(3)]
        calls: list[Any] = [channel.stream_unary(EXPORT).future(nothing()) for channel in channels for _ in range(7)]
        codes = [call.exception(timeout=20).code() for call in calls]
        over.set()
    assert set(codes) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert codes.count(grpc.StatusCode.DEADLINE_EXCEEDED) >= REQUESTS
