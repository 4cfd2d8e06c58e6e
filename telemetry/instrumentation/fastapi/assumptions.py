"""What the hooks rely on in FastAPI, Starlette and uvicorn beyond their documentation, and what becomes of a miss."""

from __future__ import annotations

import functools
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from telemetry.instrumentation.assumptions import Assumption, check


class OfIncludedRouters(Assumption):
    """Of a FastAPI that leaves the routes of an included router in it, which Starlette's routes know nothing of."""

    __slots__ = ()

    def holds(self) -> bool:
        """Before 0.137 there is nothing to rely on: every route is one of Starlette's."""
        return _copies_routes() or super().holds()


class OfNativeTelemetry(Assumption):
    """Of a FastAPI that has telemetry of its own."""

    __slots__ = ()

    def holds(self) -> bool:
        """Before 0.16x there is nothing to rely on."""
        return find_spec("fastapi.telemetry") is None or super().holds()


@functools.cache
def _copies_routes() -> bool:
    """Whether FastAPI copies the routes of a router to the one that includes it."""
    with suppress(Exception):
        from fastapi import APIRouter
        from starlette.responses import Response
        from starlette.routing import Route

        included, router = APIRouter(), APIRouter()
        included.add_route("/in", lambda request: Response())
        router.include_router(included, prefix="/prefix")
        return [route.path for route in router.routes if isinstance(route, Route)] == ["/prefix/in"]
    return False


FASTAPI = (
    OfIncludedRouters("fastapi.routing", "iter_route_contexts"),
    OfIncludedRouters("fastapi.routing", "_route_selected"),
    OfIncludedRouters("fastapi.routing:_route_selected", "scope"),
    OfIncludedRouters("fastapi.routing:_route_selected", "path"),
    OfIncludedRouters("fastapi.routing:_route_selected", "mount"),
)
NATIVE = (OfNativeTelemetry("fastapi:FastAPI", "_telemetry"),)
STARLETTE = (
    Assumption("starlette.routing:Route", "handle"),
    Assumption("starlette.routing:Route", "path_format"),
    Assumption("starlette.routing:WebSocketRoute", "handle"),
    Assumption("starlette.routing:WebSocketRoute", "path_format"),
    Assumption("starlette.routing:Mount", "handle"),
    Assumption("starlette.routing:Mount", "path_format"),
    Assumption("starlette.routing:Mount", "app"),
)
UVICORN = (
    Assumption("uvicorn.protocols.http.h11_impl:RequestResponseCycle", "disconnected"),
    Assumption("uvicorn.protocols.http.h11_impl:RequestResponseCycle", "receive"),
)

_MATCHING = (
    "the route of a request is found by matching it once more before it is served, which costs time; a path that a "
    "middleware rewrites counts as unmatched, everything else as it should"
)
_INCLUDED = "requests to routes of included routers count as unmatched: install FastAPI 0.138 or newer, or 0.136"
_COUNTED_AGAIN = "FastAPI counts each request itself, too, for nobody, which costs time"
_LEAVING = "clients that leave are noticed only where the application reads from them"


def routers_tell() -> bool:
    """Whether routers can be listened to with the installed versions; else routes have to be matched."""
    told = [check(library("starlette"), STARLETTE, _MATCHING)]
    if "fastapi" in sys.modules:
        told.append(check(library("fastapi"), FASTAPI, _MATCHING if FASTAPI[0].holds() else _INCLUDED))
        check(library("fastapi"), NATIVE, _COUNTED_AGAIN)
    if "uvicorn" in sys.modules:
        check(library("uvicorn"), UVICORN, _LEAVING)
    return all(told)


def library(name: str) -> str:
    """A library with its version, for the log."""
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return name
