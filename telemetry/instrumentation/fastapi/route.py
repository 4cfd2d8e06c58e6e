"""Learns from FastAPI which route it selected, through the object it keeps in ``scope["fastapi.telemetry"]``.

FastAPI writes the full template there, router prefixes and mounted FastAPI applications included, at no cost per
route. What is inside another mounted application it does not know: that is in ``mounts.py``.
"""

from __future__ import annotations

from fastapi.telemetry._api import _RequestTelemetry
from starlette.types import Scope

from telemetry import guard
from telemetry.instrumentation.fastapi.mounts import MOUNT_SUFFIX, look_inside

SCOPE_KEY = "fastapi.telemetry"


class RouteListener(_RequestTelemetry):
    """Stands in for FastAPI's own record of one request or connection; subclasses override ``selected``.

    One is made for every request, so its fields are class attributes until they are set.
    """

    span = None
    span_method = ""
    data = None
    _scope: Scope
    _native: _RequestTelemetry | None = None
    _endpoint: str | None = None
    _open_mount: str | None = None
    _raised: list[BaseException] | None = None

    def __init__(self) -> None:  # not the dataclass's: assigning its nine fields costs a microsecond
        """Nothing is selected yet."""

    def selected(self, endpoint: str) -> None:
        """The request reached the route with this full template."""

    def listen(self, scope: Scope) -> None:
        """Take the place of FastAPI's record; where its native telemetry runs too, that keeps being filled."""
        self._scope = scope
        native = scope.get(SCOPE_KEY)
        if isinstance(native, _RequestTelemetry) and not isinstance(native, RouteListener):
            self._native = native
            self.span, self.span_method = native.span, native.span_method
            self.tracer, self.logger, self.data = native.tracer, native.logger, native.data
            self._mount_prefix = native._mount_prefix  # noqa: SLF001
        scope[SCOPE_KEY] = self

    def release(self) -> None:
        """Give the place back: a scope that refers to its listener would wait for the garbage collector."""
        if self._native is not None:
            self._scope[SCOPE_KEY] = self._native
        else:
            self._scope.pop(SCOPE_KEY, None)

    @property
    def route(self) -> str | None:
        """The template FastAPI selected last."""
        return self._endpoint or self._open_mount

    @route.setter
    def route(self, value: str | None) -> None:
        if self._native is not None:
            self._native.route = value
        if value is None or value == self._endpoint:
            return
        try:
            if value.endswith(MOUNT_SUFFIX):
                self._mounted(value)
            else:
                self._endpoint = value
                self.selected(value)
        except Exception as error:
            guard.swallow(error, "noting the route of a request")

    def _mounted(self, template: str) -> None:
        self._open_mount = template
        inside = look_inside(self._scope, template)
        if inside.prefix is not None:
            self._mount_prefix = inside.prefix
        if inside.endpoint is not None:
            self._endpoint = inside.endpoint
            self.selected(inside.endpoint)

    @property
    def _exceptions(self) -> list[BaseException]:  # type: ignore[override]
        if self._native is not None:
            return self._native._exceptions  # noqa: SLF001
        if self._raised is None:
            self._raised = []
        return self._raised
