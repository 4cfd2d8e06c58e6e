"""The gateway in front of collectors: real NGINX, stand-in collectors; senders stay with theirs, failures are told apart."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
        return httpx.post(f"{url}/v1/metrics", content=b"", headers={header: sender}).status_code
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
