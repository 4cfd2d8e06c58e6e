"""The application that the replicas of these tests serve: `uvicorn tests.accuracy.replica:app`, or gunicorn."""

from __future__ import annotations

from fastapi import FastAPI

import telemetry

telemetry.configure("replica")
app = FastAPI()
telemetry.instrument(app)


@app.get("/items/{number}")
async def read_item(number: int) -> dict[str, int]:
    """Answers at once."""
    return {"number": number}
