"""HTTP metrics of a FastAPI application, by real requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse

import telemetry
from telemetry import testing


def make_app() -> FastAPI:
    """An application with the shapes of routing that peers get wrong."""
    app, sub, inner, outer = FastAPI(), FastAPI(), APIRouter(prefix="/items"), APIRouter(prefix="/api/v1")

    @inner.get("/{item}")
    async def item(item: int) -> dict[str, int]:
        return {"item": item}

    @outer.post("/fail")
    async def fail() -> None:
        raise ZeroDivisionError

    @outer.get("/stream")
    async def stream() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(3):
                await asyncio.sleep(0.02)
                yield b"x"

        return StreamingResponse(body())

    @outer.get("/later")
    async def later() -> PlainTextResponse:
        return PlainTextResponse("done", background=BackgroundTask(asyncio.sleep, 0.5))

    @sub.get("/deep/{key}")
    async def deep(key: str) -> str:
        return key

    outer.include_router(inner)
    app.include_router(outer)
    app.mount("/tenants/{tenant}/sub", sub)
    telemetry.instrument(app)
    telemetry.instrument(app)
    telemetry.instrument(sub)
    return app


@pytest.fixture
async def http(captured: testing.Captured) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, counting into `captured`."""
    transport = httpx.ASGITransport(app=make_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "counted_as", "status"),
    [
        ("GET", "/api/v1/items/5", "/api/v1/items/{item}", "GET", 200),
        ("GET", "/api/v1/items/x", "/api/v1/items/{item}", "GET", 422),
        ("DELETE", "/api/v1/items/5", "/api/v1/items/{item}", "DELETE", 405),
        ("BREW", "/api/v1/items/5", "/api/v1/items/{item}", "_OTHER", 405),
        ("GET", "/nowhere/at/all", "unmatched", "GET", 404),
        ("GET", "/tenants/7/sub/deep/k", "/tenants/{tenant}/sub/deep/{key}", "GET", 200),
        ("GET", "/tenants/7/sub/nothing", "unmatched", "GET", 404),
        ("POST", "/api/v1/fail", "/api/v1/fail", "POST", 500),
        ("GET", "/api/v1/items/5/", "/api/v1/items/{item}", "GET", 307),
    ],
)
async def test_request_is_counted_once(
    http: httpx.AsyncClient,
    captured: testing.Captured,
    method: str,
    path: str,
    endpoint: str,
    counted_as: str,
    status: int,
) -> None:
    """One request is one count, under the full template of its route, with the status the client saw."""
    assert (await http.request(method, path)).status_code == status
    key = (("endpoint", endpoint), ("method", counted_as), ("status_code", str(status)))
    assert captured.series("http_requests_total") == {key: 1}
    assert captured.total("http_request_duration_seconds", endpoint=endpoint, method=counted_as) == 1
    assert captured.series("http_requests_in_progress") == {}


async def test_unhandled_exception_is_one_error(http: httpx.AsyncClient, captured: testing.Captured) -> None:
    """A handler that raises is one error, by its class."""
    await http.post("/api/v1/fail")
    assert captured.series("errors_total") == {(("component", "http"), ("error_type", "ZeroDivisionError")): 1}


async def test_duration_ends_with_last_byte(http: httpx.AsyncClient, captured: testing.Captured) -> None:
    """A streamed body is part of the duration; a background task after it is not."""
    await http.get("/api/v1/stream")
    streamed = captured.histogram_sum("http_request_duration_seconds", method="GET", endpoint="/api/v1/stream")
    assert streamed is not None
    assert streamed >= 0.06
    await http.get("/api/v1/later")
    quick = captured.histogram_sum("http_request_duration_seconds", method="GET", endpoint="/api/v1/later")
    assert quick is not None
    assert quick < 0.5


async def test_in_progress_has_the_real_endpoint(captured: testing.Captured) -> None:
    """While a handler runs it is in progress under its route; a cancelled one is 499 and leaves nothing behind."""
    app = FastAPI()
    reached = asyncio.Event()

    @app.get("/wait/{what}")
    async def wait(what: str) -> None:
        reached.set()
        await asyncio.Event().wait()

    telemetry.instrument(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        request = asyncio.create_task(client.get("/wait/long"))
        await reached.wait()
        assert captured.value("http_requests_in_progress", method="GET", endpoint="/wait/{what}") == 1
        request.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await request
    assert captured.value("http_requests_in_progress", method="GET", endpoint="/wait/{what}") == 0
    assert captured.value("http_requests_total", method="GET", endpoint="/wait/{what}", status_code="499") == 1


async def test_excluded_paths_are_not_counted() -> None:
    """A path in `TELEMETRY_EXCLUDED_PATHS` leaves no trace, whatever Host the client claims."""
    with testing.captured(telemetry.Settings(excluded_paths=frozenset({"/health"}))) as captured:
        app = FastAPI()
        app.get("/health")(lambda: "ok")
        telemetry.instrument(app)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://health") as client:
            await client.get("/health")
            await client.get("/other")
        assert [dict(key)["endpoint"] for key in captured.series("http_requests_total")] == ["unmatched"]


async def test_known_routes_start_at_zero(http: httpx.AsyncClient, captured: testing.Captured) -> None:
    """Routes exist at 0 before their first request, their errors too, so that rates see the first one."""
    await http.get("/nowhere")
    for status in ("200", "500"):
        key = {"method": "GET", "endpoint": "/api/v1/items/{item}", "status_code": status}
        assert captured.value("http_requests_total", **key) == 0
