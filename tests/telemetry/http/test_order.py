"""The order of calls does not matter: configuring, instrumenting, serving, tracing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import telemetry
from support.waiting import eventually
from telemetry import testing
from tests.support.server import serving
from tests.telemetry.http.conftest import NESTS_ROUTERS, Ask

UNFOLLOWED: Any = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI follows no request, whatever providers the process has."""
KEY = {"method": "GET", "endpoint": "/items/{item}", "status_code": "200"}


def _routes(app: FastAPI) -> FastAPI:
    app.get("/items/{item}")(lambda item: item)
    app.get("/health")(lambda: "ok")
    return app


class Traces:
    """A tracer provider and the spans it got."""

    def __init__(self) -> None:
        self.provider = TracerProvider()
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def of_server(self) -> list[str]:
        """Names of the spans that stand for a request."""
        return [span.name for span in self._exporter.get_finished_spans() if span.kind.name == "SERVER"]

    def names(self) -> list[str]:
        """Names of all spans."""
        return [span.name for span in self._exporter.get_finished_spans()]


@pytest.fixture
def traces() -> Traces:
    """Where spans go."""
    return Traces()


@pytest.mark.parametrize("instrumentor", [False, True])
async def test_instrumented_before_it_is_configured(ask: Ask, instrumentor: bool) -> None:
    """What is configured after an application was instrumented counts its requests once, but for excluded paths."""
    app = _routes(FastAPI())
    telemetry.instrument(app)
    with testing.captured(telemetry.Settings(excluded_paths=frozenset({"/health"}))) as captured:
        if instrumentor:
            FastAPIInstrumentor.instrument_app(app, meter_provider=captured.telemetry.meter_provider)
        assert await ask(app, "/items/1", "/health") == [200, 200]
        assert captured.telemetry.own_sources == {"http"}
        assert captured.series("http_requests_total") == {tuple(sorted(KEY.items())): 1}
        assert captured.value("http_request_duration_seconds", method="GET", endpoint="/items/{item}") == 1
        assert captured.value("http_requests_total", **{**KEY, "status_code": "500"}) == 0


async def test_configured_again(ask: Ask) -> None:
    """Each request counts where its moment's telemetry is, by its settings."""
    app = _routes(FastAPI())
    with testing.captured() as first:
        telemetry.instrument(app)
        await ask(app, "/health")
    with testing.captured(telemetry.Settings(excluded_paths=frozenset({"/health"}))) as second:
        await ask(app, "/health", "/items/1")
    assert (first.total("http_requests_total"), second.total("http_requests_total")) == (1, 1)


async def test_instrumented_after_the_first_request(ask: Ask, captured: testing.Captured) -> None:
    """An application that has served already is measured from then on."""
    app = _routes(FastAPI())
    await ask(app, "/items/0")
    telemetry.instrument(app)
    await ask(app, "/items/1")
    assert captured.series("http_requests_total") == {tuple(sorted(KEY.items())): 1}


def test_instrumented_in_its_lifespan(captured: testing.Captured) -> None:
    """An application that is instrumented while a server starts it is measured from its first request."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        telemetry.instrument(app)
        yield

    app = _routes(FastAPI(lifespan=lifespan))
    with serving(app) as address:
        assert httpx.get(f"http://{address}/items/1").status_code == 200
        assert eventually(lambda: captured.value("http_requests_total", **KEY) == 1)
    assert captured.total("http_request_duration_seconds") == 1


def _ours(app: FastAPI, traces: Traces, captured: testing.Captured) -> None:
    telemetry.instrument(app)


def _theirs(app: FastAPI, traces: Traces, captured: testing.Captured) -> None:
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=traces.provider, meter_provider=captured.telemetry.meter_provider
    )


def _user_middleware(app: FastAPI, traces: Traces, captured: testing.Captured) -> None:
    @app.middleware("http")
    async def passing(request: Any, call_next: Any) -> Any:
        return await call_next(request)


Step = Callable[[FastAPI, Traces, testing.Captured], None]
ORDERS = list(permutations([_ours, _theirs, _user_middleware]))


@pytest.mark.parametrize("steps", ORDERS, ids=lambda steps: " ".join(step.__name__ for step in steps))
async def test_traces_and_metrics_in_every_order(
    ask: Ask, captured: testing.Captured, traces: Traces, steps: tuple[Step, ...]
) -> None:
    """Whoever comes first, each request is one span and one count."""
    app = _routes(FastAPI())
    app.get("/fails")(lambda: 1 / 0)
    for step in steps:
        step(app, traces, captured)
    assert await ask(app, "/items/1", "/fails") == [200, 500]
    assert traces.of_server() == ["GET /items/{item}", "GET /fails"]
    assert captured.value("http_requests_total", **KEY) == 1
    assert captured.total("http_requests_total") == 2
    assert captured.value("errors_total", error_type="ZeroDivisionError", component="http") == 1


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("ours_ends_first", [True, False])
async def test_undone_in_every_order(
    ask: Ask, captured: testing.Captured, traces: Traces, ours_first: bool, ours_ends_first: bool
) -> None:
    """Each of the two ends without the other: no spans without theirs; without ours the bridge counts again."""
    app = _routes(FastAPI())
    handles = []
    for is_ours in (ours_first, not ours_first):
        if is_ours:
            handles.append(telemetry.instrument(app))
        else:
            _theirs(app, traces, captured)
    await ask(app, "/items/1")
    if ours_ends_first:
        handles[0].close()
    else:
        FastAPIInstrumentor.uninstrument_app(app)
    await ask(app, "/items/2")
    assert captured.total("http_requests_total") == 2
    assert len(traces.of_server()) == (2 if ours_ends_first else 1)
    handles[0].close()
    FastAPIInstrumentor.uninstrument_app(app)
    await ask(app, "/items/3")
    assert captured.total("http_requests_total") == 2
    assert type(app) is FastAPI


@pytest.fixture
def _instrumented_class(traces: Traces, captured: testing.Captured) -> Iterator[None]:
    instrumentor = FastAPIInstrumentor()
    instrumentor.instrument(tracer_provider=traces.provider, meter_provider=captured.telemetry.meter_provider)
    yield
    instrumentor.uninstrument()


@pytest.mark.usefixtures("_instrumented_class")
async def test_class_that_is_instrumented(ask: Ask, captured: testing.Captured, traces: Traces) -> None:
    """An application of the class that `FastAPIInstrumentor().instrument()` puts in FastAPI's place is both, too."""
    app = _routes(fastapi.FastAPI())
    telemetry.instrument(app)
    assert await ask(app, "/items/1") == [200]
    assert traces.of_server() == ["GET /items/{item}"]
    assert captured.series("http_requests_total") == {tuple(sorted(KEY.items())): 1}


SCRIPT = """
import asyncio, httpx, telemetry
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from telemetry import testing
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
with testing.captured() as captured:
    app = FastAPI()
    app.get("/items/{item}")(lambda item: item)
    telemetry.instrument(app)
    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
            await client.get("/items/1")
    asyncio.run(ask())
    print("counted", captured.series("http_requests_total"))
"""


def test_command_that_instruments() -> None:
    """Under `opentelemetry-instrument` an application has its span and its count."""
    command = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, "-c", SCRIPT]
    env = {**os.environ, "PYTHONPATH": "."}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    counted = next(line for line in ended.stdout.splitlines() if line.startswith("counted"))
    assert counted == f"counted { ({tuple(sorted(KEY.items())): 1.0}) }"
    assert '"name": "GET /items/{item}"' in ended.stdout


@NESTS_ROUTERS
@pytest.mark.parametrize("outer_is_traced", [True, False])
async def test_mounted_application_with_traces_of_its_own(
    ask: Ask, captured: testing.Captured, traces: Traces, outer_is_traced: bool
) -> None:
    """A mounted FastAPI that traces by itself has the same spans, measured from outside or not."""
    spans = []
    for measured in (False, True):
        own = Traces()
        sub = _routes(FastAPI(telemetry={"tracer_provider": own.provider}))
        app = FastAPI(telemetry={"tracer_provider": traces.provider} if outer_is_traced else UNFOLLOWED)
        app.mount("/sub", sub)
        if measured:
            telemetry.instrument(app)
        assert await ask(app, "/sub/items/1") == [200]
        spans.append(sorted(own.names()))
    assert spans[0] == spans[1]
    assert bool(spans[0]) is not outer_is_traced
    assert captured.value("http_requests_total", **{**KEY, "endpoint": "/sub/items/{item}"}) == 1
