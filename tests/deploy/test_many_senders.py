"""Many senders at one collector: their number changes nothing that is shown, and next to nothing of what it costs."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.collector import CONFIG, DURABLE, Collector, find_otelcol, running
from tests.support import processes
from tests.support.otlp_sink import OtlpSink

SERIES = 2000
SHOWN = SERIES // 2 * (1 + 17)  # half are counters, half histograms of 14 bounds


def test_senders_are_as_boxes(fleetload: Path, tmp_path: Path) -> None:
    """The senders of the load say of themselves what boxes say, on a connection for each export, and number without a gap."""
    said = []
    for send in (_load, _boxes):
        sink = OtlpSink()
        try:
            send(sink, fleetload, tmp_path)
            said.append((set(sink.resource), sink.headers["connection"], sink.headers["content-type"]))
            assert "telemetry-sender-id" in sink.headers
            assert (sink.missing, sink.duplicates) == (0, 0)
            assert sink.requests > 2
        finally:
            sink.close()
    assert said[0] == said[1]


def test_idle_connection_is_closed(tmp_path: Path) -> None:
    """A connection that its sender keeps and does not use is closed before it has taken memory for a minute."""
    with running(DURABLE, state=tmp_path) as collector, socket.create_connection(_receiver(collector), 5) as kept:
        head = (
            "POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
        )
        kept.sendall(head.encode())
        assert kept.recv(1024).startswith(b"HTTP/1.1 200")
        kept.settimeout(20)
        assert kept.recv(1024) == b""


GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
"""How a client of gRPC begins, with settings that change nothing."""


@pytest.mark.parametrize(
    ("variables", "is_idle"),
    [
        ({"KEEPALIVE_TIME": "1s", "KEEPALIVE_TIMEOUT": "1s", "MAX_CONNECTION_IDLE": "1h"}, False),
        ({"KEEPALIVE_TIME": "1h", "MAX_CONNECTION_IDLE": "1s"}, True),
    ],
    ids=["silent", "idle"],
)
@pytest.mark.parametrize("config", [DURABLE, CONFIG], ids=["durable", "official"])
def test_connection_of_grpc_is_closed(config: Path, variables: dict[str, str], is_idle: bool) -> None:
    """A client of gRPC that does not answer, and one that sends nothing, lose their connection after what is set."""
    settings = {f"OTELCOL_GRPC_{name}": value for name, value in variables.items()}
    with running(config, settings) as collector, socket.create_connection(_receiver(collector, "GRPC"), 20) as kept:
        kept.sendall(GREETING)
        said = b"".join(iter(lambda: kept.recv(1024), b""))
    assert (b"max_idle" in said) is is_idle, said


def _receiver(collector: Collector, port: str = "HTTP") -> tuple[str, int]:
    return "127.0.0.1", collector.ports[port]


def _load(sink: OtlpSink, program: Path, _: Path) -> None:
    flags = ["-senders", "2", "-points", "2", "-series", "4", "-rate", "80", "-for", "500ms"]
    subprocess.run([program, "fleet", "-url", f"{sink.url}/v1/metrics", *flags], capture_output=True, check=True)


def _boxes(sink: OtlpSink, _: Path, directory: Path) -> None:
    code = "for _ in range(4): message(); t.force_flush()\ntelemetry.shutdown()"
    finished = processes.finish(processes.start(code, sink.url, TELEMETRY_STATE_DIR=str(directory / "boxes")))
    assert finished.status == 0, finished.errors


def _fleet(program: Path, state: Path, senders: int, *flags: str) -> dict[str, Any]:
    command = [str(program), "fleet", "-otelcol", find_otelcol(), "-config", str(DURABLE), "-state", str(state)]
    command += ["-senders", str(senders), "-points", "100", "-series", str(SERIES), "-for", "3s", "-warm", "2s", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_three_hundred_are_as_three(fleetload: Path, tmp_path: Path) -> None:
    """3 and 300 senders with the same points per second: the same series, each exact, memory within a tenth."""
    for _ in range(3):  # where others have the processor, a run may hold more than it needs
        few, many = (_fleet(fleetload, tmp_path, senders, "-at-once", "2") for senders in (3, 300))
        assert [run["wrong_series"] for run in (few, many)] == [0, 0]
        assert [run["series"] for run in (few, many)] == [SHOWN, SHOWN]
        assert [run["senders_remembered"] for run in (few, many)] == [3, 300]
        if many["rss_mib"] < few["rss_mib"] * 1.1:
            break
    assert many["rss_mib"] < few["rss_mib"] * 1.1


def test_replaced_senders_are_exact(fleetload: Path, tmp_path: Path) -> None:
    """Senders that are replaced again and again: each series exact, and a collector that remembers few forgets the others."""
    found = _fleet(fleetload, tmp_path, 100, "-life", "600ms", "-max-senders", "250")
    assert found["wrong_series"] == 0
    assert found["series"] == SHOWN
    assert found["senders_in_all"] > 500
    assert found["senders_remembered"] <= 251
