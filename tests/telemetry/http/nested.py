"""An application whose routes come from an included router, a mounted FastAPI and a mounted Starlette application."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

# What is asked for, and the template that answers.
ASKED = {"/v1/hello/1": "/v1/hello/{n}", "/sub/deep/1": "/sub/deep/{n}", "/classic/in/1": "/classic/in/{n}"}


async def hello(request: Request) -> PlainTextResponse:
    """Says hello."""
    return PlainTextResponse("hello")


def nested(**settings: Any) -> FastAPI:
    """The application, with settings of FastAPI's."""
    app, sub, router = FastAPI(**settings), FastAPI(), APIRouter(prefix="/v1")
    router.get("/hello/{n}")(lambda n: n)
    sub.get("/deep/{n}")(lambda n: n)
    app.include_router(router)
    app.mount("/sub", sub)
    app.mount("/classic", Starlette(routes=[Route("/in/{n}", hello)]))
    return app
