"""The Prometheus endpoint of a process and clients that mean harm: the process goes on, and Prometheus gets its page."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from support import exposition
from support.ports import free_port
from support.waiting import eventually
from tests.support.processes import line, started

RUNS = """
say("runs")
for word in sys.stdin:
    message()
    say("counted")
"""
MEMORY_MIB = 40
"""What the process may use more than before at most."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[object, int]]:
    """A process with an endpoint, and its port."""
    port = free_port()
    settings = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": f"{port}"}
    with started(RUNS, "", TELEMETRY_STATE_DIR=str(tmp_path), **settings) as process:
        assert line(process) == "runs"
        yield process, port


def _memory(pid: int, kind: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{kind}:")[2].split()[0]) / 1024


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def _page(port: int) -> float | None:
    with suppress(httpx.TransportError):
        page = exposition.parse(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text)
        return exposition.total(page, "messages_sent_total", {})
    return None


def test_hostile_clients(served: tuple[object, int]) -> None:
    """Slow, silent and long requests cost few threads and little memory; counts are exact and shown meanwhile."""
    process, port = served
    before = _memory(process.pid, "VmRSS")  # type: ignore[attr-defined]
    with ExitStack() as open_ones:
        for begin in [b"", b"GET /metrics HTTP/1.1\r\nA: ", b"GET /metrics HTTP/1.1\r\n\r\n"] * 60:
            client = open_ones.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            with suppress(ConnectionError):
                client.sendall(begin)
        for number in range(1, 21):
            process.stdin.write("count\n")  # type: ignore[attr-defined]
            process.stdin.flush()  # type: ignore[attr-defined]
            assert line(process) == "counted"  # type: ignore[arg-type]
            if number % 10 == 0:
                assert eventually(lambda: _page(port) == number, 15), (_page(port), number)  # noqa: B023
        assert _threads(process.pid) < 40  # type: ignore[attr-defined]
    for head in (b"GET /" + b"a" * 2_000_000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200_000):
        with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=15) as client:
            client.sendall(head + b" HTTP/1.1\r\n\r\n")
            assert client.recv(4096).split(b" ")[1:2] in ([b"414"], [b"431"])
    assert _page(port) == 20
    assert _memory(process.pid, "VmHWM") - before < MEMORY_MIB  # type: ignore[attr-defined]
