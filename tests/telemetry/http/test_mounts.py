"""Mounted applications of every kind are counted under the full template of the route inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

import telemetry
from telemetry import guard, testing


async def _hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def _leaf(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("leaf")(scope, receive, send)


class _Refusing:
    """A middleware that answers by itself, before any route is selected."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("no", status_code=401)(scope, receive, send)


def _make_app(static: Path) -> FastAPI:
    (static / "page.html").write_text("page")
    app, deep, guarded = FastAPI(), FastAPI(), FastAPI()
    deep.get("/users/{user}")(lambda user: user)
    deep.get("/files/{path:path}")(lambda path: path)
    guarded.add_middleware(_Refusing)
    guarded.get("/secret")(lambda: "secret")
    router = APIRouter(prefix="/v2")
    router.get("/ping")(lambda: "pong")
    inner = Starlette(routes=[Route("/item/{id}", _hello), Route("/post", _hello, methods=["POST"])])
    classic = Starlette(
        routes=[
            Route("/plain", _hello),
            Route("/people/{name}", _hello),
            Mount("/nested/{area}", app=inner),
            Mount("/fast", app=deep),
            Mount("/leaf", app=_leaf),
        ],
        middleware=[Middleware(GZipMiddleware)],
    )
    app.mount("/classic/{tenant}", classic)
    app.mount("/wrapped", GZipMiddleware(Starlette(routes=[Route("/inside", _hello)])))
    app.mount("/router", Router(routes=[Route("/of/{one}", _hello)]))
    app.mount("/api", router)
    app.mount("/deep", deep)
    app.mount("/guarded", guarded)
    app.mount("/static", StaticFiles(directory=static))
    app.mount("/leaf", _leaf)
    app.get("/any/{path:path}")(lambda path: path)
    telemetry.instrument(app)
    return app


CASES = [
    ("GET", "/classic/7/plain", "/classic/{tenant}/plain", 200),
    ("GET", "/classic/7/people/ann", "/classic/{tenant}/people/{name}", 200),
    ("GET", "/classic/7/nested/north/item/4", "/classic/{tenant}/nested/{area}/item/{id}", 200),
    ("GET", "/classic/7/nested/north/post", "/classic/{tenant}/nested/{area}/post", 405),
    ("GET", "/classic/7/nested/north/nothing", "unmatched", 404),
    ("GET", "/classic/7/fast/users/ann", "/classic/{tenant}/fast/users/{user}", 200),
    ("GET", "/classic/7/fast/nothing", "unmatched", 404),
    ("GET", "/classic/7/leaf/what/ever", "/classic/{tenant}/leaf/{path}", 200),
    ("GET", "/classic/7/nothing", "unmatched", 404),
    ("GET", "/wrapped/inside", "/wrapped/inside", 200),
    ("GET", "/router/of/us", "/router/of/{one}", 200),
    ("GET", "/api/v2/ping", "/api/v2/ping", 200),
    ("GET", "/deep/users/ann", "/deep/users/{user}", 200),
    ("GET", "/deep/files/a/b", "/deep/files/{path}", 200),
    ("GET", "/deep/nothing", "unmatched", 404),
    ("GET", "/guarded/secret", "/guarded/secret", 401),
    ("GET", "/static/page.html", "/static/{path}", 200),
    ("GET", "/static/nothing.html", "/static/{path}", 404),
    ("GET", "/leaf/what/ever", "/leaf/{path}", 200),
    ("GET", "/any/a/b/c", "/any/{path}", 200),
]


@pytest.mark.parametrize(("method", "path", "endpoint", "status"), CASES, ids=str)
async def test_full_template(
    captured: testing.Captured, tmp_path: Path, method: str, path: str, endpoint: str, status: int
) -> None:
    """One request is one count under the full template, and nothing stays in progress."""
    transport = httpx.ASGITransport(app=_make_app(tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.request(method, path)).status_code == status
    key = (("endpoint", endpoint), ("method", method), ("status_code", str(status)))
    assert captured.series("http_requests_total") == {key: 1}
    assert captured.series("http_requests_in_progress") == {}


REFUSED = [
    ("/items/7", "/v1/items/{item}", 401),
    ("/nothing", "unmatched", 401),
    ("/sub/in/7", "/sub/in/{x}", 401),
    ("/plain/in/7", "/plain/in/{x}", 401),
    ("/gone", "unmatched", 404),
]


@pytest.mark.parametrize(("path", "endpoint", "status"), REFUSED)
async def test_middleware_that_answers(captured: testing.Captured, path: str, endpoint: str, status: int) -> None:
    """What a middleware refuses is counted under the route it asked for; what it says is not there is `unmatched`."""
    app, sub, router = FastAPI(), FastAPI(), APIRouter(prefix="/v1")
    router.get("/items/{item}")(lambda item: item)
    sub.get("/in/{x}")(lambda x: x)
    app.include_router(router)
    app.mount("/sub", sub)
    app.mount("/plain", Starlette(routes=[Route("/in/{x}", _hello)]))

    @app.middleware("http")
    async def refuse(request: Request, call_next: Any) -> PlainTextResponse:
        return PlainTextResponse("", status_code=status)

    telemetry.instrument(app)
    asked = f"/v1{path}" if "items" in path else path
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        assert (await client.get(asked)).status_code == status
    key = (("endpoint", endpoint), ("method", "GET"), ("status_code", str(status)))
    assert captured.series("http_requests_total") == {key: 1}


async def test_hosts(captured: testing.Captured) -> None:
    """Applications chosen by the host are counted by their own templates; the host is no label."""
    app, sub = FastAPI(), FastAPI()
    sub.get("/in/{x}")(lambda x: x)
    app.host("api.test", sub)
    app.host("plain.test", Router(routes=[Route("/of/{y}", _hello)]))
    telemetry.instrument(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as client:
        assert (await client.get("http://api.test/in/1")).status_code == 200
        assert (await client.get("http://plain.test/of/1")).status_code == 200
    assert {dict(key)["endpoint"] for key in captured.series("http_requests_total")} == {"/in/{x}", "/of/{y}"}


async def test_root_mount(captured: testing.Captured, tmp_path: Path) -> None:
    """Files mounted at the root do not hide the routes before them."""
    (tmp_path / "index.html").write_text("home")
    app = FastAPI()
    app.get("/api/{item}")(lambda item: item)
    app.mount("/", StaticFiles(directory=tmp_path, html=True))
    telemetry.instrument(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        for path in ("/api/1", "/", "/index.html"):
            assert (await client.get(path)).status_code == 200
    assert captured.value("http_requests_total", method="GET", endpoint="/api/{item}", status_code="200") == 1
    assert captured.value("http_requests_total", method="GET", endpoint="/{path}", status_code="200") == 2


async def test_in_progress_inside_a_mount(captured: testing.Captured) -> None:
    """While a handler of a mounted Starlette application runs, it is in progress under its own template."""
    seen = []

    async def look(request: Request) -> PlainTextResponse:
        seen.append(captured.value("http_requests_in_progress", method="GET", endpoint="/sub/look/{at}"))
        return PlainTextResponse("")

    app = FastAPI()
    app.mount("/sub", Starlette(routes=[Route("/look/{at}", look)]))
    telemetry.instrument(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        await client.get("/sub/look/here")
    assert seen == [1]
    assert captured.series("http_requests_in_progress") == {}


class _Broken(Route):
    """A route of the application's own whose matching fails, but only for telemetry's question."""

    def matches(self, scope: Any) -> Any:
        raise RuntimeError("no")


async def test_route_that_cannot_be_found(captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where looking for the route fails, the request is counted all the same."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    app = FastAPI()
    app.router.routes.insert(0, _Broken("/x", _hello))

    @app.middleware("http")
    async def refuse(request: Request, call_next: Any) -> PlainTextResponse:
        return PlainTextResponse("", status_code=401)

    telemetry.instrument(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        assert (await client.get("/x")).status_code == 401
    assert captured.value("http_requests_total", method="GET", endpoint="unmatched", status_code="401") == 1
    assert captured.total("http_request_duration_seconds") == 1
