"""HTTP metrics behind a real uvicorn server: disconnects, streams, downloads, threads."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import FileResponse, StreamingResponse

import telemetry
from support.waiting import eventually
from telemetry import testing
from tests.support.server import serving

_FAR_TOO_MUCH = 100_000
ERRORS = {error.__name__: error for error in (ZeroDivisionError, TimeoutError, ConnectionResetError, FileNotFoundError)}


class Gate:
    """Lets the test decide when a handler goes on, from another thread."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    async def passed(self) -> None:
        """Wait in the handler's event loop."""
        self.reached.set()
        while not self.opened.is_set():
            await asyncio.sleep(0.005)


@pytest.fixture
def gate() -> Gate:
    """A closed gate."""
    return Gate()


@pytest.fixture
def address(captured: testing.Captured, gate: Gate, tmp_path: Path) -> Iterator[str]:
    """A served application."""
    app = FastAPI()
    (tmp_path / "file.bin").write_bytes(b"x" * 300_000)

    @app.get("/wait/{what}")
    async def wait(what: str) -> str:
        await gate.passed()
        return what

    @app.get("/sync/{what}")
    def sync(what: str) -> str:
        return what

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            await asyncio.sleep(0.2)
            for number in range(_FAR_TOO_MUCH if not gate.opened.is_set() else 3):
                yield f"data: {number}\n\n".encode()
                await asyncio.sleep(0.1)

        return StreamingResponse(body(), media_type="text/event-stream")

    @app.get("/broken/{error}")
    async def broken(error: str) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"begun"
            raise ERRORS[error]

        return StreamingResponse(body())

    @app.get("/raises/{error}")
    async def raises(error: str) -> None:
        raise ERRORS[error]

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(tmp_path / "file.bin")

    telemetry.instrument(app)
    with serving(app) as where:
        yield where


def _counted(captured: testing.Captured, endpoint: str, status: int) -> bool:
    return captured.value("http_requests_total", method="GET", endpoint=endpoint, status_code=str(status)) == 1


def _nothing_left(captured: testing.Captured) -> bool:
    return captured.series("http_requests_in_progress") == {}


def test_stream_that_its_client_leaves(captured: testing.Captured, address: str) -> None:
    """A client that goes away in the middle of a stream is a 499, and nothing stays in progress."""
    with httpx.stream("GET", f"http://{address}/events") as response:
        pieces = response.iter_raw()  # closes the response when it is dropped
        next(pieces)
        assert captured.value("http_requests_in_progress", method="GET", endpoint="/events") == 1
    assert eventually(lambda: _counted(captured, "/events", 499))
    assert eventually(lambda: _nothing_left(captured))
    assert captured.total("errors_total") == 0


def test_stream_to_its_end(captured: testing.Captured, address: str, gate: Gate) -> None:
    """The duration of a stream ends with its last byte, the time to first byte with its first."""
    gate.opened.set()
    assert httpx.get(f"http://{address}/events").text.count("data:") == 3
    assert eventually(lambda: _counted(captured, "/events", 200))
    times = ("http_time_to_first_byte_seconds", "http_request_duration_seconds")
    first, whole = eventually(
        lambda: [captured.histogram_sum(name, method="GET", endpoint="/events") for name in times],
        wanted=lambda sums: None not in sums,
    )
    assert first is not None
    assert whole is not None
    assert 0.2 <= first <= whole - 0.2
    assert eventually(lambda: _nothing_left(captured))


@pytest.mark.parametrize("error", ERRORS)
def test_stream_that_breaks(captured: testing.Captured, address: str, error: str) -> None:
    """A stream whose generator raises after its first byte is a 500 and one error by class, also what looks like a lost
    connection and is one to somebody else."""
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://{address}/broken/{error}")
    assert eventually(lambda: _counted(captured, "/broken/{error}", 500))
    assert eventually(lambda: captured.value("errors_total", error_type=error, component="http") == 1)
    assert captured.total("errors_total") == 1
    assert eventually(lambda: _nothing_left(captured))


@pytest.mark.parametrize("error", ERRORS)
def test_handler_that_raises(captured: testing.Captured, address: str, error: str) -> None:
    """A handler that raises is a 500 and one error by class, whatever the class."""
    assert httpx.get(f"http://{address}/raises/{error}").status_code == 500
    assert eventually(lambda: _counted(captured, "/raises/{error}", 500))
    assert eventually(lambda: captured.value("errors_total", error_type=error, component="http") == 1)
    assert captured.total("errors_total") == 1
    assert eventually(lambda: _nothing_left(captured))


@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_client_that_leaves_a_plain_request(captured: testing.Captured, gate: Gate, http: str) -> None:
    """A client that goes away while a handler works is a 499, though the handler answers 200 in the end."""
    app = FastAPI()

    @app.get("/work/{what}")
    async def work(what: str) -> str:
        await gate.passed()
        return what

    telemetry.instrument(app)
    with serving(app, http=http) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET /work/x HTTP/1.1\r\nHost: test\r\n\r\n")
            assert gate.reached.wait(10)
        # Whether the server has noticed is its own affair; asking it again over another connection gives it the time.
        for _ in range(3):
            httpx.get(f"http://{address}/nowhere")
        gate.opened.set()
        assert eventually(lambda: captured.total("http_requests_total", endpoint="/work/{what}") == 1)
    assert captured.value("http_requests_total", method="GET", endpoint="/work/{what}", status_code="499") == 1
    assert eventually(lambda: _nothing_left(captured))
    assert captured.total("errors_total") == 0


def test_client_that_leaves_an_upload(captured: testing.Captured) -> None:
    """A client that goes away before it has sent its body is a 499 of the route it asked for, and no error."""
    app = FastAPI()

    @app.post("/upload/{name}")
    async def upload(name: str, body: dict[str, str]) -> str:
        return name

    telemetry.instrument(app)
    with serving(app) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(
                b"POST /upload/x HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            assert eventually(
                lambda: captured.value("http_requests_in_progress", method="POST", endpoint="/upload/{name}") == 1
            )
        assert eventually(
            lambda: captured.total("http_requests_total", endpoint="/upload/{name}", status_code="499") == 1
        )
        assert eventually(lambda: _nothing_left(captured))


def test_download_counts_whole(captured: testing.Captured, address: str) -> None:
    """A file is one request with one duration, sent in many pieces."""
    assert len(httpx.get(f"http://{address}/file").content) == 300_000
    assert eventually(lambda: _counted(captured, "/file", 200))
    first_byte = {"method": "GET", "endpoint": "/file"}
    assert eventually(lambda: captured.value("http_time_to_first_byte_seconds", **first_byte) == 1)
    assert eventually(lambda: _nothing_left(captured))


def test_many_clients_at_once(captured: testing.Captured, address: str, gate: Gate) -> None:
    """Requests in progress are as many as there are, and every one of them is counted."""

    def ask() -> None:
        httpx.get(f"http://{address}/wait/x", timeout=30)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: captured.value("http_requests_in_progress", method="GET", endpoint="/wait/{what}") == 12)
    gate.opened.set()
    for thread in threads:
        thread.join()
    assert eventually(lambda: _nothing_left(captured))
    assert captured.value("http_requests_total", method="GET", endpoint="/wait/{what}", status_code="200") == 12


def test_head_and_sync_handlers(captured: testing.Captured, address: str) -> None:
    """A handler in a thread is counted like any other; HEAD on a GET route is a 405 of that route."""
    began = time.perf_counter()
    assert httpx.get(f"http://{address}/sync/x").status_code == 200
    assert eventually(lambda: _counted(captured, "/sync/{what}", 200))
    most = time.perf_counter() - began  # the server may measure its end after the client has the answer
    sync = {"method": "GET", "endpoint": "/sync/{what}"}
    spent = eventually(lambda: captured.histogram_sum("http_request_duration_seconds", **sync))
    assert spent is not None
    assert 0 < spent <= most
    assert httpx.head(f"http://{address}/sync/x").status_code == 405
    assert eventually(lambda: captured.total("http_requests_total", method="HEAD", endpoint="/sync/{what}") == 1)
