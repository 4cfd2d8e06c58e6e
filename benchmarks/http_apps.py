"""The same FastAPI application under every way of measuring it; what is measured is in ``http.py``."""

from __future__ import annotations

import os
from collections.abc import Callable

from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import NoOpTracerProvider
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"  # read once, when the first instrumentor is made

from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from starlette_exporter import PrometheusMiddleware

import telemetry
from benchmarks.measure import in_a_box


def last_path(routes: int) -> str:
    """URL path of the route that is matched last."""
    return f"/api/v1/resource{routes - 1}/7"


def bare(routes: int) -> FastAPI:
    """The application, not measured."""
    app = FastAPI()
    for number in range(routes):

        async def read(item: int) -> dict[str, int]:
            return {"item": item}

        app.get(f"/api/v1/resource{number}/{{item}}")(read)
    return app


def ours(routes: int) -> FastAPI:
    """``telemetry.instrument`` with the SDK and a reader behind it."""
    app = bare(routes)
    in_a_box()
    telemetry.instrument(app)
    return app


def instrumentator(routes: int) -> FastAPI:
    """prometheus-fastapi-instrumentator with its defaults (no requests in progress)."""
    app = bare(routes)
    Instrumentator(registry=CollectorRegistry()).instrument(app)
    return app


def instrumentator_in_progress(routes: int) -> FastAPI:
    """prometheus-fastapi-instrumentator with requests in progress by endpoint, as the guide documents."""
    app = bare(routes)
    Instrumentator(
        registry=CollectorRegistry(),
        should_instrument_requests_inprogress=True,
        inprogress_name=f"http_requests_in_progress_{routes}",
        inprogress_labels=True,
    ).instrument(app)
    return app


def starlette_exporter(routes: int) -> FastAPI:
    """starlette_exporter with route templates."""
    app = bare(routes)
    app.add_middleware(PrometheusMiddleware, prefix=f"starlette_{routes}", group_paths=True)
    return app


def opentelemetry(routes: int) -> FastAPI:
    """The contrib instrumentor, metrics only, with the SDK and a reader behind it."""
    app = bare(routes)
    FastAPIInstrumentor.instrument_app(
        app,
        meter_provider=MeterProvider(metric_readers=[InMemoryMetricReader()]),
        tracer_provider=NoOpTracerProvider(),
    )
    return app


def native(routes: int) -> FastAPI:
    """FastAPI's own telemetry, metrics only, with the SDK and a reader behind it."""
    provider = MeterProvider(metric_readers=[InMemoryMetricReader()])
    app = FastAPI(telemetry={"meter_provider": provider, "tracing": False, "logs": False})
    app.router.routes.extend(bare(routes).routes)
    return app


VARIANTS: dict[str, Callable[[int], FastAPI]] = {
    "bare": bare,
    "ours": ours,
    "prometheus-fastapi-instrumentator": instrumentator,
    "prometheus-fastapi-instrumentator, in progress on": instrumentator_in_progress,
    "starlette_exporter": starlette_exporter,
    "FastAPIInstrumentor": opentelemetry,
    "FastAPI native telemetry": native,
}


def served() -> FastAPI:
    """The variant the environment names, for uvicorn."""
    return VARIANTS[os.environ["BENCHMARK_VARIANT"]](int(os.environ["BENCHMARK_ROUTES"]))


__all__ = ["VARIANTS", "last_path", "served"]
