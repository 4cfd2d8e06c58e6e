"""A FastAPI application that gunicorn imports once, before it forks its workers."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.get("/pages/{page}")
async def page(page: str) -> dict[str, str]:
    """A page."""
    return {"page": page}
