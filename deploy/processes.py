"""Every process of the fleet, as data: what runs, with which environment, when it is ready; in order of start."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy import certificates, collector_program, grafana
from deploy.probes import Probe, http_ok, redis_pong, running, worker_pong
from deploy.settings import ROOT, FleetSettings
from support import prometheus_program
from support.processes import program

PYTHON = sys.executable


@dataclass(frozen=True)
class Process:
    """One process that the manager keeps alive.

    Attributes:
        name: What it is called in `status`, `logs` and its log's file name.
        stage: Processes of one stage start together; the next stage waits until they are ready.
        command: Program and arguments.
        ready: The probe that says when it can do its work.
        environment: What it gets besides the environment of whoever ran `up`.
        stop_seconds: How long it may take to end by itself before its whole process group is killed.
    """

    name: str
    stage: str
    command: tuple[str, ...]
    ready: Probe
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: int = 15


def all_processes(settings: FleetSettings, secrets: Mapping[str, str]) -> list[Process]:
    """Every process, in order of start; they stop in the opposite order, so senders go before the collector."""
    environment = application_environment(settings, secrets)
    return [
        _redis(settings),
        _collector(settings),
        *_simulated_llm(settings, secrets),
        *_replicas(settings, environment),
        *_workers(settings, environment),
        _beat(settings, environment),
        _flower(settings, environment, secrets),
        _alertmanager(settings),
        _prometheus(settings),
        *_dashboards(settings, secrets),
        _front_page(settings),
        _nginx(settings),
    ]


def application_environment(settings: FleetSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    """What app and worker read: addresses, keys and the standard OpenTelemetry variables."""
    redis = f"redis://{settings.host_of('REDIS_PORT')}:{settings.redis_port}"
    return {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": settings.database_url or f"sqlite:///{settings.data / 'chat.db'}",
        "STORAGE_URL": settings.storage_url or f"file://{settings.data / 'storage'}",
        "REDIS_URL": f"{redis}/0",
        "CELERY_BROKER_URL": f"{redis}/1",
        "CELERY_RESULT_BACKEND": f"{redis}/2",
        "ADMIN_TOKEN": secrets["ADMIN_TOKEN"],
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": settings.url("OTELCOL_HTTP_PORT"),
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        **certificates.of_senders(settings),
        "OTEL_METRIC_EXPORT_INTERVAL": str(settings.export_interval_ms),
        "TELEMETRY_STATE_DIR": str(settings.boxes),
        "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={settings.environment}",
        **_vendor_environment(settings, secrets),
    }


def _vendor_environment(settings: FleetSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    if settings.llm_vendor == "real":
        return {}
    return {
        "LLM_PROVIDER": "openai",
        "OPENAI_BASE_URL": settings.url("LLM_PORT", "/v1"),
        "OPENAI_API_KEY": secrets["SIMULATED_LLM_API_KEY"],
    }


def _redis(settings: FleetSettings) -> Process:
    command = (program(settings.redis_server), str(settings.conf / "redis.conf"))
    return Process("redis", "redis", command, redis_pong(settings.redis_port))


def _collector(settings: FleetSettings) -> Process:
    """Its store is the fleet's: totals go on where they were, also after `make restart`."""
    ports = {name: str(port) for name, port in settings.ports().items() if name.startswith("OTELCOL_")}
    path = program(settings.otelcol)
    return Process(
        name="collector",
        stage="collector",
        command=(
            path,
            *(f"--config={file}" for file in collector_program.configurations(path, secure=settings.secure)),
        ),
        ready=http_ok(settings.url("OTELCOL_HEALTH_PORT", "/"), certificates.of_readers(settings).authority),
        environment={
            "OTELCOL_HOST": settings.otelcol_host,
            **certificates.of_collector(settings),
            "OTELCOL_MEMORY_MIB": str(settings.otelcol_memory_mib),
            "OTELCOL_STATE_DIR": str(settings.data / "collector"),
            "GOMEMLIMIT": settings.gomemlimit,
            **ports,
        },
    )


def _simulated_llm(settings: FleetSettings, secrets: Mapping[str, str]) -> list[Process]:
    if settings.llm_vendor == "real":
        return []
    command = _uvicorn("deploy.simulated_llm.main:app", settings.llm_port)
    environment = {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "SIMULATED_LLM_API_KEY": secrets["SIMULATED_LLM_API_KEY"],
    }
    ready = http_ok(settings.url("LLM_PORT", "/health"))
    return [Process("simulated-llm", "simulated-llm", command, ready, environment)]


def _replicas(settings: FleetSettings, environment: Mapping[str, str]) -> list[Process]:
    return [
        Process(
            name=f"app-{number}",
            stage="app",
            command=_uvicorn("app.main:app", port),
            ready=http_ok(f"http://127.0.0.1:{port}/ready"),
            environment={**environment, "OTEL_SERVICE_NAME": "chat-app"},
            stop_seconds=20,
        )
        for number, port in enumerate(settings.app_ports, 1)
    ]


def _uvicorn(application: str, port: int) -> tuple[str, ...]:
    """Only NGINX is believed about who the client is; it also keeps the access log."""
    server = (PYTHON, "-m", "uvicorn", application, "--host", "127.0.0.1", "--port", str(port))
    return (
        *server,
        "--no-access-log",
        "--proxy-headers",
        "--forwarded-allow-ips=127.0.0.1",
        "--timeout-graceful-shutdown=10",
    )


def _celery(*arguments: str) -> tuple[str, ...]:
    return (PYTHON, "-m", "celery", "-A", "worker.celery_app:celery_app", *arguments)


def _workers(settings: FleetSettings, environment: Mapping[str, str]) -> list[Process]:
    queues = ("-Q", "high,medium,low")
    pool = ("--pool", "prefork", "-c", str(settings.worker_concurrency), "--loglevel", "INFO")
    names = [f"worker{number}" for number in range(1, settings.worker_nodes + 1)]
    return [
        Process(
            name=name,
            stage="workers",
            command=_celery("worker", "-n", f"{name}@%h", *queues, *pool),
            ready=worker_pong(environment["CELERY_BROKER_URL"], name),
            environment={**environment, "OTEL_SERVICE_NAME": "chat-worker"},
            stop_seconds=settings.drain_seconds,
        )
        for name in names
    ]


def _beat(settings: FleetSettings, environment: Mapping[str, str]) -> Process:
    """Exactly one: two would publish every scheduled task twice."""
    files = (f"--schedule={settings.data / 'beat-schedule'}", "--pidfile=")
    return Process(
        name="beat",
        stage="beat",
        command=_celery("beat", *files, "--loglevel", "INFO"),
        ready=running,
        environment={**environment, "OTEL_SERVICE_NAME": "chat-beat"},
    )


def _flower(settings: FleetSettings, environment: Mapping[str, str], secrets: Mapping[str, str]) -> Process:
    """It looks at the fleet and is not part of it, so it exports no metrics of its own."""
    address = (f"--address={settings.listen_host}", f"--port={settings.flower_port}")
    credentials = f"{secrets['FLOWER_USER']}:{secrets['FLOWER_PASSWORD']}"
    return Process(
        name="flower",
        stage="flower",
        command=_celery("flower", *address),
        ready=http_ok(settings.url("FLOWER_PORT", "/healthcheck")),
        environment={**environment, "OTEL_METRICS_EXPORTER": "none", "FLOWER_BASIC_AUTH": credentials},
    )


def _alertmanager(settings: FleetSettings) -> Process:
    """Alone: it listens for no other Alertmanager."""
    command = (
        program(settings.alertmanager),
        f"--config.file={settings.conf / 'alertmanager.yml'}",
        f"--storage.path={settings.data / 'alertmanager'}",
        f"--web.listen-address={settings.listen_host}:{settings.alertmanager_port}",
        "--cluster.listen-address=",
    )
    return Process("alertmanager", "alertmanager", command, http_ok(settings.url("ALERTMANAGER_PORT", "/-/ready")))


def _prometheus(settings: FleetSettings) -> Process:
    command = (
        program(settings.prometheus),
        f"--config.file={settings.conf / 'prometheus.yml'}",
        f"--storage.tsdb.path={settings.data / 'prometheus'}",
        "--storage.tsdb.retention.time=2d",
        f"--web.listen-address={settings.listen_host}:{settings.prometheus_port}",
        *prometheus_program.flags(program(settings.prometheus)),
    )
    return Process("prometheus", "prometheus", command, http_ok(settings.url("PROMETHEUS_PORT", "/-/ready")))


def _dashboards(settings: FleetSettings, secrets: Mapping[str, str]) -> list[Process]:
    """Grafana where there is one to start, nothing where one runs elsewhere, else the preview."""
    if grafana.address(settings):
        return []
    found = grafana.find(settings)
    if found is None:
        return [_preview(settings)]
    ready = http_ok(settings.url("DASHBOARDS_PORT", "/api/health"))
    variables = grafana.environment(settings, secrets)
    return [Process("grafana", "dashboards", grafana.command(found, settings), ready, variables)]


def _preview(settings: FleetSettings) -> Process:
    where = ("--host", settings.listen_host, "--port", str(settings.dashboards_port))
    source = ("--prometheus", settings.url("PROMETHEUS_PORT"), "--scrape-interval", str(settings.scrape_seconds))
    command = (PYTHON, "-m", "telemetry", "preview", *where, *source)
    return Process("preview", "dashboards", command, http_ok(settings.url("DASHBOARDS_PORT", "/")))


def _front_page(settings: FleetSettings) -> Process:
    files = ("--fleet-dir", str(settings.fleet_dir), "--links", str(settings.conf / "front-page.json"))
    command = (PYTHON, "-m", "deploy.front_page", *files, "--port", str(settings.front_page_port))
    return Process("front-page", "front-page", command, http_ok(settings.url("FRONT_PAGE_PORT", "/")))


def _nginx(settings: FleetSettings) -> Process:
    """Configuration errors before the file is read would go to a log that only root may write, hence `-e`."""
    command = (program(settings.nginx), "-e", "stderr", "-c", str(settings.conf / "nginx.conf"))
    return Process("nginx", "nginx", command, http_ok(settings.url("NGINX_PORT", "/health")))
