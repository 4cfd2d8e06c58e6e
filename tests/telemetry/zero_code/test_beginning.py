"""How a program begins under `opentelemetry-instrument`: real processes, with other distros and configurators beside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation import auto_instrumentation

from tests.support.installed import ROOT, pretend_installed

LAUNCHER = str(Path(sys.executable).with_name("opentelemetry-instrument"))
DIRECTORY = str(Path(auto_instrumentation.__file__).parent)
OTHER = """
import os, time
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.distro import BaseDistro
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

class Distro(BaseDistro):
    def _configure(self, **options):
        if "OTHER_FAILS" in os.environ:
            raise RuntimeError("it fails")
        os.environ["OTHER_DISTRO"] = "configured"
        os.environ.setdefault("OTEL_METRICS_EXPORTER", "otlp")
        os.environ.setdefault("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")

class Configurator:
    def configure(self, **options):
        os.environ["OTHER_SAW"] = os.environ["OTEL_METRICS_EXPORTER"]
        trace.set_tracer_provider(TracerProvider())
        meters = MeterProvider()
        if "OTHER_HANGS" in os.environ:
            meters.shutdown = lambda: time.sleep(3600)
        metrics.set_meter_provider(meters)
"""
TELL = """
import json, os, sys
from opentelemetry import metrics, trace
from telemetry import process
configured = process.current.configured
settings = configured and configured.settings
print(json.dumps({
    "measured": configured is not None,
    "meters": type(metrics.get_meter_provider()).__module__,
    "tracers": type(trace.get_tracer_provider()).__module__,
    "protocol": settings and settings.destination.protocol,
    "exporters": settings and settings.exporters,
    "other": [os.environ.get("OTHER_DISTRO"), os.environ.get("OTHER_SAW")],
    "imported": [name for name in ("fastapi", "celery", "sqlalchemy", "openai", "anthropic") if name in sys.modules],
}))
"""
# Under another distro they import their libraries at once, which takes seconds.
FOREIGN_OFF = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "anthropic,celery,fastapi,openai,sqlalchemy"}
LEFT_OUT = ("OTEL_", "TELEMETRY_ROOT", "TELEMETRY_STRICT")
OURS, THEIRS = "telemetry.metrics.provider", "opentelemetry.sdk.metrics._internal"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Python finds our package installed."""
    return Path(pretend_installed(tmp_path_factory.mktemp("site") / "ours"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it finds another distribution with a distro and a configurator."""
    directory = tmp_path_factory.mktemp("other")
    (directory / "other_distro.py").write_text(OTHER)
    info = directory / "other_distro-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-distro\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[opentelemetry_distro]\nother = other_distro:Distro\n"
        "[opentelemetry_configurator]\nother = other_distro:Configurator\n"
    )
    return directory


def run(command: list[str], *paths: Path, **variables: str) -> tuple[list[Any], str]:
    """What a program tells, line by line, and what it logs."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
    path = os.pathsep.join(map(str, [*paths, ROOT]))
    own = {"PYTHONPATH": path, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "TELEMETRY_EXIT_DEADLINE": "0.1"}
    done = subprocess.run(command, env={**inherited, **own, **variables}, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_ours_stands_before_another(site: Path, other: Path) -> None:
    """Whichever distribution is found first, metrics are ours, and the other distro and configurator do the rest."""
    [told], log = run([LAUNCHER, sys.executable, "-c", TELL], other, site)
    assert told["meters"] == OURS
    assert told["tracers"] == "opentelemetry.sdk.trace"
    assert told["other"] == ["configured", "none"]
    assert (told["exporters"], told["protocol"]) == (["otlp"], "http/protobuf")
    assert "Overriding" not in log
    assert log.count("telemetry: measures ") == 1
    assert "http://127.0.0.1:4318/v1/metrics" in log


def test_what_is_not_used_is_not_imported(site: Path) -> None:
    """A program that uses no library pays for none, other instrumentors of them included."""
    [told], _ = run([LAUNCHER, sys.executable, "-c", TELL], site)
    assert told["measured"]
    assert told["imported"] == []


def test_another_that_comes_first_gives_way(site: Path, other: Path) -> None:
    """Without the launcher, which selects ours, another may be taken first: metrics are ours all the same."""
    [told], log = run([sys.executable, "-c", TELL], Path(DIRECTORY), other, site, **FOREIGN_OFF)
    assert told["meters"] == OURS
    assert told["tracers"] == "opentelemetry.sdk.trace"
    assert "OTEL_EXPORTER_OTLP_PROTOCOL='grpc'" in log
    assert told["protocol"] == "http/protobuf"


def test_another_that_hangs_holds_nothing_up(site: Path, other: Path) -> None:
    """A provider that gives way exports first, to a collector that may not answer; the program does not wait for it."""
    [told], _ = run([sys.executable, "-c", TELL], Path(DIRECTORY), other, site, OTHER_HANGS="1", **FOREIGN_OFF)
    assert told["measured"]


def test_another_that_fails_takes_nothing_away(site: Path, other: Path) -> None:
    """Where the other distro fails, that is said, and metrics are ours."""
    [told], log = run([LAUNCHER, sys.executable, "-c", TELL], other, site, OTHER_FAILS="1", TELEMETRY_RAISE_ERRORS="")
    assert told["meters"] == OURS
    assert "it fails" in log


def test_another_that_is_chosen_stays(site: Path, other: Path) -> None:
    """Whoever names another distro and configurator has them, and ours beside."""
    chosen = {"OTEL_PYTHON_DISTRO": "other", "OTEL_PYTHON_CONFIGURATOR": "other", **FOREIGN_OFF}
    [told], _ = run([LAUNCHER, sys.executable, "-c", TELL], other, site, **chosen)
    assert told["measured"]
    assert told["meters"] == THEIRS
    assert told["other"] == ["configured", "otlp"]


def test_traces_are_set_up_where_they_are_asked_for(site: Path) -> None:
    """With no other configurator, OpenTelemetry's own sets up traces if an exporter of them is named."""
    [told], log = run([LAUNCHER, sys.executable, "-c", TELL], site, OTEL_TRACES_EXPORTER="console")
    assert (told["meters"], told["tracers"]) == (OURS, "opentelemetry.sdk.trace")
    [told], log = run([LAUNCHER, sys.executable, "-c", TELL], site, OTEL_TRACES_EXPORTER="pigeon")
    assert (told["meters"], told["measured"]) == (OURS, True)
    assert "traces and logs are not set up, metrics are" in log
    assert "pigeon" in log


def test_what_is_switched_off_is_said(site: Path) -> None:
    """The line names what the user has switched off, and a name that means nothing here; a program that is replaced by
    another in the same process says it once.
    """
    off = "fleet_sqlalchemy, litellm"
    _, log = run([LAUNCHER, LAUNCHER, sys.executable, "-c", TELL], site, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=off)
    [line] = [line for line in log.splitlines() if "telemetry: measures" in line]
    measured, _, left_out = line.partition("; not ")
    assert "fastapi" in measured
    assert "sqlalchemy" not in measured
    assert "sqlalchemy" in left_out
    assert "ours is called fleet_litellm" in left_out


SPAWNS = f"""
import json, multiprocessing, os, subprocess, sys

def tell(queue):
    from telemetry import process
    queue.put(process.current.configured is not None)

if __name__ == "__main__":
    paths = [path for path in os.environ["PYTHONPATH"].split(os.pathsep) if path != {DIRECTORY!r}]
    before = os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    for method in ("spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        child = context.Process(target=tell, args=(queue,))
        child.start()
        print(json.dumps(queue.get(timeout=60)), flush=True)
        child.join()
    code = "import json, sys; print(json.dumps('telemetry' in sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True)
    print(json.dumps(os.environ["PYTHONPATH"] == before))
"""


def test_spawned_processes_are_reached(site: Path, tmp_path: Path) -> None:
    """Processes that multiprocessing spawns are measured though the environment does not lead there; others stay as they are."""
    program = tmp_path / "own.py"
    program.write_text(SPAWNS)
    told, log = run([LAUNCHER, sys.executable, str(program)], site)
    assert told == [True, True, False, True]
    assert log.count("telemetry: measures ") == 1
