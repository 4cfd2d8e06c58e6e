"""Measures every Celery application of a process without a line of code in it: ``opentelemetry-instrument celery …``.

OpenTelemetry finds this instrumentor by its entry point (``opentelemetry_instrumentor``), beside contrib's own, which
goes on with traces.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any

from celery import Celery
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from telemetry import guard
from telemetry.instrumentation.celery.application import instrument_celery
from telemetry.setup import configure


class ZeroCodeCelery(BaseInstrumentor):  # type: ignore[misc]
    """Configures telemetry from ``OTEL_*`` and measures each application as it is made."""

    _unmeasured: Callable[..., None] | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """What has to be installed."""
        return ("celery >= 5.4",)

    def _instrument(self, **_: Any) -> None:
        """Begin.

        Raises:
            SettingsError: If a setting is wrong; OpenTelemetry logs it and the program runs unmeasured.
        """
        configure()
        unmeasured = self._unmeasured = Celery.__init__

        @functools.wraps(unmeasured)
        def measured(app: Celery, *args: Any, **kwargs: Any) -> None:
            unmeasured(app, *args, **kwargs)
            with guard.guarded("measuring a Celery application"):
                instrument_celery(app)

        Celery.__init__ = measured

    def _uninstrument(self, **_: Any) -> None:
        """Leave alone the applications that are made from now on."""
        if self._unmeasured is not None:
            Celery.__init__ = self._unmeasured
            self._unmeasured = None
