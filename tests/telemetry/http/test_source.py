"""Which source `telemetry.instrument` chooses, and that it says so."""

from __future__ import annotations

import sys

import httpx
import pytest
from fastapi import FastAPI

import telemetry
from telemetry import testing

HOOKS, INSTRUMENTOR = (
    "telemetry.instrumentation.fastapi.application",
    "opentelemetry.instrumentation.fastapi",
)


async def _ask(captured: testing.Captured) -> float | None:
    app = FastAPI(title="shop")
    app.get("/items/{item}")(lambda item: item)
    telemetry.instrument(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        assert (await client.get("/items/1")).status_code == 200
    return captured.value("http_requests_total", method="GET", endpoint="/items/{item}", status_code="200")


async def test_hooks_are_chosen(captured: testing.Captured, caplog: pytest.LogCaptureFixture) -> None:
    """Our own hooks are the cheapest complete source; the log names application and version."""
    caplog.set_level("INFO", "telemetry")
    assert await _ask(captured) == 1
    assert "http metrics of 'shop' come from our own hooks on FastAPI" in caplog.text
    assert captured.telemetry.own_sources == {"http"}


async def test_instrumentor_where_hooks_fail(
    captured: testing.Captured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a FastAPI that does not tell its routes the instrumentor measures, and the log says what is missing."""
    monkeypatch.setitem(sys.modules, HOOKS, None)
    assert await _ask(captured) == 1
    assert "come from FastAPIInstrumentor" in caplog.text
    assert captured.telemetry.own_sources == set()


async def test_no_source_is_said(
    captured: testing.Captured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without any source the application goes on, and the log says what to install."""
    monkeypatch.setitem(sys.modules, HOOKS, None)
    monkeypatch.setitem(sys.modules, INSTRUMENTOR, None)
    assert await _ask(captured) is None
    assert "no http metrics of 'shop'" in caplog.text
    assert "install fastapi>=0.160" in caplog.text
