"""One route has one label: whatever traces it, whatever stands before its path, however many routes there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from opentelemetry.sdk.trace import TracerProvider
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

import telemetry
from telemetry import testing
from tests.telemetry.http.conftest import NESTS_ROUTERS, Ask
from tests.telemetry.http.nested import ASKED, hello, nested


async def _connect(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


TRACED = {"telemetry": {"tracer_provider": TracerProvider()}}


@pytest.mark.filterwarnings("ignore:The `root_path` parameter")
@pytest.mark.parametrize("traced", [{}, TRACED], ids=["plain", "traced"])
@pytest.mark.parametrize("own_root", [{}, {"root_path": "/api"}], ids=["", "own root"])
@pytest.mark.parametrize("root_path", ["", "/api", "/other"])
async def test_label_of_a_route(
    ask: Ask, captured: testing.Captured, traced: dict[str, Any], own_root: dict[str, Any], root_path: str
) -> None:
    """Native telemetry and root paths change no label, and what is declared at 0 has the same."""
    app = nested(**traced, **own_root)
    telemetry.instrument(app)
    root = own_root.get("root_path") or root_path
    assert await ask(app, *(root + path for path in ASKED), root_path=root_path) == [200] * 3
    counted = {dict(key)["endpoint"] for key in captured.series("http_requests_total")}
    assert counted == set(ASKED.values())
    failures = captured.series("http_requests_total", zeros=True)
    declared = {dict(key)["endpoint"] for key in failures if dict(key)["status_code"] == "500"}
    assert counted <= declared
    assert not {endpoint for endpoint in declared if endpoint.startswith(("/api", "/other"))}


@NESTS_ROUTERS
@pytest.mark.parametrize("traced", [{}, TRACED], ids=["plain", "traced"])
async def test_what_an_included_router_has(ask: Ask, captured: testing.Captured, traced: dict[str, Any]) -> None:
    """Routes and mounts of every kind that an included router has are under its prefix."""
    app, router = FastAPI(**traced), APIRouter()
    router.add_route("/plain/{n}", hello)
    router.mount("/classic", Starlette(routes=[Route("/in/{n}", hello)]))
    router.mount("/file", PlainTextResponse("file"))
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    telemetry.instrument(app)
    asked = {"/v2/plain/1": "/v2/plain/{n}", "/v2/classic/in/1": "/v2/classic/in/{n}", "/v1/file/x": "/v1/file/{path}"}
    assert await ask(app, *asked) == [200] * 3
    assert {dict(key)["endpoint"] for key in captured.series("http_requests_total")} == set(asked.values())
    assert captured.value("http_requests_total", method="GET", endpoint="/v1/plain/{n}", status_code="500") == 0


class _Rewriting:
    """A middleware that serves old paths under new ones."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "path": scope["path"].removeprefix("/old")}, receive, send)


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
async def test_path_that_a_middleware_rewrites(ask: Ask, captured: testing.Captured, kind: Callable[..., Any]) -> None:
    """The label is of the route that took the request, though its path had been another one."""
    app = kind(routes=[Route("/new/{n}", hello)])
    app.add_middleware(_Rewriting)
    telemetry.instrument(app)
    assert await ask(app, "/old/new/1") == [200]
    assert {dict(key)["endpoint"] for key in captured.series("http_requests_total")} == {"/new/{n}"}


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
async def test_redirected_slash(ask: Ask, captured: testing.Captured, kind: Callable[..., Any]) -> None:
    """A redirect that adds or takes a slash counts under the route it leads to."""
    app = kind(routes=[Route("/with/{n}/", hello), Mount("/in", routes=[Route("/without/{n}", hello)])])
    telemetry.instrument(app)
    assert await ask(app, "/with/1", "/in/without/1/") == [307, 307]
    counted = {dict(key)["endpoint"] for key in captured.series("http_requests_total")}
    assert counted == {"/with/{n}/", "/in/without/{n}"}


async def test_starlette_at_the_top(ask: Ask, captured: testing.Captured) -> None:
    """A Starlette application's routes, mounts, hosts and refusals count as a FastAPI application's do."""
    deep = Router(routes=[Route("/deep/{n}", hello)])
    app = Starlette(
        routes=[
            Route("/people/{name}", hello, methods=["POST"]),
            Mount("/area/{area}", routes=[Mount("/router", app=deep)]),
            Mount("/fast", app=nested()),
            Mount("/file", app=PlainTextResponse("file")),
            Host("other.test", app=Router(routes=[Route("/hosted/{n}", hello)])),
            WebSocketRoute("/socket", _connect),
        ]
    )
    telemetry.instrument(app)
    paths = {
        "/people/ann": ("/people/{name}", 405),
        "/area/1/router/deep/2": ("/area/{area}/router/deep/{n}", 200),
        "/fast/v1/hello/1": ("/fast/v1/hello/{n}", 200),
        "/fast/sub/deep/1": ("/fast/sub/deep/{n}", 200),
        "/fast/classic/in/1": ("/fast/classic/in/{n}", 200),
        "/file/a/b": ("/file/{path}", 200),
        "/nothing": ("unmatched", 404),
        "/area/1/nothing": ("unmatched", 404),
    }
    assert await ask(app, *paths) == [status for _, status in paths.values()]
    assert await ask(app, "http://other.test/hosted/1") == [200]
    counted = {dict(key)["endpoint"]: value for key, value in captured.series("http_requests_total").items()}
    assert counted == {**{endpoint: 1 for endpoint, _ in paths.values()}, "unmatched": 2, "/hosted/{n}": 1}


MANY = 600


@pytest.mark.parametrize("mounted", [False, True])
async def test_every_declared_route_has_its_series(ask: Ask, captured: testing.Captured, mounted: bool) -> None:
    """The budget of routes follows what an application declares, and what strangers make up stays bounded."""
    routes = FastAPI()
    for number in range(MANY):
        routes.get(f"/route{number}/{{n}}")(lambda n: n)
    app = FastAPI() if mounted else routes
    if mounted:
        app.mount("/in", routes)
    prefix = "/in" if mounted else ""
    telemetry.instrument(app)
    for number in range(MANY):
        captured.telemetry.http.answered("GET", f"/made/up/{number}", 200, 0.1)
        captured.telemetry.errors.rate_limit_exceeded(endpoint=f"/made/up/{number}", plan="free")
    await ask(app, *(f"{prefix}/route{number}/1" for number in range(0, MANY, 7)), f"{prefix}/route{MANY - 1}/1")
    captured.telemetry.errors.rate_limit_exceeded(endpoint=f"{prefix}/route{MANY - 1}/{{n}}", plan="free")
    last = {"method": "GET", "endpoint": f"{prefix}/route{MANY - 1}/{{n}}"}
    overflows = captured.series("telemetry_label_overflows_total")
    assert captured.value("http_requests_total", **last, status_code="200") == 1
    assert captured.value("http_request_duration_seconds", **last) == 1
    assert captured.value("http_response_size_bytes", **last) == 1
    assert captured.value("http_requests_in_progress", **last) == 0
    assert captured.value("rate_limit_exceeded_total", endpoint=last["endpoint"], plan="free") == 1
    made_up = [key for key in captured.series("http_requests_total") if "/made/up" in dict(key)["endpoint"]]
    assert len(made_up) <= 500
    assert sum(captured.series("http_requests_total").values()) == captured.total("http_requests_total")
    await ask(app, *(f"{prefix}/route{number}/2" for number in range(1, MANY, 7)))
    assert captured.series("telemetry_label_overflows_total") == overflows
