"""What the HTTP tests share: one way to ask an application, and hooks that other tests left do not count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import fastapi.routing
import httpx
import pytest

from telemetry import process

Ask = Callable[..., Awaitable[list[int]]]
# Older versions have no traces of their own, and Starlette's routes only, of an included router APIRoute's only.
NESTS_ROUTERS = pytest.mark.skipif(
    not hasattr(fastapi.routing, "_route_selected"), reason="this FastAPI copies the routes of included routers"
)


@pytest.fixture(autouse=True)
def _nothing_measured_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Applications of other tests may not be garbage yet."""
    monkeypatch.setattr(process.current, "measured", process.Measured())


@pytest.fixture
def ask() -> Ask:
    """Sends requests to an application, one after the other; the statuses of the answers."""

    async def ask(app: Any, *paths: str, method: str = "GET", root_path: str = "", **request: Any) -> list[int]:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [(await client.request(method, path, **request)).status_code for path in paths]

    return ask
