"""Connections that mean harm to a collector: bombs, slow ones, floods, garbage. Honest counts stay exact, limits answer clearly."""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import httpx
import pytest

from support import web
from support.collector import DURABLE, Collector, running
from support.waiting import eventually
from tests.deploy import attacks
from tests.deploy.attacks import BOMBS, MEMORY_MIB, MIB, channel_to, export
from tests.support.honest import honest_fleet
from tests.support.sender import Sender


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """One collector for all attacks, which gives a request two seconds."""
    with running(DURABLE, attacks.SETTINGS) as made:
        yield made


@pytest.mark.parametrize("encoding", BOMBS)
def test_bombs_are_refused(encoding: str, collector: Collector) -> None:
    """A small body that is huge uncompressed gets a status of its own and a sentence, or has to wait, however often it comes."""
    with honest_fleet(collector) as counted:
        attacks.bombs(collector, encoding)
    _assert_unharmed(collector)
    _note(f"Small bodies of 100 MiB and more by {encoding}", collector, 2 * sum(counted))


def _note(attack: str, collector: Collector, exports: int) -> None:
    """A row of the page, where that is asked for: every count was there, or the test would have ended before."""
    if rows := os.environ.get("SECURITY_ROWS"):
        found = Path(rows)
        known = json.loads(found.read_text()) if found.exists() else []
        row = {"attack": attack, "peak_mib": collector.peak_memory(), "exports": exports, "wrong": 0}
        found.write_text(json.dumps([*known, row], indent=1) + "\n")


def _assert_unharmed(collector: Collector) -> None:
    assert web.is_ok(f"http://127.0.0.1:{collector.ports['HEALTH']}/")
    assert collector.peak_memory() < MEMORY_MIB


ATTACKS = [
    attacks.widest_window, attacks.small_and_many, attacks.small_and_many_by_grpc, attacks.slow_heads, attacks.slow_bodies,
    attacks.idle_connections, attacks.long_heads, attacks.garbage, attacks.streams_without_end,
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
    with honest_fleet(collector), channel_to(collector) as channel:
        for compressed in (False, True):
            code, sentence = export(channel, bytes(5 * MIB), compressed=compressed)
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "larger than max" in sentence
        assert export(channel, b"\x0a\x00") == (grpc.StatusCode.OK, "")
    _assert_unharmed(collector)


def test_more_connections_than_files(collector: Collector) -> None:
    """Idle connections that take every file that the collector may open end nothing: whoever is honest waits, and counts."""
    before = resource.prlimit(collector.pid, resource.RLIMIT_NOFILE)
    few = len(list(Path(f"/proc/{collector.pid}/fd").iterdir())) + 100
    with ExitStack() as open_ones:
        open_ones.callback(resource.prlimit, collector.pid, resource.RLIMIT_NOFILE, before)
        with honest_fleet(collector):
            resource.prlimit(collector.pid, resource.RLIMIT_NOFILE, (few, before[1]))
            for _ in range(600):
                attacks.connect(collector, "HTTP", open_ones, b"")
            assert eventually(lambda: "too many open files" in collector.log())
    _assert_unharmed(collector)


def test_long_headers_are_refused(collector: Collector) -> None:
    """Headers beyond `OTELCOL_HEADER_BYTES` are refused with 431 and their limit; those below it are not."""
    url, limit = f"{collector.endpoint}/v1/metrics", 64 << 10
    for size, status in ((limit - 1000, 200), (limit + 1, 431)):
        answer = httpx.post(url, content=b"", headers={**attacks.PROTOBUF, "a": "b" * size}, trust_env=False)
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
