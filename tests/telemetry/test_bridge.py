"""Auto-instrumentors through the bridge: documented series, never counted twice."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import NoOpTracerProvider

import telemetry
from telemetry import testing

ROUTE = {"method": "GET", "endpoint": "/items/{item}"}


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


def test_unknown_instruments_are_dropped(captured: testing.Captured) -> None:
    """What the table does not know leaves no series, whatever kind it is."""
    meter = captured.telemetry.meter_provider.get_meter("any.instrumentor")
    meter.create_counter("somebody.elses.count").add(1, {"user": "7"})
    meter.create_histogram("somebody.elses.time").record(1)
    meter.create_up_down_counter("http.server.active_requests").add(1)
    assert not captured.series("somebody.elses.count")
    assert captured.total("http_requests_in_progress") == 0
