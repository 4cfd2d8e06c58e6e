"""Shows what the collector's endpoints hold for every documented metric; it reads and measures nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.catalogue import FLEET
from deploy import certificates, grafana, web_pages
from deploy.settings import FleetSettings
from telemetry.cli import web


@dataclass(frozen=True)
class Line:
    """One documented metric as the collector shows it.

    Attributes:
        name: The documented name.
        kind: Counter, histogram, level or fact.
        value: The sum over all series; of a histogram, its count of observations.
        series: How many series there are, a histogram's buckets counted as one.
    """

    name: str
    kind: str
    value: float
    series: int


def read(settings: FleetSettings) -> list[Line]:
    """Read both endpoints of the collector and return a line per documented metric.

    Raises:
        OSError: If one does not answer, or does not let us in.
    """
    families: dict[str, Metric] = {}
    access = certificates.of_readers(settings)
    for setting in ("OTELCOL_TOTALS_PORT", "OTELCOL_LEVELS_PORT"):
        families |= _families(settings.url(setting, "/metrics"), access)
    return [_line(spec.name, spec.kind, families) for spec in FLEET.documented]


def missing(lines: Iterable[Line]) -> list[str]:
    """Names of the documented metrics without any series."""
    return [line.name for line in lines if not line.series]


def table(lines: list[Line]) -> str:
    """The table for people, closed by how many of the documented metrics are there."""
    width = max(len(line.name) for line in lines)
    rows = [f"{'metric':<{width}}  {'kind':<9}  {'value':>14}  {'series':>6}", "-" * (width + 35)]
    rows += [_row(line, width) for line in lines]
    gone = missing(lines)
    summary = f"{len(lines) - len(gone)} of {len(lines)} documented metrics have data."
    return "\n".join([*rows, "", summary, *(f"Missing: {name}" for name in gone)])


def addresses(settings: FleetSettings, flower_user: str, has_web_interface: bool) -> str:
    """Where everything is, for a browser and for curl."""
    rows = [
        ("front door", settings.url("NGINX_PORT", "/")),
        ("dashboards", grafana.dashboards_of(settings)),
        ("API", settings.url("NGINX_PORT", "/docs")),
        ("metrics", settings.url("NGINX_PORT", "/metrics")),
        (
            "Flower",
            f"{settings.url('FLOWER_PORT')}  (user {flower_user}, password in {settings.fleet_dir}/secrets.env)",
        ),
        (
            "Prometheus",
            settings.url("PROMETHEUS_PORT", "/" if has_web_interface else "/api/v1/query?query=up"),
        ),
        ("alerts", settings.url("ALERTMANAGER_PORT", "/api/v2/alerts")),
        (
            "collector",
            f"OTLP {settings.url('OTELCOL_HTTP_PORT')} (HTTP), port {settings.otelcol_grpc_port} (gRPC)",
        ),
        ("totals", settings.url("OTELCOL_TOTALS_PORT", "/metrics")),
        ("levels, facts", settings.url("OTELCOL_LEVELS_PORT", "/metrics")),
    ]
    if settings.secure:
        rows.append(("secrets", f"{settings.secrets_of('sender')} to send, {settings.secrets_of('reader')} to read"))
    text = "\n".join(f"{name:<14} {address}" for name, address in rows)
    return text if has_web_interface else f"{text}\n{_NO_WEB_INTERFACE}"


_NO_WEB_INTERFACE = (
    "This Prometheus has no web pages, only its API: it is built with them where Node.js 20 or newer with npm is.\n"
    "Or name an official release of it (PROMETHEUS=/path make restart)."
)


def has_web_interface(settings: FleetSettings) -> bool:
    """Whether this Prometheus has web pages; it can be built without."""
    return web_pages.draws(settings.url("PROMETHEUS_PORT", "/"))


def _families(url: str, access: web.Access) -> dict[str, Metric]:
    """Families by documented name: the parser takes `_total` off the names of counters."""
    answer = web.get(url, 10, access=access)
    if not answer.is_ok:
        raise OSError(f"{answer.url}: {answer.problem}")
    found = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        found[f"{family.name}_total" if family.type == "counter" else family.name] = family
    return found


def _line(name: str, kind: str, families: dict[str, Metric]) -> Line:
    wanted = f"{name}_count" if kind == "histogram" else name
    family = families.get(name)
    values = [sample.value for sample in family.samples if sample.name == wanted] if family else []
    return Line(name, kind, sum(values), len(values))


def _row(line: Line, width: int) -> str:
    value = f"{line.value:,.4f}".rstrip("0").rstrip(".") if line.series else "-"
    return f"{line.name:<{width}}  {line.kind:<9}  {value:>14}  {line.series:>6}"
