"""Reads the standard ``OTEL_*`` variables (and the few of ours) once, and reports every error at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar, cast
from urllib.parse import unquote

from telemetry.box.directory import default_directory
from telemetry.settings import buckets, exclusions, llm_prices

T = TypeVar("T")

Sink = Literal["otlp", "prometheus", "none"]
Protocol = Literal["http/protobuf", "grpc"]

DEFAULT_ENVIRONMENT = "dev"
DEFAULT_INTERVAL = 15.0  # the SDK's 60 s would let levels and facts expire in the collector between two reports
DEFAULT_MAX_AGE = 86_400.0
MAX_PORT = 65535
_MILLISECONDS_FROM = 1000


class SettingsError(ValueError):
    """One or more settings are wrong; the message names each setting, its value and the remedy."""


@dataclass(frozen=True)
class Settings:
    """How metrics leave this process.

    Attributes:
        service_name: ``OTEL_SERVICE_NAME``, else the name given in code.
        environment: ``deployment.environment.name`` of ``OTEL_RESOURCE_ATTRIBUTES``; ``dev`` when it is not set.
        sink: ``OTEL_METRICS_EXPORTER``: ``otlp`` (a collector), ``prometheus`` (one process) or ``none``.
        protocol: ``OTEL_EXPORTER_OTLP_METRICS_PROTOCOL`` or ``OTEL_EXPORTER_OTLP_PROTOCOL``.
        export_interval: Seconds between exports, from ``OTEL_METRIC_EXPORT_INTERVAL`` (milliseconds); 15 s when it is
            not set. The collector forgets a level or a fact 60 s after its last report.
        export_timeout: Seconds one export may take, ``OTEL_EXPORTER_OTLP_TIMEOUT``: seconds as the Python SDK reads it,
            1000 and more are milliseconds as the specification has it.
        exit_deadline: Seconds the exit of a process may take for its last export, ``TELEMETRY_EXIT_DEADLINE``.
        prometheus_host: ``OTEL_EXPORTER_PROMETHEUS_HOST``.
        prometheus_port: ``OTEL_EXPORTER_PROMETHEUS_PORT``.
        excluded_paths: What HTTP metrics leave out, ``TELEMETRY_EXCLUDED_PATHS``: exact paths, route templates, regular
            expressions and methods, as ``exclusions.py`` has them.
        histogram_buckets: Upper bounds of histograms of the catalogue instead of its own, by name,
            ``TELEMETRY_HISTOGRAM_BUCKETS``: the same in the whole fleet, as ``buckets.py`` has it.
        catalogue: Dotted names of modules that declare metrics of the application's own, ``TELEMETRY_CATALOGUE``.
        prometheus_client: Let the metrics of the default registry of ``prometheus_client`` leave with ours,
            ``TELEMETRY_PROMETHEUS_CLIENT``.
        pass_uncatalogued: Let what instrumentors of OpenTelemetry measure beyond the catalogue leave the process,
            ``TELEMETRY_PASS_UNCATALOGUED``. What an application measures itself always does.
        state_dir: Where counts are kept that outlive their process, ``TELEMETRY_STATE_DIR``: a directory of this user
            alone, best in memory; ``box_directory`` when it is not set.
        state_max_age: Seconds after which what a dead process counted is not delivered any more,
            ``TELEMETRY_STATE_MAX_AGE``; a day when it is not set.
        service_namespace: ``service.namespace`` of ``OTEL_RESOURCE_ATTRIBUTES``: the label ``service_namespace`` of
            every series; empty when it is not set, and then there is no such label.
        llm_prices: Negotiated prices of LLM vendors, from the file that ``TELEMETRY_LLM_PRICES`` names.
    """

    service_name: str = "unknown_service"
    environment: str = DEFAULT_ENVIRONMENT
    sink: Sink = "none"
    protocol: Protocol = "http/protobuf"
    export_interval: float = DEFAULT_INTERVAL
    export_timeout: float = 10.0
    exit_deadline: float = 5.0
    prometheus_host: str = "localhost"
    prometheus_port: int = 9464
    excluded_paths: frozenset[str] = field(default_factory=frozenset)
    histogram_buckets: buckets.Buckets = field(default_factory=dict)
    catalogue: tuple[str, ...] = ()
    prometheus_client: bool = False
    pass_uncatalogued: bool = False
    state_dir: Path | None = None
    state_max_age: float = DEFAULT_MAX_AGE
    service_namespace: str = ""
    llm_prices: tuple[llm_prices.Override, ...] = ()

    def __post_init__(self) -> None:
        try:
            _ = self.exclusions
        except exclusions.InvalidExclusionError as error:
            raise SettingsError(f"excluded_paths: {error}") from error
        try:
            for name, bounds in self.histogram_buckets.items():
                buckets.checked(name, bounds)
        except buckets.InvalidBucketsError as error:
            raise SettingsError(f"histogram_buckets: {error}") from error

    @cached_property
    def exclusions(self) -> exclusions.Exclusions:
        """The excluded paths, ready to be asked."""
        return exclusions.Exclusions.parse(sorted(self.excluded_paths))

    @property
    def fleet(self) -> str:
        """Whose processes know each other: those of one environment and one namespace."""
        return f"{self.environment}/{self.service_namespace}" if self.service_namespace else self.environment

    @property
    def box_directory(self) -> Path:
        """The state directory; ``/dev/shm/telemetry-<user id>`` of whoever the process is now, where none is set."""
        return self.state_dir or default_directory()

    @classmethod
    def from_environment(cls, service_name: str | None = None, env: Mapping[str, str] | None = None) -> Settings:
        """Settings from environment variables.

        Args:
            service_name: Used where ``OTEL_SERVICE_NAME`` is not set.
            env: The variables; ``os.environ`` by default.

        Raises:
            SettingsError: Naming every wrong setting, its value and the remedy.
        """
        reader = _Reader(os.environ if env is None else env)
        settings = _read(reader, service_name)
        if reader.errors:
            raise SettingsError("; ".join(reader.errors))
        return settings


class _Reader:
    """Reads typed values and collects the errors instead of raising the first."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.errors: list[str] = []

    def read(self, name: str, default: T, convert: Callable[[str], T], remedy: str) -> T:
        raw = self.env.get(name, "").strip()
        if not raw:
            return default
        try:
            return convert(raw)
        except (exclusions.InvalidExclusionError, buckets.InvalidBucketsError) as error:
            self.errors.append(f"{name}={raw!r} is not valid: {error}")
        except ValueError:
            self.errors.append(f"{name}={raw!r} is not valid: set it to {remedy}")
        return default

    def milliseconds(self, name: str, default: float) -> float:
        return self.read(name, default, lambda raw: _positive(raw) / 1000, "a number of milliseconds above 0")


def _read(reader: _Reader, service_name: str | None) -> Settings:
    attributes = _resource_attributes(reader)
    disabled = reader.env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    sink = reader.read(
        "OTEL_METRICS_EXPORTER", "none", _one_of("otlp", "prometheus", "none"), "otlp, prometheus or none"
    )
    return Settings(
        service_name=reader.env.get("OTEL_SERVICE_NAME")
        or attributes.get("service.name")
        or service_name
        or "unknown_service",
        environment=attributes.get("deployment.environment.name")
        or attributes.get("deployment.environment")
        or DEFAULT_ENVIRONMENT,
        service_namespace=attributes.get("service.namespace", ""),
        sink=cast("Sink", "none" if disabled else sink),
        protocol=cast(
            "Protocol",
            reader.read(
                _metrics_variable(reader, "PROTOCOL"),
                "http/protobuf",
                _one_of("http/protobuf", "grpc"),
                "http/protobuf or grpc",
            ),
        ),
        export_interval=reader.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_INTERVAL),
        export_timeout=reader.read(
            _metrics_variable(reader, "TIMEOUT"), 10.0, _seconds, "a number of seconds above 0, or of milliseconds"
        ),
        exit_deadline=reader.read("TELEMETRY_EXIT_DEADLINE", 5.0, _positive, "a number of seconds above 0"),
        prometheus_host=reader.env.get("OTEL_EXPORTER_PROMETHEUS_HOST") or "localhost",
        prometheus_port=reader.read("OTEL_EXPORTER_PROMETHEUS_PORT", 9464, _port, "a port from 1 to 65535"),
        excluded_paths=reader.read("TELEMETRY_EXCLUDED_PATHS", frozenset(), _excluded, exclusions.REMEDY),
        histogram_buckets=reader.read("TELEMETRY_HISTOGRAM_BUCKETS", {}, buckets.parse, buckets.REMEDY),
        catalogue=reader.read("TELEMETRY_CATALOGUE", (), _modules, "dotted names of modules with commas between them"),
        prometheus_client=reader.read("TELEMETRY_PROMETHEUS_CLIENT", False, _boolean, "true or false"),
        pass_uncatalogued=reader.read("TELEMETRY_PASS_UNCATALOGUED", False, _boolean, "true or false"),
        state_dir=reader.read("TELEMETRY_STATE_DIR", None, _absolute, "an absolute path"),
        state_max_age=reader.read("TELEMETRY_STATE_MAX_AGE", DEFAULT_MAX_AGE, _positive, "a number of seconds above 0"),
        llm_prices=_llm_prices(reader, "TELEMETRY_LLM_PRICES"),
    )


def _llm_prices(reader: _Reader, name: str) -> tuple[llm_prices.Override, ...]:
    raw = reader.env.get(name, "").strip()
    try:
        return llm_prices.read(Path(raw)) if raw else ()
    except llm_prices.PricesError as error:
        reader.errors.append(f"{name}={raw!r} is not valid: {error}")
        return ()


def _resource_attributes(reader: _Reader) -> dict[str, str]:
    pairs = [pair for pair in reader.env.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if pair.strip()]
    attributes = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key.strip():
            reader.errors.append(f"OTEL_RESOURCE_ATTRIBUTES has {pair!r}: write it as key=value,key=value")
        attributes[key.strip()] = unquote(value.strip())
    return attributes


def _metrics_variable(reader: _Reader, name: str) -> str:
    """The variable for metrics where it is set, else the one for all signals."""
    own = f"OTEL_EXPORTER_OTLP_METRICS_{name}"
    return own if reader.env.get(own, "").strip() else f"OTEL_EXPORTER_OTLP_{name}"


def _seconds(raw: str) -> float:
    value = _positive(raw)
    return value / 1000 if value >= _MILLISECONDS_FROM else value


def _positive(raw: str) -> float:
    value = float(raw)
    if not 0 < value < float("inf"):
        raise ValueError(raw)
    return value


def _port(raw: str) -> int:
    port = int(raw)
    if not 0 < port <= MAX_PORT:
        raise ValueError(raw)
    return port


def _boolean(raw: str) -> bool:
    if raw.lower() not in {"true", "false", "1", "0"}:
        raise ValueError(raw)
    return raw.lower() in {"true", "1"}


def _excluded(raw: str) -> frozenset[str]:
    exclusions.Exclusions.parse(raw)
    return frozenset(exclusions.split(raw))


def _modules(raw: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in raw.split(",") if name.strip())
    if not all(part.isidentifier() for name in names for part in name.split(".")):
        raise ValueError(raw)
    return names


def _absolute(raw: str) -> Path:
    path = Path(raw).expanduser()
    if not path.is_absolute():
        raise ValueError(raw)
    return path


def _one_of(*allowed: str) -> Callable[[str], str]:
    def convert(raw: str) -> str:
        if raw not in allowed:
            raise ValueError(raw)
        return raw

    return convert
