"""A block: exports that are frozen, repeated and acknowledged, and what is read of it after a death."""

from __future__ import annotations

import random

import pytest

from telemetry.box.header import DamagedError, OtherVersionError, Role
from telemetry.box.identity import Identity, Kind, ReadEntry, Scope
from telemetry.box.segment import Segment
from tests.telemetry.box.series import ROUTE, SECONDS, carried, counter, histogram

SIZE = 16 * 1024


def _made(role: Role = Role.TOTALS, size: int = SIZE) -> tuple[Segment, bytearray]:
    buffer = bytearray(size)
    segment = Segment(buffer)
    segment.make(role, {"resource": {"service.name": "test"}, "target": "here"})
    return segment, buffer


def _read(buffer: bytearray) -> Segment:
    segment = Segment(bytearray(buffer))
    segment.read()
    segment.check_values()
    return segment


def test_export_carries_what_moved_since_the_last() -> None:
    """Each acknowledged export carries the difference to the one before it, and a block at rest has none."""
    segment, _ = _made()
    entry = counter()
    segment.add(entry)
    segment.cells[entry.slot] += 3
    assert segment.prepare(ROUTE)
    assert carried(segment) == {"a": 3}
    segment.acknowledge()
    assert not segment.prepare(ROUTE)
    segment.cells[entry.slot] += 4
    assert segment.prepare(ROUTE)
    assert (segment.header.sequence, carried(segment)) == (2, {"a": 4})


def test_prepared_export_does_not_change() -> None:
    """What is counted after an export was prepared is the next one's, however often the first is repeated."""
    segment, _ = _made()
    first, second = counter("a"), counter("b")
    segment.add(first)
    segment.cells[first.slot] += 1
    segment.prepare(ROUTE)
    before = segment.header.times, carried(segment)
    segment.cells[first.slot] += 5
    segment.add(second)
    segment.cells[second.slot] += 7
    assert segment.prepare(b"x" * 16, announce=True)
    assert (segment.header.sequence, segment.header.route) == (1, ROUTE)
    assert (segment.header.times, carried(segment)) == before
    segment.acknowledge()
    segment.prepare(ROUTE)
    assert carried(segment) == {"a": 5, "b": 7}


def test_reader_repeats_the_same_export() -> None:
    """Who reads the block after a death finds the export that was prepared, byte for byte, and then the rest."""
    segment, buffer = _made()
    one, two = counter(), histogram()
    for entry in (one, two):
        segment.add(entry)
    segment.cells[one.slot] += 2
    segment.cells[two.slot + 1] += 1
    segment.cells[two.slot + 3] += 0.5
    segment.prepare(ROUTE)
    segment.cells[one.slot] += 1
    dead = _read(buffer)
    assert dead.process == {"resource": {"service.name": "test"}, "target": "here"}
    assert dead.header.sender == segment.header.sender
    assert [amounts for _, amounts in dead.moved(dead.carried())] == [
        amounts for _, amounts in segment.moved(segment.carried())
    ]
    assert [amounts for _, amounts in dead.moved(dead.carried())] == [[2.0], [0.0, 1.0, 0.0, 0.5]]
    assert dead.prepare(b"x" * 16)
    assert dead.header.route == ROUTE
    dead.acknowledge()
    assert dead.prepare(b"x" * 16)
    assert (dead.header.route, carried(dead)) == (b"x" * 16, {"a": 1})


def test_new_counters_are_named_once() -> None:
    """A counter that did not move is in the first export after its making and in those that announce, else left out."""
    segment, _ = _made()
    for name in ("a", "b"):
        segment.add(counter(name))
    segment.add(histogram())
    assert segment.prepare(ROUTE)
    assert carried(segment) == {"a": 0, "b": 0}
    segment.acknowledge()
    assert not segment.prepare(ROUTE)
    segment.add(counter("c"))
    assert segment.prepare(ROUTE)
    assert carried(segment) == {"c": 0}
    segment.acknowledge()
    assert segment.prepare(ROUTE, announce=True)
    assert carried(segment) == {"a": 0, "b": 0, "c": 0}


def test_withheld_series_come_with_the_next_export() -> None:
    """Series that are taken out of a refused export keep their counts."""
    segment, _ = _made()
    entries = [counter(name) for name in "abc"]
    for entry in entries:
        segment.add(entry)
        segment.cells[entry.slot] += 1
    segment.prepare(ROUTE)
    segment.withhold(entries[1:])
    assert carried(segment) == {"a": 1}
    segment.acknowledge()
    segment.prepare(ROUTE)
    assert carried(segment) == {"b": 1, "c": 1}


def test_table_and_cells_meet_somewhere() -> None:
    """A block takes series until its table meets its cells; every one of them is read back with its value."""
    segment, buffer = _made()
    draw = random.Random(1)
    expected = {}
    while True:
        name = f"{draw.getrandbits(64)}" * draw.randint(1, 3)
        entry = histogram(name) if draw.random() < 0.3 else counter(name)
        if not segment.add(entry):
            break
        segment.cells[entry.slot] = expected[name] = float(draw.randint(1, 100))
    assert len(expected) > 50
    dead = _read(buffer)
    assert {str(entry.values[0]): amounts[0] for entry, amounts in dead.standing()} == expected


def test_every_kind_of_label_survives() -> None:
    """Labels come back with the types they had: text of any script, numbers, truth values, lists; so does a scope."""
    segment, buffer = _made()
    scope = Scope("own", "1.0", "https://schema", (("a", ("x", "y")),))
    metric = Identity("own_total", Kind.SUM, "{thing}", "Things ünd\nmore.", (), scope)
    values = ('grün\n"quoted"\x00', True, 1, 1.0, ("a", "b"), -(2**63))
    segment.add(ReadEntry(metric, tuple("abcdef"), values))
    (entry,) = _read(buffer).entries
    assert entry.identity == metric
    assert [(type(value), value) for value in entry.values] == [(type(value), value) for value in values]


def test_revoked_cells_take_nothing() -> None:
    """Who counts in a block that was given up gets an error and the block stays as it is; it can still be exported."""
    segment, _ = _made()
    entry = counter()
    segment.add(entry)
    cells = segment.cells
    cells[entry.slot] += 1
    segment.revoke()
    with pytest.raises(ValueError, match="released"):
        cells[entry.slot] += 1
    segment.prepare(ROUTE)
    assert carried(segment) == {"a": 1}


def test_page_is_read_whole_or_not_at_all() -> None:
    """A page that is being written cannot be mistaken for one that is complete."""
    segment, buffer = _made(Role.PAGE)
    level = Identity("level_now", Kind.LEVEL)
    rows = [(ReadEntry(level, ("n",), (str(n),)), float(n), 100.0) for n in range(20)]
    assert segment.publish(rows)
    read = Segment(bytearray(buffer))
    read.read()
    assert [(entry.values, value, at) for entry, value, at in read.page] == [((str(n),), n, 100.0) for n in range(20)]
    torn = bytearray(buffer)
    torn[400] ^= 1
    with pytest.raises(DamagedError):
        Segment(torn).read()
    assert not segment.publish([(ReadEntry(level, ("n",), ("x" * 20_000,)), 1.0, 1.0)])


def test_other_versions_are_told_apart() -> None:
    """A block of another version of this code is known as one, and not taken for damage."""
    _, buffer = _made()
    buffer[7] = 9
    with pytest.raises(OtherVersionError):
        Segment(buffer).read()


def test_random_damage_is_seen_or_harmless() -> None:
    """Bytes that change in the file raise one of two errors, or leave a block whose every series is one that was made."""
    segment, buffer = _made()
    for number in range(30):
        entry = histogram(str(number)) if number % 3 == 0 else counter(str(number))
        segment.add(entry)
        segment.cells[entry.slot] += number
    segment.prepare(ROUTE)
    names = {str(number) for number in range(30)}
    draw = random.Random(2)
    seen = 0
    for _ in range(500):
        damaged = bytearray(buffer)
        for _ in range(draw.randint(1, 8)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            read = _read(damaged)
        except (DamagedError, OtherVersionError):
            seen += 1
            continue
        assert {str(entry.values[0]) for entry in read.entries} <= names
        for _, amounts in read.moved(read.carried()):
            assert all(amount >= 0 for amount in amounts)
    assert seen > 20


def test_histogram_counts_its_buckets() -> None:
    """A histogram keeps a cell for each bucket and one for the sum."""
    assert SECONDS.cells == 4
