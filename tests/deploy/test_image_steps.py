"""The Dockerfiles without a container engine: every step is run in a clean directory, and what is made there is started."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.settings import ROOT
from support import web
from support.ports import free_port
from support.waiting import eventually
from tests.deploy.test_image import steps
from tests.support.otlp_sink import OtlpSink

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="steps of an image are root's"),
]
# Where steps read and write; everything else that they name is a program.
_OWN = re.compile(r"(?<![\w.])/(?=(?:opt/venv|srv/fleet|build|run/telemetry|var/lib|src|out|otelcol|etc)(?:/|\b))")


@dataclass
class Rehearsal:
    """The steps of a Dockerfile, with a folder as the root of each stage.

    Attributes:
        context: What `COPY` copies from.
        root: The folder.
        variables: What `ENV` has set, by now.
        entrypoint: What the image starts.
        user: As whom.
    """

    context: Path
    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    entrypoint: str = ""
    user: int = 0
    _directory: str = "/"

    def run(self, file: Path) -> None:
        """Run every step; those of the last stage see what the others have made, in one folder."""
        for word, rest in steps(file):
            getattr(self, f"_{word.lower()}", self._nothing)(rest)

    def at(self, path: str) -> Path:
        """A path of the image, in the folder."""
        return self.root / path.lstrip("/")

    def environment(self) -> dict[str, str]:
        """What a step gets."""
        # How this machine reaches the registries; nothing of ours.
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TELEMETRY_", "PYTHON"))
        }
        path = f"{self.root}/python/bin:/usr/local/go/bin:/usr/bin:/bin"
        return {**kept, "PATH": path, **{name: value.replace("$PATH", path) for name, value in self.variables.items()}}

    def _nothing(self, rest: str) -> None:
        """A step that leaves no file: ARG, FROM, EXPOSE, CMD."""

    def _env(self, rest: str) -> None:
        self.variables |= {name: self._moved(value) for name, _, value in (w.partition("=") for w in shlex.split(rest))}

    def _entrypoint(self, rest: str) -> None:
        self.entrypoint = self._moved(rest.strip('[]"'))

    def _user(self, rest: str) -> None:
        self.user = int(rest.partition(":")[0])

    def _workdir(self, rest: str) -> None:
        self._directory = rest
        self.at(rest).mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        options, words = [w for w in rest.split() if w.startswith("--")], [w for w in rest.split() if w[0] != "-"]
        if any(option.startswith("--from") for option in options):
            return  # one folder for all stages: it is there
        target = self.at(words[-1]) if words[-1].startswith("/") else self.at(self._directory) / words[-1]
        for source in (self.context / word for word in words[:-1]):
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".env", "compose", "*_test.go", "storagetest")
                shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)

    def _run(self, rest: str) -> None:
        command = self._moved(re.sub(r"--mount=\S+", "", rest))
        done = subprocess.run(
            ["/bin/sh", "-ec", command],
            cwd=self.at(self._directory),
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def _moved(self, text: str) -> str:
        return _OWN.sub(f"{self.root}/", text)


def _digest(folder: Path) -> Mapping[str, str]:
    """What is in each file of a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@contextmanager
def _rehearsed(root: Path) -> Iterator[Rehearsal]:
    """The image's files, below a root that ends with the block."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "run").mkdir(parents=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", root / "python"], check=True)
        made = Rehearsal(ROOT, root)
        made.run(ROOT / "Dockerfile")
        yield made
    finally:
        shutil.rmtree(root)


def test_steps_of_the_image() -> None:
    """The steps make an image in which, as its user, every command loads, the app serves and what it counted is delivered."""
    with tempfile.TemporaryDirectory() as folder, _rehearsed(Path(folder) / "image") as image:
        Path(folder).chmod(0o755)
        port, sink, data = free_port(), OtlpSink(), image.at("/var/lib/fleet/storage")
        variables = {
            **image.environment(),
            "DATABASE_URL": f"sqlite:///{data}/chat.db",
            "STORAGE_URL": f"file://{data}",
            "OPENAI_API_KEY": "x",
            "SIMULATED_LLM_API_KEY": "x",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
        }

        def start(*command: str) -> subprocess.Popen[str]:
            words = [image.entrypoint, "python", *command]
            who: dict[str, Any] = {"user": image.user, "group": image.user, "extra_groups": []}
            return subprocess.Popen(
                words, cwd=image.at("/srv/fleet"), env=variables, stderr=subprocess.PIPE, text=True, **who
            )

        for command in (
            ["-m", "alembic", "-c", "app/alembic.ini", "upgrade", "head"],
            ["-m", "celery", "-A", "worker.celery_app:celery_app", "report"],
            ["-m", "celery", "-A", "worker.celery_app:celery_app", "flower", "--help"],
            ["-c", "import deploy.simulated_llm.main, worker.tasks, app.main"],
        ):
            done = start(*command)
            said = done.communicate(timeout=120)[1]
            assert done.returncode == 0, said
            assert "cannot be used" not in said
        server = start("-m", "uvicorn", "app.main:app", "--port", str(port))
        try:
            assert eventually(lambda: web.is_ok(f"http://127.0.0.1:{port}/health"), 60)
        finally:
            server.terminate()
        assert server.wait(60) == 128 + signal.SIGTERM
        assert sink.total("http_requests_total", endpoint="/health") >= 1
        sink.close()
        assert not list(image.at("/run/telemetry").iterdir())


def test_steps_are_reproducible() -> None:
    """Two builds have the same files with the same content, compiled ones as well."""
    with tempfile.TemporaryDirectory() as folder:
        root, seen = Path(folder) / "image", []
        for _ in range(2):
            with _rehearsed(root) as image:
                seen.append({part: _digest(image.at(part)) for part in ("/opt/venv", "/srv/fleet")})
        assert {
            name for part in seen[0] for name in seen[0][part] if seen[0][part][name] != seen[1][part].get(name)
        } == set()
        assert seen[0] == seen[1]


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_steps_of_the_collectors_image() -> None:
    """The steps of collector/Dockerfile make the collector that the durable configuration needs, by the lock as it is."""
    with tempfile.TemporaryDirectory() as folder:
        image = Rehearsal(ROOT / "collector", Path(folder), {"GOFLAGS": "-mod=readonly"})
        image.run(ROOT / "collector" / "Dockerfile")
        config = ROOT / "otel-collector.durable.yaml"
        subprocess.run([image.at("/out/otelcol"), "validate", "--config", config], check=True, timeout=60)
        lock = (ROOT / "collector" / "otelcol" / "go.sum").read_bytes()
        assert image.at("/src/otelcol/go.sum").read_bytes() == lock
