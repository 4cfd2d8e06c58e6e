"""No secret of the fleet is where somebody else could see it: logs, command lines, what commands print, files of others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from deploy.fleet import Fleet
from support.processes import children
from tests.fleet.client import ChatClient

PRIVATE = 0o077


def _command_lines(pid: int) -> str:
    """Of a process and all below it."""
    own = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    return "\n".join([own, *map(_command_lines, children(pid))])


def test_secrets_are_nowhere(fleet: Fleet, actions: ChatClient) -> None:
    """After everything was done once, no log, no command line and no status has a secret; files that have one are private."""
    secrets = {name: value for name, value in fleet.secrets().items() if name != "FLOWER_USER"}
    places = {str(path): path.read_text(errors="replace") for path in fleet.settings.logs.iterdir() if path.is_file()}
    manager = int((fleet.settings.run / "supervisord.pid").read_text())
    places["command lines"] = _command_lines(manager)
    status = [sys.executable, "-m", "deploy", "status"]
    places["status"] = subprocess.run(
        status, env=fleet.environment(), capture_output=True, text=True, check=False
    ).stdout
    assert "otelcol" in places["command lines"]
    assert len(places) > 10
    assert not [(place, name) for place, said in places.items() for name, value in secrets.items() if value in said]
    for path in fleet.settings.fleet_dir.rglob("*.conf"), fleet.settings.fleet_dir.rglob("*.env"):
        assert not [file for file in path if file.stat().st_mode & PRIVATE]
    assert not fleet.settings.fleet_dir.stat().st_mode & PRIVATE
    assert not [path for path in fleet.settings.boxes.iterdir() if path.stat().st_mode & (PRIVATE | 0o100)]
