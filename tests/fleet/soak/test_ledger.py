"""The ledger against the reader of whole files; the files are written here."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fleet.chaos import truth
from tests.fleet.soak.ledger import Ledger

SERIES = (
    [1, "requests_total", [["route", "/"]], None],
    [2, "seconds", [["route", "/"]], [0.1, 1.0]],
)


def _tell(path: Path, *events: tuple[int, int, float], cut: int = 0) -> None:
    path.with_suffix(".series").write_text("".join(json.dumps(line) + "\n" for line in SERIES))
    written = b"".join(truth.EVENT.pack(*event) for event in events)
    with path.open("ab") as file:
        file.write(written[: len(written) - cut])


def _whole(directory: Path) -> list[truth.Sample]:
    return sorted(truth.samples(truth.read(directory)))


def test_ledger_adds_up_what_is_appended(tmp_path: Path) -> None:
    """Read bit by bit, processes that come and go included, it has the samples that all files together give."""
    ledger = Ledger(tmp_path)
    _tell(tmp_path / "1.events", (truth.BEGUN, 1, 1.0), (truth.DONE, 1, 1.0), (truth.BEGUN, 2, 0.1))
    ledger.read_on()
    assert sorted(ledger.samples()) == _whole(tmp_path)
    assert (ledger.events, ledger.in_flight) == (1, 1)
    _tell(tmp_path / "1.events", (truth.DONE, 2, 0.1), (truth.BEGUN, 2, 5.0), (truth.DONE, 2, 5.0))
    _tell(tmp_path / "2.events", (truth.BEGUN, 1, 2.5), (truth.DONE, 1, 2.5))
    ledger.read_on()
    ledger.read_on()
    assert sorted(ledger.samples()) == _whole(tmp_path)
    assert (ledger.events, ledger.in_flight) == (4, 0)


def test_half_an_event_waits(tmp_path: Path) -> None:
    """What is not written to its end yet is read the next time."""
    ledger = Ledger(tmp_path)
    _tell(tmp_path / "1.events", (truth.BEGUN, 1, 1.0), (truth.DONE, 1, 1.0), cut=5)
    ledger.read_on()
    assert (ledger.events, ledger.in_flight) == (0, 1)
    with (tmp_path / "1.events").open("ab") as file:
        file.write(truth.EVENT.pack(truth.DONE, 1, 1.0)[-5:])
    ledger.read_on()
    assert (ledger.events, ledger.in_flight) == (1, 0)
