"""The overlays of deploy/kubernetes as a cluster would get them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deploy.settings import ROOT

OVERLAYS = ("dev", "production", "zero-code")
OPTIONS = "options"
"""The overlay `production` with the components that none has."""
_OPTIONS = """
namespace: fleet
resources: [../production]
components: [../../components/service-monitor, ../../components/worker-scaling]
"""
POD_LABEL = "statefulset.kubernetes.io/pod-name"
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """A manifest that makes pods."""

    kind: str
    name: str
    spec: dict[str, Any]

    @property
    def labels(self) -> dict[str, str]:
        """Of its pods."""
        found: dict[str, str] = self.spec["template"]["metadata"]["labels"]
        return found

    @property
    def pod(self) -> dict[str, Any]:
        """What a pod of it is."""
        found: dict[str, Any] = self.spec["template"]["spec"]
        return found

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Every container, those that run beside the others first."""
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    @property
    def main(self) -> dict[str, Any]:
        """The container that it is about."""
        found: dict[str, Any] = self.pod["containers"][0]
        return found


@dataclass(frozen=True)
class Cluster:
    """What one overlay makes."""

    manifests: list[Manifest]

    def of(self, kind: str) -> dict[str, Manifest]:
        """Every manifest of a kind, by name."""
        return {m["metadata"]["name"]: m for m in self.manifests if m["kind"] == kind}

    def workloads(self) -> dict[str, Workload]:
        """Everything that makes pods, by name."""
        return {
            m["metadata"]["name"]: Workload(m["kind"], m["metadata"]["name"], m["spec"])
            for m in self.manifests
            if m["kind"] in {"Deployment", "StatefulSet", "Job"}
        }

    def selected(self, selector: dict[str, Any]) -> set[str]:
        """Names of the workloads whose pods a label selector takes, in any of its forms."""
        return {name for name, workload in self.workloads().items() if _takes(selector, name, workload.labels)}

    def environment(self, workload: Workload, container: Manifest) -> dict[str, str]:
        """What a container of it finds in its environment; secrets that somebody else makes are `NAME of SECRET`."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            found |= self._all_of(source)
        return found | {entry["name"]: _value(entry) for entry in container.get("env", [])}

    def _all_of(self, source: Manifest) -> dict[str, str]:
        if "configMapRef" in source:
            found: dict[str, str] = self.of("ConfigMap")[source["configMapRef"]["name"]]["data"]
            return found
        secret = source["secretRef"]["name"]
        keys = self.of("Secret")[secret]["data"] if secret in self.of("Secret") else DOCUMENTED[secret]
        return {key: f"{key} of {secret}" for key in keys}


DOCUMENTED = {
    "fleet": (
        "DATABASE_URL",
        "REDIS_URL",
        "CELERY_BROKER_URL",
        "CELERY_RESULT_BACKEND",
        "ADMIN_TOKEN",
        "OPENAI_API_KEY",
    ),
    "flower": ("FLOWER_BASIC_AUTH",),
}
"""The Secrets that docs/kubernetes.md tells people to make, and their keys."""


def _takes(selector: dict[str, Any], name: str, labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {} if "matchExpressions" in selector else selector)
    pods = {POD_LABEL: wanted[POD_LABEL]} if wanted.get(POD_LABEL, "").rpartition("-")[0] == name else {}
    return (wanted.items() <= (labels | pods).items()) and all(
        labels.get(expression["key"]) in expression["values"] for expression in selector.get("matchExpressions", [])
    )


def _value(entry: Manifest) -> str:
    if "valueFrom" not in entry:
        return str(entry["value"])
    source = entry["valueFrom"]["secretKeyRef"]
    return f"{source['key']} of {source['name']}"


def copied(directory: Path) -> Path:
    """The manifests and what they take from elsewhere, where a test may write."""
    shutil.copytree(ROOT / "deploy" / "kubernetes", directory / "deploy" / "kubernetes")
    shutil.copytree(ROOT / "grafana", directory / "grafana")
    return directory / "deploy" / "kubernetes"


@cache
def clusters() -> dict[str, Cluster]:
    """Every overlay and the options, built once, with secrets made up for the one that has its own."""
    with TemporaryDirectory() as directory:
        folder = copied(Path(directory))
        subprocess.run([folder / "overlays" / "dev" / "secrets.sh"], check=True, timeout=30)
        (folder / "overlays" / OPTIONS).mkdir()
        (folder / "overlays" / OPTIONS / "kustomization.yaml").write_text(_OPTIONS)
        done = build(*(folder / "overlays" / name for name in (*OVERLAYS, OPTIONS)))
    assert done.returncode == 0, done.stderr
    return {Path(path).name: Cluster(manifests) for path, manifests in json.loads(done.stdout).items()}


def build(*kustomizations: Path) -> subprocess.CompletedProcess[str]:
    """What `kustomize build` makes of them, each manifest held to its kind."""
    program = Path(__file__).parent / "built"
    command = ["go", "run", ".", *map(str, kustomizations)]
    return subprocess.run(command, cwd=program, capture_output=True, text=True, check=False, timeout=280)


def everywhere() -> Iterator[tuple[str, Cluster, Workload]]:
    """Every workload of every overlay."""
    for name, cluster in clusters().items():
        for workload in cluster.workloads().values():
            yield name, cluster, workload
