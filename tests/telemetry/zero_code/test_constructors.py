"""What a program makes is found where it is made, in the process of the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import telemetry
from telemetry import testing
from telemetry.instrumentation.fastapi.zero_code import ZeroCodeFastAPI, ZeroCodeStarlette
from telemetry.instrumentation.instrumentor import found
from telemetry.instrumentation.sqlalchemy.zero_code import ZeroCodeSQLAlchemy


@pytest.fixture(autouse=True)
def hooked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The constructors are hooked for one test."""
    monkeypatch.setattr(found, "is_measured", True)
    instrumentors = [ZeroCodeFastAPI(), ZeroCodeStarlette(), ZeroCodeSQLAlchemy()]
    for instrumentor in instrumentors:
        instrumentor.instrument(skip_dep_check=True)
    yield
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


async def get(app: object, path: str) -> int:
    """The status of an answer."""
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:  # type: ignore[arg-type]
        return (await client.get(path)).status_code


def pong(request: object) -> PlainTextResponse:
    return PlainTextResponse("pong")


class Derived(FastAPI):
    """An application of one's own class."""


async def test_mounted_applications_count_once(captured: testing.Captured) -> None:
    """Of applications within applications, FastAPI's, Starlette's and derived ones, each request counts once."""
    inner = Starlette(routes=[Route("/ping", pong)])
    middle = FastAPI()
    middle.mount("/inner", inner)
    outer = Derived()
    outer.mount("/middle", middle)
    assert await get(outer, "/middle/inner/ping") == 200
    assert await get(inner, "/ping") == 200
    assert await get(Starlette(routes=[Mount("/sub", inner)]), "/sub/ping") == 200
    for endpoint in ("/middle/inner/ping", "/ping", "/sub/ping"):
        assert captured.total("http_requests_total", endpoint=endpoint) == 1
    assert captured.total("http_requests_total") == 3


async def test_own_call_goes_before(captured: testing.Captured) -> None:
    """What the program says of an application or engine holds, though it was found before; a second finding changes nothing."""
    app = FastAPI(routes=[Route("/health", pong), Route("/ping", pong)])
    handle = telemetry.instrument(app, excluded="/health")
    assert telemetry.instrument(app) is handle
    assert await get(app, "/health") == await get(app, "/ping") == 200
    assert captured.total("http_requests_total") == 1
    engine = create_engine("sqlite://")
    telemetry.instrument_sqlalchemy(engine, "replica")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        assert captured.total("db_connections_active", pool="replica") == 1
        assert captured.value("db_connections_active", pool="main") is None
    assert captured.total("db_query_duration_seconds") == 1


async def test_engines_are_found(captured: testing.Captured) -> None:
    """Engines, sync and async, are measured under the name that the user gave their pool, else as `main`."""
    named = create_async_engine("sqlite+aiosqlite:///:memory:", pool_logging_name="reports")
    async with named.connect() as connection, named.execution_options(isolation_level="AUTOCOMMIT").connect():
        await connection.execute(text("SELECT 1"))
        assert captured.total("db_connections_active", pool="reports") > 0
    await named.dispose()
    with create_engine("sqlite://").connect() as plain:
        plain.execute(text("SELECT 1"))
        assert captured.total("db_connections_active", pool="main") == 1
    assert captured.total("db_query_duration_seconds", operation="SELECT") == 2


async def test_nothing_is_found_without_hooks(captured: testing.Captured) -> None:
    """After the instrumentor is gone, constructors are the library's own and applications stay unmeasured."""
    hooked = FastAPI.__init__
    ZeroCodeFastAPI().uninstrument()
    assert FastAPI.__init__ is not hooked
    assert await get(FastAPI(routes=[Route("/ping", pong)]), "/ping") == 200
    assert captured.total("http_requests_total") == 0
    ZeroCodeFastAPI().instrument(skip_dep_check=True)


def test_versions_that_do_not_fit_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of a version that is not measured is named with what is needed, and not hooked."""
    monkeypatch.setattr(found, "libraries", {})
    monkeypatch.setattr(ZeroCodeFastAPI, "versions", ">= 999")
    ZeroCodeFastAPI().uninstrument()
    before = FastAPI.__init__
    ZeroCodeFastAPI().instrument(skip_dep_check=True)
    assert FastAPI.__init__ is before
    assert list(found.libraries.values()) == ["needs >= 999"]
