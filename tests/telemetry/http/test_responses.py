"""What an application answered, or did not: statuses, first bytes and sizes as the client saw them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Body, FastAPI, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

import telemetry
from support.waiting import eventually
from telemetry import testing
from tests.support.server import serving
from tests.telemetry.http.conftest import Ask

SIZES = ("http_request_size_bytes", "http_response_size_bytes")


async def _silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Returns without a response."""


async def _headers_only(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 202, "headers": []})


@pytest.mark.parametrize(("inner", "status"), [(_silent, 500), (_headers_only, 202)])
def test_application_without_a_response(captured: testing.Captured, inner: Any, status: int) -> None:
    """No response at all is a 500, as the server sends it, and nothing sent has no first byte."""
    app = FastAPI()
    app.mount("/silent", inner)
    telemetry.instrument(app)
    key = {"method": "GET", "endpoint": "/silent/{path}"}
    with serving(app) as address:
        if status == 500:
            assert httpx.get(f"http://{address}/silent/x").status_code == 500
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                httpx.get(f"http://{address}/silent/x")
        assert eventually(lambda: captured.value("http_requests_total", **key, status_code=str(status)) == 1)
    assert captured.value("http_request_duration_seconds", **key) == 1
    assert not captured.value("http_time_to_first_byte_seconds", **key)
    assert captured.series("http_requests_in_progress") == {}


async def test_client_that_left_before_a_response(captured: testing.Captured) -> None:
    """An application that ends because its client left has answered nothing: 499, and no first byte."""

    async def leave(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    app = FastAPI()
    app.mount("/leave", leave)
    telemetry.instrument(app)
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "method": "GET", "path": "/leave/x", "headers": [], "query_string": b"", "root_path": ""}
    await app(scope, receive, send)
    assert captured.value("http_requests_total", method="GET", endpoint="/leave/{path}", status_code="499") == 1
    assert captured.total("http_time_to_first_byte_seconds") == 0
    assert "telemetry.observed" not in scope


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    """An application with bodies of every kind, measured."""
    made = FastAPI()
    (tmp_path / "file").write_bytes(b"x" * 300_000)
    made.get("/plain")(lambda: Response(b"x" * 1000))
    made.get("/empty")(lambda: Response(status_code=204))
    made.get("/file")(lambda: FileResponse(tmp_path / "file"))
    made.post("/unread")(lambda: Response(b"x"))

    @made.get("/stream")
    async def stream() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(5):
                yield b"x" * 100

        return StreamingResponse(body())

    @made.post("/echo")
    async def echo(body: Annotated[bytes, Body()]) -> Response:
        return Response(body)

    @made.post("/streamed")
    async def streamed(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    telemetry.instrument(made)
    return made


def _sums(captured: testing.Captured, method: str, endpoint: str) -> tuple[float | None, float | None]:
    received, sent = (captured.histogram_sum(name, method=method, endpoint=endpoint) for name in SIZES)
    return received, sent


async def test_sizes_of_responses(ask: Ask, captured: testing.Captured, app: FastAPI) -> None:
    """Bodies count by the bytes that were sent, in one piece or many; a response without one does not count."""
    await ask(app, "/plain", "/stream", "/file", "/empty")
    await ask(app, "/plain", method="HEAD")
    assert _sums(captured, "GET", "/plain") == (None, 1000)
    assert _sums(captured, "GET", "/stream") == (None, 500)
    assert _sums(captured, "GET", "/file") == (None, 300_000)
    assert _sums(captured, "GET", "/empty") == (None, None)
    assert captured.value("http_response_size_bytes", method="GET", endpoint="/file") == 1
    assert captured.buckets("http_response_size_bytes", method="GET", endpoint="/plain") == [0, 1, 0, 0, 0, 0, 0, 0]


async def test_sizes_of_requests(ask: Ask, captured: testing.Captured, app: FastAPI) -> None:
    """Bodies count by the bytes that the application read, whatever a client says of them."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"y" * 50

    await ask(app, "/echo", method="POST", content=b"z" * 2000)
    await ask(app, "/streamed", method="POST", content=pieces())
    await ask(app, "/unread", method="POST", content=b"z", headers={"content-length": "9" * 30})
    assert _sums(captured, "POST", "/echo")[0] == 2000
    assert _sums(captured, "POST", "/streamed")[0] == 150
    assert _sums(captured, "POST", "/unread") == (None, 1)


async def test_compressed_size(ask: Ask, captured: testing.Captured, app: FastAPI) -> None:
    """What a middleware compresses counts as it is sent."""
    app.add_middleware(GZipMiddleware)
    await ask(app, "/plain", headers={"accept-encoding": "gzip"})
    sent = _sums(captured, "GET", "/plain")[1]
    assert sent is not None
    assert 0 < sent < 500


async def test_file_that_the_server_reads(captured: testing.Captured) -> None:
    """A file that is handed to the server by name counts by what the response says of its size."""
    app = FastAPI()

    async def by_name(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"1234")]})
        await send({"type": "http.response.pathsend", "path": "/file"})

    app.mount("/by", by_name)
    telemetry.instrument(app)
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/by/x", "headers": [], "query_string": b"", "root_path": ""}
    await app(scope, receive, send)
    assert sent == ["http.response.start", "http.response.pathsend"]
    assert _sums(captured, "GET", "/by/{path}") == (None, 1234)


START = {"type": "http.response.start", "status": 200}
UNREADABLE = {
    "5,000 digits": [{**START, "headers": [(b"content-length", b"9" * 5_000)]}],
    "400 digits": [{**START, "headers": [(b"content-length", b"9" * 400)]}],
    "strings": [{**START, "headers": [("content-length", "12")]}],
    "number": [{**START, "headers": [(b"content-length", 10**13), (7, 7)]}],
    "one string": [{**START, "headers": ["content-length: 12"]}],
    "no list": [{**START, "headers": None}],
    "no headers": [START],
    "no status": [{"type": "http.response.start"}],
    "no start": [],
}


@pytest.mark.parametrize("start", UNREADABLE.values(), ids=UNREADABLE)
async def test_size_that_cannot_be_read(captured: testing.Captured, start: list[Any]) -> None:
    """Where a server sends a file, whatever the headers are, they reach it, and the request counts without a size."""
    messages, sent = [*start, {"type": "http.response.pathsend", "path": "/file"}], []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    app = Starlette()  # FastAPI's own telemetry, where that is on, cannot do without a status
    app.mount("/by", inner)
    telemetry.instrument(app)
    scope = {"type": "http", "method": "GET", "path": "/by/x", "headers": [], "query_string": b"", "root_path": ""}
    await app(scope, receive, send)
    assert sent == messages
    assert captured.total("http_requests_total") == 1
    assert captured.total("http_response_size_bytes") == 0


@pytest.mark.parametrize("stable", [True, False], ids=["new", "old"])
def test_sizes_by_the_conventions(captured: testing.Captured, stable: bool) -> None:
    """What an instrumentor says of sizes lands on the same series."""
    meter = captured.telemetry.meter_provider.get_meter("any.instrumentor")
    infix = ".body" if stable else ""
    attributes = {"http.request.method" if stable else "http.method": "POST", "http.route": "/x"}
    meter.create_histogram(f"http.server.request{infix}.size").record(10, attributes)
    meter.create_histogram(f"http.server.response{infix}.size").record(20, attributes)
    assert _sums(captured, "POST", "/x") == (10, 20)
