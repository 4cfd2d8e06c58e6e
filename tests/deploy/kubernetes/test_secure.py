"""The component for TLS and tokens: kustomize takes it, kinds have its fields, and paths are those of the variables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.deploy.kubernetes.cluster import Cluster, build, copied

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go, as the build of the collector does")

OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: fleet
resources: [../../base]
components: [../../components/monitoring, ../../components/secure]
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """What a fleet with it is."""
    folder = copied(tmp_path_factory.mktemp("secure"))
    overlay = folder / "overlays" / "secure"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(OVERLAY)
    done = build(overlay)
    assert done.returncode == 0, done.stderr
    (manifests,) = json.loads(done.stdout).values()
    return Cluster(manifests)


def test_collector_has_its_files(cluster: Cluster) -> None:
    """The collector reads the second configuration, and each variable names a file of a Secret that is mounted."""
    collector = cluster.workloads()["otel-collector"]
    assert collector.main["args"] == ["--config=/etc/otelcol/config.yaml", "--config=/etc/otelcol/secure.yaml"]
    (config,) = (data for name, data in cluster.of("ConfigMap").items() if name.startswith("otel-collector"))
    assert "fleet_tokens" in yaml.safe_load(config["data"]["secure.yaml"])["extensions"]
    mounts = {mount["name"]: mount["mountPath"] for mount in collector.main["volumeMounts"]}
    secrets = {v["name"]: v["secret"]["secretName"] for v in collector.pod["volumes"] if "secret" in v}
    assert secrets == {"tls": "otel-collector-tls", "tokens": "otel-collector-tokens"}
    files = {
        Path(entry["value"]) for entry in collector.main["env"] if entry["name"].startswith(("OTELCOL_T", "OTELCOL_SC"))
    }
    assert {str(file.parent) for file in files} == {mounts[name] for name in secrets}
    assert {file.name for file in files} == {"tls.crt", "tls.key", "tokens", "scrape-tokens"}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert collector.main[probe]["httpGet"]["scheme"] == "HTTPS"


@pytest.mark.parametrize("name", ["app", "worker", "beat"])
def test_senders_have_theirs(cluster: Cluster, name: str) -> None:
    """Who counts, and who delivers for the dead of its pod, has the authority and the token."""
    workload = cluster.workloads()[name]
    for container in workload.containers:
        found = cluster.environment(workload, container)
        assert found["OTEL_EXPORTER_OTLP_ENDPOINT"].startswith("https://otel-collector:")
        (mounted,) = (m["mountPath"] for m in container["volumeMounts"] if m["name"] == "telemetry")
        assert found["OTEL_EXPORTER_OTLP_CERTIFICATE"] == f"{mounted}/ca.crt"
        assert found["TELEMETRY_OTLP_TOKEN_FILE"] == f"{mounted}/token"


def test_prometheus_has_its_token(cluster: Cluster) -> None:
    """Every page is scraped over TLS, with a token."""
    for endpoint in cluster.of("PodMonitor")["otel-collector"]["spec"]["podMetricsEndpoints"]:
        assert endpoint["scheme"] == "https"
        assert endpoint["tlsConfig"]["serverName"] == "otel-collector"
        assert endpoint["authorization"]["credentials"] == {"name": "telemetry-reader", "key": "token"}
