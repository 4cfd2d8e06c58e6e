"""The same worker, measured by two lines instead of variables alone."""

from __future__ import annotations

import telemetry
from billing import app

telemetry.configure()
telemetry.instrument_celery(app)

__all__ = ["app"]
