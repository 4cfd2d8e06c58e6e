"""Every environment variable that sets something here, declared once: the settings are read from it, and the docs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from telemetry.metrics.exemplars import ExemplarFilter
from telemetry.metrics.views import HistogramAggregation
from telemetry.settings import buckets, exclusions, llm_prices, values
from telemetry.settings.values import Exporter

T = TypeVar("T")

EVERY_VALUE = "*"

_TOTALS_ADD_UP = (
    "every export carries the difference since the last one under a sequence number, so that a collector can add up "
    "the processes of a fleet, living and dead, exactly; a backend that takes cumulative sums only gets them from a "
    "collector: otel-collector.durable.yaml, or the processor deltatocumulative"
)
_NO_FILE = "a configuration file is not read: set the variables of docs/settings.md"


@dataclass(frozen=True)
class Variable(Generic[T]):
    """One environment variable.

    Attributes:
        name: As it is set.
        meaning: What it sets.
        default: What holds where it is not set.
        read: From text; raises ``ValueError``.
        form: What it can be set to, to continue "set it to".
        shown: The default for people; of ``default`` itself where it is empty.
        wins: The variable for metrics alone, which wins where it is set.
        wrong: What holds instead of a wrong value.
        ignored: Legal values that have no effect, with the reason; ``EVERY_VALUE`` for all.
        is_secret: Whether values are left out of the log.
    """

    name: str
    meaning: str
    default: T
    read: Callable[[str], T]
    form: str
    shown: str = ""
    wins: str = ""
    wrong: str = "the default"
    ignored: Mapping[str, str] = field(default_factory=dict)
    is_secret: bool = False

    def why_ignored(self, raw: str) -> str:
        """Why a legal value has no effect; nothing where it has one."""
        return self.ignored.get(EVERY_VALUE) or self.ignored.get(raw.lower(), "")


def _otlp(name: str, meaning: str, default: T, read: Callable[[str], T], form: str, **more: Any) -> Variable[T]:
    """A variable of the exporter, for all signals or for metrics alone."""
    wins = f"OTEL_EXPORTER_OTLP_METRICS_{name}"
    return Variable(f"OTEL_EXPORTER_OTLP_{name}", meaning, default, read, form, wins=wins, **more)


DISABLED = Variable(
    "OTEL_SDK_DISABLED", "`true`: nothing leaves the process.", False, values.boolean, "true or false", shown="false"
)
SERVICE_NAME = Variable(
    "OTEL_SERVICE_NAME",
    "Name of the service; wins over `service.name` of the resource attributes and the name given in code.",
    "",
    str,
    "a name",
    shown="the name in code, else `unknown_service`",
)
RESOURCE_ATTRIBUTES: Variable[dict[str, str]] = Variable(
    "OTEL_RESOURCE_ATTRIBUTES",
    "`deployment.environment.name` becomes the label `environment` (`dev` where it is not set), `service.namespace` "
    "the label `service_namespace` (no label where it is not set); the rest is sent with the resource.",
    {},
    values.attributes,
    "key=value,key=value",
    wrong="the pairs that can be read",
)
EXPORTERS: Variable[tuple[Exporter, ...]] = Variable(
    "OTEL_METRICS_EXPORTER",
    "Where metrics go, with commas between several: `otlp` (a collector), `prometheus` (an endpoint of this host), "
    "`console` (standard output), or `none`.",
    ("otlp",),
    values.exporters,
    "otlp, prometheus, console or none",
    shown="`otlp`",
    wrong="those of the list that exist, else the default",
)

ENDPOINT = Variable(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "The collector; over HTTP `/v1/metrics` is appended.",
    "",
    str,
    "a URL: http://collector:4318",
    shown="`http://localhost:4318`, for `grpc` `http://localhost:4317`",
    wrong="`http://` where no scheme is given, one `/v1/metrics` for two, else the default",
)
METRICS_ENDPOINT = Variable(
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "The same for metrics alone; over HTTP it is used as it is. It wins.",
    "",
    str,
    "a URL: http://collector:4318/v1/metrics",
    wrong="`http://` where no scheme is given, else the default",
)
PROTOCOL = _otlp(
    "PROTOCOL",
    "`http/protobuf`, `http/json` or `grpc` (needs the package `grpcio`: `fleet-telemetry[grpc]`).",
    "http/protobuf",
    values.one_of("http/protobuf", "http/json", "grpc"),
    "http/protobuf, http/json or grpc",
    wrong="`http/protobuf`, also for `grpc` at port 4318 or without its package",
)
HEADERS: Variable[dict[str, str]] = _otlp(
    "HEADERS",
    "Sent with every export: `name=value,name=value`, percent-encoded.",
    {},
    values.headers,
    "name=value,name=value",
    wrong="the headers that can be sent",
    is_secret=True,
)
COMPRESSION = _otlp(
    "COMPRESSION",
    "`gzip`, `deflate` or `none`.",
    "none",
    values.one_of("gzip", "deflate", "none"),
    "gzip, deflate or none",
)
TIMEOUT = _otlp(
    "TIMEOUT",
    "How long one request to the collector may take: seconds, as the Python SDK reads it; 1000 and more are "
    "milliseconds, as the specification has it.",
    10.0,
    values.seconds,
    "a number of seconds above 0, or of milliseconds",
    shown="`10`",
)
CERTIFICATE = _otlp(
    "CERTIFICATE", "PEM file of the authorities that are trusted.", "", values.readable, "the path of a PEM file",
    shown="those of the system",
)  # fmt: skip
CLIENT_CERTIFICATE = _otlp(
    "CLIENT_CERTIFICATE",
    "PEM file with the certificate of this service.",
    "",
    values.readable,
    "the path of a PEM file",
)
CLIENT_KEY = _otlp(
    "CLIENT_KEY", "PEM file with its private key.", "", values.readable, "the path of a PEM file"
)  # fmt: skip
INSECURE = _otlp(
    "INSECURE",
    "`true`: no TLS for `grpc` at an endpoint without a scheme. Others say it by `http://` or `https://`.",
    False,
    values.boolean,
    "true or false",
    shown="`false`",
)
INTERVAL = Variable(
    "OTEL_METRIC_EXPORT_INTERVAL",
    "Milliseconds between exports. The specification's 60000 would let levels and facts expire between two of them, "
    "which a collector forgets 60 s after their last report.",
    15.0,
    values.milliseconds,
    "a number of milliseconds above 0",
    shown="`15000`",
)
EXPORT_TIMEOUT = Variable(
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "Milliseconds that one export may take with all its requests.",
    30.0,
    values.milliseconds,
    "a number of milliseconds above 0",
    shown="`30000`",
)
TEMPORALITY = Variable(
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "`delta` is what is sent.",
    "delta",
    values.one_of("cumulative", "delta", "lowmemory"),
    "delta",
    ignored={"cumulative": _TOTALS_ADD_UP, "lowmemory": _TOTALS_ADD_UP},
)
AGGREGATION: Variable[HistogramAggregation] = Variable(
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    "`base2_exponential_bucket_histogram`: histograms have finer buckets, which Prometheus keeps as one series instead "
    "of one for each ([native-histograms.md](native-histograms.md)). Those of `TELEMETRY_HISTOGRAM_BUCKETS`, and those "
    "whose instrument or view says what buckets they have, keep them.",
    "explicit_bucket_histogram",
    values.histogram_aggregation,
    "explicit_bucket_histogram or base2_exponential_bucket_histogram",
    shown="`explicit_bucket_histogram`",
)
EXEMPLARS: Variable[ExemplarFilter] = Variable(
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "Which values of histograms leave with a link to the trace in which they were recorded: `trace_based` those of "
    "sampled spans, `always_on` those of any span, `always_off` none. The SDK's default is `trace_based`; here a "
    "service pays for links only where somebody asked for them ([exemplars.md](exemplars.md)).",
    "always_off",
    values.exemplar_filter,
    "always_off, trace_based or always_on",
    shown="`always_off`",
)
PROMETHEUS_HOST = Variable(
    "OTEL_EXPORTER_PROMETHEUS_HOST", "Where the endpoint of `prometheus` listens.", "localhost", str, "a host"
)
PROMETHEUS_PORT = Variable(
    "OTEL_EXPORTER_PROMETHEUS_PORT",
    "Its port. A port that somebody else has is an ERROR in the log, and the service runs without the endpoint.",
    9464,
    values.port,
    "a port from 1 to 65535",
)
PROMETHEUS_CERTIFICATE: Variable[Path | None] = Variable(
    "TELEMETRY_PROMETHEUS_TLS_CERTIFICATE",
    "PEM file of the certificate of the endpoint of `prometheus`: with it, the endpoint speaks TLS. One that cannot be "
    "used is an ERROR in the log, and the endpoint is not opened; [security.md](security.md).",
    None,
    Path,
    "the path of a PEM file",
    shown="none",
)
PROMETHEUS_KEY: Variable[Path | None] = Variable(
    "TELEMETRY_PROMETHEUS_TLS_KEY",
    "PEM file with its private key, where the certificate's does not have it.",
    None,
    Path,
    "the path of a PEM file",
    shown="none",
)
PROMETHEUS_CLIENT_CA: Variable[Path | None] = Variable(
    "TELEMETRY_PROMETHEUS_TLS_CLIENT_CA",
    "PEM file of an authority: whoever reads the endpoint needs a certificate of it.",
    None,
    Path,
    "the path of a PEM file",
    shown="none",
)
PROMETHEUS_TOKEN_FILE: Variable[Path | None] = Variable(
    "TELEMETRY_PROMETHEUS_TOKEN_FILE",
    "A file of bearer tokens, one a line: whoever reads the endpoint, or a route that is mounted for it, needs one. It "
    "is read each time.",
    None,
    Path,
    "the path of a file",
    shown="none",
)
PROMETHEUS_CONNECTIONS = Variable(
    "TELEMETRY_PROMETHEUS_CONNECTIONS",
    "Connections that the endpoint of `prometheus` has at once; each takes a thread.",
    16,
    values.count,
    "a whole number above 0",
    shown="`16`",
)
PROMETHEUS_YIELD_AFTER = Variable(
    "TELEMETRY_PROMETHEUS_YIELD_AFTER",
    "Seconds after which one is cut off for the next reader, where there are as many as may be.",
    2.0,
    values.positive,
    "a number of seconds above 0",
    shown="`2`",
)
PROMETHEUS_IDLE_TIMEOUT = Variable(
    "TELEMETRY_PROMETHEUS_IDLE_TIMEOUT",
    "Seconds for which one may say nothing, or take nothing of its page, until it is cut off.",
    10.0,
    values.positive,
    "a number of seconds above 0",
    shown="`10`",
)
DISABLED_INSTRUMENTATIONS: Variable[frozenset[str]] = Variable(
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    "Which libraries are not measured without code, by the names of their instrumentations, with commas; `*` for all. "
    "Ours are `fleet_celery`, `fleet_fastapi` and so on ([adopt.md](adopt.md)). An `instrument…()` in code stands.",
    frozenset(),
    values.names,
    "names with commas between them",
    shown="none",
)
FASTAPI_URLS: Variable[tuple[str, ...]] = Variable(
    "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS",
    "Which requests to FastAPI applications are not counted: regular expressions, with commas, that are searched in "
    "`http://host:port/path`.",
    (),
    values.expressions,
    "regular expressions with commas between them",
    wrong="the expressions that can be used",
)
STARLETTE_URLS: Variable[tuple[str, ...]] = Variable(
    "OTEL_PYTHON_STARLETTE_EXCLUDED_URLS",
    "The same for Starlette applications.",
    (),
    values.expressions,
    "regular expressions with commas between them",
    wrong="the expressions that can be used",
)
URLS: Variable[tuple[str, ...]] = Variable(
    "OTEL_PYTHON_EXCLUDED_URLS",
    "The same for applications whose own variable is not set.",
    (),
    values.expressions,
    "regular expressions with commas between them",
    wrong="the expressions that can be used",
)
CONFIG_FILE = Variable(
    "OTEL_CONFIG_FILE", "", "", str, "nothing", ignored={EVERY_VALUE: _NO_FILE}
)  # fmt: skip
EXPERIMENTAL_CONFIG_FILE = Variable(
    "OTEL_EXPERIMENTAL_CONFIG_FILE", "", "", str, "nothing", ignored={EVERY_VALUE: _NO_FILE}
)

STRICT = Variable(
    "TELEMETRY_STRICT",
    "`true`: a wrong value of any setting, or a module of the catalogue that cannot be had, ends the start with "
    "`SettingsError`.",
    False,
    values.boolean,
    "true or false",
    shown="`false`",
)
STATE_DIR: Variable[Path | None] = Variable(
    "TELEMETRY_STATE_DIR",
    "Where counts are until they are delivered; [delivery.md](delivery.md), for containers above all.",
    None,
    values.absolute,
    "an absolute path",
    shown="`/dev/shm/telemetry-<uid>`",
)
TOKEN_FILE: Variable[Path | None] = Variable(
    "TELEMETRY_OTLP_TOKEN_FILE",
    "A file with the bearer token that goes with each export, `authorization: Bearer …`. It is read for each, so that "
    "a token can be renewed without a restart; [security.md](security.md).",
    None,
    values.absolute,
    "an absolute path",
    shown="none",
)
STATE_MAX_AGE = Variable(
    "TELEMETRY_STATE_MAX_AGE",
    "Seconds after which what a dead process counted is old news, and dropped.",
    86_400.0,
    values.positive,
    "a number of seconds above 0",
    shown="`86400`",
)
EXIT_DEADLINE = Variable(
    "TELEMETRY_EXIT_DEADLINE",
    "Seconds the last export may take at exit. A process that counted nothing waits a fifth of one at most.",
    5.0,
    values.positive,
    "a number of seconds above 0",
    shown="`5`",
)
LLM_PRICES: Variable[tuple[llm_prices.Override, ...]] = Variable(
    "TELEMETRY_LLM_PRICES",
    "A TOML or JSON file of negotiated prices of LLM vendors; [recording.md](recording.md).",
    (),
    values.prices,
    "the path of a TOML or JSON file",
    shown="the vendors' list prices",
)
EXCLUDED_PATHS: Variable[frozenset[str]] = Variable(
    "TELEMETRY_EXCLUDED_PATHS",
    "What HTTP metrics leave out: `/health`, `^/internal/`, `/items/{item}`, `OPTIONS`, `GET /metrics`, with commas; "
    "[recording.md](recording.md).",
    frozenset(),
    values.excluded,
    exclusions.REMEDY,
    shown="nothing",
    wrong="the entries that can be used",
)
HISTOGRAM_BUCKETS: Variable[buckets.Buckets] = Variable(
    "TELEMETRY_HISTOGRAM_BUCKETS",
    "Other buckets than the catalogue's, the same in the whole fleet: "
    "`http_request_duration_seconds=0.1,0.5,2.5,10;…`.",
    {},
    values.histogram_buckets,
    buckets.REMEDY,
    shown="the catalogue's",
)
CATALOGUE: Variable[tuple[str, ...]] = Variable(
    "TELEMETRY_CATALOGUE",
    "Modules that declare metrics of your own: `shop.metrics,other.metrics`; [own-metrics.md](own-metrics.md).",
    (),
    values.modules,
    "dotted names of modules with commas between them",
    shown="none",
    wrong="the modules that can be had",
)
PROMETHEUS_CLIENT = Variable(
    "TELEMETRY_PROMETHEUS_CLIENT",
    "`true`: the metrics of `prometheus_client`'s default registry leave with ours; [own-metrics.md](own-metrics.md).",
    False,
    values.boolean,
    "true or false",
    shown="`false`",
)
PASS_UNCATALOGUED = Variable(
    "TELEMETRY_PASS_UNCATALOGUED",
    "`true`: what OpenTelemetry's instrumentors measure leaves the process under its own names, too (`http.server.*`, "
    "`db.client.*`, `gen_ai.*`), beside the documented series; [recording.md](recording.md).",
    False,
    values.boolean,
    "true or false",
    shown="`false`",
)

STANDARD: tuple[Variable[Any], ...] = (
    DISABLED,
    SERVICE_NAME,
    RESOURCE_ATTRIBUTES,
    EXPORTERS,
    ENDPOINT,
    METRICS_ENDPOINT,
    PROTOCOL,
    HEADERS,
    COMPRESSION,
    TIMEOUT,
    CERTIFICATE,
    CLIENT_CERTIFICATE,
    CLIENT_KEY,
    INSECURE,
    INTERVAL,
    EXPORT_TIMEOUT,
    TEMPORALITY,
    AGGREGATION,
    EXEMPLARS,
    PROMETHEUS_HOST,
    PROMETHEUS_PORT,
    DISABLED_INSTRUMENTATIONS,
    FASTAPI_URLS,
    STARLETTE_URLS,
    URLS,
    CONFIG_FILE,
    EXPERIMENTAL_CONFIG_FILE,
)
OWN: tuple[Variable[Any], ...] = (
    STATE_DIR,
    STATE_MAX_AGE,
    EXIT_DEADLINE,
    TOKEN_FILE,
    PROMETHEUS_CERTIFICATE,
    PROMETHEUS_KEY,
    PROMETHEUS_CLIENT_CA,
    PROMETHEUS_TOKEN_FILE,
    PROMETHEUS_CONNECTIONS,
    PROMETHEUS_YIELD_AFTER,
    PROMETHEUS_IDLE_TIMEOUT,
    EXCLUDED_PATHS,
    HISTOGRAM_BUCKETS,
    LLM_PRICES,
    CATALOGUE,
    PROMETHEUS_CLIENT,
    PASS_UNCATALOGUED,
    STRICT,
)
