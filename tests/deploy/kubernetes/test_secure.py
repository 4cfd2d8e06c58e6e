"""The components for TLS and tokens: kustomize takes them, kinds have their fields, and paths are those of the variables."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml

from support.ports import free_port
from support.processes import program
from support.waiting import eventually
from tests.deploy.kubernetes.cluster import Cluster, build, copied
from tests.support.access import Keys
from tests.support.otlp_sink import OtlpSink

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go, as the build of the collector does")

OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: fleet
resources: [../../base]
components: [{}]
"""
COMPONENTS = {
    "one": ("monitoring", "secure"),
    "several": ("monitoring", "collectors", "secure", "secure-collectors"),
}
"""By how many collectors there are."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Cluster]:
    """What fleets with them are."""
    folder = copied(tmp_path_factory.mktemp("secure")) / "overlays"
    for name, components in COMPONENTS.items():
        (folder / name).mkdir()
        listed = ", ".join(f"../../components/{component}" for component in components)
        (folder / name / "kustomization.yaml").write_text(OVERLAY.format(listed))
    done = build(*(folder / name for name in COMPONENTS))
    assert done.returncode == 0, done.stderr
    return {Path(path).name: Cluster(manifests) for path, manifests in json.loads(done.stdout).items()}


@pytest.fixture(params=COMPONENTS)
def cluster(request: pytest.FixtureRequest, built: Mapping[str, Cluster]) -> Cluster:
    """One of them."""
    return built[request.param]


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


def test_gateway_has_its_files(built: Mapping[str, Cluster]) -> None:
    """The gateway of several collectors reads the certificate of a Secret that is mounted, whose name senders call it by."""
    cluster = built["several"]
    gateway = cluster.workloads()["otel-gateway"]
    (mounted,) = (mount["mountPath"] for mount in gateway.main["volumeMounts"] if mount["name"] == "tls")
    assert [v["secret"]["secretName"] for v in gateway.pod["volumes"] if "secret" in v] == ["otel-collector-tls"]
    config = _of_gateway(cluster)["nginx.conf"]
    files = re.findall(r"ssl_\w+ (/\S+);", config)
    assert {str(Path(file).parent) for file in files} == {mounted}
    assert {Path(file).name for file in files} == {"tls.crt", "tls.key", "ca.crt"}
    assert "proxy_pass https://collectors;" in config
    assert gateway.labels.items() >= cluster.of("Service")["otel-collector"]["spec"]["selector"].items()


def _of_gateway(cluster: Cluster) -> dict[str, str]:
    (config,) = (found for name, found in cluster.of("ConfigMap").items() if name.startswith("otel-gateway"))
    files: dict[str, str] = config["data"]
    return files


def test_gateway_reads_a_renewed_certificate(built: Mapping[str, Cluster], tmp_path: Path) -> None:
    """What its container runs shows senders another certificate soon after the Secret's files are another one's."""
    keys, sink, port = Keys(tmp_path), OtlpSink(), free_port()
    _mount(keys, tmp_path, "first")
    config = _of_gateway(built["several"])
    (tmp_path / "upstream.conf").write_text(f"upstream collectors {{ server {sink.url.removeprefix('http://')}; }}\n")
    text = (
        config["nginx.conf"]
        .replace("0.0.0.0:4318", f"127.0.0.1:{port}")
        .replace("https://collectors", "http://collectors")
    )
    (tmp_path / "nginx.conf").write_text(_here(text, tmp_path))
    *shell, script = built["several"].workloads()["otel-gateway"].main["command"]
    script = (
        _here(script, tmp_path).replace("sleep 30", "sleep 0.1").replace("nginx -e", f"{program(Path('nginx'))} -e")
    )
    with subprocess.Popen([*shell, script], stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            assert eventually(lambda: _shown(port) == _certificate(tmp_path))
            _mount(keys, tmp_path, "second")
            assert eventually(lambda: _shown(port) == _certificate(tmp_path))
            answer = httpx.post(
                f"https://127.0.0.1:{port}/v1/metrics", content=b"", verify=keys.context(), trust_env=False
            )
            assert (answer.status_code, sink.requests) == (200, 1)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            sink.close()


def _here(text: str, directory: Path) -> str:
    return text.replace("/etc/gateway/tls", f"{directory}/tls").replace("/gateway/", f"{directory}/")


def _mount(keys: Keys, directory: Path, name: str) -> None:
    """Files as a Secret's volume has them: all of them are other ones at once."""
    certificate, key = keys.issue(name)
    data = directory / f"..{name}"
    data.mkdir()
    for source, target in ((certificate, "tls.crt"), (key, "tls.key"), (keys.authority, "ca.crt")):
        shutil.copy(source, data / target)
    (directory / "new").symlink_to(data)
    (directory / "new").replace(directory / "tls")


def _certificate(directory: Path) -> str:
    return ssl.PEM_cert_to_DER_cert(_first((directory / "tls" / "tls.crt").read_text())).hex()


def _first(chain: str) -> str:
    return chain[: chain.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"


def _shown(port: int) -> str:
    with suppress(OSError):
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=5)).hex()
    return ""
