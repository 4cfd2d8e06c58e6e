"""The distro and the configurator that would be taken if ours were not: they go on with traces and logs."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro, DefaultDistro  # type: ignore[attr-defined]

from telemetry import guard
from telemetry.instrumentation.zero_code import assumptions
from telemetry.instrumentation.zero_code.environment_variables import NAME

_logger = logging.getLogger("telemetry")

_EXPORTERS = ("OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER")
_METRICS_EXPORTER = "OTEL_METRICS_EXPORTER"


def distro() -> BaseDistro:
    """The first other distro that is installed; one that does nothing where none is, or none can be loaded."""
    for kind in _loaded("opentelemetry_distro"):
        with guard.guarded("making the other distro"):
            made = kind()
            if isinstance(made, BaseDistro):
                return made
    return DefaultDistro()


def configure_traces_and_logs(**options: Any) -> None:
    """Let the other configurator set up everything but metrics; what goes wrong there is said and goes no further."""
    configurator = next(_loaded("opentelemetry_configurator"), None) or _sdk_configurator()
    if configurator is None:
        return
    try:
        with _without_metrics():
            configurator().configure(**options)
    except Exception as error:
        _logger.error("telemetry: traces and logs are not set up, metrics are: %s", error)  # noqa: TRY400 - a setting


def is_about_others(record: logging.LogRecord) -> bool:
    """Whether a record of OpenTelemetry's loader says something else than that only one configurator is loaded."""
    return not record.getMessage().startswith("Configuration of") or NAME not in record.getMessage()


def _loaded(group: str) -> Iterator[Any]:
    for entry_point in entry_points(group=group):
        if entry_point.name != NAME:
            try:
                yield entry_point.load()
            except Exception as error:
                _logger.warning("telemetry: %s of %s cannot be loaded: %r", entry_point.name, group, error)


def _sdk_configurator() -> Any:
    """OpenTelemetry's own, where some exporter of traces or logs is set; it records spans even without one."""
    wanted = [os.environ.get(name, "").strip().lower() not in {"", "none"} for name in _EXPORTERS]
    if not any(wanted) or not assumptions.sdk_can_be_configured():
        return None
    from opentelemetry.sdk._configuration import _OTelSDKConfigurator

    return _OTelSDKConfigurator


@contextmanager
def _without_metrics() -> Iterator[None]:
    """The meter provider is set already: it would make an empty one of its own, and be told that it comes too late."""
    before = os.environ.get(_METRICS_EXPORTER)
    late = logging.getLogger("opentelemetry.metrics._internal")
    os.environ[_METRICS_EXPORTER] = "none"
    late.addFilter(_says_nothing)
    try:
        yield
    finally:
        late.removeFilter(_says_nothing)
        if before is None:
            del os.environ[_METRICS_EXPORTER]
        else:
            os.environ[_METRICS_EXPORTER] = before


def _says_nothing(record: logging.LogRecord) -> bool:
    return "MeterProvider" not in record.getMessage()
