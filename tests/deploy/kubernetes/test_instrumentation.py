"""The image for the OpenTelemetry Operator, by its steps: a program that knows nothing of it is measured, and a kill loses nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from opentelemetry.environment_variables import OTEL_LOGS_EXPORTER, OTEL_TRACES_EXPORTER
from opentelemetry.instrumentation.environment_variables import OTEL_PYTHON_CONFIGURATOR, OTEL_PYTHON_DISTRO

from deploy.settings import ROOT
from support.ports import free_port
from support.waiting import eventually
from telemetry.settings.settings import Settings
from telemetry.settings.variables import OWN, STANDARD
from tests.support.otlp_sink import OtlpSink

FOLDER = ROOT / "deploy" / "kubernetes"
DOCKERFILE = (FOLDER / "instrumentation.Dockerfile").read_text()
MOUNT = "/otel-auto-instrumentation-python"
REQUESTS = 7


def _uv() -> str | None:
    """uv: on PATH, or the one that deploy/install.sh keeps."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fleet-telemetry"
    kept = [str(path) for path in sorted(cache.glob("uv-*/bin/uv"))]
    found = shutil.which("uv")
    return next(
        (uv for uv in (found, *kept) if uv and not subprocess.call([uv, "--version"], stdout=subprocess.DEVNULL)), None
    )


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volume of a pod after the operator's container has copied the image's folder into it."""
    uv = _uv()
    if uv is None:
        pytest.skip("needs uv, as the Dockerfile does")
    folder = tmp_path_factory.mktemp("image")
    steps = [line.removeprefix("RUN ") for line in DOCKERFILE.splitlines() if line.startswith("RUN uv ")]
    build, install = steps[0], steps[1]
    _run(build, uv, ROOT, {"--out-dir dist": f"--out-dir {folder}/dist"})
    shutil.copy(ROOT / "requirements.lock", folder)
    _run(install, uv, folder, {"/autoinstrumentation": f"{folder}/autoinstrumentation", "python3": sys.executable})
    made = tmp_path_factory.mktemp("volume")
    subprocess.run(["cp", "-r", f"{folder}/autoinstrumentation/.", made], check=True)
    made.chmod(0o777)  # as an emptyDir is
    return made


def _run(step: str, uv: str, where: Path, places: Mapping[str, str]) -> None:
    for here, there in places.items():
        step = step.replace(here, there)
    subprocess.run(["sh", "-c", step.replace("uv ", f"{uv} ", 1)], cwd=where, check=True, timeout=120)


def _environment(volume: Path, endpoint: str) -> dict[str, str]:
    """What a container of the program has, once the operator has changed the pod."""
    spec = yaml.safe_load((FOLDER / "components" / "operator" / "instrumentation.yaml").read_text())["spec"]
    own = {entry["name"]: entry["value"].replace(MOUNT, str(volume)) for entry in spec["python"]["env"]}
    packages = volume / "opentelemetry" / "instrumentation" / "auto_instrumentation"
    return {
        "PATH": os.environ["PATH"],
        **own,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_SERVICE_NAME": "program",
        "PYTHONPATH": f"{packages}:{volume}",
    }


@contextmanager
def _program(volume: Path, endpoint: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The program of examples/plain, which has no line of telemetry."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "own:app", "--port", str(port)]
    environment = _environment(volume, endpoint)
    with subprocess.Popen(command, cwd=ROOT / "examples" / "plain", env=environment) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            assert eventually(lambda: _answers(url) or process.poll() is not None, 60)
            assert process.poll() is None
            yield url, process
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/openapi.json").status_code == 200
    except httpx.HTTPError:
        return False


def _counted(sink: OtlpSink) -> float:
    return sum(
        value
        for (name, labels), value in sink.totals.items()
        if name == "http_requests_total" and ("endpoint", "/items/{item}") in labels
    )


def test_killed_container_loses_nothing(volume: Path) -> None:
    """What a container counted before it was killed is delivered by the one that takes its place, from the operator's volume."""
    sink = OtlpSink()
    sink.status = 503  # nothing is taken from the first one
    try:
        with _program(volume, sink.url) as (url, process):
            assert {httpx.get(f"{url}/items/{n}").status_code for n in range(REQUESTS)} == {200}
            assert _answers(url)  # whose answer comes after the last count of the others
            process.kill()
            process.wait()
        assert list((volume / "boxes").iterdir())
        sink.status = 200
        with _program(volume, sink.url):
            assert eventually(lambda: _counted(sink) == REQUESTS, 30)
        assert sink.resource["service.name"] == "program"
    finally:
        sink.close()


def test_image_has_what_the_operator_copies() -> None:
    """Both of its folders are there, readable for everybody; the `Instrumentation` puts boxes into the volume they are copied to."""
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert "FROM busybox" in DOCKERFILE  # the operator runs `cp`
    assert "COPY --from=glibc /autoinstrumentation /autoinstrumentation\n" in last
    assert "COPY --from=musl /autoinstrumentation /autoinstrumentation-musl\n" in last
    assert "chmod -R go+rX /autoinstrumentation /autoinstrumentation-musl" in last


def test_context_has_what_the_wheel_takes() -> None:
    """Docker sends every file that the wheel is made of: what pyproject.toml includes is not ignored."""
    allowed = [
        line[1:]
        for line in (FOLDER / "instrumentation.Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    target = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for source in (*target["force-include"], *target["packages"], "README.md", "LICENSE", "requirements.lock"):
        assert any(Path(source).match(pattern) or source.startswith(f"{pattern}/") for pattern in allowed), source


def test_variables_are_known() -> None:
    """What the `Instrumentation` sets is read by somebody, our distribution is what it names, and telemetry has nothing to say against it."""
    spec = yaml.safe_load((FOLDER / "components" / "operator" / "instrumentation.yaml").read_text())["spec"]
    found = {entry["name"]: entry["value"] for entry in spec["python"]["env"]}
    ours = {name for variable in (*STANDARD, *OWN) for name in (variable.name, variable.wins)}
    assert found.keys() - ours == {
        OTEL_TRACES_EXPORTER,
        OTEL_LOGS_EXPORTER,
        OTEL_PYTHON_DISTRO,
        OTEL_PYTHON_CONFIGURATOR,
    }
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert found[OTEL_PYTHON_DISTRO] in points["opentelemetry_distro"]
    assert found[OTEL_PYTHON_CONFIGURATOR] in points["opentelemetry_configurator"]
    assert found["TELEMETRY_STATE_DIR"].startswith(f"{MOUNT}/")
    assert not Settings.from_environment(env=found).problems
