"""The same harm to the gateway in front of collectors: real NGINX, real collectors; honest counts through it stay exact."""

from __future__ import annotations

import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import httpx
import pytest

from collector.gateway.gateway import Gateway
from support import web
from support.collector import DURABLE, Collector, running
from support.exposition import Samples
from support.ports import free_port
from support.processes import children, peak_memory, program
from support.waiting import eventually
from tests.deploy import attacks
from tests.deploy.attacks import BOMBS, MEMORY_MIB, MIB, post
from tests.support.honest import honest_fleet

PER_ADDRESS = 300
NGINX_MIB = 64
"""What NGINX uses at most, both of its processes."""
MARK = "canary7f3a91"
OTHERS = "127.0.0.2"
"""An address of attackers, where it matters that they are not the honest ones'."""


class Behind:
    """Two collectors behind a gateway.

    Args:
        directory: The gateway's.
        collectors: Those behind it.

    Attributes:
        ports: The gateway's one.
    """

    def __init__(self, directory: Path, collectors: list[Collector]) -> None:
        self.directory, self.collectors = directory, collectors
        self.ports = {"HTTP": free_port()}

    @property
    def endpoint(self) -> str:
        """For senders."""
        return f"http://127.0.0.1:{self.ports['HTTP']}"

    def samples(self, port: str = "TOTALS") -> Samples:
        """The sum over the collectors' pages."""
        total: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        for collector in self.collectors:
            total.update(collector.samples(port))
        return dict(total)

    @property
    def workers(self) -> list[int]:
        """Of NGINX."""
        return children(self.master)

    @property
    def master(self) -> int:
        """Of NGINX."""
        return int((self.directory / "nginx.pid").read_text())

    @property
    def log(self) -> str:
        """What NGINX has logged."""
        return (self.directory / "log").read_text()


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """A gateway that lets an address have three hundred requests under way, and two collectors."""
    directory = tmp_path_factory.mktemp("gateway")
    with ExitStack() as open_ones:
        collectors = [open_ones.enter_context(running(DURABLE, attacks.SETTINGS)) for _ in "ab"]
        made = Behind(directory, collectors)
        gateway = Gateway(directory, program(Path("nginx")))
        gateway.configure(
            made.endpoint.removeprefix("http://"),
            {name: f"127.0.0.1:{its.ports['HTTP']}" for name, its in zip("ab", collectors, strict=True)},
            per_address=PER_ADDRESS,
        )
        log = open_ones.enter_context((directory / "log").open("w"))
        process = open_ones.enter_context(subprocess.Popen(gateway.command, stdout=log, stderr=log))
        open_ones.callback(process.terminate)
        assert eventually(lambda: not socket.socket().connect_ex(("127.0.0.1", made.ports["HTTP"])))
        yield made


@pytest.fixture(autouse=True)
def _unharmed(behind: Behind) -> Iterator[None]:
    """After each attack: the same process of NGINX, small, which logged no word of it, and collectors that are well."""
    workers = behind.workers
    yield
    assert behind.workers == workers
    assert peak_memory(behind.master, *workers) < NGINX_MIB
    assert MARK not in behind.log
    for collector in behind.collectors:
        assert web.is_ok(f"http://127.0.0.1:{collector.ports['HEALTH']}/")
        assert collector.peak_memory() < MEMORY_MIB


@pytest.mark.parametrize("encoding", BOMBS)
def test_bombs_are_refused(encoding: str, behind: Behind) -> None:
    """A small body that is huge uncompressed gets the collector's own status and sentence, or has to wait."""
    with honest_fleet(behind):
        attacks.bombs(behind, encoding)


ATTACKS = [
    attacks.widest_window, attacks.small_and_many, attacks.slow_heads, attacks.slow_bodies, attacks.idle_connections,
    attacks.long_heads, attacks.garbage,
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.__name__ for attack in ATTACKS])
def test_honest_counts_are_exact(attack: Callable[[attacks.Attacked], None], behind: Behind) -> None:
    """Whatever connections do to the gateway, honest counts and buckets are exact in the sum of the collectors."""
    with honest_fleet(behind):
        attack(behind)


def _begun(behind: Behind, open_ones: ExitStack, said: bytes, address: str = OTHERS) -> socket.socket:
    made = open_ones.enter_context(
        socket.create_connection(("127.0.0.1", behind.ports["HTTP"]), 30, source_address=(address, 0))
    )
    made.sendall(said)
    return made


def _head(size: int) -> bytes:
    return f"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()


def test_small_slow_bodies_reach_no_collector(behind: Behind) -> None:
    """A small request is held by the gateway until it is whole; a sender that stops in it is cut off, and no collector knew of it."""
    before = [its.own("fleet_admission_refused_requests_total", reason="slow") for its in behind.collectors]
    with honest_fleet(behind), ExitStack() as open_ones:
        held = [_begun(behind, open_ones, _head(1000) + b"x") for _ in range(PER_ADDRESS)]
        assert all(attacks.is_closed(each) for each in held)
    assert [its.own("fleet_admission_refused_requests_total", reason="slow") for its in behind.collectors] == before


def test_address_has_its_share(behind: Behind) -> None:
    """Bodies that come a byte at a time take all that their address may have, are told so, and nobody else notices."""
    with honest_fleet(behind), ExitStack() as open_ones:
        held = [_begun(behind, open_ones, _head(1000) + b"x") for _ in range(PER_ADDRESS)]
        for each in held:
            each.sendall(b"x")
        beyond = _begun(behind, open_ones, _head(1) + b"x").recv(4096)
        assert beyond.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 1" in beyond
        assert f"{PER_ADDRESS} requests under way".encode() in beyond
        assert post(behind, b"").status_code == 200


def test_large_bodies_fill_no_disk(behind: Behind) -> None:
    """Large requests that never end are passed on as they come: the gateway keeps none of them, the collector says when it is enough."""
    with honest_fleet(behind), ExitStack() as open_ones:
        held = [_begun(behind, open_ones, _head(15 * MIB) + bytes(100_000)) for _ in range(60)]
        chunked = b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" + bytes(
            0x10000
        )
        held += [_begun(behind, open_ones, chunked) for _ in range(20)]
        kept = [path for path in (behind.directory / "body").rglob("*") if path.is_file()]
        said = [each.recv(4096) for each in held]
    assert sum(path.stat().st_size for path in kept) < MIB
    assert {line.split(b" ")[1] for line in said if line} <= {b"408", b"503"}


def test_limits_are_sentences(behind: Behind) -> None:
    """What is beyond a limit of the gateway's own is refused with a status that says which, and what to do."""
    with honest_fleet(behind), ExitStack() as open_ones:
        large = _begun(behind, open_ones, _head(17 * MIB)).recv(4096)
        assert large.startswith(b"HTTP/1.1 413")
        assert b"send less at once" in large
        many = _begun(behind, open_ones, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5_600 + b"\r\n").recv(4096)
        assert many.startswith(b"HTTP/1.1 431")
        assert b"send less of them" in many


def test_grpc_is_told(behind: Behind) -> None:
    """A sender that speaks gRPC to it gets an answer that it takes for a collector that is away, and keeps its counts."""
    with honest_fleet(behind), grpc.insecure_channel(f"127.0.0.1:{behind.ports['HTTP']}") as channel:
        code, _ = attacks.export(channel, b"\x0a\x00")
    assert code is grpc.StatusCode.UNAVAILABLE


def test_words_are_in_no_log(behind: Behind) -> None:
    """What clients write is in no line of NGINX's, nor in a collector's, whatever becomes of it."""
    with honest_fleet(behind), httpx.Client(base_url=behind.endpoint, trust_env=False) as client:
        headers = {name: f"{MARK}-{name}" for name in ("User-Agent", "Referer", "Telemetry-Sender-Id", "Cookie")}
        client.get(f"/{MARK}", headers=headers)
        client.post(f"/v1/metrics?{MARK}", content=f"{MARK}".encode(), headers={**headers, **attacks.PROTOBUF})
        client.post(f"/{MARK}", content=bytes(17 * MIB), headers=headers)
        with ExitStack() as open_ones:
            _begun(behind, open_ones, f"GET /{MARK}\x00 HTTP/1.1\r\nHost: {MARK}\r\n{MARK} x\r\n\r\n".encode()).recv(
                4096
            )
            stop = f"POST /{MARK} HTTP/1.1\r\nHost: {MARK}\r\nContent-Length: 99\r\n\r\nx".encode()
            assert attacks.is_closed(_begun(behind, open_ones, stop))
    for collector in behind.collectors:
        assert MARK not in collector.log()
