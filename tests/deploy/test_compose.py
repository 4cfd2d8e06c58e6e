"""The fleet in containers: what compose.yaml says is what code, settings and the fleet on one machine say."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from app.settings import Settings
from deploy import alert_routes, containers, grafana, processes
from deploy.rehearsal import composed
from deploy.settings import ROOT, FleetSettings
from support.ports import free_port
from support.processes import program
from support.waiting import eventually
from telemetry.settings.variables import OWN, STANDARD
from tests.support import compose_secrets

DEPLOY = ROOT / "deploy"
FILE = DEPLOY / "compose.yaml"
COMPOSED = DEPLOY / "rehearsal" / "composed"
SECRETS = {name: f"secret-of-{name.lower()}" for name in compose_secrets.NAMES}
OURS = "fleet-telemetry:local"
ENDS = {"migrations", "addresses"}
UNASKED = {"boxes"}  # it only sleeps
KINDS = [("durable", False), ("contrib", False), ("durable", True)]
"""By the collector, and whether it is behind TLS."""

go = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go, as the build of the collector does")


def _composed(*over: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"HOME", "PATH"} or name.startswith("GO")}
    command = ["go", "run", ".", str(FILE), *map(str, over)]
    return subprocess.run(
        command, cwd=COMPOSED, env={**kept, **variables}, capture_output=True, text=True, check=False, timeout=240
    )


@cache
def _fleet(collector: str = "durable", secure: bool = False, **more: str) -> dict[str, Any]:
    """The file as `docker compose` reads it, with every secret given."""
    done = _composed(*([composed.SECURE] if secure else []), COLLECTOR=collector, **SECRETS, **more)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _services(*, secure: bool = False, **variables: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = _fleet(secure=secure, **variables)["services"]
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `fleet-certificates.sh` makes."""
    directory = tmp_path_factory.mktemp("made")
    subprocess.run([DEPLOY / "fleet-certificates.sh"], cwd=directory, check=True, capture_output=True, timeout=60)
    return directory / "secrets"


def _of_image() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in _services().items() if service["image"] == OURS}


@go
@pytest.mark.parametrize(
    ("collector", "image", "config"),
    [
        ("durable", "fleet-telemetry-collector:local", "otel-collector.durable.yaml"),
        ("contrib", "otel/opentelemetry-collector-contrib:0.161.0", "otel-collector.yaml"),
    ],
)
def test_one_variable_chooses_the_collector(collector: str, image: str, config: str) -> None:
    """The file holds to the Compose Specification, and COLLECTOR=contrib runs the official image with its configuration."""
    found = _services(collector=collector)["otel-collector"]
    assert found["image"] == image
    assert found["volumes"][0]["source"] == str(ROOT / config)
    assert found["command"] == [f"--config={found['volumes'][0]['target']}"]


@go
def test_no_secret_has_a_default() -> None:
    """Without secrets nothing starts, and each one that is missing is named, with what makes it."""
    done = _composed()
    assert done.returncode == 1
    for name in compose_secrets.NAMES:
        assert f"required variable {name} is missing a value: run deploy/compose/secrets.sh" in done.stderr


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """secrets.sh makes up every secret in a private file, and leaves alone what is there."""
    (tmp_path / "compose").mkdir()
    script = shutil.copy(DEPLOY / "compose" / "secrets.sh", tmp_path / "compose" / "secrets.sh")
    made = tmp_path / ".env"
    made.write_text("ADMIN_TOKEN=mine\n")
    made.chmod(0o600)
    subprocess.run([script], check=True, timeout=30)
    once = made.read_text()
    subprocess.run([script], check=True, timeout=30)
    values = dict(line.split("=", 1) for line in once.splitlines())
    assert made.read_text() == once
    assert sorted(values) == sorted(compose_secrets.NAMES)
    assert values.pop("ADMIN_TOKEN") == "mine"
    assert len(set(values.values())) == len(values)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", value) for value in values.values())
    made.unlink()
    subprocess.run([script], check=True, timeout=30)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


@go
def test_what_is_mounted_exists() -> None:
    """Every file and folder that a container mounts is in the repository, or made by a script, and mounted to be read."""
    for collector, secure in KINDS:
        for name, service in _services(collector=collector, secure=secure).items():
            for mount in service.get("volumes") or []:
                if mount["type"] == "bind":
                    source = Path(mount["source"])
                    assert source.exists() or (secure and source.parent == DEPLOY / "secrets"), (name, mount)
                    assert mount["read_only"], (name, mount)


@go
def test_containers_can_do_little() -> None:
    """No container runs as root, writes to its own files, has capabilities or no limits; each says whether it is well."""
    for collector, secure in KINDS:
        for name, service in _services(collector=collector, secure=secure).items():
            assert int(service["user"].partition(":")[0]) > 0, name
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
            assert re.search(r":v?\d+\.?\d*.*|:local$", service["image"]), name
            excused = name in ENDS | UNASKED or (name, collector) == ("otel-collector", "contrib")
            assert ("healthcheck" in service) is not excused, name


@go
def test_ports_are_the_fleets() -> None:
    """Ports are published on loopback alone, under the settings' names and defaults, and changed by them."""
    settings = FleetSettings()
    published = {port["target"]: port for service in _services().values() for port in service.get("ports") or []}
    people = {setting: number for setting, number in settings.ports().items() if setting in _published_settings()}
    assert {target: port["published"] for target, port in published.items()} == {
        number: str(number) for number in people.values()
    }
    assert {port["host_ip"] for port in published.values()} == {"127.0.0.1"}
    moved = _services(**{setting: str(number + 1000) for setting, number in people.items()}, LISTEN_HOST="0.0.0.0")
    again = [port for service in moved.values() for port in service.get("ports") or []]
    assert {port["published"] for port in again} == {str(number + 1000) for number in people.values()}
    assert {port["host_ip"] for port in again} == {"0.0.0.0"}


def _published_settings() -> set[str]:
    return set(re.findall(r"\$\{LISTEN_HOST:-127\.0\.0\.1\}:\$\{([A-Z_]+_PORT):-", FILE.read_text()))


def test_people_reach_what_they_reach_on_one_machine() -> None:
    """What the fleet on one machine opens for people is published, and nothing else."""
    settings = FleetSettings(listen_host="192.0.2.1")
    assert _published_settings() == {name for name in settings.ports() if settings.host_of(name) == "192.0.2.1"}


def _expected(secrets: Mapping[str, str], *, secure: bool) -> dict[str, str]:
    own = processes.application_environment(containers.settings(secure=secure), secrets)
    return {name: value for name, value in own.items() if name not in {"PYTHONPATH", "PYTHONUNBUFFERED"}}


@go
@pytest.mark.parametrize("secure", [False, True], ids=["open", "secure"])
@pytest.mark.parametrize(
    ("service", "name"), [("app", "chat-app"), ("worker", "chat-worker"), ("beat", "chat-beat")], ids=str
)
def test_environment_is_the_fleets(service: str, name: str, secure: bool) -> None:
    """App, worker and beat get what they get on one machine; only where data is differs."""
    got = dict(_services(secure=secure)[service]["environment"])
    wanted = {**_expected(SECRETS, secure=secure), "OTEL_SERVICE_NAME": name}
    assert set(got) == set(wanted)
    redis = {"REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"}
    for key in redis:
        assert got[key] == wanted[key].replace("redis://", f"redis://:{SECRETS['REDIS_PASSWORD']}@"), key
    where = {"DATABASE_URL", "STORAGE_URL", "TELEMETRY_STATE_DIR", *redis}
    assert {key: got[key] for key in set(got) - where} == {key: wanted[key] for key in set(wanted) - where}


@go
def test_variables_are_read_by_somebody() -> None:
    """Every variable of our containers is a setting of the app, of the library, of Celery or of the program itself."""
    known = {name.upper() for name in Settings.model_fields}
    known |= {name for variable in (*STANDARD, *OWN) for name in (variable.name, variable.wins) if name}
    known |= {
        "CELERY_BROKER_URL",
        "CELERY_RESULT_BACKEND",
        "OPENAI_BASE_URL",
        "SIMULATED_LLM_API_KEY",
        "FLOWER_BASIC_AUTH",
    }
    for name, service in _of_image().items():
        assert not set(service["environment"]) - known, name
    config = (ROOT / "otel-collector.durable.yaml").read_text()
    for name in _services()["otel-collector"]["environment"]:
        assert name == "GOMEMLIMIT" or f"${{env:{name}" in config, name
    shown = _services()["grafana"]["environment"]
    local = grafana.environment(containers.settings(), {"GRAFANA_PASSWORD": "x"})
    own = {"GF_PATHS_DATA", "GF_PATHS_LOGS", "GF_PATHS_PLUGINS", "GF_SERVER_HTTP_ADDR"}  # the image's own will do
    assert set(shown) == set(local) - own
    same = set(shown) - {"GF_PATHS_PROVISIONING", "FLEET_FILES", "GF_SECURITY_ADMIN_PASSWORD"}
    assert {key: shown[key] for key in same} == {key: local[key] for key in same}


def _words(command: list[str]) -> list[str]:
    """A command's words, `--name=value` as two."""
    return [part for word in command for part in (word.split("=", 1) if word.startswith("--") else [word])]


@go
@pytest.mark.parametrize(
    ("service", "process", "differs"),
    [
        ("app", "app-1", {"--host", "--forwarded-allow-ips"}),
        ("simulated-llm", "simulated-llm", {"--host"}),
        ("worker", "worker1", {"-n"}),
        ("beat", "beat", {"--schedule"}),
        ("flower", "flower", set()),
        ("prometheus", "prometheus", {"--storage.tsdb.path", "--storage.tsdb.retention.time"}),
        ("alertmanager", "alertmanager", {"--storage.path"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_commands_are_the_fleets(service: str, process: str, differs: set[str]) -> None:
    """What runs in a container is what runs on one machine, but for where it listens and keeps its data."""
    secrets = {**SECRETS, "FLOWER_USER": "admin"}
    local = {found.name: list(found.command) for found in processes.all_processes(containers.settings(), secrets)}
    ours, theirs = _words(_services()[service]["command"]), _words(local[process])[1:]
    if ours[0] == "python":
        ours = ours[1:]
    for option in differs:
        for words in (ours, theirs):
            at = words.index(option)
            del words[at : at + 2]
    assert ours == theirs


@go
def test_who_talks_shares_a_network() -> None:
    """Each host that a variable or a configuration file names is a service, in a network of who names it."""
    services = _services()
    named = {
        name: set(_hosts(service["environment"].values()))
        for name, service in services.items()
        if service.get("environment")
    }
    configuration = {path.stem: path.read_text() for path in containers.files()}
    named["nginx"] = set(re.findall(r"(?:http://|server )([a-z-]+):\d+", configuration["nginx"]))
    named["prometheus"] = set(re.findall(r'"([a-z-]+):\d+"', configuration["prometheus"]))
    assert named["nginx"] >= {"app", "otel-collector"}
    for name, hosts in named.items():
        if name in {"boxes", "migrations", "flower"}:  # they use a part of what all have in common
            continue
        for host in hosts:
            assert set(services[name]["networks"]) & set(services[host]["networks"]), (name, host)


def _hosts(values: Any) -> list[str]:
    found = [urlsplit(value).hostname for value in values if "://" in value]
    return [host for host in found if host]


@go
def test_boxes_belong_to_the_images_user() -> None:
    """What was counted is kept in memory, in a folder of the image's user alone, which every container that counts has."""
    options = _fleet()["volumes"]["boxes"]["driver_opts"]
    mounted = dict(option.partition("=")[::2] for option in options["o"].split(","))
    assert options["type"] == "tmpfs"
    assert mounted["mode"] == "0700"
    assert f"{mounted['uid']}:{mounted['gid']}" in (ROOT / "Dockerfile").read_text()
    for name, service in _of_image().items():
        if "otlp" in service["environment"]["OTEL_METRICS_EXPORTER"]:
            assert service["user"] == f"{mounted['uid']}:{mounted['gid']}", name
            directory = service["environment"]["TELEMETRY_STATE_DIR"]
            assert ("boxes", directory) in {(m.get("source"), m["target"]) for m in service["volumes"]}, name


@go
def test_versions_are_the_fleets() -> None:
    """Images have the versions that are installed on one machine."""
    programs = (DEPLOY / "install" / "programs.sh").read_text()
    prometheus = re.sub(r"^0\.(\d)(\d+)\.", r"\1.\2.", _pinned(programs, "PROMETHEUS_VERSION"))
    services = _services()
    assert services["prometheus"]["image"] == f"prom/prometheus:v{prometheus}"
    assert services["alertmanager"]["image"] == f"prom/alertmanager:v{_pinned(programs, 'ALERTMANAGER_VERSION')}"
    assert services["grafana"]["image"] == grafana.IMAGE
    contrib = _services(collector="contrib")["otel-collector"]["image"]
    assert contrib.endswith(f":{_pinned(programs, 'COLLECTOR_VERSION')}")


def _pinned(script: str, name: str) -> str:
    found = re.search(rf"^readonly {name}=([0-9.]+)", script, re.MULTILINE)
    assert found
    return found[1]


def test_files_are_the_fleets_templates() -> None:
    """The configuration files that containers mount are what the templates give; `make check` sees to it."""
    assert containers.main(check=True) == 0
    source = yaml.safe_load((ROOT / "grafana" / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    interval = source["datasources"][0]["jsonData"]["timeInterval"]
    assert yaml.safe_load((containers.FOLDER / "prometheus.yml").read_text())["global"]["scrape_interval"] == interval
    routes = yaml.safe_load((containers.FOLDER / "alertmanager.yml").read_text())
    assert routes["route"] == yaml.safe_load(alert_routes.SOURCE.read_text())["route"]


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus.secure.yml"])
def test_prometheus_takes_its_file(name: str, made: Path, tmp_path: Path) -> None:
    """Prometheus takes the configuration with the rules and the secrets where the container has them."""
    (tmp_path / "conf").mkdir()
    shutil.copytree(ROOT / "grafana" / "alerts", tmp_path / "conf" / "alerts")
    file = tmp_path / "prometheus.yml"
    text = (containers.FOLDER / name).read_text().replace("/etc/fleet/secrets", str(made / "reader"))
    file.write_text(text.replace("/fleet/conf", f"{tmp_path}/conf"))
    done = subprocess.run(
        [Path(sys.executable).parent / "promtool", "check", "config", file],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(list((tmp_path / 'conf' / 'alerts').iterdir()))} rule files found" in done.stdout


@pytest.mark.parametrize("name", ["nginx.conf", "nginx.secure.conf"])
def test_nginx_takes_its_file(name: str, made: Path, tmp_path: Path) -> None:
    """NGINX takes the configuration; `resolve` needs its 1.27.3, so an older one is asked without."""
    (tmp_path / "nginx").mkdir()
    text = (containers.FOLDER / name).read_text().replace("/etc/fleet/secrets", str(made / "reader"))
    text = text.replace("server app:8001 resolve", "server 127.0.0.1:8001").replace("/fleet/run", str(tmp_path))
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    done = subprocess.run(
        [program(Path("nginx")), "-t", "-e", "stderr", "-c", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr


@go
def test_who_is_secure_has_its_files_alone(made: Path) -> None:
    """Each container has the folder of its role: every file that it is told is there, and no key or token of anybody else."""
    read = {"prometheus": "prometheus.secure.yml", "nginx": "nginx.secure.conf"}
    own = {"otel-collector": "collector", **dict.fromkeys(read, "reader")}
    for name, service in _services(secure=True).items():
        folders = [Path(mount["source"]) for mount in service.get("volumes") or [] if "secrets" in mount["target"]]
        if not folders:
            assert "otlp" not in service.get("environment", {}).get("OTEL_METRICS_EXPORTER", ""), name
            continue
        (folder,) = folders
        assert folder == DEPLOY / "secrets" / own.get(name, "sender"), name
        text = json.dumps(service["environment"]) if name not in read else (containers.FOLDER / read[name]).read_text()
        told = set(re.findall(r"/etc/fleet/secrets/([\w.-]+)", text))
        files = {path.name for path in (made / folder.name).iterdir()}
        assert told <= files, name
        assert not files & {"ca.key"}, name
    assert sorted(path.name for path in made.iterdir()) == ["ca.crt", "ca.key", "collector", "reader", "sender"]
    assert {path.stat().st_mode & 0o077 for path in (made, *made.rglob("*"))} == {0}


@go
def test_missing_secrets_are_not_made_empty() -> None:
    """Without the script, and with the official collector, compose names the file that is missing, and starts nothing."""
    for name, service in _services(secure=True).items():
        for mount in service.get("volumes") or []:
            if "secrets" in mount["target"] or mount["target"].endswith("secure.yaml"):
                assert mount["bind"] == {"create_host_path": False}, name
    contrib = _services(collector="contrib", secure=True)["otel-collector"]["volumes"]
    assert not [
        mount for mount in contrib if mount["target"].endswith("secure.yaml") and Path(mount["source"]).exists()
    ]


@go
def test_redis_asks_for_its_password(tmp_path: Path) -> None:
    """Redis, by its command and file, lets in who has the password that every URL has, and nobody else; its arguments do not tell it."""
    service, port = _services()["redis"], free_port()
    text = (containers.FOLDER / "redis.conf").read_text()
    for here, there in (("port 6379", f"port {port}"), ("dir /data", f"dir {tmp_path}"), ("0.0.0.0", "127.0.0.1")):
        assert here in text
        text = text.replace(here, there)
    file = tmp_path / "redis.conf"
    file.write_text(text)
    command = [word.replace("/fleet/conf/redis.conf", str(file)) for word in service["command"]]
    environment = {"PATH": os.environ["PATH"], **service["environment"]}
    asks = service["healthcheck"]["test"][1].replace("redis-cli", f"redis-cli -p {port}")
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            assert eventually(lambda: _says(asks, environment))
            assert not _says(asks, {"PATH": os.environ["PATH"]})
            assert not _says(asks, {**environment, "REDISCLI_AUTH": "wrong"})
            arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes()
            assert b"redis-server" in arguments
            assert SECRETS["REDIS_PASSWORD"].encode() not in arguments
        finally:
            server.terminate()


def _says(command: str, environment: Mapping[str, str]) -> bool:
    return subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, check=False).returncode == 0


@go
def test_rehearsal_has_every_container() -> None:
    """`make rehearse` starts each replica, after all that it needs, and lets it know its neighbours alone."""
    everybody = composed.containers(_fleet())
    names = [one.service for one in everybody]
    assert (names.count("app"), names.count("worker"), names.count("nginx")) == (3, 4, 1)
    for number, one in enumerate(everybody):
        assert set(one.spec.get("depends_on") or {}) <= set(names[:number])
    addresses = [address for one in everybody for address in one.addresses.values()]
    assert len(set(addresses)) == len(addresses)
    front = composed.hosts(next(one for one in everybody if one.service == "nginx"), everybody)
    assert front.count(" app\n") == 3
    assert " redis\n" not in front


@go
def test_the_last_words_are_the_addresses(tmp_path: Path) -> None:
    """`docker compose up` ends with where the dashboards are, once the front door shows metrics."""
    service = _services(DASHBOARDS_PORT="8399")["addresses"]
    asked = tmp_path / "wget"
    asked.write_text('#!/bin/sh\necho "$@" >&2\n')
    asked.chmod(0o755)
    done = subprocess.run(
        [*service["entrypoint"], *service["command"]],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "Dashboards    http://localhost:8399/dashboards\n" in done.stdout
    assert "http://nginx:8100/metrics" in done.stderr
    assert {"nginx", "worker", "grafana"} <= set(service["depends_on"])
    assert not any(SECRETS[name] in done.stdout for name in compose_secrets.NAMES)


@pytest.mark.skipif(
    subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0
    if shutil.which("docker")
    else True,
    reason="needs docker compose",
)
@pytest.mark.parametrize("over", [[], ["-f", str(composed.SECURE)]], ids=["open", "secure"])
def test_docker_compose_takes_it(over: list[str]) -> None:
    """`docker compose config` takes the file, where there is a client."""
    command = ["docker", "compose", "-f", str(FILE), *over, "config", "--quiet"]
    subprocess.run(command, env={**os.environ, **SECRETS}, check=True, timeout=60)
