"""The image of app and worker: the steps of its Dockerfile, tried in a clean directory, and what runs in it last."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.settings import ROOT
from support.memory import MEMORY
from support.waiting import eventually
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import BEGIN, environment

DOCKERFILE = ROOT / "Dockerfile"
LAST_WORDS = ROOT / "deploy" / "image" / "last-words.sh"
COUNTS = BEGIN + "message(); say('counted');"


def steps(file: Path) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile with their arguments, continued lines joined and comments left out."""
    text = re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())
    ]


def entries(lock: Path) -> set[str]:
    """Each pinned package of a lock with its hashes."""
    return set(re.split(r"\n(?=\S)", lock.read_text().strip()))


def test_packages_are_those_of_the_lock() -> None:
    """The image has the very versions and hashes that everything is tested with, of what the fleet needs and no more."""
    image, everything = entries(ROOT / "requirements.fleet.lock"), entries(ROOT / "requirements.lock")
    assert image < everything
    names = {canonicalize_name(re.split(r"[=;\[ ]", entry)[0]) for entry in image}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for wanted in (*project["dependency-groups"]["fleet"], *project["project"]["dependencies"]):
        assert canonicalize_name(Requirement(wanted).name) in names
    assert not {"pytest", "mypy", "ruff", "pip"} & names


def test_uv_is_the_one_of_the_installation() -> None:
    """The image is made by the uv that makes `.venv`."""
    found = re.search(r"UV_VERSION=([0-9.]+)", (ROOT / "deploy" / "install.sh").read_text())
    assert found
    assert f"uv=={found[1]}" in DOCKERFILE.read_text()


def test_secrets_and_state_stay_out() -> None:
    """What is copied is in the context, and no secret nor state is: all else is excluded, and the secrets again."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert "deploy/.env" in ignored
    for _, rest in (step for step in steps(DOCKERFILE) if step[0] == "COPY" and not step[1].startswith("--from")):
        for source in rest.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source.partition('/')[0]}" in ignored, source


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    """Whom processes export to."""
    made = OtlpSink()
    yield made
    made.close()


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Path]:
    """A state directory in memory, as the volume of a container is."""
    place = (MEMORY or tmp_path) / f"last-words-{os.getpid()}"
    yield place
    shutil.rmtree(place, ignore_errors=True)


def _run(code: str, sink: OtlpSink, boxes: Path, **more: str) -> subprocess.Popen[str]:
    slow = {"OTEL_METRIC_EXPORT_INTERVAL": "60000", "TELEMETRY_STATE_DIR": str(boxes)}
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.Popen(
        [str(LAST_WORDS), "python", "-c", code],
        env=environment(sink.url, PATH=path, **{**slow, **more}),
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_command_is_delivered(sink: OtlpSink, boxes: Path) -> None:
    """What a command counted arrives though it was killed, and the container ends with its status."""
    process = _run(COUNTS + "os.kill(os.getpid(), signal.SIGKILL)", sink, boxes)
    assert process.wait(30) == 128 + signal.SIGKILL
    assert sink.total("messages_sent_total") == 1


def test_stop_reaches_the_command(sink: OtlpSink, boxes: Path) -> None:
    """SIGTERM reaches the command, which ends as it likes; its forked child that was killed is delivered, too."""
    code = COUNTS + (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "if os.fork() == 0:\n    message(plan='pro'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.wait(); say('ready')\nwhile True: time.sleep(1)"
    )
    process = _run(code, sink, boxes)
    assert process.stdout is not None
    assert eventually(lambda: process.stdout is not None and process.stdout.readline() == "ready\n")
    process.terminate()
    assert process.wait(30) == 7
    assert sink.total("messages_sent_total") == 2


def test_dead_collector_holds_nobody_up(sink: OtlpSink, boxes: Path) -> None:
    """Without a collector the last words end in time, and the box stays for the next one."""
    sink.status = 503
    process = _run(COUNTS + "os.kill(os.getpid(), signal.SIGKILL)", sink, boxes, LAST_WORDS_SECONDS="1")
    assert process.wait(30) == 128 + signal.SIGKILL
    assert len(list(boxes.glob("*.box"))) == 1


def test_nothing_is_said_where_nothing_is_exported(sink: OtlpSink, boxes: Path) -> None:
    """What exports nothing, such as Flower, ends with its command."""
    process = _run("print('flower')", sink, boxes, OTEL_METRICS_EXPORTER="none")
    assert process.communicate(timeout=30)[0] == "flower\n"
    assert process.returncode == 0
