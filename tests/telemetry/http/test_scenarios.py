"""Exceptions, middleware, several applications, odd paths and messages: what one would ask any HTTP instrumentation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

import telemetry
from telemetry import testing
from tests.telemetry.http.conftest import Ask


def _statuses(captured: testing.Captured) -> dict[tuple[str, str], float]:
    counted = captured.series("http_requests_total")
    return {(dict(key)["endpoint"], dict(key)["status_code"]): value for key, value in counted.items()}


def _errors(captured: testing.Captured) -> dict[str, float]:
    return {dict(key)["error_type"]: value for key, value in captured.series("errors_total").items()}


class _OutOfStockError(Exception):
    """An exception the application has a handler for."""


def _failing(**settings: Any) -> FastAPI:
    app = FastAPI(**settings)

    @app.get("/refused/{n}")
    async def refused(n: int) -> None:
        raise HTTPException(409, "not now")

    @app.get("/handled/{n}")
    async def handled(n: int) -> None:
        raise _OutOfStockError

    @app.get("/raises/{n}")
    async def raises(n: int) -> None:
        raise ZeroDivisionError

    async def dependency() -> None:
        raise LookupError

    @app.get("/depends/{n}", dependencies=[Depends(dependency)])
    async def depends(n: int) -> None: ...

    @app.exception_handler(_OutOfStockError)
    async def out_of_stock(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, status_code=418)

    telemetry.instrument(app)
    return app


@pytest.mark.parametrize("middleware", [[], [Middleware(BaseHTTPMiddleware, dispatch=lambda asked, go: go(asked))]])
async def test_exceptions(ask: Ask, captured: testing.Captured, middleware: list[Middleware]) -> None:
    """A request has the status its client sees; an error is what nothing handled, with or without middleware."""
    app = _failing(middleware=middleware)
    asked = ("/refused/1", "/handled/1", "/raises/1", "/depends/1", "/raises/x")
    assert await ask(app, *asked) == [409, 418, 500, 500, 422]
    assert _statuses(captured) == {
        ("/refused/{n}", "409"): 1,
        ("/handled/{n}", "418"): 1,
        ("/raises/{n}", "500"): 1,
        ("/depends/{n}", "500"): 1,
        ("/raises/{n}", "422"): 1,
    }
    assert _errors(captured) == {"ZeroDivisionError": 1, "LookupError": 1}
    assert captured.total("http_request_duration_seconds") == 5
    assert captured.series("http_requests_in_progress") == {}


@pytest.mark.parametrize("key", [Exception, 500])
@pytest.mark.parametrize("kind", [FastAPI, Starlette])
async def test_handler_of_every_exception(ask: Ask, captured: testing.Captured, key: Any, kind: Any) -> None:
    """What the application's own handler of all exceptions answers is the status, and the error is counted once."""

    async def raises(request: Request) -> None:
        raise ZeroDivisionError

    async def sorry(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, status_code=503)

    app = kind(routes=[Route("/raises/{n}", raises)], exception_handlers={key: sorry})
    telemetry.instrument(app)
    assert await ask(app, "/raises/1") == [503]
    assert _statuses(captured) == {("/raises/{n}", "503"): 1}
    assert _errors(captured) == {"ZeroDivisionError": 1}


@pytest.mark.parametrize("after", [True, False])
async def test_middleware_that_raises(ask: Ask, captured: testing.Captured, after: bool) -> None:
    """A middleware that raises, before or after the handler, is a 500 of the route, and one error."""
    app = _failing()
    app.get("/fine/{n}")(lambda n: n)

    @app.middleware("http")
    async def raising(request: Request, call_next: Any) -> None:
        if after:
            await call_next(request)
        raise KeyError

    assert await ask(app, "/fine/1") == [500]
    assert _statuses(captured) == {("/fine/{n}", "500"): 1}
    assert _errors(captured) == {"KeyError": 1}
    assert captured.series("http_requests_in_progress") == {}


async def test_background_task_that_fails(ask: Ask, captured: testing.Captured) -> None:
    """A task after the response changes nothing of its status, and is an error of its own."""
    app = FastAPI()

    def task() -> None:
        raise ZeroDivisionError

    @app.get("/later")
    async def later(tasks: BackgroundTasks) -> str:
        tasks.add_task(task)
        return "sent"

    telemetry.instrument(app)
    with pytest.raises(ZeroDivisionError):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
            await client.get("/later")
    assert _statuses(captured) == {("/later", "200"): 1}
    assert _errors(captured) == {"ZeroDivisionError": 1}


async def test_preflight(ask: Ask, captured: testing.Captured) -> None:
    """What a CORS middleware answers counts under the route that was asked for."""
    app = FastAPI()
    app.get("/items/{item}")(lambda item: item)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET"])
    telemetry.instrument(app)
    headers = {"origin": "http://other.test", "access-control-request-method": "GET"}
    assert await ask(app, "/items/1", method="OPTIONS", headers=headers) == [200]
    assert captured.value("http_requests_total", method="OPTIONS", endpoint="/items/{item}", status_code="200") == 1


async def test_applications_of_one_process(ask: Ask, captured: testing.Captured) -> None:
    """Several applications with equal routes count together; one that is not measured counts nothing."""
    apps = [
        FastAPI(),
        FastAPI(),
        Starlette(routes=[Route("/ping", lambda request: PlainTextResponse("pong"))]),
        FastAPI(),
    ]
    for app in (apps[0], apps[1], apps[3]):
        assert isinstance(app, FastAPI)
        app.get("/ping")(lambda: "pong")
    for app in apps[:3]:
        telemetry.instrument(app)
    for app in apps:
        assert await ask(app, "/ping") == [200]
    assert _statuses(captured) == {("/ping", "200"): 3}


async def test_application_that_asks_another(captured: testing.Captured) -> None:
    """A handler that calls another measured application of the process is two requests, each under its own route."""
    inner, outer = FastAPI(), FastAPI()
    inner.get("/inner/{n}")(lambda n: n)

    @outer.get("/outer/{n}")
    async def ask_inner(n: int) -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=inner), base_url="http://inner") as client:
            return (await client.get(f"/inner/{n}")).status_code

    for app in (inner, outer):
        telemetry.instrument(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=outer), base_url="http://outer") as client:
        answers = await asyncio.gather(*(client.get(f"/outer/{n}") for n in range(20)))
    assert {answer.json() for answer in answers} == {200}
    assert _statuses(captured) == {("/inner/{n}", "200"): 20, ("/outer/{n}", "200"): 20}
    assert captured.series("http_requests_in_progress") == {}


async def test_mounted_application_alone_and_mounted(ask: Ask, captured: testing.Captured) -> None:
    """An application that is measured and mounted counts once, by where it was asked."""
    app, sub = FastAPI(), FastAPI()
    sub.get("/in/{n}")(lambda n: n)
    app.mount("/sub", sub)
    app.mount("/same", sub)
    telemetry.instrument(sub)
    telemetry.instrument(app)
    assert await ask(app, "/sub/in/1", "/same/in/1") == [200, 200]
    assert await ask(sub, "/in/1") == [200]
    assert _statuses(captured) == {("/sub/in/{n}", "200"): 1, ("/same/in/{n}", "200"): 1, ("/in/{n}", "200"): 1}


async def test_application_mounted_in_itself(ask: Ask, captured: testing.Captured) -> None:
    """An application that is mounted in itself is measured, and its declaration ends."""
    app = FastAPI()
    app.get("/in/{n}")(lambda n: n)
    app.mount("/again", app)
    telemetry.instrument(app)
    assert await ask(app, "/in/1", "/again/in/1", "/again/again/in/1") == [200] * 3
    assert set(_statuses(captured)) == {(f"{prefix}/in/{{n}}", "200") for prefix in ("", "/again", "/again/again")}


ODD = ["/items/a%2Fb", "/items/ä", "/items/x?q=/nowhere", "/items/%00", "/items/a b"]


@pytest.mark.parametrize("path", ODD)
async def test_odd_paths(ask: Ask, captured: testing.Captured, path: str) -> None:
    """No character of a path or query reaches a label."""
    app = FastAPI()
    app.get("/items/{item:path}")(lambda item: item)
    telemetry.instrument(app)
    assert await ask(app, path) == [200]
    assert _statuses(captured) == {("/items/{item}", "200"): 1}


async def test_route_added_while_serving(ask: Ask, captured: testing.Captured) -> None:
    """A route that is added after the first request is measured as the others are."""
    app = FastAPI()
    telemetry.instrument(app)
    assert await ask(app, "/new/1") == [404]
    app.get("/new/{n}")(lambda n: n)
    assert await ask(app, "/new/1") == [200]
    assert _statuses(captured) == {("unmatched", "404"): 1, ("/new/{n}", "200"): 1}


async def test_response_with_trailers(captured: testing.Captured) -> None:
    """A response that announces trailers ends with them, not with its body."""
    seen = []

    async def trailing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"body"})
        seen.append(captured.total("http_requests_total"))
        await send({"type": "http.response.trailers", "headers": [], "more_trailers": True})
        seen.append(captured.total("http_requests_total"))
        await send({"type": "http.response.trailers", "headers": []})
        seen.append(captured.total("http_requests_total"))

    async def nothing(message: Any = None) -> Any:
        return {"type": "http.request", "body": b""}

    app = Starlette(routes=[Mount("/trailing", app=trailing)])
    telemetry.instrument(app)
    scope = {"type": "http", "method": "GET", "path": "/trailing/x", "headers": [], "query_string": b""}
    await app(scope, nothing, nothing)
    assert seen == [0, 0, 1]
    assert captured.histogram_sum("http_response_size_bytes", method="GET", endpoint="/trailing/{path}") == 4


async def test_stream_through_middleware_that_replaces_it(ask: Ask, captured: testing.Captured) -> None:
    """A stream that a middleware passes on in tasks of its own is in progress until its last byte."""
    seen = []

    async def stream(request: Request) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(3):
                seen.append(captured.value("http_requests_in_progress", method="GET", endpoint="/stream"))
                yield b"x"

        return StreamingResponse(body())

    async def through(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    app = Starlette(routes=[Route("/stream", stream)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=through)])
    telemetry.instrument(app)
    assert await ask(app, "/stream") == [200]
    assert seen == [1, 1, 1]
    assert captured.series("http_requests_in_progress") == {}


def test_lifespan_is_no_request(captured: testing.Captured) -> None:
    """A lifespan runs as it does without us, and counts nothing."""
    happened = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        happened.append("up")
        yield {"told": "by the lifespan"}
        happened.append("down")

    app = FastAPI(lifespan=lifespan)
    app.get("/told")(lambda request: None)
    telemetry.instrument(app)
    with TestClient(app) as client:
        assert client.get("/nothing").status_code == 404
    assert happened == ["up", "down"]
    assert _statuses(captured) == {("unmatched", "404"): 1}
