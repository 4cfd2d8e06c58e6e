"""WebSockets behind a real uvicorn server: open, messages, and every way they end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI, WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import telemetry
from support.waiting import eventually
from telemetry import testing
from tests.support.server import serving

ROOM = "/ws/rooms/{room}"


@pytest.fixture
def address(captured: testing.Captured) -> Iterator[str]:
    """A served application."""
    app, router = FastAPI(), APIRouter(prefix="/ws")

    @router.websocket("/rooms/{room}")
    async def echo(socket: WebSocket, room: str) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except WebSocketDisconnect:
            return

    @router.websocket("/says/{what}")
    async def says(socket: WebSocket, what: str) -> None:
        if what == "nothing":
            await socket.close(1008)
            return
        await socket.accept()
        if what == "bye":
            await socket.close(4001)
        elif what == "oops":
            raise ZeroDivisionError
        else:
            await socket.receive_text()

    app.include_router(router)
    telemetry.instrument(app)
    with serving(app) as where:
        yield f"ws://{where}"


def _ended(captured: testing.Captured, endpoint: str) -> dict[str, float]:
    series = captured.series("websocket_connections_total")
    return {dict(key)["close_code"]: value for key, value in series.items() if dict(key)["endpoint"] == endpoint}


def test_connection_from_open_to_close(captured: testing.Captured, address: str) -> None:
    """An open connection is a level, its messages count each way, and its end has the client's code."""
    with connect(f"{address}/ws/rooms/blue") as client:
        for word in ("one", "two", "three"):
            client.send(word)
            assert client.recv() == word
        assert captured.value("websocket_connections_open", endpoint=ROOM) == 1
        assert captured.total("websocket_connections_total") == 0
    assert eventually(lambda: _ended(captured, ROOM) == {"1000": 1})
    assert captured.value("websocket_connections_open", endpoint=ROOM) == 0
    assert captured.value("websocket_messages_total", endpoint=ROOM, direction="received") == 3
    assert captured.value("websocket_messages_total", endpoint=ROOM, direction="sent") == 3
    assert captured.value("websocket_connection_duration_seconds", endpoint=ROOM) == 1
    assert captured.total("http_requests_total") == 0
    assert captured.series("errors_total") == {}


def test_client_that_vanishes(captured: testing.Captured, address: str) -> None:
    """A connection that is cut without a word is 1006 or 1005, no error, and not open any more."""
    client = connect(f"{address}/ws/rooms/red")
    client.socket.close()
    assert eventually(lambda: set(_ended(captured, ROOM)) in ({"1006"}, {"1005"}))
    assert captured.value("websocket_connections_open", endpoint=ROOM) == 0
    assert captured.series("errors_total") == {}


def test_server_that_closes(captured: testing.Captured, address: str) -> None:
    """The code the application closes with is counted."""
    with connect(f"{address}/ws/says/bye") as client, pytest.raises(ConnectionClosed):
        client.recv()
    assert eventually(lambda: _ended(captured, "/ws/says/{what}") == {"4001": 1})


def test_handler_that_fails(captured: testing.Captured, address: str) -> None:
    """A handler that raises is 1011 and one error by class."""
    with connect(f"{address}/ws/says/oops") as client, pytest.raises(ConnectionClosed):
        client.recv()
    assert eventually(lambda: _ended(captured, "/ws/says/{what}") == {"1011": 1})
    assert captured.value("errors_total", error_type="ZeroDivisionError", component="http") == 1
    assert captured.value("websocket_connections_open", endpoint="/ws/says/{what}") == 0


def test_client_that_leaves_a_receiving_handler(captured: testing.Captured, address: str) -> None:
    """A handler that lets `WebSocketDisconnect` through had no error."""
    with connect(f"{address}/ws/says/wait"):
        pass
    assert eventually(lambda: _ended(captured, "/ws/says/{what}") == {"1000": 1})
    assert captured.series("errors_total") == {}


@pytest.mark.parametrize(("path", "endpoint"), [("/ws/says/nothing", "/ws/says/{what}"), ("/nowhere", "unmatched")])
def test_handshake_that_is_refused(captured: testing.Captured, address: str, path: str, endpoint: str) -> None:
    """A refused handshake is `rejected`, without a duration; a path without a route is `unmatched`."""
    with pytest.raises(InvalidStatus):
        connect(f"{address}{path}")
    assert eventually(lambda: _ended(captured, endpoint) == {"rejected": 1})
    assert captured.total("websocket_connection_duration_seconds") == 0
    assert captured.series("websocket_connections_open") == {}


def test_known_routes_start_at_zero(captured: testing.Captured, address: str) -> None:
    """WebSocket routes exist at 0 once the application has started."""
    assert captured.value("websocket_connections_open", endpoint=ROOM) == 0
    assert captured.value("websocket_connections_total", endpoint=ROOM, close_code="1000") == 0
