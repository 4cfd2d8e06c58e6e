"""That `telemetry.instrument` says what it measures, and takes what it cannot measure for an error."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

import telemetry
from telemetry import process, testing
from telemetry.instrumentation.fastapi import routers
from tests.telemetry.http.conftest import NESTS_ROUTERS, Ask

KEY = {"method": "GET", "endpoint": "/items/{item}", "status_code": "200"}


async def _item(request: Request) -> PlainTextResponse:
    return PlainTextResponse("item")


async def _function(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("function")(scope, receive, send)


class Plain:
    """An ASGI application of somebody's own that has routes."""

    def __init__(self, *paths: str) -> None:
        self.routes = [Route(path, _item) for path in paths]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("plain")(scope, receive, send)


def _fastapi() -> FastAPI:
    app = FastAPI(title="shop")
    app.get("/items/{item}")(lambda item: item)
    return app


APPLICATIONS = {
    "fastapi": _fastapi,
    "starlette": lambda: Starlette(routes=[Route("/items/{item}", _item)]),
    "router": lambda: Router(routes=[Route("/items/{item}", _item)]),
    "in middleware": lambda: GZipMiddleware(Starlette(routes=[Route("/items/{item}", _item)])),
    "mounted": lambda: Starlette(routes=[Mount("/items", routes=[Route("/{item}", _item)])]),
    "own": lambda: Plain("/items/{item}"),
}


async def test_log_names_what_is_measured(
    ask: Ask, captured: testing.Captured, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the application, its library and the version; the domain has a source of ours."""
    caplog.set_level("INFO", "telemetry")
    app = _fastapi()
    telemetry.instrument(app)
    assert "http metrics of 'shop' come from our own hooks on fastapi 0." in caplog.text
    assert captured.telemetry.own_sources == {"http"}
    assert await ask(app, "/items/1") == [200]
    assert captured.value("http_requests_total", **KEY) == 1


@pytest.mark.parametrize("make", APPLICATIONS.values(), ids=APPLICATIONS)
async def test_applications_of_every_kind(ask: Ask, captured: testing.Captured, make: Any) -> None:
    """Whatever has routes is measured under their templates, with or without a title, and stays what it was."""
    app = make()
    kind = type(app)
    handle = telemetry.instrument(app)
    assert isinstance(app, kind)
    assert await ask(app, "/items/1") == [200]
    assert captured.series("http_requests_total") == {tuple(sorted(KEY.items())): 1}
    assert captured.series("http_requests_in_progress") == {}
    handle.close()
    assert type(app) is kind


@pytest.mark.parametrize("kind", [Starlette, Router])
async def test_in_progress_without_fastapi(ask: Ask, captured: testing.Captured, kind: Any) -> None:
    """While a handler of a Starlette application runs, it is in progress under its route."""
    seen = []

    async def look(request: Request) -> PlainTextResponse:
        seen.append(captured.value("http_requests_in_progress", method="GET", endpoint="/look/{at}"))
        return PlainTextResponse("")

    app = kind(routes=[Route("/look/{at}", look)])
    telemetry.instrument(app)
    await ask(app, "/look/here")
    assert seen == [1]
    assert captured.series("http_requests_in_progress") == {}


@pytest.mark.parametrize("app", [_function, FastAPI, object()], ids=["function", "class", "object"])
def test_what_cannot_be_measured(captured: testing.Captured, app: Any) -> None:
    """What cannot be measured where it is is an error at once, and no claim of metrics."""
    with pytest.raises(TypeError, match=r"instrument\(\)"):
        telemetry.instrument(app)
    assert captured.telemetry.own_sources == set()


async def test_function_behind_a_mount(ask: Ask, captured: testing.Captured) -> None:
    """The remedy that the error names works."""
    app = Starlette(routes=[Mount("/", app=_function)])
    telemetry.instrument(app)
    assert await ask(app, "/any/where") == [200]
    assert captured.value("http_requests_total", method="GET", endpoint="/{path}", status_code="200") == 1


async def test_closing_stops_counting(ask: Ask, captured: testing.Captured) -> None:
    """A closed handle measures nothing, closes twice, and leaves another application's measurement alone."""
    first, second = _fastapi(), _fastapi()
    handle = telemetry.instrument(first)
    assert telemetry.instrument(first) is handle
    telemetry.instrument(second)
    handle.close()
    handle.close()
    await ask(first, "/items/1")
    assert captured.total("http_requests_total") == 0
    await ask(second, "/items/1")
    assert captured.total("http_requests_total") == 1
    assert captured.telemetry.own_sources == {"http"}


async def test_measured_for_a_block(ask: Ask, captured: testing.Captured) -> None:
    """A handle is a context manager, and what was closed can be measured again."""
    app = _fastapi()
    for _ in range(2):
        with telemetry.instrument(app):
            await ask(app, "/items/1")
        await ask(app, "/items/1")
    assert captured.total("http_requests_total") == 2
    assert captured.telemetry.own_sources == set()


async def test_copy_of_a_measured_application(ask: Ask, captured: testing.Captured) -> None:
    """A copy that was made while its model was measured is measured anew once that is closed, as often as one likes."""
    app = _fastapi()
    handle = telemetry.instrument(app)
    copied = copy.copy(app)
    assert telemetry.instrument(copied) is handle
    handle.close()
    assert await ask(copied, "/items/1") == [200]
    assert not captured.value("http_requests_total", **KEY)
    for number in (1, 2):
        again = telemetry.instrument(copied)
        assert not again.is_closed
        assert telemetry.instrument(copied) is again
        assert await ask(copied, "/items/1") == await ask(app, "/items/1") == [200]
        assert captured.value("http_requests_total", **KEY) == number
        again.close()
        assert type(copied) is FastAPI


async def test_closed_during_a_request(ask: Ask, captured: testing.Captured) -> None:
    """A request that runs while its application's handle is closed is counted, and leaves nothing in progress."""
    app = FastAPI()
    handle = telemetry.instrument(app)
    app.get("/close")(handle.close)
    assert await ask(app, "/close", "/close") == [200, 200]
    assert captured.total("http_requests_total", endpoint="/close") == 1
    assert captured.series("http_requests_in_progress") == {}


@pytest.mark.parametrize("closes", [True, False], ids=["closed", "dropped"])
@pytest.mark.parametrize("make", [_fastapi, APPLICATIONS["starlette"], APPLICATIONS["router"]])
async def test_nothing_is_left_of_applications(ask: Ask, captured: testing.Captured, make: Any, closes: bool) -> None:
    """Applications that are made, used and dropped are garbage, whether or not their handles were closed."""
    threads, seen = threading.active_count(), []
    for _ in range(60):
        app = make()
        handle = telemetry.instrument(app)
        seen += [weakref.ref(app), weakref.ref(handle), weakref.ref(type(app))]
        if closes:
            handle.close()
            seen.pop()
        del app, handle
    app = make()
    telemetry.instrument(app)
    await ask(app, "/items/1")
    seen.append(weakref.ref(app))
    del app
    gc.collect()
    assert [reference() for reference in seen if reference() is not None] == []
    assert threading.active_count() <= threads + 1
    assert process.current.measured.domains() == frozenset()


@NESTS_ROUTERS
def test_libraries_are_as_they_were(captured: testing.Captured) -> None:
    """Once the last application is closed, FastAPI and Starlette are as they were."""
    gc.collect()
    routers.stop_listening()
    import fastapi.routing

    before = (Route.handle, Mount.handle, fastapi.routing._route_selected)
    first, second = telemetry.instrument(_fastapi()), telemetry.instrument(_fastapi())
    apps = [_fastapi(), _fastapi()]
    handles = [telemetry.instrument(app) for app in apps]
    assert Route.handle is not before[0]
    for handle in (first, second, *handles):
        handle.close()
    assert (Route.handle, Mount.handle, fastapi.routing._route_selected) == before


async def test_closed_under_somebody_elses_class(ask: Ask, captured: testing.Captured) -> None:
    """An application whose class somebody derived from ours keeps that class, and is not measured once it is closed."""
    app = _fastapi()
    handle = telemetry.instrument(app)
    theirs = type("Theirs", (type(app),), {})
    app.__class__ = theirs
    await ask(app, "/items/1")
    handle.close()
    await ask(app, "/items/1")
    assert type(app) is theirs
    assert captured.total("http_requests_total") == 1
    assert telemetry.instrument(app) is not handle
    await ask(app, "/items/1")
    assert captured.total("http_requests_total") == 2
