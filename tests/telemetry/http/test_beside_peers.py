"""What the migration pages say of both at once: the peer and ours see the same requests, whoever came first."""

from __future__ import annotations

from collections import Counter

import pytest
from fastapi import FastAPI, HTTPException
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_fastapi_instrumentator import Instrumentator
from starlette_exporter import PrometheusMiddleware, handle_metrics

import telemetry
from telemetry.testing import Captured
from tests.telemetry.http.conftest import Ask

OWN_ROUTES = {"/metrics"}
Counts = dict[tuple[str, str, str], float]


def _own() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item}")
    def show(item: int) -> int:
        if item == 404:
            raise HTTPException(404)
        return 1 // item

    @app.post("/items")
    def add(body: dict[str, int]) -> dict[str, int]:
        return body

    return app


async def _asked(app: FastAPI, ask: Ask) -> Counter[tuple[str, str, str]]:
    """What became of requests of each kind that the two name alike: method, route, status."""
    sent = Counter[tuple[str, str, str]]()
    for method, path, route, body in (
        ("GET", "/items/1", "/items/{item}", {}),
        ("GET", "/items/2", "/items/{item}", {}),
        ("GET", "/items/404", "/items/{item}", {}),
        ("GET", "/items/0", "/items/{item}", {}),
        ("POST", "/items", "/items", {"json": {"a": 1}}),
        ("POST", "/items", "/items", {"json": []}),
    ):
        for status in await ask(app, path, method=method, **body):
            sent[(method, route, str(status))] += 1
    await ask(app, "/metrics")
    return sent


def _page(page: str, metric: str, *labels: str) -> Counts:
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    counts: Counts = {}
    for sample in samples:
        if sample.name == metric:
            method, route, status = (sample.labels[label] for label in labels)
            counts[(method, route, status)] = sample.value
    return counts


def _ours(captured: Captured) -> Counts:
    rows = [(dict(labels), count) for labels, count in captured.series("http_requests_total").items()]
    return {(row["method"], row["endpoint"], row["status_code"]): count for row, count in rows}


@pytest.mark.parametrize("first", ["theirs", "ours"])
async def test_instrumentator_and_ours_agree(first: str, ask: Ask, captured: Captured) -> None:
    """Beside prometheus-fastapi-instrumentator each request counts once on either side; `/metrics` is left out of both."""
    app, registry = _own(), CollectorRegistry()

    def instrument() -> None:
        telemetry.instrument(app, excluded=OWN_ROUTES)

    def expose() -> None:
        peer = Instrumentator(
            excluded_handlers=[*OWN_ROUTES], should_group_status_codes=False, registry=registry
        ).instrument(app)
        peer.expose(app)

    for step in (expose, instrument) if first == "theirs" else (instrument, expose):
        step()
    sent = await _asked(app, ask)
    theirs = _page(generate_latest(registry).decode(), "http_requests_total", "method", "handler", "status")
    assert theirs == _ours(captured) == sent


@pytest.mark.parametrize("first", ["theirs", "ours"])
async def test_starlette_exporter_and_ours_agree(first: str, ask: Ask, captured: Captured) -> None:
    """Beside starlette_exporter each request counts once on either side; `/metrics` is left out of both."""
    app, name = _own(), f"beside_{first}"

    def instrument() -> None:
        telemetry.instrument(app, excluded=OWN_ROUTES)

    def expose() -> None:
        app.add_middleware(PrometheusMiddleware, app_name=name, prefix=name, skip_paths=[*OWN_ROUTES])
        app.add_route("/metrics", handle_metrics)

    for step in (expose, instrument) if first == "theirs" else (instrument, expose):
        step()
    sent = await _asked(app, ask)
    page = generate_latest().decode()
    assert _page(page, f"{name}_requests_total", "method", "path", "status_code") == _ours(captured) == sent
