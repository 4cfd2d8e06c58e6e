"""Walks the routes of an application: all that it declares, or the one that a request would take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from starlette.routing import BaseRoute, Host, Match, Mount, WebSocketRoute
from starlette.types import Scope

_contexts: Callable[[Sequence[Any]], Iterator[Any]] = iter  # where FastAPI is not installed, or nests no routers
with suppress(ImportError):
    from fastapi.routing import iter_route_contexts as _contexts


MOUNT_SUFFIX = "/{path}"
_DEEPEST = 50
_DEEPEST_MOUNT = 5  # an application may be mounted within itself


def routes_of(app: Any) -> list[BaseRoute] | None:
    """The routes of an application or router inside any middleware; ``None`` where it has none."""
    for _ in range(_DEEPEST):
        routes = getattr(app, "routes", None)
        if isinstance(routes, list) or app is None:
            return routes
        app = getattr(app, "app", None)
    return None


class DeclaredRoute(NamedTuple):
    """A route as the application declares it.

    Attributes:
        endpoint: Full template.
        is_websocket: Whether it takes WebSockets, and no requests.
        methods: What it takes; none are known of what is not a router.
        status_code: What it answers in the best case.
    """

    endpoint: str
    is_websocket: bool = False
    methods: frozenset[str] = frozenset()
    status_code: int = 200


def declared_routes(app: Any, prefix: str = "", depth: int = 0) -> Iterator[DeclaredRoute]:
    """Every route of an application, those of included routers and mounted applications too."""
    for context in _contexts(routes_of(app) or []):
        template = prefix + (getattr(context, "path_format", None) or "")
        route = getattr(context, "original_route", context)
        if not isinstance(route, Mount | Host):
            yield _declared(context, template, is_websocket=isinstance(route, WebSocketRoute))
        elif routes_of(route.app) is None:
            yield DeclaredRoute(template)
        elif depth < _DEEPEST_MOUNT:
            yield from declared_routes(route.app, template.removesuffix(MOUNT_SUFFIX), depth + 1)


def _declared(context: Any, template: str, *, is_websocket: bool) -> DeclaredRoute:
    methods = frozenset(getattr(context, "methods", None) or ())
    return DeclaredRoute(template, is_websocket, methods, getattr(context, "status_code", None) or 200)


def route_it_would_take(app: Any, scope: Scope) -> str | None:
    """Full template of the route for a request; ``None`` where none matches.

    A path that differs by a slash at its end from one that matches has the same route: the router redirects it.
    It costs a match of every route.

    Args:
        app: The application that serves the request.
        scope: Of the request, before or after it was served.
    """
    routes = routes_of(app) or []
    at_the_top = {**scope, "root_path": scope.get("app_root_path", scope.get("root_path", ""))}
    found = _match(routes, at_the_top, "")
    if found is None and scope["type"] == "http":
        path: str = scope["path"]
        found = _match(routes, {**at_the_top, "path": path.rstrip("/") if path.endswith("/") else path + "/"}, "")
    return found


def _match(routes: Sequence[BaseRoute], scope: Scope, prefix: str) -> str | None:
    partial: str | None = None
    for context in _contexts(routes):
        match, child_scope = context.matches(scope)
        if match is Match.NONE:
            continue
        template = prefix + (getattr(context, "path_format", None) or "")
        route = getattr(context, "original_route", context)
        if isinstance(route, Mount | Host):
            return _enter(route, {**scope, **child_scope}, template.removesuffix(MOUNT_SUFFIX))
        if match is Match.FULL:
            return template
        partial = partial or template
    return partial


def _enter(route: Mount | Host, scope: Scope, prefix: str) -> str | None:
    routes = routes_of(route.app)
    return prefix + MOUNT_SUFFIX if routes is None else _match(routes, scope, prefix)
