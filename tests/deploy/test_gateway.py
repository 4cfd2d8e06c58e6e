"""The gateway in front of collectors: real NGINX, stand-in collectors; senders stay with theirs, failures are told apart."""

from __future__ import annotations

import resource
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from collector.gateway.__main__ import main
from collector.gateway.gateway import Gateway, GatewayError
from collector.gateway.restart import RestartError, Scrapes
from support.ports import closed_url, free_port
from support.processes import program
from support.waiting import eventually
from tests.support.otlp_sink import OtlpSink

_CLIENT = httpx.Client(trust_env=False, headers={"Connection": "close"})


@pytest.fixture
def sinks() -> Iterator[list[OtlpSink]]:
    """Two stand-ins for collectors."""
    made = [OtlpSink(), OtlpSink()]
    yield made
    for sink in made:
        sink.close()


@pytest.fixture
def gateway(sinks: list[OtlpSink], tmp_path: Path) -> Iterator[tuple[Gateway, str]]:
    """A running gateway to collectors `a` and `b`, and its address."""
    made = Gateway(tmp_path / "gateway", program(Path("nginx")))
    listen = f"127.0.0.1:{free_port()}"
    made.configure(listen, {name: s.url.removeprefix("http://") for name, s in zip("ab", sinks, strict=True)})
    with subprocess.Popen(made.command, stderr=subprocess.DEVNULL) as process:
        try:
            assert eventually(lambda: _status(f"http://{listen}", "x") == 200)
            yield made, f"http://{listen}"
        finally:
            process.terminate()


def _status(url: str, sender: str, header: str = "Telemetry-Sender-Id") -> int:
    try:
        return _CLIENT.post(f"{url}/v1/metrics", content=b"", headers={header: sender}).status_code
    except httpx.HTTPError:
        return 0


def _requests(sinks: list[OtlpSink]) -> tuple[int, ...]:
    return tuple(sink.requests for sink in sinks)


@pytest.mark.parametrize("header", ["Telemetry-Sender-Id", "Service-Instance-Id"])
def test_sender_stays_with_its_collector(gateway: tuple[Gateway, str], sinks: list[OtlpSink], header: str) -> None:
    """A sender's exports go to one collector, many senders' to both; one without a name goes by its process."""
    before = _requests(sinks)
    assert {_status(gateway[1], "one", header) for _ in range(10)} == {200}
    after = _requests(sinks)
    assert sorted(a - b for a, b in zip(after, before, strict=True)) == [0, 10]
    for number in range(40):
        _status(gateway[1], f"sender-{number}", header)
    assert all(now > then for now, then in zip(_requests(sinks), after, strict=True))


def test_sender_waits_for_its_collector(gateway: tuple[Gateway, str], sinks: list[OtlpSink]) -> None:
    """While its collector is away a sender is told to wait, and no other collector sees its exports; drained, one does."""
    _status(gateway[1], "one")
    before = _requests(sinks)
    _status(gateway[1], "one")
    its = next(number for number in (0, 1) if _requests(sinks)[number] > before[number])
    sinks[its].close()
    other = _requests(sinks)[1 - its]
    assert {_status(gateway[1], "one") for _ in range(5)} == {503}
    assert _requests(sinks)[1 - its] == other
    gateway[0].drain("ab"[its])
    assert _status(gateway[1], "one") == 200
    assert _requests(sinks)[1 - its] == other + 1


def test_drained_collector_gets_nothing(gateway: tuple[Gateway, str], sinks: list[OtlpSink]) -> None:
    """Drained: everything goes to the other. Both drained: senders are told to wait. Admitted: as before."""
    gateway[0].drain("a")
    before = _requests(sinks)
    assert {_status(gateway[1], f"sender-{number}") for number in range(10)} == {200}
    assert _requests(sinks) == (before[0], before[1] + 10)
    gateway[0].drain("b")
    assert _status(gateway[1], "one") == 503
    gateway[0].admit("a")
    assert _status(gateway[1], "one") == 200
    assert [(c.name, c.drained) for c in gateway[0].collectors()] == [("a", False), ("b", True)]


def test_collectors_are_added_and_removed(gateway: tuple[Gateway, str], sinks: list[OtlpSink]) -> None:
    """An added collector gets exports at once and most senders stay where they are; only a drained one can be removed."""
    senders = [f"sender-{number}" for number in range(200)]  # fewer share unevenly at some ports of the collectors
    before = [_taker(gateway[1], sinks, sender) for sender in senders]
    sinks.append(OtlpSink())
    gateway[0].add("c", sinks[2].url.removeprefix("http://"))
    after = [_taker(gateway[1], sinks, sender) for sender in senders]
    assert all(now in {then, 2} for then, now in zip(before, after, strict=True))
    assert 0 < after.count(2) < len(senders) / 2
    with pytest.raises(GatewayError, match="run `drain c` first"):
        gateway[0].remove("c")
    gateway[0].drain("c")
    gateway[0].remove("c")
    assert [_taker(gateway[1], sinks, sender) for sender in senders] == before
    with pytest.raises(GatewayError, match=r"a is at .* already"):
        gateway[0].add("d", gateway[0].collectors()[0].address)


def _taker(url: str, sinks: list[OtlpSink], sender: str) -> int:
    """Which one takes an export of this sender."""
    before = _requests(sinks)
    assert _status(url, sender) == 200
    return next(number for number, count in enumerate(_requests(sinks)) if count > before[number])


def test_many_requests_wait_at_once(tmp_path: Path) -> None:
    """More senders than a default NGINX has connections wait for a collector that hangs, and each is answered."""
    many = 1200
    with ExitStack() as open_until_then, socket.create_server(("127.0.0.1", 0), backlog=2 * many) as collector:
        _allow_files(5 * many)
        made = Gateway(tmp_path, program(Path("nginx")))
        listen = ("127.0.0.1", free_port())
        made.configure(f"{listen[0]}:{listen[1]}", {"a": f"127.0.0.1:{collector.getsockname()[1]}"})
        process = open_until_then.enter_context(subprocess.Popen(made.command, stderr=subprocess.DEVNULL))
        open_until_then.callback(process.terminate)
        assert eventually(lambda: not socket.socket().connect_ex(listen))
        asking = [open_until_then.enter_context(socket.create_connection(listen)) for _ in range(many)]
        for connection in asking:
            connection.sendall(b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        collector.settimeout(20)
        hanging = [open_until_then.enter_context(collector.accept()[0]) for _ in range(many)]
        for connection in hanging:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert {connection.recv(12) for connection in asking} == {b"HTTP/1.1 200"}


def _allow_files(count: int) -> None:
    """NGINX inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def test_drain_waits_for_what_is_under_way(gateway: tuple[Gateway, str], sinks: list[OtlpSink]) -> None:
    """A drain returns when the last request of the old configuration is answered, or says that one hangs."""
    for sink in sinks:
        sink.hang_seconds = 3.0
    before = sum(_requests(sinks))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(_status, gateway[1], "slow")
        assert eventually(lambda: sum(_requests(sinks)) == before + 1)
        with pytest.raises(GatewayError, match="under way"):
            gateway[0].drain("a", seconds=0.3)
        gateway[0].drain("a")
        assert slow.result(5) == 200


def test_failures_are_told_apart(gateway: tuple[Gateway, str], sinks: list[OtlpSink]) -> None:
    """503 where no collector can have the export, 502 where one may: only the second can count twice."""
    sinks[0].loses_answers = sinks[1].loses_answers = True
    assert _status(gateway[1], "one") == 502
    for sink in sinks:
        sink.close()
    assert _status(gateway[1], "one") == 503


def test_mistakes_are_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown collectors, a gateway that does not run, a Prometheus that is not there."""
    place = ["--directory", str(tmp_path)]
    assert main([*place, "drain", "a"]) == 1
    assert "configure" in capsys.readouterr().err
    assert main([*place, "configure", "--collector", "a=127.0.0.1:1"]) == 0
    assert main([*place, "drain", "c"]) == 1
    assert "there is no collector c: the gateway knows a" in capsys.readouterr().err
    assert main([*place, "drain", "a"]) == 1
    assert "does not run" in capsys.readouterr().err
    with pytest.raises(RestartError, match="check --prometheus"):
        Scrapes(closed_url(), "http://127.0.0.1:1/metrics").wait_for_next(1)
