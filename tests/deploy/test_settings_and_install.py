"""What people are told when a setting is wrong, a port is taken or a program is missing."""

from __future__ import annotations

import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.fleet import Fleet, FleetError
from deploy.settings import ROOT, FleetSettings, SettingsError


def test_every_wrong_setting_at_once() -> None:
    """One message names each wrong setting, its value and the remedy."""
    with pytest.raises(SettingsError) as caught:
        FleetSettings.from_environ({"NGINX_PORT": "abc", "WORKER_NODES": "0", "ENVIRONMENT": "a b"})
    for word in ("NGINX_PORT", "abc", "WORKER_NODES", "ENVIRONMENT", "set it to"):
        assert word in str(caught.value)


def test_taken_port_is_one_sentence(tmp_path: Path) -> None:
    """A taken port names itself, its setting and what to do; nothing has been started by then."""
    settings = FleetSettings.isolated(tmp_path / "fleet")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", settings.nginx_port))
        holder.listen()
        fleet = Fleet(settings, say=lambda line: None)
        with pytest.raises(FleetError, match=rf"Port {settings.nginx_port} \(NGINX_PORT\) is taken"):
            fleet.up()
        assert not any(row.pid for row in fleet.status())


def test_secrets_are_private_and_stay(tmp_path: Path) -> None:
    """Secrets have no defaults: they are made once, readable by their owner alone, and differ between fleets."""
    fleet = Fleet(FleetSettings.isolated(tmp_path / "a"))
    secrets = fleet.secrets()
    path = tmp_path / "a" / "secrets.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert fleet.secrets() == secrets
    other = Fleet(FleetSettings.isolated(tmp_path / "b")).secrets()
    assert other["FLOWER_PASSWORD"] != secrets["FLOWER_PASSWORD"]


def test_missing_packages_are_named(tmp_path: Path) -> None:
    """Where nothing can be installed, `make install` says exactly what is missing, and fails."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "id", "dirname", "cat", "mkdir", "comm", "sort", "sha256sum", "uv"):
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    script = (ROOT / "deploy" / "install.sh").read_text().replace("PATH=$PATH:/usr/sbin:/sbin", "PATH=$PATH")
    checkout = tmp_path / "checkout" / "deploy"
    shutil.copytree(ROOT / "deploy", checkout)
    (checkout / "install.sh").write_text(script)
    done = subprocess.run(
        [str(tools / "bash"), str(checkout / "install.sh")],
        env={"PATH": str(tools), "HOME": str(tmp_path), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "redis-server" in done.stderr
    assert "nginx" in done.stderr
