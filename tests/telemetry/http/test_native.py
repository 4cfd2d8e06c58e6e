"""FastAPI's own metrics of requests are not counted for us once more, and are left alone where they go elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import telemetry
from telemetry import testing
from tests.telemetry.http.conftest import Ask

pytest.importorskip("fastapi.telemetry", reason="an older FastAPI has none")


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    """Of another meter provider."""
    made = InMemoryMetricReader()
    yield made
    made.shutdown()


def _app(**settings: Any) -> tuple[FastAPI, list[bool]]:
    """An application, and whether FastAPI followed each of its requests."""
    app = FastAPI(telemetry=settings)
    followed: list[bool] = []

    @app.get("/items/{item}")
    async def read(item: int, request: Request) -> int:
        followed.append(request.scope.get("fastapi.telemetry") is not None)
        return item

    return app, followed


def _counted(reader: InMemoryMetricReader) -> int:
    data = reader.get_metrics_data()
    found = (
        [metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics]
        if data
        else []
    )
    return sum(
        point.count
        for metric in found
        if metric.name == "http.server.request.duration"
        for point in metric.data.data_points
    )


async def test_global_provider_is_ours(ask: Ask, captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `configure()`: FastAPI does not follow requests that are measured, until they are not any more."""
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: captured.telemetry.meter_provider)
    app, followed = _app()
    with telemetry.instrument(app):
        assert await ask(app, "/items/1", "/items/2") == [200, 200]
        assert captured.value("http_requests_total", method="GET", endpoint="/items/{item}", status_code="200") == 2
    assert await ask(app, "/items/3") == [200]
    assert followed == [False, False, True]


async def test_global_provider_is_anothers(
    ask: Ask, captured: testing.Captured, monkeypatch: pytest.MonkeyPatch, reader: InMemoryMetricReader
) -> None:
    """Somebody else's metrics stay, whether the provider is the global one or the application's."""
    other = MeterProvider([reader])
    app, _ = _app(meter_provider=other)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: captured.telemetry.meter_provider)
    with telemetry.instrument(app):
        assert await ask(app, "/items/1") == [200]
    assert _counted(reader) == 1
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: other)
    app, _ = _app()
    with telemetry.instrument(app):
        assert await ask(app, "/items/1") == [200]
    assert _counted(reader) == 2
    assert captured.total("http_requests_total") == 2


async def test_spans_stay(ask: Ask, captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where requests are traced, they still are."""
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: captured.telemetry.meter_provider)
    spans, tracing = InMemorySpanExporter(), TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    app, followed = _app(tracer_provider=tracing, operation_spans=False)
    telemetry.instrument(app)
    assert await ask(app, "/items/1") == [200]
    assert [span.name for span in spans.get_finished_spans()] == ["GET /items/{item}"]
    assert followed == [True]
    assert captured.total("http_requests_total") == 1


async def test_off_stays_off(ask: Ask, captured: testing.Captured, reader: InMemoryMetricReader) -> None:
    """What the application has switched off is not switched on by us."""
    app, followed = _app(metrics=False, meter_provider=MeterProvider([reader]))
    with telemetry.instrument(app):
        pass
    assert await ask(app, "/items/1") == [200]
    assert (followed, _counted(reader)) == ([False], 0)
