"""The service that ``backpressure.py`` measures: it exports, and reads its broker's queues."""

from __future__ import annotations

import os

from celery import Celery
from fastapi import FastAPI

import telemetry
from benchmarks.http_apps import bare


def served() -> FastAPI:
    """For uvicorn."""
    telemetry.configure(service_name="service")
    app = bare(int(os.environ["BENCHMARK_ROUTES"]))
    telemetry.instrument(app)
    telemetry.instrument_celery(Celery("service", broker=os.environ["CELERY_BROKER_URL"]))
    return app
