"""Measures every FastAPI and Starlette application of a program without a line of code in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from telemetry.instrumentation.constructor import ConstructorHook
from telemetry.instrumentation.instrumentor import Closable, LibraryInstrumentor

_DOING = "measuring an application"


def _measure(app: Any) -> None:
    from telemetry.instrumentation.fastapi.application import instrument_app

    instrument_app(app, found=True)


class ZeroCodeFastAPI(LibraryInstrumentor):
    """FastAPI's constructor does not call Starlette's."""

    library = "fastapi"
    versions = ">= 0.115"

    def hooks(self) -> Mapping[str, Callable[[Any], Closable]]:
        """Its one class of applications."""
        return {"fastapi.applications": lambda module: ConstructorHook(module.FastAPI, _measure, _DOING)}


class ZeroCodeStarlette(LibraryInstrumentor):
    """Applications of Starlette itself."""

    library = "starlette"
    versions = ">= 0.37"

    def hooks(self) -> Mapping[str, Callable[[Any], Closable]]:
        """Its one class of applications."""
        return {"starlette.applications": lambda module: ConstructorHook(module.Starlette, _measure, _DOING)}
