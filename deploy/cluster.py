"""Writes the files of `deploy/kubernetes` that follow from others.

Kustomize reads no files above a kustomization, and has no loops.

``--check`` only compares.

Usage: ``python -m deploy.cluster [--check]``
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from collector.gateway import gateway
from deploy.settings import ROOT, FleetSettings
from support.generated import settle

FOLDER = ROOT / "deploy" / "kubernetes"
COLLECTORS = 3
"""How many `components/collectors` runs."""
SET = "otel-collector"

_ALERTS = ROOT / "grafana" / "alerts"
_CONFIG = "otel-collector.durable.yaml"
_SECURE = "otel-collector.durable.secure.yaml"
_WRITTEN = "# Written by `make generate` from {source}; edit there.\n"
_OTLP = FleetSettings.otelcol_http_port
_FILES = Path("/etc/gateway/tls")
_TLS = gateway.Tls(_FILES / "tls.crt", _FILES / "tls.key", None, _FILES / "ca.crt")


def files() -> dict[Path, str]:
    """Every generated file and its text."""
    return {FOLDER / name: text for name, text in (*_of_the_collector(), *_of_collectors(), *_of_rules())}


def _of_the_collector() -> Iterator[tuple[str, str]]:
    yield f"collector/{_CONFIG}", (ROOT / _CONFIG).read_text()
    yield f"components/secure/{_SECURE}", (ROOT / _SECURE).read_text()


def _of_collectors() -> Iterator[tuple[str, str]]:
    """The gateway's configuration is that of `collector/gateway`; each collector has a Service, whose address stays."""
    names = [f"{SET}-{number}" for number in range(COLLECTORS)]
    here = "components/collectors"
    yield f"{here}/nginx.conf", gateway.configuration(Path("/gateway"), f"0.0.0.0:{_OTLP}")
    yield (
        "components/secure-collectors/nginx.conf",
        gateway.configuration(Path("/gateway"), f"0.0.0.0:{_OTLP}", tls=_TLS),
    )
    yield f"{here}/upstream.conf", gateway.upstream([gateway.Collector(name, f"{name}:{_OTLP}") for name in names])
    yield f"{here}/services.yaml", _manifests("deploy/cluster.py", *map(_service, names))
    yield f"{here}/replicas.yaml", _manifests("deploy/cluster.py", _replicas())


def _service(pod: str) -> dict[str, Any]:
    """Its pod is behind it while it is not ready, too: senders wait for their collector, and go to no other one."""
    spec = {
        "publishNotReadyAddresses": True,
        "selector": {"app.kubernetes.io/part-of": "fleet", "statefulset.kubernetes.io/pod-name": pod},
        "ports": [{"name": "otlp-http", "port": _OTLP, "targetPort": "otlp-http"}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": pod}, "spec": spec}


def _replicas() -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": SET}, "spec": {"replicas": COLLECTORS}}


def _of_rules() -> Iterator[tuple[str, str]]:
    for path in sorted(_ALERTS.glob("*.yaml")):
        metadata = {"name": f"fleet-{path.stem}", "labels": {"app.kubernetes.io/part-of": "fleet"}}
        rule = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": metadata}
        spec = yaml.safe_load(path.read_text())
        yield (
            f"components/monitoring/rules/{path.name}",
            _manifests(f"grafana/alerts/{path.name}", rule | {"spec": spec}),
        )


def _manifests(source: str, *manifests: dict[str, Any]) -> str:
    return _WRITTEN.format(source=source) + yaml.safe_dump_all(manifests, sort_keys=False, width=1000)


def main(check: bool) -> int:
    """Write, or compare, every generated file."""
    return settle(files(), check=check, remedy="make generate")


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
