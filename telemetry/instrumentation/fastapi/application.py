"""Measures an ASGI application from outside all of its middleware; ``domains/http.py`` counts what happens.

Python looks ``__call__`` up in the class of an object, so a measured application gets a class of its own, derived from
the one it had. That is outside of whatever builds, replaces or expects the application's middleware stack, before and
after its first request. What one request or connection does is followed in ``request.py`` and ``websocket.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import Any
from weakref import ref

from starlette.types import ASGIApp, Receive, Scope, Send

from telemetry import process
from telemetry.instrumentation.fastapi import assumptions, native, routers
from telemetry.instrumentation.fastapi.lifespan import delivering
from telemetry.instrumentation.fastapi.measurement import Measurement
from telemetry.instrumentation.fastapi.route import SCOPE_KEY
from telemetry.instrumentation.handle import Instrumentation
from telemetry.settings.exclusions import Exclusions

_logger = logging.getLogger("telemetry")

_DOMAIN = "http"
_HANDLE = "__telemetry__"
_EXCLUDED = "__telemetry_excluded__"


def instrument_app(app: ASGIApp, excluded: str | Iterable[str] = (), *, found: bool = False) -> Instrumentation:
    """Measure an application; a second call returns the handle of the first.

    Args:
        app: FastAPI, Starlette, a router or another object with ``routes``, also inside middleware.
        excluded: What is not counted, beside ``TELEMETRY_EXCLUDED_PATHS`` and in its syntax.
        found: Whether zero code asks, and not the program, whose call takes the place of that.

    Raises:
        ValueError: If an entry of ``excluded`` is wrong, naming it and the remedy.
        TypeError: If ``app`` is no object that can be measured, naming the remedy.
    """
    try:
        exclusions = Exclusions.parse(excluded)
    except ValueError as error:
        raise ValueError(f"instrument(excluded={excluded!r}): {error}") from error
    known: Instrumentation | None = vars(type(app)).get(_HANDLE)
    return _instrumented(app, exclusions, found=found) if known is None or known.gives_way(found=found) else known


def handle_of(app: object) -> Instrumentation | None:
    """The handle of an application that is measured."""
    handle: Instrumentation | None = vars(type(app)).get(_HANDLE)
    return None if handle is None or handle.is_closed else handle


def excluded_of(app: object) -> Exclusions:
    """What is not counted of an application that is measured, beside what the settings exclude."""
    excluded: Exclusions = getattr(type(app), _EXCLUDED, None) or Exclusions()
    return excluded


def _class_before(app: Any) -> type:
    """What its class was before it was measured; a copy of a measured application keeps that one's class."""
    kind = type(app)
    while _HANDLE in vars(kind):
        kind = kind.__mro__[1]
    return kind


def _instrumented(app: Any, exclusions: Exclusions, *, found: bool) -> Instrumentation:
    tells = assumptions.routers_tell()
    before = _class_before(app)
    measurement = Measurement(exclusions, _library_of(before), tells=tells)
    own = _class_of_its_own(app, before, measurement)
    handle = Instrumentation(_DOMAIN, partial(_restore, ref(app), before, measurement), found=found)
    setattr(own, _HANDLE, handle)
    setattr(own, _EXCLUDED, exclusions)
    native.leave_out(app)
    if tells:
        routers.listen()
    _logger.info(
        "telemetry: http metrics of %r come from our own hooks on %s; other sources of them are left out",
        getattr(app, "title", before.__name__),
        assumptions.library(_library_of(before)),
    )
    return handle


def _library_of(kind: type) -> str:
    """What an application is made with; instrumentors derive classes of their own."""
    libraries = [base.__module__.partition(".")[0] for base in kind.__mro__]
    return next((name for name in libraries if name in {"fastapi", "starlette"}), libraries[0])


def _class_of_its_own(app: Any, before: type, measurement: Measurement) -> type:
    if isinstance(app, type) or not callable(app):
        raise TypeError(f"instrument() takes an ASGI application, not {app!r}")
    names = {"__call__": _measured(before, measurement), "__slots__": ()}
    like = {"__module__": before.__module__, "__qualname__": before.__qualname__, "__doc__": before.__doc__}
    try:
        ref(app)
        own = type(before.__name__, (before,), {**names, **like})
        object.__setattr__(app, "__class__", own)
    except TypeError as error:
        raise TypeError(
            f"instrument() cannot measure {app!r} where it is: mount it, "
            "app = Starlette(routes=[Mount('/', app)]), and instrument that"
        ) from error
    return own


def _measured(before: Any, measurement: Measurement) -> Any:
    """``__call__`` of a class whose instance is measured."""

    async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807 - becomes a method
        observed = measurement.begin(self, scope, receive, send)
        if observed is None:
            await before.__call__(self, scope, receive, delivering(send) if scope["type"] == "lifespan" else send)
            return
        try:
            await before.__call__(self, scope, observed.receive, observed.send)
        except BaseException as error:
            observed.raised(error)
            raise
        else:
            observed.returned()
        finally:
            scope.pop(SCOPE_KEY, None)  # a scope that refers to its observer would wait for the garbage collector

    return __call__


def _restore(app: ref[Any], before: type, measurement: Measurement) -> None:
    measurement.closed = True
    measured = app()
    if measured is not None and _HANDLE in vars(type(measured)) and type(measured).__mro__[1] is before:
        object.__setattr__(measured, "__class__", before)
        native.restore(measured)
    if _DOMAIN not in process.current.measured.domains():
        routers.stop_listening()
