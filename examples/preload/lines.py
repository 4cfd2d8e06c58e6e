"""The same application, measured by two lines instead of variables alone."""

from __future__ import annotations

import telemetry
from own import app

telemetry.configure()
telemetry.instrument(app)

__all__ = ["app"]
