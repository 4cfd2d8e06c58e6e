"""The built wheel in an environment of its own: what it carries and what its commands do, without the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Mapping
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from support.ports import free_port
from support.waiting import eventually
from support.web import get, is_ok
from telemetry.cli.main import main
from telemetry.runbooks import RUNBOOKS, led_to
from telemetry.runbooks import page as runbook_page
from telemetry.shipped import ANCHORED, Choices, shipped, write_files

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
CLEAN = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}  # nothing of this process: no PYTHONPATH, no setting


def build(project: Path, into: Path, environment: Mapping[str, str] = {}) -> Path:
    """The wheel of a project, by the build backend of this environment; no network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, env={**os.environ, **environment})
    return next(into.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of this repository."""
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """What a package index shows."""
    with zipfile.ZipFile(wheel) as content:
        return message_from_bytes(content.read(f"fleet_telemetry-{VERSION}.dist-info/METADATA"))


class Environment:
    """A virtual environment apart from the repository; dependencies are those of this one."""

    def __init__(self, home: Path) -> None:
        self.bin = home / "bin"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
        [packages] = (home / "lib").glob("python*/site-packages")
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    def install(self, wheel: Path) -> None:
        """A wheel, without what it depends on."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)

    def run(self, program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A program of it, to its end."""
        command = [str(self.bin / program), *arguments]
        return subprocess.run(
            command, env=CLEAN | variables, capture_output=True, text=True, check=False, cwd=self.bin, timeout=60
        )


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With the wheel in it."""
    made = Environment(tmp_path_factory.mktemp("clean"))
    made.install(wheel)
    return made


def test_version_is_told(environment: Environment) -> None:
    """`--version` and `telemetry.__version__` are those of the distribution."""
    assert environment.run("fleet-telemetry", "--version").stdout == f"fleet-telemetry {VERSION}\n"
    told = environment.run("python", "-c", "import telemetry; print(telemetry.__version__, telemetry.__file__)").stdout
    version, file = told.split()
    assert version == VERSION
    assert str(ROOT) not in file


def test_files_are_complete(environment: Environment, tmp_path: Path) -> None:
    """`files DIRECTORY` writes configurations, dashboards, rules and runbooks, the same from a wheel as from a checkout."""
    done = environment.run("fleet-telemetry", "files", str(tmp_path / "made"))
    assert done.returncode == 0, done.stderr
    written = {str(path.relative_to(tmp_path / "made")): path.read_bytes() for path in map(Path, done.stdout.split())}
    assert written == {name: path.read_bytes() for name, path in shipped().items()}
    assert {
        "otel-collector.yaml",
        "otel-collector.durable.yaml",
        "grafana/alerts/guide.yaml",
        "grafana/dashboards/celery-monitoring.json",
        "grafana/prometheus-scrape-config.yml",
        "docs/runbooks/CollectorDown.md",
        "deploy/remote-write/agent.yml",
        "deploy/remote-write/scrape.yml",
    } <= written.keys()


def test_objectives_of_a_user(environment: Environment, tmp_path: Path) -> None:
    """`objectives FILE DIRECTORY` needs nothing but the package: rules, a dashboard and runbooks of the file that `files` brings."""
    environment.run("fleet-telemetry", "files", str(tmp_path))
    done = environment.run(
        "fleet-telemetry", "objectives", str(tmp_path / "grafana" / "objectives.yaml"), str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    names = {str(path.relative_to(tmp_path)) for path in map(Path, done.stdout.split())}
    assert {
        "grafana/alerts/objectives.yaml",
        "grafana/dashboards/objectives.json",
        "docs/runbooks/HttpLatencyBurnsFast.md",
    } <= names


def test_files_never_overwrite_unasked(tmp_path: Path) -> None:
    """What was changed by hand stays, and nothing is written beside it, until `--overwrite`."""
    (tmp_path / "otel-collector.yaml").write_text("mine")
    with pytest.raises(FileExistsError, match=r"otel-collector\.yaml"):
        write_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["otel-collector.yaml"]
    write_files(tmp_path, overwrite=True)
    assert write_files(tmp_path)
    assert (tmp_path / "otel-collector.yaml").read_bytes() == (ROOT / "otel-collector.yaml").read_bytes()


def test_files_fit_an_older_prometheus(tmp_path: Path) -> None:
    """With `--prometheus` no window is anchored before 3.16, and from 3.16 on all are that were."""
    write_files(tmp_path / "old", Choices(prometheus=(3, 5)))
    write_files(tmp_path / "new", Choices(prometheus=(3, 20)))
    for name in shipped():
        old, new = (tmp_path / age / name for age in ("old", "new"))
        assert ANCHORED not in old.read_text(), name
        assert old.read_text() == new.read_text().replace(ANCHORED, "")
    rules = (tmp_path / "new" / "grafana" / "alerts" / "recordings.yaml").read_text()
    assert rules.count("rate(") == rules.count(f"[5m]{ANCHORED})")


def test_files_lead_to_chosen_runbooks(tmp_path: Path) -> None:
    """`--runbooks` is where every link of a panel and of an alert leads."""
    address = "https://wiki.example/fleet"
    assert main(["files", str(tmp_path), "--runbooks", f"{address}/"]) == 0
    dashboards, rules = (tmp_path / "grafana" / kind for kind in ("dashboards", "alerts"))
    for path in [*dashboards.glob("*.json"), *rules.glob("*.yaml")]:
        assert RUNBOOKS not in path.read_text(), path.name
    assert f"runbook_url: {address}/CollectorDown.md" in (rules / "telemetry.yaml").read_text()


def test_address_of_runbooks_has_a_place_for_names(tmp_path: Path) -> None:
    """`{name}` in `--runbooks` is where the name goes: pages of the documentation's site end in `.html`, others in nothing."""
    assert main(["files", str(tmp_path), "--runbooks", "https://docs.example/runbooks/{name}.html"]) == 0
    assert (
        "runbook_url: https://docs.example/runbooks/CollectorDown.html\n"
        in (tmp_path / "grafana" / "alerts" / "telemetry.yaml").read_text()
    )
    for path in (tmp_path / "grafana" / "dashboards").glob("*.json"):
        text = path.read_text()
        assert RUNBOOKS not in text
        assert ".md" not in "".join(re.findall(r"\$\{VAR_RUNBOOKS\}\S*", text)), path.name
    health = (tmp_path / "grafana" / "dashboards" / "telemetry-health.json").read_text()
    assert '"query": "https://docs.example/runbooks"' in health
    assert "${VAR_RUNBOOKS}/CollectorDown.html" in health


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("https://a.example/runbooks", "https://a.example/runbooks/X.md"),
        ("https://a.example/runbooks/{name}.html", "https://a.example/runbooks/X.html"),
        ("https://a.example/wiki?page={name}", "https://a.example/wiki?page=X"),
        ("https://a.example/runbooks/{name}/", "https://a.example/runbooks/X/"),
    ],
    ids=["folder", "html", "query", "index"],
)
def test_links_are_the_address_with_the_name(address: str, page: str) -> None:
    """A link of a rule, and one of a dashboard once its variable is what the file has, lead to the page of the alert."""
    variable = led_to(address, f"{RUNBOOKS} ${{VAR_RUNBOOKS}}/X.md {RUNBOOKS}/X.md").split()
    assert variable[1].replace("${VAR_RUNBOOKS}", variable[0]) == page
    assert variable[2] == page == runbook_page(address, "X")


def test_versions_are_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is no version of Prometheus is refused by name, and nothing is written."""
    with pytest.raises(SystemExit):
        main(["files", str(tmp_path / "made"), "--prometheus", "newest"])
    assert "'newest' is no version of Prometheus, such as 3.5" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_shipped_rules_find_each_other(tmp_path: Path) -> None:
    """What is written works where it is: Prometheus' configuration names rules that are there."""
    write_files(tmp_path)
    promtool = Path(sys.prefix) / "bin" / "promtool"
    done = subprocess.run(
        [promtool, "check", "config", tmp_path / "grafana" / "prometheus-scrape-config.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "rule files found" in done.stdout


def test_licence_is_in_the_wheel(wheel: Path, metadata: Message) -> None:
    """By name, and as its text."""
    assert metadata["License-Expression"] == "Apache-2.0"
    with zipfile.ZipFile(wheel) as content:
        licence = content.read(f"fleet_telemetry-{VERSION}.dist-info/licenses/LICENSE")
    assert licence == (ROOT / "LICENSE").read_bytes()


def test_description_has_no_dead_link(metadata: Message) -> None:
    """The page of a package index links to addresses only, not to files of the repository."""
    links = re.findall(r"\]\(([^)]+)\)", str(metadata.get_payload()))
    assert [link for link in links if not link.startswith(("https://", "http://", "#"))] == []
    assert "docs/accuracy.md" in str(metadata.get_payload())


@pytest.mark.parametrize(
    "extra", ["celery", "collector", "fastapi", "grpc", "llm", "objectives", "prometheus", "sqlalchemy"]
)
def test_extra_is_declared(extra: str, metadata: Message) -> None:
    """Each extra that a message names can be installed."""
    assert extra in (metadata.get_all("Provides-Extra") or [])


# --- the collector ----------------------------------------------------------------------------------------------------

COLLECTOR = ROOT / "collector" / "wheel"
COUNTS = """
import telemetry
for _ in range(3):
    telemetry.configure("wheel").http.answered("GET", "/x", 200, 0.1)
"""
PROGRAM = """#!/bin/sh
echo "state=$OTELCOL_STATE_DIR" "$@"
"""


def collector_wheel(program: Path, into: Path) -> Path:
    """The collector's wheel with a program in it."""
    return build(COLLECTOR, into, {"COLLECTOR_PROGRAM": str(program), "COLLECTOR_MACHINE": "x86_64"})


@pytest.fixture(scope="module")
def with_collector(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With a collector that says how it was called."""
    program = tmp_path_factory.mktemp("program") / "otelcol"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    made = Environment(tmp_path_factory.mktemp("collector"))
    made.install(wheel)
    made.install(collector_wheel(program, tmp_path_factory.mktemp("wheel")))
    return made


def test_missing_collector_is_named(environment: Environment) -> None:
    """Without the extra: its `pip install`, and what to do with the official distribution."""
    done = environment.run("fleet-telemetry", "collector", "--state-directory", "/tmp")
    assert done.returncode == 2
    assert "pip install 'fleet-telemetry[collector]'" in done.stderr
    assert "otelcol-contrib --config DIRECTORY/otel-collector.yaml" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_collector_runs_the_durable_configuration(with_collector: Environment) -> None:
    """By default the shipped one; the state directory is said, by option or variable, and what follows `--` is passed on."""
    done = with_collector.run("fleet-telemetry", "collector", "--state-directory", "/somewhere", "--", "--set=a=b")
    shipped_file = r"--config=\S+/telemetry/data/otel-collector\.durable\.yaml"
    assert re.fullmatch(rf"state=/somewhere --set=a=b {shipped_file}\n", done.stdout), done.stderr
    done = with_collector.run("fleet-telemetry", "collector", OTELCOL_STATE_DIR="/elsewhere")
    assert re.fullmatch(rf"state=/elsewhere {shipped_file}\n", done.stdout), done.stderr


def test_collector_needs_a_state_directory(with_collector: Environment) -> None:
    """Totals that outlive the collector are kept where somebody said; a configuration of one's own decides itself."""
    done = with_collector.run("fleet-telemetry", "collector")
    assert done.returncode == 2
    assert "--state-directory" in done.stderr
    assert "OTELCOL_STATE_DIR" in done.stderr
    done = with_collector.run("fleet-telemetry", "collector", "--config", "/own.yaml")
    assert done.stdout == "state= --config=/own.yaml\n"


def test_collector_is_run_secured(with_collector: Environment, tmp_path: Path) -> None:
    """`--secure` lays the shipped configuration over the other one, once the files of its secrets are there; each that is not is named."""
    done = with_collector.run(
        "fleet-telemetry", "collector", "--secure", OTELCOL_STATE_DIR="/s", OTELCOL_TLS_CERT="/no"
    )
    assert done.returncode == 2
    assert "OTELCOL_TLS_CERT=/no cannot be read: set it to the file of the collector's certificate" in done.stderr
    assert "OTELCOL_TOKENS=/etc/otelcol/tokens (its default) cannot be read" in done.stderr
    assert "CLIENT_CA" not in done.stderr
    (tmp_path / "secret").touch(mode=0o600)
    names = ("TLS_CERT", "TLS_KEY", "TOKENS", "SCRAPE_TOKENS", "TLS_CLIENT_CA", "STATE_DIR")
    variables = {f"OTELCOL_{name}": str(tmp_path / "secret") for name in names}
    done = with_collector.run("fleet-telemetry", "collector", "--secure", **variables)
    first, second = re.findall(r"--config=\S+/(\S+)", done.stdout)
    assert (first, second) == ("otel-collector.durable.yaml", "otel-collector.durable.secure.yaml"), done.stderr


def test_collector_is_of_the_same_version(metadata: Message) -> None:
    """A release pins the collector whose components its configuration names."""
    own = tomllib.loads((COLLECTOR / "pyproject.toml").read_text())["project"]["version"]
    assert own == VERSION
    assert any(f"fleet-telemetry-collector=={VERSION}" in line for line in metadata.get_all("Requires-Dist") or [])


@pytest.mark.slow
def test_collector_of_the_wheel_serves(wheel: Path, tmp_path: Path) -> None:
    """Both wheels and nothing of the repository: the collector by one command without Go, and a process that counts into it."""
    made = Environment(tmp_path / "environment")
    made.install(wheel)
    made.install(collector_wheel((Path(sys.prefix) / "bin" / "otelcol").resolve(), tmp_path / "wheel"))
    names = "GRPC HTTP TOTALS LEVELS METRICS HEALTH".split()
    ports = {f"OTELCOL_{name}_PORT": str(free_port()) for name in names}
    command = [str(made.bin / "fleet-telemetry"), "collector", "--state-directory", str(tmp_path / "state")]
    with subprocess.Popen(command, env=CLEAN | ports, stderr=subprocess.DEVNULL) as process:
        try:
            page = f"http://127.0.0.1:{ports['OTELCOL_TOTALS_PORT']}/metrics"
            assert eventually(lambda: is_ok(page))
            endpoint = f"http://127.0.0.1:{ports['OTELCOL_HTTP_PORT']}"
            counted = made.run(
                "python",
                "-c",
                COUNTS,
                OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
                OTEL_METRICS_EXPORTER="otlp",
                HOME=str(tmp_path),
            )
            assert counted.returncode == 0, counted.stderr
            wanted = 'http_requests_total{endpoint="/x",environment="dev",method="GET",status_code="200"} 3'
            assert eventually(lambda: wanted in get(page).text), get(page).text
        finally:
            process.terminate()
    assert process.returncode == 0
    assert list((tmp_path / "state").iterdir())
