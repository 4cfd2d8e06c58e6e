"""Connections that mean harm to a collector: bombs, slow ones, floods, garbage. Honest counts stay exact, limits answer clearly."""

from __future__ import annotations

import gzip
import json
import os
import random
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from support import web
from support.collector import DURABLE, Collector, running
from support.waiting import eventually
from tests.support.honest import honest_fleet
from tests.support.sender import Sender

MEMORY_MIB = 640
"""Above what `test_hostile_senders` allows: requests that wait have their room, too, over HTTP and over gRPC."""
TIMEOUT = 2
MESSAGE_MIB, REQUESTS = 4, 16
EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
PROTOBUF = {"Content-Type": "application/x-protobuf"}
MIB = 1 << 20


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """One collector for all attacks, which gives a request two seconds."""
    settings = {
        "OTELCOL_REQUEST_TIMEOUT": f"{TIMEOUT}s",
        "OTELCOL_GRPC_MESSAGE_MIB": str(MESSAGE_MIB),
        "OTELCOL_GRPC_REQUESTS": str(REQUESTS),
        "OTELCOL_WAITING_MIB": "32",
    }
    with running(DURABLE, settings) as made:
        yield made


def _smallest_points(points: int) -> bytes:
    """An export that takes as much memory as one of its size can."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="points_total")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 1
    point = metric.sum.data_points.add(as_double=1)
    point.attributes.add(key="k").value.string_value = "x"
    metric.sum.data_points.extend([point] * (points - 1))
    return request.SerializeToString()


def _zstd(window: int, blocks: int) -> bytes:
    """A frame of Zstandard made of blocks that each repeat one byte 128 KiB long, with this window descriptor."""
    block = (0b010 | (128 << 10) << 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + block * blocks + (0b011 | 1 << 3).to_bytes(3, "little") + b"\0"


BOMBS = {
    "gzip": (gzip.compress(bytes(100 * MIB)), 413, "max_request_body_size"),
    "deflate": (zlib.compress(bytes(100 * MIB)), 413, "max_request_body_size"),
    "zstd": (_zstd(0x68, 4000), 400, "unsupported Content-Encoding"),
    "snappy": (b"\xff\xff\xff\xff\x0f" + bytes(100), 400, "exceeds max request body size"),
}


@pytest.mark.parametrize("encoding", BOMBS)
def test_bombs_are_refused(encoding: str, collector: Collector) -> None:
    """A small body that is huge uncompressed gets a status of its own and a sentence, or has to wait, however often it comes."""
    bomb, status, sentence = BOMBS[encoding]
    with honest_fleet(collector) as counted, ThreadPoolExecutor(8) as attackers:
        answers = list(attackers.map(lambda _: _post(collector, bomb, encoding), range(12)))
    refused = [answer for answer in answers if answer.status_code != 503]
    assert refused
    assert {answer.status_code for answer in refused} == {status}
    assert all(sentence in answer.text for answer in refused)
    _assert_unharmed(collector)
    _note(f"Small bodies of 100 MiB and more by {encoding}", collector, 2 * sum(counted))


def _note(attack: str, collector: Collector, exports: int) -> None:
    """A row of the page, where that is asked for: every count was there, or the test would have ended before."""
    if rows := os.environ.get("SECURITY_ROWS"):
        found = Path(rows)
        known = json.loads(found.read_text()) if found.exists() else []
        row = {"attack": attack, "peak_mib": collector.peak_memory(), "exports": exports, "wrong": 0}
        found.write_text(json.dumps([*known, row], indent=1) + "\n")


def _post(collector: Collector, body: bytes, encoding: str = "") -> httpx.Response:
    head = {**PROTOBUF, **({"Content-Encoding": encoding} if encoding else {})}
    with httpx.Client(verify=False, trust_env=False, timeout=60) as client:
        return client.post(f"{collector.endpoint}/v1/metrics", content=body, headers=head)


def _assert_unharmed(collector: Collector) -> None:
    assert web.is_ok(f"http://127.0.0.1:{collector.ports['HEALTH']}/")
    assert collector.peak_memory() < MEMORY_MIB


def widest_window(collector: Collector) -> None:
    """Frames of Zstandard that ask for half a gigabyte, to hold a few bytes in: nobody is refused for them."""
    for _ in range(20):
        _post(collector, _zstd(0x98, 1), "zstd")
    assert _post(collector, _smallest_points(10)).status_code == 200


def small_and_many(collector: Collector) -> None:
    """Small compressed requests over HTTP, all at once, that are each hundreds of times their size when they are decoded."""
    body = gzip.compress(_smallest_points(250_000), 1)
    with ThreadPoolExecutor(24) as attackers:
        statuses = {answer.status_code for answer in attackers.map(lambda _: _post(collector, body, "gzip"), range(14))}
    assert statuses <= {200, 503}


def small_and_many_by_grpc(collector: Collector) -> None:
    """Small compressed messages over gRPC, all at once, that are as large when they are decoded."""
    body = _smallest_points(MESSAGE_MIB * MIB // 24)
    with _channel(collector) as channel, ThreadPoolExecutor(32) as attackers:
        codes = set(attackers.map(lambda _: _export(channel, body, compressed=True)[0], range(24)))
    assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def _channel(collector: Collector) -> grpc.Channel:
    return grpc.insecure_channel(f"127.0.0.1:{collector.ports['GRPC']}")


def _export(channel: grpc.Channel, body: bytes, *, compressed: bool = False) -> tuple[grpc.StatusCode, str]:
    compression = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression
    try:
        channel.unary_unary(EXPORT)(body, timeout=30, compression=compression)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def slow_heads(collector: Collector) -> None:
    """Requests whose head never ends are cut off in time, on every port that speaks HTTP."""
    ports = ("HTTP", "TOTALS", "LEVELS", "HEALTH")
    with ExitStack() as open_ones:
        held = [
            _connect(collector, port, open_ones, b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nA: ") for port in ports * 50
        ]
        assert eventually(lambda: _is_closed(held[0]), TIMEOUT + 10)


def slow_bodies(collector: Collector) -> None:
    """Requests whose body never ends hold a part of what may wait, until they are cut off."""
    head = b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000000\r\n\r\n"
    with ExitStack() as open_ones:
        held = [_connect(collector, "HTTP", open_ones, head + bytes(1000)) for _ in range(200)]
        said = [each.recv(4096) for each in held]
    assert {line.split(b" ")[1] for line in said if line} <= {b"408"}
    assert any(b"timeout of fleet_admission" in line for line in said)


def _connect(collector: Collector, port: str, open_ones: ExitStack, begin: bytes) -> socket.socket:
    made = open_ones.enter_context(socket.create_connection(("127.0.0.1", collector.ports[port]), timeout=30))
    made.sendall(begin)
    return made


def _is_closed(connection: socket.socket) -> bool:
    with suppress(ConnectionError):
        return connection.recv(65536) == b""
    return True


def idle_connections(collector: Collector) -> None:
    """A thousand connections that say nothing."""
    with ExitStack() as open_ones:
        for _ in range(1000):
            _connect(collector, "HTTP", open_ones, b"")
        assert _post(collector, b"").status_code == 200


def long_heads(collector: Collector) -> None:
    """Headers and addresses of megabytes, and thousands of headers, are refused for what they are."""
    lines = [
        b"GET /metrics?" + b"a" * 2 * MIB + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 2 * MIB + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
        + b"".join(b"A%d: b\r\n" % number for number in range(200_000))
        + b"\r\n",
    ]
    for port in ("HTTP", "TOTALS", "LEVELS", "METRICS", "HEALTH"):
        for line in lines:
            assert _answer_of(collector, port, line) in {b"431", b""}


def _answer_of(collector: Collector, port: str, request: bytes) -> bytes:
    """The status; nothing where the connection ended before it could be read."""
    with suppress(ConnectionError), ExitStack() as open_ones:
        made = _connect(collector, port, open_ones, request)
        return made.recv(100).split(b" ")[1]
    return b""


def garbage(collector: Collector) -> None:
    """Random bytes, another protocol's greeting, half a request: on every port."""
    draw = random.Random(1)
    greetings = [
        draw.randbytes(5000),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + draw.randbytes(900),
        b"\x16\x03\x01\x02\x00\x01",
    ]
    for port in collector.ports:
        for greeting in greetings * 5:
            with suppress(ConnectionError), ExitStack() as open_ones:
                _connect(collector, port, open_ones, greeting)


def streams_without_end(collector: Collector) -> None:
    """Requests over gRPC that begin and send nothing have as many places as there are, and not for long."""
    over = threading.Event()

    def nothing() -> Iterator[bytes]:
        over.wait(20)
        yield from ()

    with ExitStack() as open_ones:
        channels = [open_ones.enter_context(_channel(collector)) for _ in range(3)]
        calls: list[Any] = [channel.stream_unary(EXPORT).future(nothing()) for channel in channels for _ in range(7)]
        codes = [call.exception(timeout=20).code() for call in calls]
        over.set()
    assert set(codes) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert codes.count(grpc.StatusCode.DEADLINE_EXCEEDED) >= REQUESTS


ATTACKS = [
    widest_window, small_and_many, small_and_many_by_grpc, slow_heads, slow_bodies, idle_connections, long_heads, garbage, streams_without_end,
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.__name__ for attack in ATTACKS])
def test_honest_counts_are_exact(attack: Callable[[Collector], None], collector: Collector) -> None:
    """Whatever connections do, honest counts and buckets are exact, the collector answers, its memory is bounded."""
    with honest_fleet(collector) as counted:
        attack(collector)
    _assert_unharmed(collector)
    _note(str(attack.__doc__).rstrip("."), collector, 2 * sum(counted))


def test_grpc_says_what_is_too_large(collector: Collector) -> None:
    """A message beyond `max_recv_msg_size_mib`, as it is or uncompressed, is refused with RESOURCE_EXHAUSTED and its limit."""
    with honest_fleet(collector), _channel(collector) as channel:
        for compressed in (False, True):
            code, sentence = _export(channel, bytes(5 * MIB), compressed=compressed)
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "larger than max" in sentence
        assert _export(channel, b"\x0a\x00") == (grpc.StatusCode.OK, "")
    _assert_unharmed(collector)


def test_long_headers_are_refused(collector: Collector) -> None:
    """Headers beyond `OTELCOL_HEADER_BYTES` are refused with 431 and their limit; those below it are not."""
    url, limit = f"{collector.endpoint}/v1/metrics", 64 << 10
    for size, status in ((limit - 1000, 200), (limit + 1, 431)):
        answer = httpx.post(url, content=b"", headers={**PROTOBUF, "a": "b" * size}, trust_env=False)
        assert answer.status_code == status
    assert f"max_header_bytes of fleet_admission lets them be, {limit} bytes" in answer.text
    _assert_unharmed(collector)


def test_slow_readers_make_room(collector: Collector) -> None:
    """Readers that ask for a page and do not read it cannot keep Prometheus from it."""
    sender = Sender(collector, "wide")
    request = sender.request_of_counter("wide_total", 1, {"k": ""})
    points = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    for number in range(9000):
        point = points.add(as_double=1)
        point.attributes.add(key="k").value.string_value = f"{number}-{'x' * 900}"
    assert sender.send(request).status_code == 200
    assert eventually(lambda: collector.own("fleet_totals_series", metric="(unknown)") > 9000)
    with ExitStack() as open_ones:
        for _ in range(12):
            slow = open_ones.enter_context(socket.socket())
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", collector.ports["TOTALS"]))
            slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert eventually(lambda: httpx.get(collector.url("TOTALS"), timeout=30).status_code == 200, 8)
    _assert_unharmed(collector)


def test_refusals_are_counted(collector: Collector) -> None:
    """After all of it, each kind of refusal is among the collector's own metrics, and a restart finds every count."""
    for why in ("size", "slow", "busy"):
        assert collector.own("fleet_admission_refused_requests_total", reason=why) > 0, why
