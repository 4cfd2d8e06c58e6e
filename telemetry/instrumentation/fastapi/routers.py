"""Lets routers tell which route they selected, to whoever observes the request; it costs no second match.

FastAPI calls one function for every route it selects, with the template that its included routers give it. Starlette
hands the request to the route. Requests that nobody observes pass by at the cost of one look into their scope.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from starlette.routing import Mount, Route, WebSocketRoute

from telemetry import guard
from telemetry.instrumentation.fastapi.route import SCOPE_KEY, RouteListener

_FASTAPI_SELECTS = "_route_selected"
_replaced: list[tuple[Any, str, Any, Any]] = []


def listen() -> None:
    """Begin to listen; a second call does nothing, unless FastAPI was imported meanwhile."""
    if not _replaced:
        for kind, notice in ((Route, RouteListener.handled), (WebSocketRoute, RouteListener.handled)):
            _replace(kind, "handle", _handling(kind.handle, notice))
        _replace(Mount, "handle", _handling(Mount.handle, RouteListener.entered))
    fastapi = sys.modules.get("fastapi.routing")
    if fastapi is not None and all(owner is not fastapi for owner, *_ in _replaced):
        _replace(fastapi, _FASTAPI_SELECTS, _selecting(getattr(fastapi, _FASTAPI_SELECTS)))


def stop_listening() -> None:
    """Put everything back that nobody else has replaced since."""
    while _replaced:
        owner, name, before, ours = _replaced.pop()
        if vars(owner).get(name) is ours:
            setattr(owner, name, before)


def _replace(owner: Any, name: str, ours: Any) -> None:
    _replaced.append((owner, name, getattr(owner, name), ours))
    setattr(owner, name, ours)


def _handling(handle: Callable[..., Any], notice: Callable[[RouteListener, Any], None]) -> Callable[..., Any]:
    @functools.wraps(handle)
    def noticed(self: Any, scope: Any, receive: Any, send: Any) -> Any:
        listener = scope.get(SCOPE_KEY)
        if listener is not None:
            try:
                notice(listener, self)
            except Exception as error:
                guard.swallow(error, "noting the route of a request")
        return handle(self, scope, receive, send)

    return noticed


def _selecting(select: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(select)
    def selected(*, scope: Any, path: str | None, mount: bool = False, **named: Any) -> None:
        select(scope=scope, path=path, mount=mount, **named)
        listener = scope.get(SCOPE_KEY)
        if listener is not None and path is not None and not mount:
            try:
                listener.told(path)
            except Exception as error:
                guard.swallow(error, "noting the route of a request")

    return selected
