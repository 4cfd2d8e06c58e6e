"""Puts the simulated vendor together: its APIs, how it answers errors, its ledger."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.simulated_llm import anthropic_messages, openai_chat, openai_embeddings, openai_media, openai_responses
from deploy.simulated_llm.faults import VendorError, error_body
from deploy.simulated_llm.models import Model, Provider, offered
from deploy.simulated_llm.paced import Answer, Paced, Piece
from deploy.simulated_llm.settings import Settings
from deploy.simulated_llm.vendor import Vendor, vendor_of


def create_app(settings: Settings) -> FastAPI:
    """The application of one simulated vendor."""
    app = FastAPI(title="Simulated LLM vendor", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.vendor = Vendor(settings)
    for api in (openai_chat, openai_responses, openai_embeddings, openai_media, anthropic_messages):
        app.include_router(api.router)
    app.add_exception_handler(VendorError, _vendor_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(_Labelled)
    _add_own(app)
    return app


def _add_own(app: FastAPI) -> None:
    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "simulated": True}

    @app.get("/v1/models")
    async def models(request: Request) -> dict[str, Any]:
        vendor_of(request).admit(request)
        return _models(_provider(request))

    @app.get("/simulated/ledger")
    async def ledger(request: Request) -> dict[str, Any]:
        return vendor_of(request).ledger.as_dict()

    @app.post("/simulated/reset")
    async def reset(request: Request) -> dict[str, Any]:
        vendor_of(request).admit(request)
        vendor_of(request).reset()
        return {"reset": True, "simulated": True}


def _models(provider: Provider) -> dict[str, Any]:
    found = offered(provider)
    if provider == "openai":
        return {"object": "list", "data": [_openai_model(model) for model in found]}
    data = [
        {"type": "model", "id": model.name, "display_name": model.name, "created_at": "2025-01-01T00:00:00Z"}
        for model in found
    ]
    return {"data": data, "has_more": False, "first_id": found[0].name, "last_id": found[-1].name}


def _openai_model(model: Model) -> dict[str, Any]:
    return {"id": model.name, "object": "model", "created": 1735689600, "owned_by": "simulated"}


def _provider(request: Request) -> Provider:
    """Whose API a client speaks."""
    anthropic = request.url.path == "/v1/messages" or "anthropic-version" in request.headers
    return "anthropic" if anthropic else "openai"


async def _vendor_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VendorError)  # noqa: S101 (registered for nothing else)
    provider, vendor = _provider(request), vendor_of(request)
    body = error_body(provider, error, "req_simulated")
    answer = Answer(
        provider,
        [Piece(json.dumps(body).encode())],
        error.model or "unknown",
        fate=error.fate,
        first=error.first,
        status=error.status,
        headers=error.headers,
    )
    return Paced(answer, vendor.ledger)


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer what the server itself refuses; these are not calls of a model, so the ledger has no line for them."""
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for nothing else)
    sentence = f"Invalid URL ({request.method} {request.url.path[:200]})" if error.status_code == 404 else error.detail
    body = error_body(_provider(request), VendorError(error.status_code, sentence), "req_simulated")
    return Response(json.dumps(body), error.status_code, error.headers, "application/json")


class _Labelled:
    """Middleware: every answer says that it is simulated."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with one header more."""

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-simulated"] = "true"
                headers["x-request-id"] = headers["request-id"] = "req_simulated"
            await send(message)

        forward: Callable[[Scope, Receive, Send], Awaitable[None]] = self._app
        await forward(scope, receive, labelled if scope["type"] == "http" else send)
