"""Boxes of the dead: each is taken by one, damaged and foreign files hurt nobody, no file is ever trusted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.waiting import eventually
from telemetry.box.box import Box
from telemetry.box.dead import dead_boxes
from telemetry.box.header import Role
from telemetry.box.locks import is_locked
from telemetry.box.own import new_box
from tests.support.beside import at_once
from tests.telemetry.box.series import count

PROCESS = {"resource": {}, "target": "here"}


def _leave(directory: Path, series: int = 1) -> Path:
    """A box that a process left behind."""
    box = new_box(directory, PROCESS)
    for number in range(series):
        count(box, str(number))
    assert box.path is not None
    path = box.path
    box.leave()
    return path


def test_every_box_is_taken_once(tmp_path: Path) -> None:
    """Eight who look at the same time take each box once between them."""
    directory = tmp_path / "state"
    for _ in range(40):
        _leave(directory)
    taken: list[str] = []

    def take() -> None:
        for box in dead_boxes(directory):
            taken.append(str(box.path))
            box.remove()
            box.leave()

    at_once(lambda _: take(), 8)
    take()
    assert len(taken) == len(set(taken)) == 40


def test_killed_process_leaves_its_counts(tmp_path: Path) -> None:
    """A SIGKILL takes no count that was made, and the box is free the moment the process is gone."""
    code = """
import os, signal, sys
from pathlib import Path
from telemetry.box.own import new_box
from tests.telemetry.box.series import count
box = new_box(Path(sys.argv[1]), {"target": "here"})
for number in range(1000): count(box, str(number))
os.kill(os.getpid(), signal.SIGKILL)
"""
    directory = tmp_path / "state"
    ended = subprocess.run([sys.executable, "-c", code, str(directory)], check=False)
    assert ended.returncode == -signal.SIGKILL
    (box,) = dead_boxes(directory)
    assert sum(amounts[0] for _, amounts in box.standing(Role.TOTALS)) == 1000
    box.leave()


def test_forked_child_holds_no_lock(tmp_path: Path) -> None:
    """A box is free when its process dies, also while children live that were forked from it."""
    directory = tmp_path / "state"
    code = """
import os, sys, time
from pathlib import Path
from telemetry.box.own import new_box
from tests.telemetry.box.series import count
box = new_box(Path(sys.argv[1]), {"target": "here"})
count(box)
if os.fork() == 0:
    os.close(1); time.sleep(60); os._exit(0)
os._exit(0)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(directory)], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        parent.wait(20)
        found: list[Box] = []
        assert eventually(lambda: found.extend(dead_boxes(directory)) or found)  # once the child has begun
        found[0].leave()
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate()


@pytest.mark.parametrize("cut", [0, 1, 100, 5_000, 16_384, 20_000])
def test_truncated_files_are_set_aside(tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    """A file that was cut, at the edge of a block or anywhere, is set aside with an error; nobody dies of it."""
    directory = tmp_path / "state"
    path = _leave(directory, series=600)
    assert path.stat().st_size > 20_000
    with path.open("r+b") as file:
        file.truncate(cut)
    assert list(dead_boxes(directory)) == []
    assert [found.suffix for found in directory.iterdir()] == [".damaged"]
    assert "set aside" in caplog.text
    assert list(dead_boxes(directory)) == []


def test_damaged_files_are_set_aside_or_plausible(tmp_path: Path) -> None:
    """Whatever bytes a file has, looking at it raises nothing, and the healthy box beside it is taken."""
    directory = tmp_path / "state"
    draw = random.Random(3)
    for _ in range(60):
        path = _leave(directory, series=20)
        content = bytearray(path.read_bytes())
        for _ in range(draw.randint(1, 200)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content)
    healthy = _leave(directory)
    taken = []
    for box in dead_boxes(directory):
        taken.append(box.path)
        box.remove()
        box.leave()
    assert healthy in taken


def test_other_versions_are_left_alone(tmp_path: Path) -> None:
    """A box of a newer version waits for a process of that version."""
    directory = tmp_path / "state"
    path = _leave(directory)
    content = bytearray(path.read_bytes())
    content[7] = 2
    path.write_bytes(content)
    assert list(dead_boxes(directory)) == []
    assert path.exists()
    assert not is_locked(path)


def test_things_that_are_no_boxes(tmp_path: Path) -> None:
    """Directories, pipes, links and empty files named like boxes neither hang nor hurt who looks."""
    directory = tmp_path / "state"
    healthy = _leave(directory)
    (directory / "directory.box").mkdir()
    os.mkfifo(directory / "pipe.box")
    (directory / "link.box").symlink_to(healthy)
    (directory / "notes.txt").write_text("not ours")
    (box,) = dead_boxes(directory)
    assert box.path == healthy
    box.leave()
    assert (directory / "notes.txt").exists()


def test_directory_that_is_not_there(tmp_path: Path) -> None:
    """Who looks into a directory that nobody made finds nothing."""
    assert list(dead_boxes(tmp_path / "nowhere")) == []


def test_unfinished_block_is_not_read(tmp_path: Path) -> None:
    """A process that died while it added a block left a longer file: what was complete is taken, and can be added to."""
    directory = tmp_path / "state"
    path = _leave(directory, series=3)
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"\x01" * 5000 + bytes(60_536))
    (box,) = dead_boxes(directory)
    assert len(box.undelivered()) == 3
    for number in range(2_000):
        count(box, f"more-{number}")
    box.leave()
    (again,) = dead_boxes(directory)
    assert {str(entry.values[0]) for entry, _ in again.standing(Role.TOTALS)} >= {"0", "more-1999"}
    again.leave()
