"""A FastAPI application with another one and a Starlette one mounted into it, and no line of telemetry."""

from __future__ import annotations

import os

import uvicorn
from fastapi import FastAPI, HTTPException
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def hello(request: Request) -> PlainTextResponse:
    """A handler of Starlette's own."""
    return PlainTextResponse(f"hello {request.path_params['name']}")


admin = FastAPI()
greetings = Starlette(routes=[Route("/{name}", hello)])
app = FastAPI()
app.mount("/admin", admin)
app.mount("/greetings", greetings)


@app.get("/items/{item}")
def read(item: int) -> dict[str, int]:
    """An item, if there is one."""
    if item < 0:
        raise HTTPException(404)
    return {"item": item}


@app.post("/items", status_code=201)
async def create() -> dict[str, str]:
    """A new item."""
    return {"item": "new"}


@admin.get("/users/{user}")
async def user(user: str) -> dict[str, str]:
    """A user of the mounted application."""
    return {"user": user}


@admin.get("/broken")
def broken() -> None:
    """Never works."""
    raise RuntimeError("broken on purpose")


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
