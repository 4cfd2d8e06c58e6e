"""What readers of brokers on one host know of each other; no broker is involved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from telemetry import Settings
from telemetry.box.dead import dead_boxes
from telemetry.instrumentation.celery.readers import Readers
from telemetry.settings.values import Exporter


def _readers(
    directory: Path, environment: str = "prod", namespace: str = "", exporter: Exporter = "prometheus"
) -> Readers:
    return Readers(
        Settings(environment=environment, service_namespace=namespace, exporters=(exporter,), state_dir=directory)
    )


def _age(directory: Path, fingerprint: str, seconds: float) -> None:
    """Let it be so long ago that anybody said it."""
    (path,) = directory.glob(f"*-{fingerprint}.broker")
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_readers_of_two_brokers_see_each_other(tmp_path: Path) -> None:
    """Each sees the other one's broker as soon as both have read since."""
    one, other = _readers(tmp_path), _readers(tmp_path)
    assert one.others("a") == set()
    other.others("b")
    _age(tmp_path, "b", -1)
    assert one.others("a") == {"b"}
    _age(tmp_path, "a", -1)
    assert other.others("b") == {"a"}


@pytest.mark.parametrize("seconds", [1, 3600, 7200])
def test_dead_reader_is_no_other(tmp_path: Path, seconds: float) -> None:
    """What a reader said before this one began, perhaps of a broker that is gone, is no news."""
    _readers(tmp_path).others("dead")
    _age(tmp_path, "dead", seconds)
    assert _readers(tmp_path).others("a") == set()


def test_new_name_of_the_broker_is_no_other(tmp_path: Path) -> None:
    """A broker that lost its fingerprint and has another one is not compared with itself."""
    readers = _readers(tmp_path)
    readers.others("before")
    assert readers.others("after") == set()
    assert [path.stem.rpartition("-")[2] for path in tmp_path.glob("*.broker")] == ["after"]


@pytest.mark.parametrize(
    "different",
    [{"environment": "dev"}, {"namespace": "shop"}, {"exporter": "otlp"}],
    ids=["environment", "namespace", "place"],
)
def test_others_are_of_the_same_fleet(tmp_path: Path, different: dict[str, str]) -> None:
    """Another environment or namespace, or one that reports elsewhere, has a broker of its own by right."""
    one, other = _readers(tmp_path), _readers(tmp_path, **different)
    one.others("a")
    other.others("b")
    _age(tmp_path, "b", -1)
    assert one.others("a") == set()


def test_notes_do_not_pile_up(tmp_path: Path) -> None:
    """A reader that leaves takes its note along; the note of a killed one goes after an hour."""
    readers = _readers(tmp_path)
    _readers(tmp_path).others("killed")
    _age(tmp_path, "killed", 3601)
    readers.others("a")
    readers.leave()
    assert list(tmp_path.glob("*.broker")) == []


def test_note_of_a_killed_reader_is_swept(tmp_path: Path) -> None:
    """Whoever delivers for the dead removes what a killed reader has said, and leaves the note of one that lives."""
    code = """
import os, signal, sys
from pathlib import Path
from telemetry import Settings
from telemetry.box.dead import dead_boxes
from telemetry.instrumentation.celery.readers import Readers
from telemetry.settings.values import Exporter
Readers(Settings(state_dir=Path(sys.argv[1]))).others("killed")
os.kill(os.getpid(), signal.SIGKILL)
"""
    living = _readers(tmp_path)
    living.others("living")
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("*.broker"))) == 2
    assert list(dead_boxes(tmp_path)) == []
    (left,) = tmp_path.glob("*.broker")
    assert left.stem.endswith("-living")
    living.leave()
    assert list(tmp_path.iterdir()) == []
