"""The one line in which a program that is measured without code says what is measured, what is not, and where it goes.

It is a warning, because programs show these before they set up their logging; a program with many processes says it
once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import PackageNotFoundError, entry_points, version

from telemetry import guard, process
from telemetry.instrumentation.instrumentor import found
from telemetry.instrumentation.zero_code import own_process
from telemetry.settings.settings import Settings
from telemetry.settings.values import Exporter
from telemetry.settings.variables import DISABLED_INSTRUMENTATIONS

_logger = logging.getLogger("telemetry")

_DISABLED = DISABLED_INSTRUMENTATIONS.name
PREFIX = "fleet_"


def say() -> None:
    """Say it: the entry point ``opentelemetry_post_instrument``."""
    telemetry = process.current.configured
    if telemetry is not None and not own_process.is_a_helper() and own_process.is_root():
        with guard.guarded("saying what is measured"):
            _logger.warning("telemetry: %s", line(telemetry.settings))


def line(settings: Settings) -> str:
    """What it says."""
    measured = [library for library, against in found.libraries.items() if not against]
    unfit = [f"{library} ({against})" for library, against in found.libraries.items() if against]
    left_out = unfit + _switched_off(settings.disabled_instrumentations)
    parts = [
        f"measures {', '.join(measured) or 'no library'}",
        *([f"not {', '.join(left_out)}"] if left_out else []),
        f"service={settings.service_name} environment={settings.environment}",
        _where(settings),
    ]
    return "; ".join(parts)


def _where(settings: Settings) -> str:
    said = [_WHERE[exporter](settings) for exporter in settings.exporters]
    return " and ".join(said) or "sends nothing (OTEL_METRICS_EXPORTER or OTEL_SDK_DISABLED says so)"


def _to_a_collector(settings: Settings) -> str:
    destination = settings.destination
    return f"sends by OTLP {destination.protocol} to {destination.address} every {settings.export_interval:g} s"


_WHERE: Mapping[Exporter, Callable[[Settings], str]] = {
    "otlp": _to_a_collector,
    "prometheus": lambda settings: (
        f"is scraped at http://{settings.prometheus_host}:{settings.prometheus_port}/metrics"
    ),
    "console": lambda _: "prints to the console",
}


def _switched_off(names: Collection[str]) -> list[str]:
    """OpenTelemetry itself leaves them out; what is said of it is here."""
    installed = {each.name: each for each in entry_points(group="opentelemetry_instrumentor")}
    ours = {name: each for name, each in installed.items() if each.value.startswith("telemetry.")}
    off = [f"{_library(name)} (off by {_DISABLED})" for name in ours if not {name, "*"}.isdisjoint(names)]
    mistaken = [name for name in sorted(names) if name not in installed and PREFIX + name in ours]
    return off + [f"what {_DISABLED}={name} means, for ours is called {PREFIX}{name}" for name in mistaken]


def _library(entry_point: str) -> str:
    name = entry_point.removeprefix(PREFIX)
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return name
