"""What the hooks rely on in FastAPI, Starlette and uvicorn may change: no request ever sees it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import wraps
from typing import Any

import fastapi.routing
import pytest
import starlette.routing
import uvicorn.protocols.http.h11_impl  # noqa: F401 - what is loaded is checked
from opentelemetry.sdk.trace import TracerProvider

import telemetry
from telemetry import guard, process, testing
from telemetry.instrumentation.assumptions import Assumption
from telemetry.instrumentation.fastapi import assumptions, measurement, request, routers
from tests.telemetry.http.conftest import Ask
from tests.telemetry.http.nested import ASKED, nested


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    routers.stop_listening()
    monkeypatch.setattr(process.current, "told", set())
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    yield
    monkeypatch.undo()
    routers.stop_listening()


_api = pytest.importorskip("fastapi.telemetry._api", reason="an older FastAPI has Starlette's routes only")
ALL = (*assumptions.FASTAPI, *assumptions.NATIVE, *assumptions.STARLETTE, *assumptions.UVICORN)


def test_they_hold_today(caplog: pytest.LogCaptureFixture) -> None:
    """Every assumption holds for the installed versions, and nothing is said."""
    assert [assumption for assumption in ALL if not assumption.holds()] == []
    assert assumptions.routers_tell()
    assert caplog.records == []


async def test_second_application(
    ask: Ask, captured: testing.Captured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every application of a process learns its routes from the routers: no error, and no route is matched twice."""
    matched: list[object] = []
    monkeypatch.setattr(measurement, "_match", lambda *given: matched.append(given))
    for _ in range(3):
        app = nested()
        telemetry.instrument(app)
        assert await ask(app, *ASKED) == [200] * 3
    assert matched == []
    assert caplog.records == []
    assert captured.total("errors_total") == 0
    assert captured.total("http_requests_total") == 9


@pytest.mark.parametrize("native", [False, True])
async def test_private_field_is_renamed(
    ask: Ask, captured: testing.Captured, monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    """FastAPI's own record of a request may look as it likes: requests are answered and counted."""

    def selected(*, scope: Any, path: str | None, mount: bool = False) -> None:
        record = scope.get("fastapi.telemetry")
        if record is not None and path is not None:
            record.route = path

    monkeypatch.setattr(fastapi.routing, "_route_selected", selected)
    monkeypatch.delattr(_api._RequestTelemetry, "_mount_prefix")
    monkeypatch.setattr(
        _api._RequestTelemetry,
        "__init__",
        lambda self, **named: vars(self).update(
            {"route": None, "status_code": None, "data": None, "_exceptions": [], **named}
        ),
    )
    app = nested(**({"telemetry": {"tracer_provider": TracerProvider()}} if native else {}))
    telemetry.instrument(app)
    assert await ask(app, *ASKED) == [200] * 3
    assert {dict(key)["endpoint"] for key in captured.series("http_requests_total")} == set(ASKED.values())


MOVED = [
    (fastapi.routing, "_route_selected", "fastapi.routing._route_selected"),
    (starlette.routing.Mount, "handle", "starlette.routing:Mount.handle"),
]


@pytest.mark.parametrize(("owner", "name", "said"), MOVED, ids=str)
async def test_routers_that_do_not_tell(
    ask: Ask,
    captured: testing.Captured,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: Any,
    name: str,
    said: str,
) -> None:
    """Where what tells the route has moved, routes are matched: same labels, one log line, one error, also twice."""
    monkeypatch.setattr(Assumption, "holds", lambda self: f"{self.owner}.{self.attribute}" != said)
    seen = []
    app = nested()

    @app.get("/look/{at}")
    def look(at: str) -> None:
        seen.append(captured.value("http_requests_in_progress", method="GET", endpoint="/look/{at}"))

    with caplog.at_level(logging.WARNING, "telemetry"):
        telemetry.instrument(app)
        telemetry.instrument(nested())
    assert [said in record.getMessage() for record in caplog.records] == [True]
    assert captured.series("errors_total") == {
        (("component", "telemetry"), ("error_type", "MissingAssumptionError")): 1
    }
    assert await ask(app, *ASKED, "/nothing", "/look/here") == [200, 200, 200, 404, 200]
    counted = {dict(key)["endpoint"]: value for key, value in captured.series("http_requests_total").items()}
    assert counted == {**dict.fromkeys(ASKED.values(), 1), "unmatched": 1, "/look/{at}": 1}
    assert seen == [1]
    assert captured.series("http_requests_in_progress") == {}


async def test_router_that_says_less(ask: Ask, captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A router that goes silent after the hooks are installed costs no count: the route is matched at the end."""
    app = nested()
    telemetry.instrument(app)
    monkeypatch.setattr(fastapi.routing, "_route_selected", lambda **named: None)
    monkeypatch.setattr(starlette.routing.Route, "handle", routers._replaced[starlette.routing.Route, "handle"][0])
    monkeypatch.setattr(starlette.routing.Mount, "handle", routers._replaced[starlette.routing.Mount, "handle"][0])
    assert await ask(app, *ASKED, "/nothing") == [200, 200, 200, 404]
    assert {dict(key)["endpoint"] for key in captured.series("http_requests_total")} == {*ASKED.values(), "unmatched"}


async def test_somebody_else_wraps_the_same(
    ask: Ask, captured: testing.Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where somebody wraps what we wrapped, ending and beginning again counts under the same label."""
    telemetry.instrument(nested()).close()
    first = telemetry.instrument(nested())
    wrapped = starlette.routing.Mount.handle

    @wraps(wrapped)
    def theirs(*given: Any) -> Any:
        return wrapped(*given)

    monkeypatch.setattr(starlette.routing.Mount, "handle", theirs)
    first.close()
    app = nested()
    telemetry.instrument(app)
    assert await ask(app, "/classic/in/1") == [200]
    assert {dict(key)["endpoint"] for key in captured.series("http_requests_total")} == {"/classic/in/{n}"}


BROKEN = [
    (measurement.ObservedRequest, "__init__"),
    (request.ObservedRequest, "selected"),
    (request.ObservedRequest, "told"),
    (request.ObservedRequest, "entered"),
    (request.ObservedRequest, "handled"),
    (request.ObservedRequest, "_without_route"),
    (measurement.Measurement, "_record_into"),
    (measurement, "_root_path"),
    (request, "route_it_would_take"),
]


@pytest.mark.parametrize(("owner", "name"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
async def test_bug_of_ours(
    ask: Ask, captured: testing.Captured, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    """Whatever of the hooks raises, every request is answered as without them."""

    def broken(*arguments: Any, **named: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(owner, name, broken)
    app = nested()
    telemetry.instrument(app, excluded="/health")
    assert await ask(app, *ASKED, "/nothing", "/v1/hello/1/") == [200, 200, 200, 404, 307]
    assert captured.series("http_requests_in_progress") == {}


async def test_scope_without_what_the_specification_wants(ask: Ask, captured: testing.Captured) -> None:
    """A server that leaves a key out breaks nothing that the application would not break by itself."""
    answers = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        answers.append(scope["type"])

    class App:
        routes: list[Any] = []  # noqa: RUF012

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await inner(scope, receive, send)

    app = App()
    telemetry.instrument(app, excluded="^/x")
    for scope in ({"type": "http"}, {"type": "websocket"}, {"type": "lifespan"}, {"type": "else"}):
        await app(scope, None, None)  # type: ignore[arg-type]
    assert answers == ["http", "websocket", "lifespan", "else"]
