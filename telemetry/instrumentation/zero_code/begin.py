"""The beginning of a process that measures itself without code: its settings, its children, its meter provider."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from opentelemetry import metrics
from wrapt import when_imported

from telemetry import guard
from telemetry.instrumentation.instrumentor import found
from telemetry.instrumentation.zero_code import assumptions, own_process, spawned, start_line
from telemetry.instrumentation.zero_code.environment_variables import NAME
from telemetry.settings.problems import SettingsError
from telemetry.setup import configure

_logger = logging.getLogger("telemetry")


class _State:
    """How far this process has come."""

    begun = False


def begin() -> None:
    """Configure telemetry from ``OTEL_*``, once in a process; a wrong setting is said, and nothing is measured.

    The entry point ``opentelemetry_pre_instrument``, for a process that has another configurator; ours comes here too.
    """
    if _State.begun or own_process.is_a_helper():
        return
    _State.begun = True
    with guard.guarded("beginning to measure a process without code"):
        spawned.follow()
        if own_process.patches_later():
            found.is_measured = True
            when_imported(own_process.AFTER_PATCH)(_configure_late)
        else:
            _configure()


def _configure_late(_: Any) -> None:
    with guard.guarded("beginning to measure a worker"):
        _configure()
        start_line.say()


def _configure() -> None:
    before = metrics.get_meter_provider() if os.environ.get("OTEL_PYTHON_CONFIGURATOR", NAME) == NAME else None
    if before is not None and type(before).__module__.startswith("opentelemetry.sdk."):
        _take_over(before)
    try:
        configure()
        found.is_measured = True
    except SettingsError as error:
        _logger.error("telemetry: nothing is measured: %s", error)  # noqa: TRY400 - a setting, no failure


def _take_over(before: Any) -> None:
    """Another configurator was found first, though nobody chose it: its metrics would arrive beside ours."""
    if assumptions.global_provider_can_be_replaced():
        from opentelemetry.metrics import _internal

        _internal._METER_PROVIDER = None  # noqa: SLF001 - who comes second cannot set it otherwise
        _internal._METER_PROVIDER_SET_ONCE = type(_internal._METER_PROVIDER_SET_ONCE)()  # noqa: SLF001
        shutdown = threading.Thread(target=_shut_down, args=(before,), name="telemetry-other-metrics", daemon=True)
        shutdown.start()  # it exports first, to a collector that may not answer


def _shut_down(provider: Any) -> None:
    with guard.guarded("shutting down the other meter provider"):
        provider.shutdown()
