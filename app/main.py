"""The app as `uvicorn app.main:app` serves it, configured by the environment; `app.factory` puts it together."""

from __future__ import annotations

import sys

from fastapi import FastAPI

from app.factory import create_app
from app.settings import SettingsError, get_settings
from worker import logs


def _from_environment() -> FastAPI:
    logs.install()
    try:
        return create_app(get_settings())
    except SettingsError as error:
        sys.exit(f"The chat backend cannot start:\n{error}")


app = _from_environment()
