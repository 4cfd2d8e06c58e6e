"""A way to a server of this machine that can be made slow, or answer in the server's place that it is busy."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from support.ports import free_port

_PIECE = 1 << 16
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Link:
    """Forwards connections, in a thread of its own, for the length of `open`; troubles are blocks inside of that.

    Args:
        port: The server's.
        keeps: Whether it keeps what comes.

    Attributes:
        port: Its own.
        kept: When connections were made, and what came on them.
    """

    _thread: threading.Thread
    _stop: Callable[[], object]

    def __init__(self, port: int, *, keeps: bool = False) -> None:
        self._upstream = port
        self._keeps = keeps
        self._serving: set[object] = set()
        self._delay = 0.0
        self._is_busy = False
        self.port = free_port()
        self.kept: list[tuple[float, bytes]] = []

    @contextmanager
    def open(self) -> Iterator[None]:
        """It forwards for the length of a block."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Nothing listens there for the length of a block inside of `open`."""
        self._end()
        try:
            yield
        finally:
            self._begin()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Requests of HTTP are answered with 503 here for the length of a block."""
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False

    @contextmanager
    def delayed(self, seconds: float) -> Iterator[None]:
        """Each piece of an answer waits so long for the length of a block."""
        self._delay = seconds
        try:
            yield
        finally:
            self._delay = 0.0

    def _begin(self) -> None:
        ready, stop = threading.Event(), asyncio.Event()
        loop = asyncio.new_event_loop()
        self._stop = partial(loop.call_soon_threadsafe, stop.set)
        self._thread = threading.Thread(target=self._run, args=(loop, ready, stop), daemon=True)
        self._thread.start()
        ready.wait(10)

    def _end(self) -> None:
        self._stop()
        self._thread.join()

    def _run(self, loop: asyncio.AbstractEventLoop, ready: threading.Event, stop: asyncio.Event) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._listen(ready, stop))

    async def _listen(self, ready: threading.Event, stop: asyncio.Event) -> None:
        await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        ready.set()
        await stop.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._serving.add(task)  # until 3.12 nobody else keeps it
        # Cancelled at the end of `open`.
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            if self._is_busy:
                await self._refuse(reader, writer)
            else:
                await self._forward(reader, writer)
        writer.close()
        self._serving.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at, came = time.monotonic(), bytearray()
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._upstream)
        there = asyncio.ensure_future(self._copy(reader, to_server, came))
        try:
            while piece := await from_server.read(_PIECE):
                await asyncio.sleep(self._delay)
                writer.write(piece)
                await writer.drain()
        finally:
            there.cancel()
            to_server.close()
            if self._keeps and came:
                self.kept.append((at, bytes(came)))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, came: bytearray) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                if self._keeps:
                    came += piece
                writer.write(piece)
                await writer.drain()
            writer.write_eof()  # whoever gave up has hung up at the server, too

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at, head = time.monotonic(), await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        body = await reader.readexactly(int(length or 0))
        if self._keeps:
            self.kept.append((at, head + body))
        writer.write(_BUSY)
        await writer.drain()
