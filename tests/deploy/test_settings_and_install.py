"""What people are told when a setting is wrong, a port is taken or a program is missing."""

from __future__ import annotations

import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import collector_program
from deploy.fleet import Fleet, FleetError
from deploy.settings import ROOT, FleetSettings, SettingsError

TOOLS = {"cmd", "storagetest", "otelcol"}
LOCKS = ("go.mod", "go.sum")


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


def test_other_collector_runs_the_official_configuration(tmp_path: Path) -> None:
    """A distribution without our components gets `otel-collector.yaml`, and whoever starts it is told what that means."""
    program = tmp_path / "otelcol-contrib"
    program.write_text("#!/bin/sh\necho processors: batch\n")
    program.chmod(0o755)
    assert collector_program.configuration(str(program)).name == "otel-collector.yaml"
    limitation = collector_program.limitation(str(program))
    assert limitation is not None
    assert str(program) in limitation
    assert "totals end with the collector" in limitation
    assert collector_program.configuration("/not/installed/yet").name == "otel-collector.durable.yaml"
    assert collector_program.limitation("/not/installed/yet") is None


def test_installation_covers_the_collectors_sources() -> None:
    """Each Go file that is built into the collector is part of what its cached build is named by; tests and tools are not."""
    command = f"ROOT={ROOT}; source {ROOT / 'deploy/install/programs.sh'}; collector_sources"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.split()
    built = {path for path in (ROOT / "collector").rglob("*.go") if not path.name.endswith("_test.go")}
    named = {str(path) for path in built if not TOOLS & set(path.parts)}
    assert {
        *named,
        *(str(ROOT / "collector" / name) for name in (*LOCKS, "otelcol/go.mod", "otelcol/go.sum", "builder.yaml")),
    } == set(found)


def test_missing_packages_are_named(tmp_path: Path) -> None:
    """Where nothing can be installed, `make install` says exactly what is missing, and fails."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "id", "dirname", "cat", "mkdir", "comm", "sort", "sha256sum", "uv", "grep"):
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
