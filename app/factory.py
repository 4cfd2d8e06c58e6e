"""Puts the app together from its parts; reading the environment is left to `app.main`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

import telemetry
from app import catalogue, errors, facts
from app.body_limit import BodyLimit
from app.resources import open_resources
from app.routes import ROUTERS
from app.settings import Settings
from worker.celery_app import celery_app

# What /docs is drawn with comes from here: FastAPI's own page takes it from a CDN.
_PAGES = "/docs/static"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    resources = open_resources(app.state.settings)
    app.state.resources = resources
    try:
        async with facts.reading(resources):
            yield
    finally:
        await resources.close()


def create_app(settings: Settings) -> FastAPI:
    """Return the app, ready to be served."""
    telemetry.configure(service_name="chat-app", catalogue=catalogue.MODULES)
    made = FastAPIOffline(title="Chat backend", version="1", lifespan=_lifespan, redoc_url=None, static_url=_PAGES)
    made.state.settings = settings
    for router in ROUTERS:
        made.include_router(router)
    errors.install(made)
    made.add_middleware(BodyLimit, max_file_bytes=settings.upload_max_bytes)
    telemetry.instrument(made)
    telemetry.instrument_celery(celery_app)
    return made
