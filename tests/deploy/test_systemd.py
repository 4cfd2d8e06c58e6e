"""The units for hosts: systemd takes them, they can do little, and they run what the fleet on one machine runs."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from deploy import processes
from deploy.settings import ROOT, FleetSettings
from support.waiting import eventually
from telemetry.settings.variables import OWN, STANDARD
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import BEGIN

FOLDER = ROOT / "deploy" / "systemd"
UNITS = {"app@": "app-1", "worker@": "worker1", "beat": "beat", "otel-collector": "collector"}
PYTHON = "/opt/fleet/.venv/bin/python"
MOST_EXPOSED = "20"  # tenths of systemd's scale of ten; a unit without hardening has 96

analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


class _Unit(dict[str, list[str]]):
    """The settings of a unit's [Service], each with every value it is given."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, [*self.get(key, []), *value] if isinstance(value, list) else value)


def unit(name: str) -> dict[str, list[str]]:
    """The settings of [Service]."""
    parser = configparser.RawConfigParser(strict=False, dict_type=_Unit, comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(FOLDER / f"{name}.service")
    return {key: value.splitlines() for key, value in parser["Service"].items()}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as they would be if this checkout were installed."""
    folder = tmp_path_factory.mktemp("units")
    for file in FOLDER.glob("*.service"):
        text = file.read_text().replace("/opt/fleet", str(ROOT)).replace("/usr/local/bin/otelcol", sys.executable)
        (folder / file.name.replace("@", "@8001")).write_text(text)
    return folder


@analyze
def test_systemd_takes_them(here: Path) -> None:
    """`systemd-analyze verify` has nothing to say about any unit."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(here.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@analyze
@pytest.mark.parametrize("name", UNITS)
def test_they_can_do_little(here: Path, name: str) -> None:
    """`systemd-analyze security` finds each unit well confined."""
    file = here / f"{name.replace('@', '@8001')}.service"
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


@analyze
def test_systemd_takes_the_secure_ones(here: Path, tmp_path: Path) -> None:
    """With the drop-ins for TLS and tokens `systemd-analyze verify` has nothing to say, and the collector reads both configurations."""
    for file in here.iterdir():
        unit = tmp_path / file.name
        unit.write_text(file.read_text())
        extra = FOLDER / "secure" / ("otel-collector.conf" if file.name.startswith("otel") else "senders.conf")
        (tmp_path / f"{file.name}.d").mkdir()
        text = extra.read_text().replace("/usr/local/bin/otelcol", sys.executable)
        (tmp_path / f"{file.name}.d" / "secure.conf").write_text(text)
    units = [str(path) for path in sorted(tmp_path.iterdir()) if path.is_file()]
    command = ["systemd-analyze", "verify", "--man=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    text = (FOLDER / "secure" / "otel-collector.conf").read_text()
    assert re.findall(r"--config=/etc/fleet/(\S+)", text) == [
        "otel-collector.durable.yaml",
        "otel-collector.durable.secure.yaml",
    ]
    told = re.findall(r"(OTELCOL_\w+|TELEMETRY_\w+|OTEL_\w+)=", text + (FOLDER / "secure" / "senders.conf").read_text())
    known = {variable.name for variable in (*STANDARD, *OWN)}
    config = (ROOT / "otel-collector.durable.secure.yaml").read_text()
    assert not [name for name in told if name not in known and f"env:{name}:" not in config]


@pytest.mark.parametrize("name", ["app@", "worker@", "beat"])
def test_commands_are_the_fleets(name: str) -> None:
    """A unit runs what the fleet on one machine runs, but for names, ports and where files are."""
    secrets = dict.fromkeys(("ADMIN_TOKEN", "FLOWER_USER", "FLOWER_PASSWORD", "SIMULATED_LLM_API_KEY"), "x")
    local = {found.name: found for found in processes.all_processes(FleetSettings(), secrets)}[UNITS[name]]
    ours = shlex.split(unit(name)["ExecStart"][0].replace("%%", "%"))
    same = re.compile(r"^--schedule=.*|^worker[^.]*@%h|^8001$|^%i$")
    theirs = [word for word in local.command[1:] if not same.match(word)]
    assert ours[0] == PYTHON
    assert [word for word in ours[1:] if not same.match(word)] == theirs
    assert f"OTEL_SERVICE_NAME={local.environment['OTEL_SERVICE_NAME']}" in unit(name)["Environment"]
    assert int(unit(name)["TimeoutStopSec"][0]) >= local.stop_seconds


def test_variables_are_the_fleets() -> None:
    """The example of an environment file has what the fleet on one machine gets, and no secret."""
    lines = (FOLDER / "fleet.env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    wanted = processes.application_environment(FleetSettings(), {"ADMIN_TOKEN": "", "SIMULATED_LLM_API_KEY": ""})
    assert set(given) == set(wanted) - {"PYTHONPATH", "PYTHONUNBUFFERED", "TELEMETRY_STATE_DIR", "OPENAI_BASE_URL"}
    assert given["ADMIN_TOKEN"] == given["OPENAI_API_KEY"] == ""
    known = {name.upper() for name in Settings.model_fields} | {variable.name for variable in (*STANDARD, *OWN)}
    assert set(given) <= known | {"CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"}


@pytest.mark.parametrize("name", ["app@", "worker@", "beat"])
def test_boxes_outlive_their_process(name: str) -> None:
    """The state directory is the unit's own, in memory, stays when the unit fails, and is delivered from at every end."""
    found = unit(name)
    directory = f"%t/{found['RuntimeDirectory'][0]}/boxes"
    assert f"TELEMETRY_STATE_DIR={directory}" in found["Environment"]
    assert found["RuntimeDirectoryPreserve"] == ["yes"]
    assert found["RuntimeDirectoryMode"] == ["0700"]
    assert found["ExecStopPost"][0].startswith(f"-{PYTHON} -m telemetry deliver")


def test_installing_is_as_documented(tmp_path: Path) -> None:
    """What docs/deploy.md has people copy is there, and lies where the units look for it."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    block = next(block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "/etc/systemd/system" in block)
    copies = [line for line in block.splitlines() if not line.startswith("systemctl")]
    (tmp_path / "etc" / "systemd" / "system").mkdir(parents=True)
    (tmp_path / "usr" / "local" / "bin").mkdir(parents=True)
    script = re.sub(r"(?<=\s)/(?=etc/|usr/)", f"{tmp_path}/", "\n".join(copies))
    subprocess.run(["/bin/sh", "-ec", script], cwd=ROOT, check=True, timeout=60)
    assert {file.stem for file in (tmp_path / "etc" / "systemd" / "system").iterdir()} == set(UNITS)
    started = set(re.findall(r"[a-z-]+@?(?=[\d ]|$)", block.splitlines()[-1].partition("--now ")[2]))
    assert started == set(UNITS)
    for name in UNITS:
        for value in (*unit(name)["EnvironmentFile"], *shlex.split(unit(name)["ExecStart"][0])):
            path = value.rpartition("=")[2]
            if path.startswith(("/etc", "/usr")):
                assert (tmp_path / path[1:]).exists(), path


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    """Whom processes export to."""
    made = OtlpSink()
    yield made
    made.close()


def test_what_follows_the_end_delivers(sink: OtlpSink, tmp_path: Path) -> None:
    """What ExecStopPost runs delivers for a killed process, below the link that systemd makes for a dynamic user's directory."""
    link = tmp_path / "link"
    (tmp_path / "private").mkdir(mode=0o700)
    link.symlink_to(tmp_path / "private")
    boxes = link / "boxes"
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TELEMETRY_STATE_DIR": str(boxes),
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
        "OTEL_METRIC_EXPORT_INTERVAL": "60000",
    }
    killed = [sys.executable, "-c", BEGIN + "message(); os.kill(os.getpid(), signal.SIGKILL)"]
    subprocess.run(killed, env=variables, check=False, timeout=60)
    assert len(list(boxes.glob("*.box"))) == 1
    after = shlex.split(unit("beat")["ExecStopPost"][0].removeprefix("-").replace(PYTHON, sys.executable))
    subprocess.run(after, env=variables, check=True, timeout=60)
    assert eventually(lambda: sink.total("messages_sent_total")) == 1
