"""A box: it grows without moving, outlives its process, and falls back to memory where no file can be had."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from telemetry.box import directory as directories
from telemetry.box import own
from telemetry.box.box import Box
from telemetry.box.dead import dead_boxes
from telemetry.box.header import Role
from telemetry.box.identity import Identity, Kind, ReadEntry
from telemetry.box.own import new_box
from telemetry.box.storage import MappedFile
from tests.telemetry.box.series import ROUTE, count, counter

PROCESS = {"resource": {"service.name": "test"}, "target": "here"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of this test."""
    monkeypatch.setattr(own._Said, "directories", set())
    return tmp_path / "state"


def _left(directory: Path) -> dict[str, float]:
    """What the dead boxes of a directory stand at, by the label `name`."""
    left: dict[str, float] = {}
    for box in dead_boxes(directory):
        for entry, amounts in box.standing(Role.TOTALS):
            left[str(entry.values[0])] = left.get(str(entry.values[0]), 0) + amounts[0]
        box.leave()
    return left


def test_box_grows_and_keeps_everything(place: Path) -> None:
    """Thousands of series fill block after block; cells that somebody holds stay where they are."""
    box = new_box(place, PROCESS)
    first = counter("first")
    held = box.place(first).cells
    for number in range(5_000):
        count(box, f"series-{number}", number)
    held[first.slot] += 1
    assert len(box.totals) >= 3
    box.leave()
    left = _left(place)
    assert len(left) == 5_001
    assert left["first"] == 1
    assert left["series-4999"] == 4_999


def test_first_block_is_small(place: Path) -> None:
    """A process that counts in a few series takes 16 KiB: a pool may lose hundreds of processes in a second."""
    box = new_box(place, PROCESS)
    count(box)
    assert box.path is not None
    assert box.path.stat().st_size == 16 * 1024
    assert (box.path.stat().st_mode & 0o777, place.stat().st_mode & 0o777) == (0o600, 0o700)


def test_long_descriptions_find_room(place: Path) -> None:
    """A process that says much of itself (a resource of many attributes) still has room for series."""
    box = new_box(place, {"resource": {f"key{n}": "x" * 500 for n in range(100)}})
    count(box)
    box.leave()
    (dead,) = dead_boxes(place)
    assert len(dead.process["resource"]) == 100
    dead.leave()


def test_box_of_a_living_process_is_left_alone(place: Path) -> None:
    """Nobody takes the box of a process that lives, not even the process itself."""
    box = new_box(place, PROCESS)
    count(box)
    assert list(dead_boxes(place)) == []
    assert not box.is_done()


def test_delivered_box_is_removed_at_the_end(place: Path) -> None:
    """A process that ends with everything acknowledged leaves no file; one with counts leaves them."""
    done, waiting = new_box(place, PROCESS), new_box(place, PROCESS)
    for box in (done, waiting):
        segment = count(box)
        segment.prepare(ROUTE)
    done.totals[0].acknowledge()
    done.close()
    waiting.close()
    assert [path.suffix for path in place.iterdir()] == [".box"]
    assert _left(place) == {"a": 1}


def test_notes_keep_a_box_alive(place: Path) -> None:
    """A box with something put off in it is not done, even with everything acknowledged."""
    box = new_box(place, PROCESS)
    note = ReadEntry(Identity("later", Kind.NOTE), ("what",), ("x",))
    segment = box.place(note)
    segment.cells[note.slot] += 1
    assert box.totals[0].is_delivered()
    assert not box.is_done()
    (found,) = box.notes("later")
    assert found[1].amounts == [1.0]
    segment.cells[note.slot] -= 1
    assert box.is_done()


def test_threads_count_while_it_grows(place: Path) -> None:
    """Threads that count in held cells and a thread that adds blocks do not disturb each other."""
    box = new_box(place, PROCESS)
    entries = [counter(f"t{number}") for number in range(4)]
    cells = [box.place(entry).cells for entry in entries]

    def record(number: int) -> None:
        for _ in range(20_000):
            cells[number][entries[number].slot] += 1

    threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for number in range(3_000):
        count(box, f"more-{number}")
    for thread in threads:
        thread.join()
    box.leave()
    left = _left(place)
    assert [left[f"t{number}"] for number in range(4)] == [20_000] * 4


def test_removed_file_is_noticed(place: Path) -> None:
    """A cleaner that takes the file of a living process is noticed, and so is a file that was put in its place."""
    box = new_box(place, PROCESS)
    assert box.is_there()
    assert box.path is not None
    box.path.unlink()
    assert not box.is_there()
    box.path.write_bytes(b"")
    assert not box.is_there()


# --- where no file can be had -----------------------------------------------------------------------------------------


@contextmanager
def _mounted(directory: Path, kind: str, options: str) -> Iterator[Path]:
    directory.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", kind, "-o", options, kind, str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def _assert_in_memory(box: Box, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    count(box)
    assert box.path is None
    assert not box.is_done()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "TELEMETRY_STATE_DIR=" in line
    assert reason in line
    assert "killed" in line


def test_full_disk_at_the_start(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where there is no room at all, counts are kept in memory, which one line says; no file is left half made."""
    with _mounted(place, "tmpfs", "size=8k,mode=0700") as full:
        _assert_in_memory(new_box(full, PROCESS), caplog, "No space left")
        assert list(full.iterdir()) == []


def test_disk_that_fills_up(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where there is no room for another block, new series are kept in memory; those in the file stay there."""
    with _mounted(place, "tmpfs", "size=64k,mode=0700") as small:
        box = new_box(small, PROCESS)
        for number in range(2_000):
            count(box, f"series-{number}")
        in_memory = {str(entry.values[0]) for entry, _ in box.in_memory()}
        assert "series-0" not in in_memory
        assert "series-1999" in in_memory
        assert len(box.undelivered()) == 2_000
        assert "new series are kept in memory only" in caplog.text
        box.leave()
        assert set(_left(small)) == {f"series-{number}" for number in range(2_000)} - in_memory


def test_full_disk_is_no_bus_error(tmp_path: Path) -> None:
    """A disk that others fill while a process counts does not end the process: its space was reserved."""
    code = """
import sys
from pathlib import Path
from telemetry.box.own import new_box
from tests.telemetry.box.series import counter
directory = Path(sys.argv[1])
box = new_box(directory, {"target": "here"})
entries = [counter(str(n)) for n in range(100)]
places = [(box.place(entry).cells, entry.slot) for entry in entries]
try:
    with (directory / "ballast").open("wb", buffering=0) as file:
        while True: file.write(b"x" * 4096)
except OSError: pass
for cells, slot in places: cells[slot] += 1
print(len(box.undelivered()))
"""
    with _mounted(tmp_path / "small", "tmpfs", "size=48k,mode=0700") as small:
        ended = subprocess.run([sys.executable, "-c", code, str(small)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "100\n"), ended.stderr


def test_read_only_disk(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A directory on a disk that cannot be written is as good as none."""
    with _mounted(place, "tmpfs", "ro,mode=0700") as readonly:
        _assert_in_memory(new_box(readonly, PROCESS), caplog, "Read-only file system")


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs", "cifs", "btrfs", "zfs"])
def test_unsafe_file_systems(
    place: Path, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Disks shared over a network, whose locks are not one machine's, and those that cannot reserve are not used."""
    monkeypatch.setattr(directories, "file_system", lambda path: kind)
    _assert_in_memory(new_box(place, PROCESS), caplog, kind)


@pytest.mark.parametrize(("what", "reason"), [("open", "chmod 700"), ("foreign", "another user"), ("file", "exists"), ("link", "not a directory")])  # fmt: skip
def test_directories_of_others(place: Path, what: str, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """A directory that others can read or have made, a file and a symbolic link in its place are not used."""
    match what:
        case "open":
            place.mkdir(mode=0o755)
        case "foreign":
            place.mkdir(mode=0o700)
            os.chown(place, 12345, 12345)
        case "file":
            place.write_text("")
        case "link":
            place.with_name("elsewhere").mkdir(mode=0o700)
            place.symlink_to(place.with_name("elsewhere"))
    _assert_in_memory(new_box(place, PROCESS), caplog, reason)


def test_unusable_directory_is_named_once(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A hundred processes of one service do not fill the log with the same sentence."""
    caplog.set_level(logging.WARNING)
    place.write_text("")
    for _ in range(3):
        new_box(place, PROCESS)
    assert len(caplog.records) == 1


def test_box_without_a_name_is_swept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose process died before it was complete has no name that anybody looks for, and goes after a minute."""
    place.mkdir(mode=0o700)
    file = MappedFile(place)
    file.close()
    assert list(dead_boxes(place)) == []
    assert [path.name[0] for path in place.iterdir()] == ["."]
    monkeypatch.setattr("telemetry.box.dead._UNNAMED_FOR", -1)
    assert list(dead_boxes(place)) == []
    assert list(place.iterdir()) == []
