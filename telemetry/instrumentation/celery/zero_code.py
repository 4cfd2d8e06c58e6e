"""Measures every Celery application of a program without a line of code in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from telemetry.instrumentation.constructor import ConstructorHook
from telemetry.instrumentation.instrumentor import Closable, LibraryInstrumentor


def _measure(app: Any) -> None:
    from telemetry.instrumentation.celery.application import instrument_celery

    instrument_celery(app, found=True)


class ZeroCodeCelery(LibraryInstrumentor):
    """Applications as they are made, in publishers, workers and beat."""

    library = "celery"
    versions = ">= 5.4"

    def hooks(self) -> Mapping[str, Callable[[Any], Closable]]:
        """Its one class of applications."""
        return {"celery.app.base": lambda module: ConstructorHook(module.Celery, _measure, "measuring an application")}
