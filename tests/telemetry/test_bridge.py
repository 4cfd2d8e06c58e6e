"""Auto-instrumentors through the bridge: documented series, never counted twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import NoOpTracerProvider

import telemetry
from telemetry import process, testing

ROUTE = {"method": "GET", "endpoint": "/items/{item}"}


@pytest.fixture(autouse=True)
def _nothing_measured_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Applications of other tests may not be garbage yet."""
    monkeypatch.setattr(process.current, "measured", process.Measured())


def _app() -> FastAPI:
    app = FastAPI()
    app.get("/items/{item}")(lambda item: item)
    return app


async def _ask(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        assert (await client.get("/items/1")).status_code == 200
        assert (await client.get("/nowhere")).status_code == 404


def _observed_by_instrumentor(captured: testing.Captured) -> FastAPI:
    app = _app()
    FastAPIInstrumentor.instrument_app(
        app, meter_provider=captured.telemetry.meter_provider, tracer_provider=NoOpTracerProvider()
    )
    return app


def _observed_natively(captured: testing.Captured) -> FastAPI:
    app = FastAPI(telemetry={"meter_provider": captured.telemetry.meter_provider, "tracing": False, "logs": False})
    app.get("/items/{item}")(lambda item: item)
    return app


@pytest.mark.parametrize("observed", [_observed_by_instrumentor, _observed_natively])
async def test_foreign_source_lands_on_documented_series(captured: testing.Captured, observed: object) -> None:
    """The contrib instrumentor and FastAPI's own telemetry count on the same series as our hook."""
    assert callable(observed)
    await _ask(observed(captured))
    assert captured.value("http_requests_total", **ROUTE, status_code="200") == 1
    assert captured.value("http_requests_total", method="GET", endpoint="unmatched", status_code="404") == 1
    assert captured.value("http_request_duration_seconds", **ROUTE) == 1
    assert captured.total("http_requests_total") == 2


async def test_two_sources_count_once(captured: testing.Captured) -> None:
    """Where our hook measures, the instrumentor's metrics are left alone."""
    app = _observed_by_instrumentor(captured)
    telemetry.instrument(app)
    await _ask(app)
    assert captured.total("http_requests_total") == 2


def test_llm_conventions_are_translated(captured: testing.Captured) -> None:
    """Durations and tokens by the gen_ai conventions become requests, tokens and cost."""
    meter = captured.telemetry.meter_provider.get_meter("any.instrumentor")
    model = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
    meter.create_histogram("gen_ai.client.operation.duration").record(1.5, model)
    tokens = meter.create_histogram("gen_ai.client.token.usage")
    tokens.record(100, {**model, "gen_ai.token.type": "input"})
    tokens.record(20, {**model, "gen_ai.token.type": "output"})
    assert captured.value("llm_requests_total", provider="openai", model="gpt-4o-mini") == 1
    assert captured.total("llm_tokens_used_total", type="prompt") == 100
    assert captured.total("llm_tokens_used_total", type="completion") == 20
    assert captured.total("llm_cost_usd_total") > 0


def _record_beyond_the_table(captured: testing.Captured) -> None:
    meter = captured.telemetry.meter_provider.get_meter("opentelemetry.instrumentation.somebody")
    meter.create_counter("somebody.elses.count").add(1, {"user": "7"})
    meter.create_histogram("somebody.elses.time").record(1)
    meter.create_up_down_counter("http.server.active_requests").add(1)


def test_instrumentors_add_nothing_unasked(captured: testing.Captured) -> None:
    """What an instrumentor measures beyond the table leaves no series, whatever kind it is."""
    _record_beyond_the_table(captured)
    assert captured.series("somebody.elses.count") == captured.series("somebody.elses.time") == {}
    assert captured.total("http_requests_in_progress") == 0


def test_one_setting_lets_instrumentors_add() -> None:
    """`TELEMETRY_PASS_UNCATALOGUED` lets it out under its own names, whatever kind it is."""
    with testing.captured(telemetry.Settings(pass_uncatalogued=True)) as captured:
        _record_beyond_the_table(captured)
        assert captured.total("somebody.elses.count", user="7") == captured.total("somebody.elses.time") == 1
        assert captured.total("http.server.active_requests") == 1
        assert captured.total("http_requests_in_progress") == 0


# Of the old and the new convention: a process takes the one that was asked for when its first instrumentor was made.
STATUS_OF = {"http.server.duration": "http.status_code", "http.server.request.duration": "http.response.status_code"}


@pytest.mark.parametrize("is_hooked", [True, False], ids=["hooked", "translated"])
async def test_instrumentors_metrics_arrive_beside_ours(is_hooked: bool) -> None:
    """Asked for, an instrumentor's metrics arrive by their own names, and ours count once, whoever measures them."""
    with testing.captured(telemetry.Settings(pass_uncatalogued=True)) as captured:
        app = _observed_by_instrumentor(captured)
        if is_hooked:
            telemetry.instrument(app)
        await _ask(app)
        assert captured.total("http_requests_total") == captured.total("http_request_duration_seconds") == 2
        assert sum(captured.total(name) for name in STATUS_OF) == 2
        assert sum(captured.total(name, **{label: "404"}) for name, label in STATUS_OF.items()) == 1


def test_conventions_of_models_arrive_beside_ours() -> None:
    """Asked for, what is recorded by the gen_ai conventions is there by its own name, and calls and tokens count once."""
    with testing.captured(telemetry.Settings(pass_uncatalogued=True)) as captured:
        meter = captured.telemetry.meter_provider.get_meter("any.instrumentor")
        model = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
        meter.create_histogram("gen_ai.client.operation.duration").record(1.5, model)
        assert captured.value("llm_requests_total", provider="openai", model="gpt-4o-mini") == 1
        assert captured.value("gen_ai.client.operation.duration", **model) == 1


CONVENTIONS = """
import asyncio, httpx, json
from fastapi import APIRouter, FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import NoOpTracerProvider
from telemetry import testing

with testing.captured() as captured:
    app, router = FastAPI(), APIRouter(prefix="/api")
    router.get("/items/{item}")(lambda item: item)
    app.include_router(router)
    FastAPIInstrumentor.instrument_app(
        app, meter_provider=captured.telemetry.meter_provider, tracer_provider=NoOpTracerProvider()
    )
    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
            for path in ("/api/items/1", "/api/items/2", "/nowhere"):
                await client.get(path)
    asyncio.run(ask())
    print(json.dumps({
        "requests": captured.total("http_requests_total"),
        "answered": captured.total("http_requests_total", method="GET", status_code="200"),
        "unmatched": captured.total("http_requests_total", endpoint="unmatched", status_code="404"),
        "durations": captured.total("http_request_duration_seconds"),
        "seconds": sum(
            captured.histogram_sum("http_request_duration_seconds", **dict(labels))
            for labels in captured.series("http_request_duration_seconds")
        ),
    }))
"""


@pytest.mark.parametrize("opt_in", ["", "http", "http/dup"])
def test_old_and_new_conventions(opt_in: str) -> None:
    """Metrics by the old conventions, the new ones and both at once count each request once, in seconds."""
    env = {**os.environ, "OTEL_SEMCONV_STABILITY_OPT_IN": opt_in, "PYTHONPATH": "."}
    ended = subprocess.run([sys.executable, "-c", CONVENTIONS], env=env, capture_output=True, text=True, check=True)
    counted = json.loads(ended.stdout.splitlines()[-1])
    seconds = counted.pop("seconds")
    assert counted == {"requests": 3, "answered": 2, "unmatched": 1, "durations": 3}
    assert 0 <= seconds < 3


async def test_native_telemetry_and_hook_count_once(captured: testing.Captured) -> None:
    """Our hook and FastAPI's own telemetry together count a request once, and the native record stays complete."""
    app = _observed_natively(captured)
    telemetry.instrument(app)
    await _ask(app)
    assert captured.value("http_requests_total", **ROUTE, status_code="200") == 1
    assert captured.total("http_requests_total") == 2


async def test_native_telemetry_still_knows_the_route(captured: testing.Captured) -> None:
    """Where our hook listens to the route, FastAPI's own metrics of another provider keep it."""
    reader = InMemoryMetricReader()
    app = FastAPI(telemetry={"meter_provider": MeterProvider([reader]), "tracing": False, "logs": False})
    app.get("/items/{item}")(lambda item: item)
    telemetry.instrument(app)
    await _ask(app)
    data = reader.get_metrics_data()
    assert data is not None
    points = [p for m in data.resource_metrics[0].scope_metrics[0].metrics for p in m.data.data_points]
    assert "/items/{item}" in {(point.attributes or {}).get("http.route") for point in points}


def test_database_conventions_are_translated(captured: testing.Captured) -> None:
    """Query durations by the database conventions land on the documented histogram, hostile operations as `other`."""
    meter = captured.telemetry.meter_provider.get_meter("any.instrumentor")
    duration = meter.create_histogram("db.client.operation.duration")
    duration.record(0.01, {"db.operation.name": "select", "db.collection.name": "books"})
    duration.record(0.01, {"db.operation.name": "'; drop table--", "db.collection.name": "books"})
    duration.record(0.01, {})
    assert captured.series("db_query_duration_seconds") == {
        (("operation", "SELECT"), ("table", "books")): 1,
        (("operation", "other"), ("table", "books")): 1,
        (("operation", "other"), ("table", "other")): 1,
    }
