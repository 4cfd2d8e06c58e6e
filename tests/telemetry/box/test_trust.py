"""Whose files are believed: what somebody else could have put there is neither delivered nor shown, nor read into memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry.box.dead import dead_boxes, look_at_dead
from telemetry.box.directory import LARGEST, why_not_believed
from telemetry.box.host import Host
from telemetry.box.own import new_box
from telemetry.cli.main import main
from tests.telemetry.box.series import count

SOMEBODY = 4242


def _left(directory: Path) -> Path:
    box = new_box(directory, {"resource": {}, "target": "here"})
    count(box)
    assert box.path is not None
    path = box.path
    box.leave()
    return path


def _planted(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)
    return directory


def _open_to_a_group(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory.chmod(0o770)
    return directory


def _linked(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    link = directory.with_name("link")
    link.symlink_to(directory)
    return link


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_planted, "it belongs to another user"),
        (_open_to_a_group, "others can write in it: chmod 700"),
        (_linked, "it is not a directory"),
    ],
    ids=["another user's", "open to a group", "a link"],
)
def test_directory_of_others_is_not_believed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path, pytest.MonkeyPatch], Path],
    why: str,
) -> None:
    """Boxes in a directory that others own, write in, or lead to are not taken, not shown and not touched; `deliver` says why."""
    path = _left(tmp_path / "state")
    directory = make(tmp_path / "state", monkeypatch)
    assert why_not_believed(directory) == why
    assert list(dead_boxes(directory)) == list(look_at_dead(directory)) == []
    host = Host(directory, lambda process: "all")
    assert (host.read(), host.absorb()) == ([], 0)
    assert path.exists()
    monkeypatch.setenv("TELEMETRY_STATE_DIR", str(directory))
    monkeypatch.delenv("OTEL_METRICS_EXPORTER", raising=False)
    assert main(["deliver", "--timeout", "1"]) == 2
    assert f"TELEMETRY_STATE_DIR={directory} is not delivered: {why}" in capsys.readouterr().err


def _hard_link(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.write_bytes(b"somebody's")
    os.link(elsewhere, path)


def _another_users(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can make files of others")
    path.write_bytes(b"x" * 10_000)
    os.chown(path, SOMEBODY, SOMEBODY)


def _giant(path: Path) -> None:
    path.touch()
    os.truncate(path, LARGEST + 1)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_hard_link, "it is a link to a file elsewhere"),
        (_another_users, "it belongs to another user"),
        (_giant, "it is larger than any box"),
    ],
    ids=["hard link", "another user's", "giant"],
)
def test_file_of_others_is_set_aside(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[Path], None],
    why: str,
) -> None:
    """A file that was put there before others were kept out is set aside unread, with a line that says why; boxes are taken."""
    directory = tmp_path / "state"
    healthy = _left(directory)
    make(directory / "00.box")
    if make is _another_users:
        os.chown(directory, SOMEBODY + 1, -1)
        os.chown(healthy, SOMEBODY + 1, -1)
        monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY + 1)
    tracemalloc.start()
    assert [standing.process["target"] for standing in Host(directory, lambda process: "all").read()] == ["here"]
    (box,) = dead_boxes(directory)
    box.leave()
    assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    tracemalloc.stop()
    assert box.path == healthy
    assert f"{directory / '00.box'} cannot be read ({why}) and is set aside" in caplog.text
    assert (directory / "00.damaged").exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Directory and files are their user's alone, and nothing in there can be executed, for boxes, sums and notes."""
    directory = tmp_path / "state"
    code = """
import os, signal, sys, time
os.umask(int(sys.argv[1]))
import telemetry
from tests.support import chat
t = telemetry.configure("private", catalogue=chat)
chat.of(t).message_sent(plan="free")
if os.fork() == 0:
    chat.of(t).message_sent(plan="free")
    os.kill(os.getpid(), signal.SIGKILL)
os.wait()
t.force_flush(5)
end = time.monotonic() + 20
while not any(name.endswith(".sum") for name in os.listdir(sys.argv[2])) and time.monotonic() < end: time.sleep(0.05)
for entry in [sys.argv[2], *(os.path.join(sys.argv[2], name) for name in os.listdir(sys.argv[2]))]:
    print(oct(os.lstat(entry).st_mode & 0o777), entry)
"""
    env = {
        **os.environ,
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "1",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "TELEMETRY_STATE_DIR": str(directory),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(umask), str(directory)], env=env, capture_output=True, text=True, check=False
    )
    modes = dict(reversed(row.split(" ", 1)) for row in done.stdout.splitlines())  # type: ignore[misc]
    assert modes.pop(str(directory)) == "0o700", done.stderr
    assert {Path(path).suffix for path in modes} >= {".box", ".sum"}
    assert set(modes.values()) == {"0o600"}
