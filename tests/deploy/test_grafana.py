"""Grafana in the fleet: which one is taken, and how it is started with our data source and dashboards."""

from __future__ import annotations

import json
import os
import stat
import string
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from deploy import grafana, render
from deploy.fleet import Fleet
from deploy.front_page.links import links
from deploy.settings import ROOT, FleetSettings, SettingsError
from tests.fleet.running import running_fleet

# Answers as Grafana does when it is ready, and notes how it was started.
_FAKE = """#!{python}
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
variables = {{name: value for name, value in os.environ.items() if name.startswith(("GF_", "FLEET_", "PROMETHEUS_"))}}
json.dump([sys.argv[1:], variables], open({note!r}, "w"))
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
HTTPServer((os.environ["GF_SERVER_HTTP_ADDR"], int(os.environ["GF_SERVER_HTTP_PORT"])), Handler).serve_forever()
"""

Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a program on PATH, which has nothing else; gives its path."""
    tools = tmp_path / "grafana-home" / "bin"
    tools.mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tools))
    grafana.with_image.cache_clear()

    def put(name: str, script: str) -> Path:
        program = tools / name
        program.write_text(script)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    return put


def _settings(**overrides: object) -> FleetSettings:
    return FleetSettings(**overrides)  # type: ignore[arg-type]


def test_program_on_path_is_taken(install: Install) -> None:
    """Grafana's program on PATH draws the dashboards, with the home that lies around it."""
    assert grafana.find(_settings()) is None
    program = install("grafana-server", "")
    assert grafana.find(_settings(grafana="none")) is None
    home = program.parent.parent
    (home / "conf").mkdir()
    (home / "conf" / "defaults.ini").touch()
    found = grafana.find(_settings())
    assert found is not None
    assert grafana.command(found, _settings()) == (str(program), f"--homepath={home}")


def test_newer_program_has_a_command(install: Install) -> None:
    """Since version 10 the program is called `grafana`, and its server is a command of it."""
    program = install("grafana", "")
    found = grafana.find(_settings())
    assert found is not None
    assert grafana.command(found, _settings())[:2] == (str(program), "server")


def test_address_is_linked_and_not_started(tmp_path: Path) -> None:
    """A Grafana that runs elsewhere is linked; the fleet starts neither one of its own nor the preview."""
    settings = _settings(grafana="https://grafana.example/", fleet_dir=tmp_path / "fleet")
    assert {link.url.rpartition("/d/")[0] for link in links(settings) if "/d/" in link.url} == {
        "https://grafana.example"
    }
    assert not {"grafana", "preview"} & {process.name for process in Fleet(settings).processes()}


@pytest.mark.parametrize(("status", "is_taken"), [(0, True), (1, False)])
def test_image_is_taken_where_it_is(install: Install, status: int, is_taken: bool) -> None:
    """A container engine runs Grafana if it has the image; nothing is pulled that was not asked for."""
    install("docker", f"#!/bin/sh\nexit {status}\n")
    assert (grafana.find(_settings()) is not None) == is_taken


def test_engine_that_is_named_is_taken(install: Install, tmp_path: Path) -> None:
    """`GRAFANA=podman` runs the image on the host's network, read-only files in, and no secret in the command line."""
    program = install("podman", "#!/bin/sh\nexit 1\n")
    settings = _settings(grafana="podman", fleet_dir=tmp_path / "fleet")
    found = grafana.find(settings)
    assert found is not None
    command = grafana.command(found, settings)
    assert command[:2] == (str(program), "run")
    assert command[-1] == grafana.IMAGE
    assert f"--volume={ROOT / 'grafana' / 'dashboards'}:{ROOT / 'grafana' / 'dashboards'}:ro" in command
    assert Fleet(settings).secrets()["GRAFANA_PASSWORD"] not in " ".join(command)


def test_wrong_program_is_explained() -> None:
    """A value that cannot be a program or address is refused with its name."""
    with pytest.raises(SettingsError, match="GRAFANA="):
        FleetSettings.from_environ({"GRAFANA": "a program; rm"})


def test_provisioning_has_no_contact_points(tmp_path: Path) -> None:
    """The fleet's Grafana gets our data source and dashboards, and nothing that needs a variable of somebody's."""
    settings = FleetSettings.isolated(tmp_path, scrape_seconds=2)
    files = grafana.provisioning(settings)
    assert {path.parent.name for path in files} == {"datasources", "dashboards"}
    [source] = yaml.safe_load(next(text for path, text in files.items() if path.parent.name == "datasources"))[
        "datasources"
    ]
    assert (source["url"], source["jsonData"]["timeInterval"]) == ("$PROMETHEUS_URL", "2s")
    provider = next(text for path, text in files.items() if path.parent.name == "dashboards")
    [folder] = [each["options"]["path"] for each in yaml.safe_load(provider)["providers"]]
    variables = grafana.environment(settings, {})
    assert Path(string.Template(folder).substitute(variables)) == ROOT / "grafana" / "dashboards"


def test_fleet_starts_grafana_for_viewers(tmp_path: Path) -> None:
    """The fleet starts Grafana for anonymous viewers on loopback, with a password that nobody is told, and ends it."""
    note, program = tmp_path / "note.json", tmp_path / "grafana-server"
    program.write_text(_FAKE.format(python=sys.executable, note=str(note)))
    program.chmod(0o755)
    settings = FleetSettings.isolated(tmp_path / "fleet", grafana=str(program))
    render.make_directories(settings)
    with running_fleet(settings, {}, ["dashboards"]) as fleet:
        _, variables = json.loads(note.read_text())
        pid = fleet.pid("grafana")
        assert variables["GF_SECURITY_ADMIN_PASSWORD"] == fleet.secrets()["GRAFANA_PASSWORD"]
    expected = {
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_AUTH_BASIC_ENABLED": "false",
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(settings.dashboards_port),
        "GF_PATHS_PROVISIONING": str(settings.conf / "grafana" / "provisioning"),
        "PROMETHEUS_URL": settings.url("PROMETHEUS_PORT"),
        "FLEET_FILES": str(ROOT),
    }
    assert expected.items() <= variables.items()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
