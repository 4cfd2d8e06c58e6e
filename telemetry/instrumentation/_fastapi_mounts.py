"""Finds the route inside a mounted application that does not report it: Starlette's, and routers of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Host, Match, Mount
from starlette.types import Scope

MOUNT_SUFFIX = "/{path}"


class Inside(NamedTuple):
    """What is known of a request that reached a mount.

    Attributes:
        endpoint: Full template of the route it will reach; ``None`` where none matches, or FastAPI will tell.
        prefix: What FastAPI has to put before the templates of an application further inside.
    """

    endpoint: str | None = None
    prefix: str | None = None


def look_inside(scope: Scope, template: str) -> Inside:
    """Where a request that was routed to a template ending in ``/{path}`` goes.

    Args:
        scope: The scope as the router updated it for the route.
        template: The full template, of a mount or of a route that takes any path.
    """
    app = _unwrapped(scope.get("endpoint"))
    if isinstance(app, FastAPI | APIRouter):
        return Inside()
    routes = getattr(app, "routes", None)
    if not isinstance(routes, list):
        return Inside(endpoint=template)
    return _match(routes, scope, template.removesuffix(MOUNT_SUFFIX))


def _unwrapped(app: Any) -> Any:
    """The application inside any middleware."""
    for _ in range(50):
        inner = getattr(app, "app", None)
        if inner is None or hasattr(app, "routes"):
            return app
        app = inner
    return app


def _match(routes: Iterable[BaseRoute], scope: Scope, prefix: str) -> Inside:
    partial: str | None = None
    for route in routes:
        match, child_scope = route.matches(scope)
        if match is Match.NONE:
            continue
        template = prefix + str(getattr(route, "path_format", ""))
        if isinstance(route, Mount | Host):
            return _enter(route, {**scope, **child_scope}, template.removesuffix(MOUNT_SUFFIX))
        if match is Match.FULL:
            return Inside(endpoint=template)
        partial = partial or template
    return Inside(endpoint=partial)


def _enter(route: Mount | Host, scope: Scope, prefix: str) -> Inside:
    app = _unwrapped(route.app)
    if isinstance(app, FastAPI | APIRouter):
        return Inside(prefix=prefix)
    routes = getattr(app, "routes", None)
    return _match(routes, scope, prefix) if isinstance(routes, list) else Inside(endpoint=prefix + MOUNT_SUFFIX)
