"""Our distro: what is set before anything is configured, and how instrumentors are loaded."""

from __future__ import annotations

import logging
import os
from functools import partial
from importlib.metadata import EntryPoint
from typing import Any

from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]

from telemetry import guard
from telemetry.instrumentation.zero_code import later, others, protocol
from telemetry.instrumentation.zero_code.environment_variables import NAME

_logger = logging.getLogger("telemetry")

_LOADER = "opentelemetry.instrumentation.auto_instrumentation._load"


class Distro(BaseDistro):  # type: ignore[misc]
    """Stands in front of the distro that would be taken without ours, and lets that one do what it does."""

    def _configure(self, **options: Any) -> None:
        self._behind = others.distro()
        logging.getLogger(_LOADER).addFilter(others.is_about_others)
        os.environ.setdefault("OTEL_PYTHON_CONFIGURATOR", NAME)
        os.environ.setdefault("OTEL_METRICS_EXPORTER", "otlp")
        protocol.choose(os.environ)
        with guard.guarded("configuring the other distro"):
            self._behind.configure(**options)

    def load_instrumentor(self, entry_point: EntryPoint, **options: Any) -> None:
        """Load one instrumentor with its library; a failure of it takes neither the program nor the others away."""
        later.with_its_library(entry_point.name, partial(self._load, entry_point, options))

    def _load(self, entry_point: EntryPoint, options: dict[str, Any]) -> None:
        try:
            self._behind.load_instrumentor(entry_point, **options)
        except ModuleNotFoundError as error:
            _logger.debug("telemetry: the instrumentor %s has no library: %s", entry_point.name, error)
        except DependencyConflictError as error:
            _logger.warning("telemetry: the instrumentor %s does not fit: %s", entry_point.name, error)
        except Exception:
            _logger.exception("telemetry: the instrumentor %s fails; the others go on", entry_point.name)
