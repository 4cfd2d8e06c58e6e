"""Finds the route of a request that FastAPI does not report: inside other mounted applications, or never routed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
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


def route_it_would_take(app: FastAPI, scope: Scope) -> str | None:
    """Full template of the route for a request that was answered before it was routed; ``None`` where none matches.

    Costs a match of every route, so it is for what a middleware refused, not for every request.
    """
    at_the_top = {**scope, "root_path": scope.get("app_root_path", scope.get("root_path", ""))}
    return _match(app.routes, at_the_top, "", into_fastapi=True).endpoint


def _match(routes: Sequence[BaseRoute], scope: Scope, prefix: str, *, into_fastapi: bool = False) -> Inside:
    partial: str | None = None
    for context in iter_route_contexts(routes):
        match, child_scope = context.matches(scope)
        if match is Match.NONE:
            continue
        template = prefix + (context.path_format or "")
        route = context.original_route
        if isinstance(route, Mount | Host):
            inside = {**scope, **child_scope}
            return _enter(route, inside, template.removesuffix(MOUNT_SUFFIX), into_fastapi=into_fastapi)
        if match is Match.FULL:
            return Inside(endpoint=template)
        partial = partial or template
    return Inside(endpoint=partial)


def _enter(route: Mount | Host, scope: Scope, prefix: str, *, into_fastapi: bool) -> Inside:
    app = _unwrapped(route.app)
    if isinstance(app, FastAPI | APIRouter) and not into_fastapi:
        return Inside(prefix=prefix)
    routes = getattr(app, "routes", None)
    if isinstance(routes, list):
        return _match(routes, scope, prefix, into_fastapi=into_fastapi)
    return Inside(endpoint=prefix + MOUNT_SUFFIX)
