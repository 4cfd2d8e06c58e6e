"""The manifests of deploy/kubernetes: kinds have the fields they set, selectors find pods, and code, settings and files are as they say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from app.routes import health
from app.settings import Settings
from deploy import cluster, processes
from deploy.settings import ROOT, FleetSettings
from telemetry.box import directory
from telemetry.catalogue import BUILT_IN
from telemetry.settings.variables import OWN, STANDARD
from tests.deploy.kubernetes.cluster import DOCUMENTED, OPTIONS, OVERLAYS, Workload, build, clusters, copied, everywhere
from worker.celery_app import TIME_LIMIT_SECONDS

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go, as the build of the collector does")

FLEET = [name for name in OVERLAYS if name != "zero-code"]
PROMTOOL = Path(sys.executable).parent / "promtool"
COUNTING = ("app", "worker", "beat")


def _process(name: str) -> processes.Process:
    words = dict.fromkeys(("ADMIN_TOKEN", "SIMULATED_LLM_API_KEY", "FLOWER_USER", "FLOWER_PASSWORD"), "x")
    return next(p for p in processes.all_processes(FleetSettings(), words) if p.name == name)


@pytest.mark.parametrize("name", [*OVERLAYS, OPTIONS])
def test_overlay_is_built(name: str) -> None:
    """Every overlay can be built, and every manifest has only fields and values that its kind has."""
    manifests = clusters()[name].manifests
    assert len(manifests) > 5
    names = [(m["kind"], m["metadata"]["name"]) for m in manifests]
    assert len(set(names)) == len(names)
    namespaces = {m["metadata"].get("namespace") for m in manifests if m["kind"] != "Namespace"}
    assert namespaces == set(clusters()[name].of("Namespace"))


def test_unknown_fields_are_errors(tmp_path: Path) -> None:
    """A field that a kind does not have, or of another type, fails the build, so the test above means something."""
    for wrong, what in (("replica: 3", 'unknown field "replica"'), ("replicas: three", "replicas")):
        manifest = f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x}}\nspec: {{{wrong}}}\n"
        (tmp_path / "x.yaml").write_text(manifest)
        (tmp_path / "kustomization.yaml").write_text("resources: [x.yaml]\n")
        done = build(tmp_path)
        assert done.returncode == 1
        assert what in done.stderr


def test_no_secret_is_in_the_repository(tmp_path: Path) -> None:
    """Without secrets of its own `dev` is not built, and says which file is missing; the others only name Secrets."""
    folder = copied(tmp_path)
    for left in folder.glob("overlays/*/*.env"):
        left.unlink()
    done = build(folder / "overlays" / "dev")
    assert done.returncode == 1
    assert "secrets.env" in done.stderr
    for name in ("production", "zero-code"):
        assert not clusters()[name].of("Secret")
    assert "deploy/kubernetes/overlays/*/*.env" in (ROOT / ".gitignore").read_text().splitlines()
    secret = re.compile("PASSWORD|TOKEN|API_KEY|SECRET|AUTH|DATABASE_URL")
    for name, made, workload in everywhere():
        for container in workload.containers:
            plain = [entry["name"] for entry in container.get("env", []) if "value" in entry]
            assert not [variable for variable in plain if secret.search(variable)], (name, workload.name)
        for config in made.of("ConfigMap").values():
            assert not [key for key in config.get("data", {}) if secret.search(key)], name


def test_secrets_have_their_keys() -> None:
    """What `dev` makes up, and what the page tells people to make, has every key that a container asks for."""
    made = {name.rsplit("-", 1)[0]: set(m["data"]) for name, m in clusters()["dev"].of("Secret").items()}
    stores = made.pop("stores")
    assert made == {name: set(keys) for name, keys in DOCUMENTED.items()}
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    assert all(key in page for keys in DOCUMENTED.values() for key in keys)
    for name, cluster_, workload in everywhere():
        for container in workload.containers:
            for value in cluster_.environment(workload, container).values():
                key, of, secret = value.partition(" of ")
                if of:
                    keys = stores if secret.startswith("stores") else DOCUMENTED[secret.partition("-")[0]]
                    assert key in keys, (name, workload.name, value)


def test_containers_can_do_little() -> None:
    """No container runs as root, writes to its own files, has capabilities or no limit; each one says whether it is well."""
    for name, _, workload in everywhere():
        where = (name, workload.name)
        assert not workload.pod["automountServiceAccountToken"], where
        assert workload.pod["securityContext"]["runAsNonRoot"], where
        assert workload.pod["securityContext"]["runAsUser"] > 0, where
        assert workload.pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where
        for container in workload.containers:
            allowed = container["securityContext"]
            assert allowed == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, where
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}, where
            assert "memory" in container["resources"]["limits"], where
        # Beat and what ends by itself serve nobody; the program in `zero-code` is the reader's own.
        if workload.kind != "Job" and workload.name not in {"beat", "program"}:
            assert "readinessProbe" in workload.main, where
    levels = {
        n["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for c in clusters().values()
        for n in c.of("Namespace").values()
    }
    assert levels == {"restricted"}


def test_images_are_named_in_one_place(tmp_path: Path) -> None:
    """Every image has a version or is ours, and an overlay can put another one in its place."""
    folder = copied(tmp_path) / "overlays" / "production"
    text = yaml.safe_load((folder / "kustomization.yaml").read_text())
    ours = [*(image["name"] for image in text["images"]), "nginx"]
    text["images"] = [{"name": image, "newName": f"elsewhere/{image}", "newTag": "v1"} for image in ours]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(text))
    done = build(folder)
    assert done.returncode == 0, done.stderr
    found = set(re.findall(r'"image":"([^"]+)"', done.stdout))
    assert found == {f"elsewhere/{image}:v1" for image in ours}
    for _, _, workload in everywhere():
        assert all(re.search(r":(v?\d[\w.-]*|local)$", c["image"]) for c in workload.containers), workload.name


@pytest.mark.parametrize("overlay", FLEET)
@pytest.mark.parametrize(
    ("name", "process"),
    [("app", "app-1"), ("worker", "worker1"), ("beat", "beat"), ("flower", "flower")],
)
def test_commands_are_the_fleets(overlay: str, name: str, process: str) -> None:
    """What a container runs is what the fleet on one machine runs, but for addresses and places."""
    main = clusters()[overlay].workloads()[name].main
    assert _plain(main["args"]) == _plain(_process(process).command)


def _plain(command: list[str] | tuple[str, ...]) -> list[str]:
    """A command without what differs from place to place."""
    words = ["python" if word == sys.executable else word for word in command]
    joined = re.sub(r"(--(?:host|port|address|schedule|forwarded-allow-ips))[ =]\S+", r"\1", " ".join(words))
    return re.sub(r"worker\d*@%h", "worker@%h", joined).split()


@pytest.mark.parametrize("overlay", FLEET)
def test_environment_is_read(overlay: str) -> None:
    """Every variable is one that app, worker, Celery, the entrypoint or telemetry reads, and what has to be set is."""
    telemetry = {name for variable in (*STANDARD, *OWN) for name in (variable.name, variable.wins)}
    app = {field.upper() for field in Settings.model_fields}
    known = telemetry | app | set(_process("app-1").environment) | {"LAST_WORDS_SECONDS", "FLOWER_BASIC_AUTH"}
    made = clusters()[overlay]
    for name in (*COUNTING, "flower", "migrations"):
        workload = made.workloads()[name]
        for container in workload.containers:
            assert made.environment(workload, container).keys() <= known, name
    needed = {*_process("app-1").environment} - {"PYTHONPATH", "PYTHONUNBUFFERED", "OPENAI_BASE_URL"}
    for name in ("app", "worker"):
        workload = made.workloads()[name]
        found = made.environment(workload, workload.main)
        assert needed <= found.keys(), name
        assert (
            found["OTEL_SERVICE_NAME"]
            == _process({"app": "app-1", "worker": "worker1"}[name]).environment["OTEL_SERVICE_NAME"]
        )


@pytest.mark.parametrize("overlay", FLEET)
def test_settings_are_right(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither telemetry nor the app has a word to say against them."""
    from telemetry.settings.settings import Settings as TelemetrySettings

    made = clusters()[overlay]
    workload = made.workloads()["app"]
    found = made.environment(workload, workload.main) | {
        "DATABASE_URL": "postgresql://chat:x@postgres:5432/chat",
        "REDIS_URL": "redis://redis:6379/0",
    }
    read = TelemetrySettings.from_environment(env=found)
    assert not read.problems
    assert read.environment == {"dev": "dev", "production": "prod"}[overlay]
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    assert Settings()  # type: ignore[call-arg]


def test_probes_are_answered() -> None:
    """Whatever path a probe of the app asks for is a route of it, and its liveness does not hang on others."""
    routes = {getattr(route, "path", "") for route in health.router.routes}
    for overlay in FLEET:
        main = clusters()[overlay].workloads()["app"].main
        paths = {kind: main[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
        assert set(paths.values()) <= routes
        assert paths["livenessProbe"] == "/health"
        assert paths["readinessProbe"] == "/ready"


def test_probes_ask_ports_that_are_there() -> None:
    """A probe names a port of its own container."""
    for name, _, workload in everywhere():
        for container in workload.containers:
            ports = {port["name"] for port in container.get("ports", [])}
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = container.get(kind, {})
                asked = {probe[way]["port"] for way in ("httpGet", "tcpSocket") if way in probe}
                assert asked <= ports, (name, workload.name, kind)


def test_services_find_pods() -> None:
    """Each Service selects pods that have the ports it leads to."""
    for name, made in clusters().items():
        for service, manifest in made.of("Service").items():
            selected = made.selected(manifest["spec"]["selector"])
            wanted = {port["targetPort"] for port in manifest["spec"]["ports"]}
            assert wanted <= _ports(made.workloads(), selected), (name, service)


def test_monitors_find_collectors() -> None:
    """Prometheus scrapes the collectors, at ports that they have."""
    made = clusters()["production"]
    for monitor in made.of("PodMonitor").values():
        selected = made.selected(monitor["spec"]["selector"])
        assert selected == {"otel-collector"}
        assert {e["port"] for e in monitor["spec"]["podMetricsEndpoints"]} <= _ports(made.workloads(), selected)


def test_service_monitor_takes_the_place_of_the_pod_monitor() -> None:
    """With `components/service-monitor` each collector is scraped once, as by the PodMonitor: same jobs, same labels, every pod."""
    made = clusters()[OPTIONS]
    assert not made.of("PodMonitor")
    (monitor,) = made.of("ServiceMonitor").values()
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [s for s in made.of("Service").values() if wanted <= s["metadata"].get("labels", {}).items()]
    assert [service["spec"]["clusterIP"] for service in services] == ["None"]
    assert made.selected(services[0]["spec"]["selector"]) == {"otel-collector"}
    assert {e["port"] for e in monitor["spec"]["endpoints"]} <= {p["name"] for p in services[0]["spec"]["ports"]}
    by_pods = clusters()["production"].of("PodMonitor")["otel-collector"]["spec"]["podMetricsEndpoints"]
    without_service = yaml.safe_load(yaml.safe_dump(monitor["spec"]["endpoints"]).replace("|service", ""))
    assert without_service == by_pods


def test_workers_are_scaled_by_our_metric() -> None:
    """With `components/worker-scaling` KEDA has the worker's replicas, by series that Prometheus has; not knowing is not zero."""
    made = clusters()[OPTIONS]
    (scaled,) = made.of("ScaledObject").values()
    spec = scaled["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "worker"}
    assert "replicas" not in made.workloads()["worker"].spec
    assert 1 <= spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    (trigger,) = spec["triggers"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert trigger["metricType"] == "AverageValue"  # or KEDA refuses the fallback
    (metric,) = set(re.findall(r"celery_\w+", trigger["metadata"]["query"]))
    assert metric in {spec.name for spec in BUILT_IN.specs}
    done = subprocess.run(
        [PROMTOOL, "promql", "format", trigger["metadata"]["query"], "--experimental"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr


def test_policies_find_pods() -> None:
    """Each network policy selects pods, and opens ports that they have."""
    for name, made in clusters().items():
        for policy in made.of("NetworkPolicy").values():
            selected = made.selected(policy["spec"]["podSelector"])
            opened = {port["port"] for rule in policy["spec"].get("ingress", []) for port in rule["ports"]}
            assert selected, (name, policy["metadata"]["name"])
            assert opened <= _ports(made.workloads(), selected), (name, policy["metadata"]["name"])


def _ports(workloads: dict[str, Workload], names: set[str]) -> set[str]:
    return {port["name"] for name in names for port in workloads[name].main.get("ports", [])}


@pytest.mark.parametrize("overlay", FLEET)
def test_port_numbers_are_the_fleets(overlay: str) -> None:
    """Numbers are those of the fleet's settings, where containers listen and where others look for them."""
    settings = FleetSettings()
    made = clusters()[overlay]
    collector = {port["name"]: port["containerPort"] for port in made.workloads()["otel-collector"].main["ports"]}
    assert collector == {
        "otlp-grpc": settings.otelcol_grpc_port,
        "otlp-http": settings.otelcol_http_port,
        "own": settings.otelcol_metrics_port,
        "totals": settings.otelcol_totals_port,
        "now": settings.otelcol_levels_port,
        "health": settings.otelcol_health_port,
    }
    app = made.workloads()["app"].main
    assert app["ports"] == [{"name": "http", "containerPort": settings.app_port}]
    assert f"--port={settings.app_port}" in app["args"]
    assert made.workloads()["flower"].main["ports"][0]["containerPort"] == settings.flower_port
    body = made.of("Ingress")["fleet"]["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert body == f"{settings.body_limit_mib}m"
    backend = made.of("Ingress")["fleet"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend["port"]["name"] in {port["name"] for port in made.of("Service")[backend["name"]]["spec"]["ports"]}


def test_addresses_are_services() -> None:
    """Every host that a setting names is a Service of the same overlay, at a port that it has."""
    for name, made, workload in everywhere():
        for container in workload.containers:
            for variable, value in made.environment(workload, container).items():
                url = urlsplit(value)
                if url.scheme == "http":
                    service = made.of("Service")[str(url.hostname)]
                    assert url.port in {port["port"] for port in service["spec"]["ports"]}, (name, variable)


@pytest.mark.parametrize("overlay", FLEET)
def test_box_outlives_its_container(overlay: str) -> None:
    """Boxes are in memory of the pod, in a folder of their own, and a sidecar has them and delivers after the others have ended."""
    made = clusters()[overlay]
    for name in COUNTING:
        workload = made.workloads()[name]
        boxes = next(volume["emptyDir"] for volume in workload.pod["volumes"] if volume["name"] == "boxes")
        assert boxes["medium"] == "Memory"
        sidecar, main = workload.containers
        assert sidecar["restartPolicy"] == "Always"
        assert sidecar["image"] == main["image"]
        for container in (sidecar, main):
            state = Path(made.environment(workload, container)["TELEMETRY_STATE_DIR"])
            mounted = next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "boxes")
            assert state.parent == Path(mounted)
        assert "python -m telemetry deliver" in main["lifecycle"]["preStop"]["exec"]["command"][-1]


def test_box_needs_a_folder_of_its_own(tmp_path: Path) -> None:
    """A volume as Kubernetes makes it, open to its group, is no state directory; the folder that is set is one, and is made."""
    tmp_path.chmod(0o2777)
    with pytest.raises(directory.UnusableError, match="others can read it"):
        directory.make_usable(tmp_path)
    directory.make_usable(tmp_path / "boxes")


@pytest.mark.parametrize("overlay", FLEET)
def test_there_is_time_to_end(overlay: str) -> None:
    """A pod may end its requests or tasks, export, and deliver, before it is killed."""
    made = clusters()[overlay]
    longest = {"app": 10, "worker": TIME_LIMIT_SECONDS, "beat": 0}
    for name, work in longest.items():
        workload = made.workloads()[name]
        hook = workload.main["lifecycle"]["preStop"]["exec"]["command"][-1]
        waits = sum(float(seconds) for seconds in re.findall(r"(?:sleep|--timeout) (\d+)", hook))
        words = float(made.environment(workload, workload.main)["LAST_WORDS_SECONDS"])
        exit_deadline = 5  # TELEMETRY_EXIT_DEADLINE
        assert workload.pod["terminationGracePeriodSeconds"] >= work + waits + exit_deadline + 2 * words, name


@pytest.mark.parametrize("overlay", FLEET)
def test_beat_is_one(overlay: str) -> None:
    """There is one scheduler, also while it is replaced, and nothing scales it."""
    made = clusters()[overlay]
    spec = made.workloads()["beat"].spec
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert [hpa["spec"]["scaleTargetRef"]["name"] for hpa in made.of("HorizontalPodAutoscaler").values()] == ["app"]
    assert "replicas" not in made.workloads()["app"].spec


@pytest.mark.parametrize("overlay", FLEET)
def test_disruptions_leave_somebody(overlay: str) -> None:
    """Every budget finds pods of one workload, and whoever serves has one."""
    made = clusters()[overlay]
    budgets = {name: made.selected(b["spec"]["selector"]) for name, b in made.of("PodDisruptionBudget").items()}
    assert budgets == {name: {name} for name in budgets}
    assert {"app", "worker", "otel-collector"} <= budgets.keys()


def test_collectors_run_the_repositorys_configuration() -> None:
    """The collector's configuration is otel-collector.durable.yaml, every byte, and what is set about it is a variable it has."""
    text = (ROOT / "otel-collector.durable.yaml").read_text()
    for name, made in clusters().items():
        workload = made.workloads()["otel-collector"]
        config = next(v["configMap"]["name"] for v in workload.pod["volumes"] if v["name"] == "config")
        assert made.of("ConfigMap")[config]["data"] == {"config.yaml": text}, name
        assert workload.main["args"] == ["--config=/etc/otelcol/config.yaml"]
        variables = {entry["name"] for entry in workload.main["env"]} - {"GOMEMLIMIT"}
        assert all(f"${{env:{variable}:-" in text for variable in variables), variables
        claim = workload.spec["volumeClaimTemplates"][0]["metadata"]["name"]
        store = next(m["mountPath"] for m in workload.main["volumeMounts"] if m["name"] == claim)
        assert made.environment(workload, workload.main)["OTELCOL_STATE_DIR"] == f"{store}/state"


def test_sender_stays_with_its_collector() -> None:
    """Senders reach the gateway, whose ring has a name that stays for each pod of the set, ready or not."""
    made = clusters()["production"]
    replicas = made.workloads()["otel-collector"].spec["replicas"]
    pods = [f"otel-collector-{number}" for number in range(replicas)]
    assert replicas == cluster.COLLECTORS
    config = next(c["data"] for name, c in made.of("ConfigMap").items() if name.startswith("otel-gateway"))
    assert "hash $sender consistent" in config["upstream.conf"]
    assert re.findall(r"server (\S+):4318 max_fails=0;", config["upstream.conf"]) == pods
    for pod in pods:
        service = made.of("Service")[pod]["spec"]
        assert service["publishNotReadyAddresses"]
        assert service.get("clusterIP") is None
        assert made.selected(service["selector"]) == {"otel-collector"}
    assert made.selected(made.of("Service")["otel-collector"]["spec"]["selector"]) == {"otel-gateway"}
    gateway = made.workloads()["otel-gateway"].main
    mounted = {m["mountPath"] for m in gateway["volumeMounts"]}
    assert {f"/gateway/{name}" for name in config} <= mounted
    assert "/gateway/nginx.conf" in gateway["command"]
    dev = clusters()["dev"]
    assert dev.workloads()["otel-collector"].spec["replicas"] == 1
    assert dev.selected(dev.of("Service")["otel-collector"]["spec"]["selector"]) == {"otel-collector"}


def test_what_counts_may_deliver() -> None:
    """Network policies let every sender reach who takes its exports, and nobody else."""
    for name, made in clusters().items():
        senders = made.selected({"telemetry": "sender"})
        assert senders == ({"program"} if name == "zero-code" else set(COUNTING))
        target = made.selected(made.of("Service")["otel-collector"]["spec"]["selector"])
        policies = [p["spec"] for p in made.of("NetworkPolicy").values()]
        admitted = [
            made.selected(peer["podSelector"])
            for spec in policies
            if made.selected(spec["podSelector"]) == target
            for rule in spec.get("ingress", [])
            if {"port": "otlp-http"} in rule["ports"]
            for peer in rule["from"]
        ]
        assert admitted == [senders], name
    production = [p["spec"] for p in clusters()["production"].of("NetworkPolicy").values()]
    out = [
        clusters()["production"].selected(rule["to"][0]["podSelector"])
        for spec in production
        if spec["podSelector"] == {"matchLabels": {"telemetry": "sender"}}
        for rule in spec.get("egress", [])
    ]
    assert out == [{"otel-gateway"}]


def test_rules_are_the_repositorys() -> None:
    """Each PrometheusRule has the groups of the rule file that it was written from, and none is missing."""
    made = clusters()["production"].of("PrometheusRule")
    wanted = {
        f"fleet-{path.stem}": yaml.safe_load(path.read_text()) for path in (ROOT / "grafana/alerts").glob("*.yaml")
    }
    assert {name: rule["spec"] for name, rule in made.items()} == wanted
    assert cluster.main(check=True) == 0


def test_dashboards_are_found() -> None:
    """Every dashboard is a ConfigMap with the sidecar's label, and small enough to be applied."""
    found = [
        c
        for c in clusters()["production"].of("ConfigMap").values()
        if c["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
    ]
    texts = {file: text for config in found for file, text in config["data"].items()}
    assert texts == {path.name: path.read_text() for path in (ROOT / "grafana/dashboards").glob("*.json")}
    assert all(len(text.encode()) < 256 * 1024 for text in texts.values())  # the limit of what `kubectl apply` notes


def test_scraped_labels_are_ours() -> None:
    """Jobs are those that alerts and dashboards ask for, and no label of the operator's takes the place of one of ours."""
    endpoints = clusters()["production"].of("PodMonitor")["otel-collector"]["spec"]["podMetricsEndpoints"]
    config = yaml.safe_load((ROOT / "grafana/prometheus-scrape-config.collectors.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    ours = {label for spec in BUILT_IN.specs for label in spec.label_keys}
    for endpoint in endpoints:
        job = jobs[next(r["replacement"] for r in endpoint["relabelings"] if r.get("targetLabel") == "job")]
        assert endpoint.get("honorLabels", False) == job.get("honor_labels", False)
        dropped = re.compile(next(r["regex"] for r in endpoint["relabelings"] if r["action"] == "labeldrop"))
        set_by_operator = {"namespace", "container", "pod", "endpoint", "job", "instance"}
        assert not {label for label in set_by_operator & ours if not dropped.fullmatch(label)}
    assert len(endpoints) == len(jobs)
