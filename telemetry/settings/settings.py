"""What a user sets: the variables of ``variables.py`` as one object, with what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from telemetry.box.directory import default_directory
from telemetry.metrics.exemplars import ExemplarFilter
from telemetry.metrics.views import HistogramAggregation
from telemetry.settings import buckets, llm_prices, variables
from telemetry.settings import unknown as names
from telemetry.settings.destination import Destination
from telemetry.settings.destination import read as read_destination
from telemetry.settings.exclusions import Exclusions, InvalidExclusionError
from telemetry.settings.problems import Problem, SettingsError
from telemetry.settings.reader import Reader
from telemetry.settings.readers import EVERYBODY, Readers
from telemetry.settings.readers import read as read_readers
from telemetry.settings.values import Exporter
from telemetry.settings.variables import Variable

DEFAULT_ENVIRONMENT = "dev"
DEFAULT_NAME = "unknown_service"


@dataclass(frozen=True)
class Settings:
    """How metrics leave this process.

    Attributes:
        service_name: ``OTEL_SERVICE_NAME``, else the name given in code.
        environment: ``deployment.environment.name`` of ``OTEL_RESOURCE_ATTRIBUTES``; ``dev`` when it is not set.
        exporters: Where metrics go, ``OTEL_METRICS_EXPORTER``: ``otlp`` (a collector), ``prometheus`` (an endpoint of
            the host), ``console``; nowhere unless it is said here, but ``otlp`` for ``from_environment``.
        destination: Where exports to a collector go, ``OTEL_EXPORTER_OTLP_*``; the environment's by default.
        export_interval: Seconds between exports, from ``OTEL_METRIC_EXPORT_INTERVAL`` (milliseconds); 15 s when it is
            not set. The collector forgets a level or a fact 60 s after its last report.
        export_timeout: Seconds one export may take with all its requests, ``OTEL_METRIC_EXPORT_TIMEOUT``.
        exit_deadline: Seconds the exit of a process may take for its last export, ``TELEMETRY_EXIT_DEADLINE``.
        prometheus_host: ``OTEL_EXPORTER_PROMETHEUS_HOST``.
        prometheus_port: ``OTEL_EXPORTER_PROMETHEUS_PORT``.
        readers: Who may read that endpoint, and how many at once: ``TELEMETRY_PROMETHEUS_TLS_CERTIFICATE`` and so on.
        disabled_instrumentations: Which instrumentors are not loaded where nobody calls them,
            ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS``; ours are ``fleet_celery``, ``fleet_fastapi`` and so on.
        excluded_urls: What HTTP metrics of an application leave out, by the library it is made with (``fastapi``,
            ``starlette``): ``OTEL_PYTHON_FASTAPI_EXCLUDED_URLS`` and so on.
        excluded_paths: What HTTP metrics leave out, ``TELEMETRY_EXCLUDED_PATHS``: exact paths, route templates, regular
            expressions and methods, as ``exclusions.py`` has them.
        histogram_buckets: Upper bounds of histograms of the catalogue instead of its own, by name,
            ``TELEMETRY_HISTOGRAM_BUCKETS``: the same in the whole fleet, as ``buckets.py`` has it.
        histogram_aggregation: What histograms are whose buckets nothing else says,
            ``OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION``: ``explicit_bucket_histogram``, or
            ``base2_exponential_bucket_histogram``, which Prometheus can keep as native histograms.
        catalogue: Dotted names of modules that declare metrics of the application's own, ``TELEMETRY_CATALOGUE``.
        prometheus_client: Let the metrics of the default registry of ``prometheus_client`` leave with ours,
            ``TELEMETRY_PROMETHEUS_CLIENT``.
        pass_uncatalogued: Let what instrumentors of OpenTelemetry measure leave the process under its own names, too,
            ``TELEMETRY_PASS_UNCATALOGUED``. What an application measures itself always does.
        exemplar_filter: Which values of histograms name the span in which they were recorded,
            ``OTEL_METRICS_EXEMPLAR_FILTER``: ``always_off``, ``trace_based`` (sampled spans) or ``always_on``.
        state_dir: Where counts are kept that outlive their process, ``TELEMETRY_STATE_DIR``: a directory of this user
            alone, best in memory; ``box_directory`` when it is not set.
        state_max_age: Seconds after which what a dead process counted is not delivered any more,
            ``TELEMETRY_STATE_MAX_AGE``; a day when it is not set.
        service_namespace: ``service.namespace`` of ``OTEL_RESOURCE_ATTRIBUTES``: the label ``service_namespace`` of
            every series; empty when it is not set, and then there is no such label.
        llm_prices: Negotiated prices of LLM vendors, from the file that ``TELEMETRY_LLM_PRICES`` names.
        problems: Wrong values of the environment; what holds instead is in the other attributes.
        ignored: Legal values of the environment that have no effect, and mistyped names of variables.
        foreign: Variables that begin as ours do and are not like any of ours: another product's, most likely.
    """

    service_name: str = DEFAULT_NAME
    environment: str = DEFAULT_ENVIRONMENT
    exporters: tuple[Exporter, ...] = ()
    destination: Destination = field(default_factory=Destination.from_environment)
    export_interval: float = variables.INTERVAL.default
    export_timeout: float = variables.EXPORT_TIMEOUT.default
    exit_deadline: float = variables.EXIT_DEADLINE.default
    prometheus_host: str = variables.PROMETHEUS_HOST.default
    prometheus_port: int = variables.PROMETHEUS_PORT.default
    readers: Readers = EVERYBODY
    disabled_instrumentations: frozenset[str] = field(default_factory=frozenset)
    excluded_urls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    excluded_paths: frozenset[str] = field(default_factory=frozenset)
    histogram_buckets: buckets.Buckets = field(default_factory=dict)
    histogram_aggregation: HistogramAggregation = variables.AGGREGATION.default
    catalogue: tuple[str, ...] = ()
    prometheus_client: bool = False
    pass_uncatalogued: bool = False
    exemplar_filter: ExemplarFilter = variables.EXEMPLARS.default
    state_dir: Path | None = None
    state_max_age: float = variables.STATE_MAX_AGE.default
    service_namespace: str = ""
    llm_prices: tuple[llm_prices.Override, ...] = ()
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    ignored: tuple[Problem, ...] = field(default=(), compare=False)
    foreign: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        try:
            _ = self.exclusions
        except InvalidExclusionError as error:
            raise SettingsError(f"excluded_paths: {error}") from error
        try:
            for name, bounds in self.histogram_buckets.items():
                buckets.checked(name, bounds)
        except buckets.InvalidBucketsError as error:
            raise SettingsError(f"histogram_buckets: {error}") from error

    @cached_property
    def exclusions(self) -> Exclusions:
        """The excluded paths, ready to be asked."""
        return Exclusions.parse(sorted(self.excluded_paths))

    @property
    def fleet(self) -> str:
        """Whose processes know each other: those of one environment and one namespace."""
        return f"{self.environment}/{self.service_namespace}" if self.service_namespace else self.environment

    @property
    def box_directory(self) -> Path:
        """The state directory; ``/dev/shm/telemetry-<user id>`` of whoever the process is now, where none is set."""
        return self.state_dir or default_directory()

    def exclusions_of(self, library: str) -> Exclusions:
        """The same and the excluded URLs, for an application made with ``fastapi`` or ``starlette``."""
        return self.exclusions + Exclusions.of_urls(self.excluded_urls.get(library, ()))

    @classmethod
    def from_environment(cls, service_name: str | None = None, env: Mapping[str, str] | None = None) -> Settings:
        """Settings from environment variables. Where one is wrong the rest of it or its default holds.

        Args:
            service_name: Used where ``OTEL_SERVICE_NAME`` is not set.
            env: The variables; ``os.environ`` by default.

        Raises:
            SettingsError: With ``TELEMETRY_STRICT=true``, naming every wrong setting, its value and the remedy.
        """
        reader = Reader(os.environ if env is None else env)
        strict = reader.read(variables.STRICT)
        settings = _read(reader, service_name)
        if settings.problems and strict:
            raise SettingsError("; ".join(map(str, settings.problems)))
        return settings


def is_strict() -> bool:
    """Whether what is wrong ends the start, ``TELEMETRY_STRICT=true``."""
    return Reader(os.environ).read(variables.STRICT)


def _read(reader: Reader, service_name: str | None) -> Settings:
    read = reader.read
    attributes = read(variables.RESOURCE_ATTRIBUTES)
    unknown = names.unknown(reader.names)
    mistyped = list(names.mistyped(unknown))
    exporters = read(variables.EXPORTERS)
    for variable in _WITHOUT_EFFECT:
        read(variable)
    return Settings(
        service_name=read(variables.SERVICE_NAME) or attributes.get("service.name") or service_name or DEFAULT_NAME,
        environment=attributes.get("deployment.environment.name")
        or attributes.get("deployment.environment")
        or DEFAULT_ENVIRONMENT,
        service_namespace=attributes.get("service.namespace", ""),
        exporters=() if read(variables.DISABLED) else exporters,
        destination=read_destination(reader),
        export_interval=read(variables.INTERVAL),
        export_timeout=read(variables.EXPORT_TIMEOUT),
        exit_deadline=read(variables.EXIT_DEADLINE),
        prometheus_host=read(variables.PROMETHEUS_HOST),
        prometheus_port=read(variables.PROMETHEUS_PORT),
        readers=read_readers(reader),
        disabled_instrumentations=read(variables.DISABLED_INSTRUMENTATIONS),
        excluded_urls=_excluded_urls(reader),
        excluded_paths=read(variables.EXCLUDED_PATHS),
        histogram_buckets=read(variables.HISTOGRAM_BUCKETS),
        histogram_aggregation=read(variables.AGGREGATION),
        catalogue=read(variables.CATALOGUE),
        prometheus_client=read(variables.PROMETHEUS_CLIENT),
        pass_uncatalogued=read(variables.PASS_UNCATALOGUED),
        exemplar_filter=read(variables.EXEMPLARS),
        state_dir=read(variables.STATE_DIR),
        state_max_age=read(variables.STATE_MAX_AGE),
        llm_prices=read(variables.LLM_PRICES),
        problems=tuple(reader.problems),
        ignored=(*reader.ignored, *mistyped),
        foreign=tuple(sorted(set(unknown).difference(problem.setting for problem in mistyped))),
    )


_WITHOUT_EFFECT: tuple[Variable[Any], ...] = (
    variables.TEMPORALITY,
    variables.CONFIG_FILE,
    variables.EXPERIMENTAL_CONFIG_FILE,
)
"""Read for what is to be said of them."""


def _excluded_urls(reader: Reader) -> dict[str, tuple[str, ...]]:
    of_all = reader.read(variables.URLS)
    own = {"fastapi": variables.FASTAPI_URLS, "starlette": variables.STARLETTE_URLS}
    return {
        library: reader.read(variable) if reader.said(variable).raw else of_all for library, variable in own.items()
    }
