"""Lets routers tell which route they selected, to whoever observes the request; it costs no second match.

FastAPI calls one function for every route it selects, with the template that its included routers give it. Starlette
hands the request to the route. Requests that nobody observes pass by at the cost of one look into their scope.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from starlette.routing import Mount, Route, WebSocketRoute

from telemetry import guard
from telemetry.instrumentation.fastapi.route import SCOPE_KEY, RouteListener
from telemetry.instrumentation.handle import put_back

_FASTAPI_SELECTS = "_route_selected"
_replaced: dict[tuple[Any, str], tuple[Any, Any]] = {}


def listen() -> None:
    """Begin to listen, to FastAPI too where it is imported; a second call does nothing."""
    _replace(Route, "handle", partial(_handling, notice=RouteListener.handled))
    _replace(WebSocketRoute, "handle", partial(_handling, notice=RouteListener.handled))
    _replace(Mount, "handle", partial(_handling, notice=RouteListener.entered))
    routing = sys.modules.get("fastapi.routing")
    if hasattr(routing, _FASTAPI_SELECTS):  # older ones have Starlette's routes only
        _replace(routing, _FASTAPI_SELECTS, _selecting)


def stop_listening() -> None:
    """Put everything back; what somebody has wrapped since stays, and is not wrapped a second time."""
    for (owner, name), (before, ours) in list(_replaced.items()):
        if put_back(owner, name, ours, before):
            del _replaced[owner, name]


def _replace(owner: Any, name: str, wrapped: Callable[[Any], Any]) -> None:
    now = getattr(owner, name)
    before, _ = _replaced.get((owner, name), (now, None))
    if now is before:  # also where somebody has put back what was there before
        ours = wrapped(now)
        _replaced[owner, name] = now, ours
        setattr(owner, name, ours)


def _handling(handle: Callable[..., Any], notice: Callable[[RouteListener, Any], None]) -> Callable[..., Any]:
    @wraps(handle)
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
    @wraps(select)
    def selected(**named: Any) -> None:  # passed on as it came: FastAPI may say more one day
        select(**named)
        try:
            listener = named["scope"].get(SCOPE_KEY)
            if listener is not None and named["path"] is not None and not named.get("mount"):
                listener.told(named["path"])
        except Exception as error:
            guard.swallow(error, "noting the route of a request")

    return selected
