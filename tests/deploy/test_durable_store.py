"""The store of the durable collector: a full disk refuses and recovers, a damaged or lost store is set aside and told."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from support.collector import DURABLE, Collector, running
from support.waiting import eventually
from tests.support.sender import Sender

LABELS = {"method": "GET", "endpoint": "/x"}
KNOWN = 50


def _send_many(sender: Sender, name: str, count: int) -> httpx.Response:
    request = sender.request_of_counter("filling_total", 1, {"k": f"{name}-0-{'x' * 100}"})
    points = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    for number in range(1, count):
        point = points.add()
        point.CopyFrom(points[0])
        point.attributes[0].value.string_value = f"{name}-{number}-{'x' * 100}"
    return sender.send(request)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    if os.getuid() != 0:
        pytest.skip("mounting takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_full_disk(small_disk: Path) -> None:
    """503 for what needs room, without a word about files; known series go on, over a restart too; with room all goes on."""
    with running(DURABLE, {"OTELCOL_UNKNOWN_SERIES": "90000"}, small_disk / "state") as collector:
        known = Sender(collector, "known", numbered="known")
        known.counter("known_total", 1, LABELS)
        new = Sender(collector, "new")
        answers: list[httpx.Response] = []

        def is_full() -> bool:
            answers.append(_send_many(new, str(len(answers)), 200))
            return answers[-1].status_code != httpx.codes.OK

        assert eventually(is_full, 60)
        assert answers[-1].status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "send the same export again" in answers[-1].text
        assert "/" not in answers[-1].text
        assert collector.own("fleet_totals_failed_commits_total") > 0
        filled = 200 * (len(answers) - 1)
        for number in range(KNOWN):
            known.counter("known_total", 1, LABELS)
            _send_many(new, f"more-{number}", 200)
        assert collector.settles_at("known_total", KNOWN + 1) == KNOWN + 1
        taken = collector.settles_at("filling_total", filled)
        collector.kill()
        collector.start()
        known.counter("known_total", 1, LABELS)
        assert collector.settles_at("known_total", KNOWN + 2) == KNOWN + 2
        assert collector.total("filling_total") == taken
        subprocess.run(["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
        assert eventually(lambda: _send_many(new, "later", 200).status_code == httpx.codes.OK)
        assert collector.settles_at("filling_total", taken + 200) == taken + 200


def _cut(store: Path) -> None:
    os.truncate(store, 9000)


def _empty(store: Path) -> None:
    os.truncate(store, 0)


def _remove(store: Path) -> None:
    store.unlink()


def _foreign(store: Path) -> None:
    store.write_bytes(b"This is no store.\n" * 1000)


def _no_meta_pages(store: Path) -> None:
    with store.open("r+b") as file:
        file.write(bytes(8192))


def _random_pages(store: Path) -> None:
    with store.open("r+b") as file:
        file.seek(8192)
        file.write(random.Random(1).randbytes(store.stat().st_size - 8192))


def _flipped_bits(store: Path) -> None:
    store.write_bytes(store.read_bytes().replace(b"environment", b"environmenu"))


DAMAGES = [_cut, _empty, _remove, _foreign, _no_meta_pages, _random_pages, _flipped_bits]


@pytest.mark.parametrize("damage", DAMAGES, ids=[damage.__name__.strip("_") for damage in DAMAGES])
def test_damaged_store(damage: Callable[[Path], None]) -> None:
    """It starts, counts from 0, says so in its log and by a metric, again at each start, until somebody has looked."""
    with running(DURABLE) as collector:
        sender = Sender(collector, "a", numbered="a")
        for number in range(100):
            sender.counter("before_total", 1, {"number": str(number)})
        birth = collector.own("fleet_totals_store_birth_seconds")
        collector.kill()
        damage(collector.store)
        collector.start()
        sender.counter("after_total", 1, LABELS)
        assert collector.settles_at("after_total", 1) == 1
        assert collector.total("before_total") == 0
        assert "every counter begins anew" in collector.log()
        assert collector.own("fleet_totals_stores_set_aside") == 1
        assert collector.own("fleet_totals_store_birth_seconds") > birth
        collector.kill()
        collector.start()
        assert collector.settles_at("after_total", 1) == 1
        assert collector.own("fleet_totals_stores_set_aside") == 1
        for told in collector.state.glob("*.aside-*"):
            told.unlink()
        assert collector.own("fleet_totals_stores_set_aside") == 0


def test_newer_store_is_left_alone() -> None:
    """A store that a newer version wrote is not touched: the collector does not start, and says what to do."""
    with running(DURABLE) as collector:
        Sender(collector, "a").counter("kept_total", 1, LABELS)
        collector.stop()
        marker = collector.state / f"{collector.store.name}.known"
        marker.write_text('{"format": 99, "name": "x", "birth": 1}')
        before = collector.store.read_bytes()
        collector.begin()
        assert collector.ended() not in {None, 0}
        assert "newer version" in collector.log()
        assert "move the file" in collector.log()
        assert collector.store.read_bytes() == before


def test_store_in_use_is_left_alone() -> None:
    """A second collector on the same store does not start and does not disturb the first."""
    with running(DURABLE) as collector:
        second = Collector(DURABLE, state=collector.state)
        second.begin()
        try:
            assert second.ended() not in {None, 0}
            assert "another collector uses it" in second.log()
        finally:
            second.close()
        Sender(collector, "a").counter("first_total", 1, LABELS)
        assert collector.settles_at("first_total", 1) == 1
