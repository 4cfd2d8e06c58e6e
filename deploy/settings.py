"""What can be set about the fleet, read once from the environment; which process gets what is in `processes`."""

# the defaults that `_setting` makes are immutable

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from support.memory import MEMORY
from support.ports import free_ports

ROOT = Path(__file__).resolve().parents[1]
_FOR_PEOPLE = {"NGINX_PORT", "DASHBOARDS_PORT", "FLOWER_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT"}
_SWITCH = {"1": True, "true": True, "0": False, "false": False}
_SOCKET_PATH_LIMIT = 100  # bytes; the kernel's limit for the path of a unix socket is 107


class SettingsError(ValueError):
    """Some settings are wrong; the message names every one of them, its value and the remedy."""


def _port(text: str) -> int:
    if text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise ValueError("is not a port: set it to a free number from 1 to 65535")


def _count(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if text.isdigit() and least <= int(text) <= most:
            return int(text)
        raise ValueError(f"is out of range: set it to a whole number from {least} to {most}")

    return parse


def _word(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]{1,32}", text):
        return text
    raise ValueError("is not a plain word: set it to something like prod, stage or dev")


def _host(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]+", text):
        return text
    raise ValueError("is not a host name or IPv4 address: set it to 127.0.0.1, or 0.0.0.0 for every interface")


def _networks(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ip_network(part.strip())) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(
            "has what is no network: set it to networks with commas, such as 127.0.0.0/8,10.1.0.0/16"
        ) from None


def _plain(text: str) -> str:
    """Supervisor's configuration has no way to write these characters inside a value."""
    if re.search("[\"';#\\s]", text):
        raise ValueError("contains a quote, a space, `;` or `#`: write it percent-encoded")
    return text


def _webhook(text: str) -> str:
    if urlsplit(text).scheme in {"http", "https"} and urlsplit(text).hostname:
        return text
    raise ValueError("is not an address: set it to http://host:port/path of something that takes Alertmanager's JSON")


def _directory(text: str) -> Path:
    if re.search("[\"';#%\\s]", text):
        raise ValueError("contains a quote, a space, `;`, `#` or `%`: set it to a directory without")
    path = Path(text).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise ValueError("is a file: set it to a directory, which is made if it does not exist")
    return path


def _switch(text: str) -> bool:
    if text.lower() in _SWITCH:
        return _SWITCH[text.lower()]
    raise ValueError("is neither on nor off: set it to 1 or to 0")


def _vendor(text: str) -> str:
    if text in {"simulated", "real"}:
        return text
    raise ValueError("is unknown: set it to simulated or to real")


def _program(text: str) -> Path:
    found = shutil.which(text, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found:
        return Path(found).absolute()
    raise ValueError("is not a program that can be run: run `make install`, or set it to the path of one")


def _program_or_missing(text: str) -> Path:
    """Whether the program is there is asked when it is needed, so that `status` and `down` work without it."""
    try:
        return _program(text)
    except ValueError:
        return Path(text)


def _setting(name: str, default: Any, meaning: str, parse: Callable[[str], Any]) -> Any:
    return field(default=default, metadata={"name": name, "meaning": meaning, "parse": parse})


def _installed(name: str) -> Path:
    return Path(sys.prefix) / "bin" / name


@dataclass(frozen=True, kw_only=True)
class FleetSettings:
    """The settings of one fleet; each field is the environment variable named beside it.

    Two fleets run side by side when their directories and ports differ, see `isolated`.
    """

    fleet_dir: Path = _setting("FLEET_DIR", ROOT / ".fleet", "where the fleet keeps its state", _directory)
    environment: str = _setting("ENVIRONMENT", "prod", "the `environment` label of every series", _word)
    listen_host: str = _setting(
        "LISTEN_HOST", "127.0.0.1", "front door, dashboards, Flower, Prometheus, Alertmanager listen here", _host
    )
    nginx_port: int = _setting("NGINX_PORT", 8100, "the front door", _port)
    metrics_networks: tuple[str, ...] = _setting(
        "METRICS_NETWORKS", ("127.0.0.0/8", "::1/128"), "who may read the front door's /metrics", _networks
    )
    trusted_proxies: tuple[str, ...] = _setting(
        "TRUSTED_PROXIES", (), "proxies before the front door, believed about who asks; default: none", _networks
    )
    front_page_port: int = _setting("FRONT_PAGE_PORT", 8101, "the front door's own page, behind NGINX", _port)
    dashboards_port: int = _setting("DASHBOARDS_PORT", 8300, "dashboards, drawn by Grafana or the preview", _port)
    app_port: int = _setting("APP_PORT", 8001, "first replica; the others take the next ports", _port)
    app_replicas: int = _setting("APP_REPLICAS", 3, "replicas of the app", _count(1, 64))
    worker_nodes: int = _setting("WORKER_NODES", 4, "Celery worker nodes", _count(1, 64))
    worker_concurrency: int = _setting("WORKER_CONCURRENCY", 2, "prefork children of each node", _count(1, 64))
    redis_port: int = _setting("REDIS_PORT", 6379, "broker, results, cache and rate limits", _port)
    llm_port: int = _setting("LLM_PORT", 8200, "the simulated LLM vendor", _port)
    flower_port: int = _setting("FLOWER_PORT", 5556, "Flower", _port)
    prometheus_port: int = _setting("PROMETHEUS_PORT", 9090, "Prometheus", _port)
    alertmanager_port: int = _setting("ALERTMANAGER_PORT", 9093, "Alertmanager", _port)

    otelcol_host: str = _setting("OTELCOL_HOST", "127.0.0.1", "the collector listens here", _host)
    otelcol_grpc_port: int = _setting("OTELCOL_GRPC_PORT", 4317, "OTLP over gRPC", _port)
    otelcol_http_port: int = _setting("OTELCOL_HTTP_PORT", 4318, "OTLP over HTTP", _port)
    otelcol_totals_port: int = _setting("OTELCOL_TOTALS_PORT", 8889, "totals, for Prometheus", _port)
    otelcol_levels_port: int = _setting("OTELCOL_LEVELS_PORT", 8890, "levels and facts, for Prometheus", _port)
    otelcol_metrics_port: int = _setting("OTELCOL_METRICS_PORT", 8888, "the collector's own metrics", _port)
    otelcol_health_port: int = _setting("OTELCOL_HEALTH_PORT", 13133, "the collector's health check", _port)
    otelcol_own_metrics_port: int = _setting(
        "OTELCOL_OWN_METRICS_PORT", 8887, "with SECURE=1, where its own metrics come from", _port
    )
    otelcol_memory_mib: int = _setting("OTELCOL_MEMORY_MIB", 512, "where it starts to refuse", _count(64, 65536))

    export_interval_ms: int = _setting(
        "EXPORT_INTERVAL_MS", 5000, "each process exports this often", _count(100, 600_000)
    )
    scrape_seconds: int = _setting("SCRAPE_SECONDS", 5, "Prometheus scrapes this often", _count(1, 600))
    alert_speed: int = _setting(
        "ALERT_SPEED", 1, "alert rules' durations and windows are divided by this, for drills", _count(1, 3600)
    )
    alert_webhook: str = _setting(
        "ALERT_WEBHOOK", "", "Alertmanager tells this address of every alert; default: nobody", _webhook
    )
    body_limit_mib: int = _setting("BODY_LIMIT_MIB", 64, "NGINX's limit, above the app's own", _count(1, 4096))
    slow_client_seconds: int = _setting(
        "SLOW_CLIENT_SECONDS", 10, "NGINX waits so long for a client's next bytes", _count(1, 3600)
    )
    connections_per_address: int = _setting(
        "CONNECTIONS_PER_ADDRESS", 512, "requests under way that NGINX takes from one address", _count(1, 100_000)
    )
    ready_seconds: int = _setting("READY_SECONDS", 90, "each process must be ready within this", _count(1, 3600))
    drain_seconds: int = _setting(
        "DRAIN_SECONDS", 30, "running tasks may finish within this at `down`", _count(1, 3600)
    )

    secure: bool = _setting(
        "SECURE", False, "1: the collector behind TLS and tokens, which are made in FLEET_DIR/secrets", _switch
    )
    database_url: str = _setting("DATABASE_URL", "", "default: SQLite in FLEET_DIR", _plain)
    storage_url: str = _setting("STORAGE_URL", "", "default: a directory in FLEET_DIR", _plain)
    llm_vendor: str = _setting("LLM_VENDOR", "simulated", "`real` takes OPENAI_*/ANTHROPIC_* as they are", _vendor)
    otelcol: Path = _setting("OTELCOL", _installed("otelcol"), "the collector's program", _program_or_missing)
    prometheus: Path = _setting("PROMETHEUS", _installed("prometheus"), "Prometheus' program", _program_or_missing)
    alertmanager: Path = _setting(
        "ALERTMANAGER", _installed("alertmanager"), "Alertmanager's program", _program_or_missing
    )
    grafana: str = _setting(
        "GRAFANA",
        "",
        "Grafana's program or address, docker, podman, or none; default: the one on PATH, else the preview",
        _plain,
    )
    trace_url: str = _setting("TRACE_URL", "", "what Grafana puts a trace id behind, to link to its trace", _plain)
    redis_server: Path = _setting("REDIS_SERVER", Path("redis-server"), "Redis' program", _program_or_missing)
    nginx: Path = _setting("NGINX", Path("nginx"), "NGINX's program", _program_or_missing)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Read the settings from the environment; an empty variable counts as not set.

        Raises:
            SettingsError: With every wrong setting, its value and the remedy.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        problems: list[str] = []
        for spec in fields(cls):
            text = environ.get(spec.metadata["name"], "")
            if not text or spec.name in overrides:
                continue
            try:
                values[spec.name] = spec.metadata["parse"](text)
            except ValueError as reason:
                problems.append(f"{spec.metadata['name']}={_shown(text)} {reason}.")
        settings = cls(**{**values, **overrides})
        problems += settings._contradictions(environ)
        if problems:
            raise SettingsError("\n".join(problems))
        return settings

    @classmethod
    def isolated(cls, directory: Path, **overrides: Any) -> Self:
        """Settings for a fleet of its own: state in `directory`, every port free at this moment."""
        replicas = overrides.get("app_replicas", cls.app_replicas)
        names = [name for name in port_fields() if name not in overrides and name != "app_port"]
        run = free_ports(len(names) + replicas)
        ports: dict[str, Any] = dict(zip(names, run, strict=False)) | {"app_port": run[len(names)]}
        return cls(**{"fleet_dir": directory.absolute(), **ports, **overrides})

    def _contradictions(self, environ: Mapping[str, str]) -> list[str]:
        return _shared_ports(self) + _vendor_problems(self.llm_vendor, environ)

    def ports(self) -> dict[str, int]:
        """Every port the fleet takes, by the setting it comes from; replicas as `APP_PORT`, `APP_PORT+1` and so on."""
        taken = {name: getattr(self, attribute) for attribute, name in port_fields().items()}
        taken |= {f"APP_PORT+{n}": self.app_port + n for n in range(1, self.app_replicas)}
        if self.llm_vendor == "real":
            del taken["LLM_PORT"]
        if not self.secure:
            del taken["OTELCOL_OWN_METRICS_PORT"]
        return taken

    def host_of(self, setting: str) -> str:
        """The address that the port of this setting is opened on."""
        if setting.startswith("OTELCOL_"):
            return self.otelcol_host
        return self.listen_host if setting in _FOR_PEOPLE else "127.0.0.1"

    def url(self, setting: str, path: str = "") -> str:
        """Where a client on this machine reaches the port of this setting."""
        host = self.host_of(setting)
        scheme = "https" if self.secure and setting.startswith("OTELCOL_") else "http"
        return f"{scheme}://{'127.0.0.1' if host == '0.0.0.0' else host}:{self.ports()[setting]}{path}"

    @property
    def app_ports(self) -> tuple[int, ...]:
        """The ports of the replicas."""
        return tuple(range(self.app_port, self.app_port + self.app_replicas))

    def secrets_of(self, role: str) -> Path:
        """The files that a `collector`, a `sender` or a `reader` of a secure fleet has."""
        return self.fleet_dir / "secrets" / role

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.fleet_dir / "logs"

    @property
    def run(self) -> Path:
        """Process ids."""
        return self.fleet_dir / "run"

    @property
    def conf(self) -> Path:
        """Rendered configuration."""
        return self.fleet_dir / "conf"

    @property
    def data(self) -> Path:
        """Redis, Prometheus, Alertmanager, SQLite and uploaded files."""
        return self.fleet_dir / "data"

    @property
    def boxes(self) -> Path:
        """What processes counted and did not deliver yet; in memory, where a killed process leaves it, if there is."""
        name = sha256(os.fsencode(self.fleet_dir)).hexdigest()[:16]
        return MEMORY / f"fleet-{os.getuid()}-{name}" if MEMORY else self.fleet_dir / "boxes"

    @property
    def gomemlimit(self) -> str:
        """Where the collector's garbage collector works harder, before exports are refused for want of memory."""
        return f"{self.otelcol_memory_mib * 4 // 5}MiB"

    @property
    def socket(self) -> Path:
        """The process manager's socket, elsewhere when the fleet's directory is too deep for a socket."""
        path = self.run / "supervisor.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        name = sha256(os.fsencode(self.fleet_dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"fleet-{os.getuid()}-{name}.sock"


def _shown(text: str) -> str:
    """A value without the password it may contain."""
    return re.sub("//[^/]*@", "//***@", text)


def documented() -> list[tuple[str, str, str]]:
    """Name, default and meaning of every setting, for the help."""
    return [_documented(spec) for spec in fields(FleetSettings)]


def _documented(spec: Field[Any]) -> tuple[str, str, str]:
    default = spec.default.name if isinstance(spec.default, Path) else _text(spec.default)
    return spec.metadata["name"], default, spec.metadata["meaning"]


def _text(default: Any) -> str:
    return ",".join(default) if isinstance(default, tuple) else str(int(default) if default is False else default)


def port_fields() -> dict[str, str]:
    """Field and environment variable of every port."""
    return {spec.name: spec.metadata["name"] for spec in fields(FleetSettings) if spec.metadata["parse"] is _port}


def _shared_ports(settings: FleetSettings) -> list[str]:
    by_port: dict[int, list[str]] = {}
    for name, port in settings.ports().items():
        by_port.setdefault(port, []).append(name)
    return [
        f"{' and '.join(names)} are all {port}: give each its own port."
        for port, names in by_port.items()
        if len(names) > 1
    ]


def _vendor_problems(vendor: str, environ: Mapping[str, str]) -> list[str]:
    provider = environ.get("LLM_PROVIDER") or "openai"
    if vendor == "simulated" and provider != "openai":
        clash = f"LLM_PROVIDER={provider} does not go with the simulated vendor, which speaks OpenAI's API"
        return [f"{clash}: set LLM_VENDOR=real and the vendor's key, or leave LLM_PROVIDER out."]
    key = f"{provider.upper()}_API_KEY"
    if vendor == "real" and not environ.get(key):
        return [f"LLM_VENDOR=real needs {key}, which is not set: set it, or leave LLM_VENDOR out."]
    return []
