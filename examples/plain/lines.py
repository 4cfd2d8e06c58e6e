"""The same application, measured by two lines instead of variables alone."""

from __future__ import annotations

import os

import telemetry
import uvicorn
from own import app

telemetry.configure()
telemetry.instrument(app)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
