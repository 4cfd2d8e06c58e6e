"""The application that replicas serve: `uvicorn tests.accuracy.replica:noted`, or gunicorn; who measures it is chosen."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI

from tests.accuracy.systems import measuring

app = FastAPI()
getattr(measuring, os.environ["MEASURED_BY"])(app)
_notes = [
    os.open(f"{os.environ['NOTES']}.{end}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) for end in ("begun", "done")
]


@app.get("/items/{number}")
async def read_item(number: int) -> dict[str, int]:
    """Answers at once."""
    return {"number": number}


async def noted(scope: Any, receive: Any, send: Any) -> None:
    """The application, with a byte before each request and one after it: what happened, whoever is killed."""
    is_counted = scope.get("path", "").startswith("/items/")
    if is_counted:
        os.write(_notes[0], b"x")
    await app(scope, receive, send)
    if is_counted:
        os.write(_notes[1], b"x")
