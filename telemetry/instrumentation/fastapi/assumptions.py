"""What the hooks rely on in FastAPI, Starlette and uvicorn beyond their documentation, and what becomes of a miss."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

from telemetry.instrumentation.assumptions import Assumption, check

FASTAPI = (
    Assumption("fastapi.routing", "iter_route_contexts"),
    Assumption("fastapi.routing", "_route_selected"),
    Assumption("fastapi.routing:_route_selected", "scope"),
    Assumption("fastapi.routing:_route_selected", "path"),
    Assumption("fastapi.routing:_route_selected", "mount"),
)
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

_MATCHING = "the route of a request is found by matching it once more before it is served"
_LEAVING = "clients that leave are noticed only where the application reads from them"


def routers_tell() -> bool:
    """Whether routers can be listened to with the installed versions; else routes have to be matched."""
    told = [check(library("starlette"), STARLETTE, _MATCHING)]
    if "fastapi" in sys.modules:
        told.append(check(library("fastapi"), FASTAPI, _MATCHING))
    if "uvicorn" in sys.modules:
        check(library("uvicorn"), UVICORN, _LEAVING)
    return all(told)


def library(name: str) -> str:
    """A library with its version, for the log."""
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return name
