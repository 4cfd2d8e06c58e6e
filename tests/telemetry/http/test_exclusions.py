"""What `TELEMETRY_EXCLUDED_PATHS` and `instrument(excluded=…)` leave out, and how wrong entries are refused."""

from __future__ import annotations

import httpx
import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.testclient import TestClient

import telemetry
from support.waiting import eventually
from telemetry import Settings, SettingsError, testing
from telemetry.settings.exclusions import Exclusions, split
from tests.support.server import serving
from tests.telemetry.http.conftest import Ask

PATHS = ("/health", "/health/deep", "/items/7", "/items/x", "/internal/jobs/3")


def _app(**settings: object) -> FastAPI:
    app, router = FastAPI(**settings), APIRouter(prefix="/items")  # type: ignore[arg-type]
    app.get("/health")(lambda: "ok")
    app.post("/health")(lambda: "ok")
    app.get("/health/deep")(lambda: "ok")
    app.get("/internal/jobs/{job}")(lambda job: job)
    app.get("/fails")(lambda: 1 / 0)
    router.get("/{item}")(lambda item: item)
    app.include_router(router)
    return app


def _counted(captured: testing.Captured) -> set[str]:
    return {dict(key)["endpoint"] for key in captured.series("http_requests_total")}


ALL = {"/health", "/health/deep", "/items/{item}", "/internal/jobs/{job}"}
LEFT_OUT = [
    ("/health", {"/health"}),
    ("^/health", {"/health", "/health/deep"}),
    ("^/internal/, /health", {"/internal/jobs/{job}", "/health"}),
    ("^.*/jobs/[0-9]{1,3}$", {"/internal/jobs/{job}"}),
    ("/items/{item}", {"/items/{item}"}),
    ("GET /items/{item}", {"/items/{item}"}),
    ("POST /items/{item}", set()),
    ("POST /health", set()),
    ("GET ^/health", {"/health", "/health/deep"}),
    ("GET", ALL),
    ("OPTIONS", set()),
]


@pytest.mark.parametrize("as_argument", [True, False], ids=["argument", "setting"])
@pytest.mark.parametrize(("entries", "left_out"), LEFT_OUT, ids=[entries for entries, _ in LEFT_OUT])
async def test_left_out(ask: Ask, entries: str, left_out: set[str], as_argument: bool) -> None:
    """Paths, templates, expressions and methods leave requests out, by argument as by setting."""
    settings = Settings() if as_argument else Settings.from_environment(None, {"TELEMETRY_EXCLUDED_PATHS": entries})
    with testing.captured(settings) as captured:
        app = _app()
        telemetry.instrument(app, excluded=entries if as_argument else ())
        assert await ask(app, *PATHS) == [200] * len(PATHS)
        assert _counted(captured) == ALL - left_out
        assert captured.series("http_requests_in_progress") == {}


async def test_both_add_up(ask: Ask) -> None:
    """The argument leaves out more than the setting does."""
    with testing.captured(Settings(excluded_paths=frozenset({"/health"}))) as captured:
        app = _app()
        telemetry.instrument(app, excluded=["^/internal/", "/items/{item}"])
        await ask(app, *PATHS)
        assert _counted(captured) == {"/health/deep"}


async def test_errors_of_what_is_left_out(ask: Ask, captured: testing.Captured) -> None:
    """A request that is left out leaves no error either, whichever way it is left out."""
    for entry in ("/fails", "^/fa"):
        app = _app()
        telemetry.instrument(app, excluded=[entry])
        assert await ask(app, "/fails") == [500]
    templated = FastAPI()
    templated.get("/fails/{how}")(lambda how: 1 / 0)
    telemetry.instrument(templated, excluded=["/fails/{how}"])
    assert await ask(templated, "/fails/now") == [500]
    assert captured.total("errors_total") == captured.total("http_requests_total") == 0


@pytest.mark.parametrize("entry", ["/health", "/api/health", "^/health$", "^/api/health$"])
@pytest.mark.parametrize("path", ["/health", "/api/health"])
async def test_with_and_without_root_path(ask: Ask, captured: testing.Captured, entry: str, path: str) -> None:
    """An entry is matched with the server's root path and without it, whichever of the two is in the request."""
    app = _app()
    telemetry.instrument(app, excluded=[entry])
    assert await ask(app, path, root_path="/api") == [200]
    assert captured.total("http_requests_total") == 0
    await ask(app, "/apihealth", "/other/health", root_path="/api")
    assert captured.total("http_requests_total") == 2


def test_root_path_of_a_server() -> None:
    """Behind `uvicorn --root-path` an excluded path is left out, and others have the label they have without it."""
    with testing.captured(Settings(excluded_paths=frozenset({"/health"}))) as captured:
        app = _app()
        telemetry.instrument(app)
        with serving(app, root_path="/api") as address:
            assert httpx.get(f"http://{address}/health").status_code == 200
            assert httpx.get(f"http://{address}/items/1").status_code == 200
            assert eventually(lambda: _counted(captured) == {"/items/{item}"})


@pytest.mark.filterwarnings("ignore:The `root_path` parameter")
async def test_root_path_of_the_application(ask: Ask, captured: testing.Captured) -> None:
    """The same by FastAPI's own parameter."""
    app = _app(root_path="/api")
    telemetry.instrument(app, excluded=["/api/health", "/items/{item}"])
    assert await ask(app, "/health", "/api/health", "/items/1", "/health/deep") == [200] * 4
    assert _counted(captured) == {"/health/deep"}


async def test_what_is_left_out_is_not_declared(ask: Ask, captured: testing.Captured) -> None:
    """A route that is left out has no series at 0."""
    app = _app()
    telemetry.instrument(app, excluded=["GET /health", "/items/{item}", "^/internal/"])
    await ask(app, "/health/deep")
    declared = {
        (dict(key)["method"], dict(key)["endpoint"]) for key in captured.series("http_requests_total", zeros=True)
    }
    ours = {(method, endpoint) for method, endpoint in declared if endpoint in ALL}
    assert ours == {("POST", "/health"), ("GET", "/health/deep")}


async def test_left_out_of_mounted_applications(ask: Ask, captured: testing.Captured) -> None:
    """What is left out of an application is left out of one inside that is measured for itself, too."""
    app, sub = FastAPI(), _app()
    app.mount("/sub", sub)
    telemetry.instrument(app, excluded=["/sub/health", "/sub/items/{item}"])
    telemetry.instrument(sub)
    assert await ask(app, "/sub/health", "/sub/items/1", "/sub/health/deep") == [200] * 3
    assert _counted(captured) == {"/sub/health/deep"}


async def test_left_out_where_nothing_was_routed(ask: Ask, captured: testing.Captured) -> None:
    """A request that a middleware refuses is left out by the template it asked for."""
    app = _app()

    @app.middleware("http")
    async def refuse(request: object, call_next: object) -> object:
        raise ZeroDivisionError

    telemetry.instrument(app, excluded=["/items/{item}"])
    await ask(app, "/items/1", "/health")
    assert _counted(captured) == {"/health"}


@pytest.mark.parametrize(("entry", "counts"), [("/ws", 0), ("/rooms/{room}", 0), ("GET", 1), ("GET /ws", 1)])
def test_websockets(captured: testing.Captured, entry: str, counts: int) -> None:
    """An entry without a method leaves WebSockets out as well."""
    app = FastAPI()

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    app.websocket("/rooms/{room}" if "{" in entry else "/ws")(echo)
    telemetry.instrument(app, excluded=[entry])
    with TestClient(app).websocket_connect("/rooms/7" if "{" in entry else "/ws") as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "hello"
    assert captured.total("websocket_connections_total") == counts
    assert captured.total("websocket_messages_total") == 2 * counts
    assert bool(captured.series("websocket_connections_total", zeros=True)) is bool(counts)


async def test_expressions_are_asked_of_paths(ask: Ask, captured: testing.Captured) -> None:
    """An expression leaves out what its path says, the same with a template beside it, which it is not asked of."""
    for entries in ("^/files/[^/]+$", "^/files/[^/]+$,/items/{item}", "GET ^/files/[^/]+$,GET /items/{item}"):
        app = _app()
        app.get("/files/{path:path}")(lambda path: path)
        telemetry.instrument(app, excluded=entries)
        before = captured.value("http_requests_total", method="GET", endpoint="/files/{path}", status_code="200") or 0
        assert await ask(app, "/files/a/b", "/files/a") == [200, 200]
        key = {"method": "GET", "endpoint": "/files/{path}", "status_code": "200"}
        assert captured.value("http_requests_total", **key) == before + 1


def test_expressions_are_asked_of_paths_of_websockets(captured: testing.Captured) -> None:
    """The same for WebSockets, also for one that is refused."""
    app = FastAPI()

    async def echo(websocket: WebSocket, path: str) -> None:
        await websocket.accept()
        await websocket.close()

    app.websocket("/files/{path:path}")(echo)
    telemetry.instrument(app, excluded="^/files/[^/]+$,/items/{item}")
    for path in ("/files/a", "/files/a/b"):
        with TestClient(app).websocket_connect(path):
            pass
    assert captured.total("websocket_connections_total") == 1


async def test_path_is_not_a_template(ask: Ask, captured: testing.Captured) -> None:
    """An entry that is a path leaves out this path alone, the same with a template beside it."""
    for number, entries in enumerate(("/health", "/health,/items/{item}"), 1):
        app = _app()
        telemetry.instrument(app, excluded=entries)
        assert await ask(app, "/health/", "/health") == [307, 200]
        assert captured.total("http_requests_total") == number


DECLARED = [
    ("^/internal/", "/internal/jobs/{job}", True),
    ("^/internal/.*", "/internal/jobs/{job}", True),
    ("^/internal/jobs/$", "/internal/jobs/{job}", False),
    ("^/internal/jobs/[^/]+$", "/internal/jobs/{job}", False),
    ("^/internal/jobs/[0-9]+$", "/internal/jobs/{job}", False),
    ("^/health$", "/health", True),
    ("^/api/health$", "/health", True),
    ("/items/{item}", "/items/{item}", True),
    ("/api/items/{item}", "/items/{item}", False),
    ("POST ^/internal/", "/internal/jobs/{job}", False),
    ("GET", "/items/{item}", True),
]


@pytest.mark.parametrize(("entries", "template", "covered"), DECLARED)
def test_every_request_to_a_route(entries: str, template: str, covered: bool) -> None:
    """A route is not declared where its template says that all of its requests are left out, and only there."""
    assert Exclusions.parse(entries).cover_route("GET", template, "/api") is covered


WRONG = [
    "health",
    "get /health",
    "GTE /health",
    "^/(",
    "GET health",
    "http://x/health",
    "/a, b",
    "^/(a+)+$",
    "^/x{99999999999}",
]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_entries(wrong: str) -> None:
    """A wrong entry is refused at start, in either place, naming where, the value and the remedy."""
    name = "TELEMETRY_EXCLUDED_PATHS"
    with pytest.raises(SettingsError, match="write it as") as refused:
        Settings.from_environment(None, {name: wrong, "TELEMETRY_STRICT": "true"})
    assert f"{name}={wrong!r}" in str(refused.value)
    with pytest.raises(SettingsError, match=r"excluded_paths: .*write it as"):
        Settings(excluded_paths=frozenset(split(wrong)))
    app = FastAPI()
    with pytest.raises(ValueError, match="write it as") as argument:
        telemetry.instrument(app, excluded=wrong)
    assert f"instrument(excluded={wrong!r})" in str(argument.value)
    assert type(app) is FastAPI


def test_commas() -> None:
    """A comma within brackets, or behind a backslash's bracket, does not end an entry."""
    assert split(r" /a ,^/b{1,3}$,, ^/[c,d]/(e,f) , GET ^/\(g, PUT") == [
        "/a",
        "^/b{1,3}$",
        "^/[c,d]/(e,f)",
        r"GET ^/\(g",
        "PUT",
    ]
    assert split(r"^/[(]x,/health,^/[^],]+[]({,],^/[\],(],/a),^/b(c,d)") == [
        "^/[(]x",
        "/health",
        "^/[^],]+[]({,]",
        r"^/[\],(]",
        "/a)",
        "^/b(c,d)",
    ]
    assert Exclusions.parse(r"^/[(]x,/health").cover("GET", "/health")
    assert not Exclusions.parse(" , ")
