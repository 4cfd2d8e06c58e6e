"""A way to a server of this machine that can be made slow, or answer in the server's place that it is busy."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from support.ports import free_port

_PIECE = 1 << 16
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Link:
    """Forwards connections, in a thread of its own.

    Args:
        port: The server's.
        keeps: Whether it keeps what comes.

    Attributes:
        port: Its own.
        delay: Seconds that each piece of an answer waits.
        is_busy: Whether requests of HTTP are answered with 503 here.
        kept: When connections were made, and what came on them.
    """

    def __init__(self, port: int, *, keeps: bool = False) -> None:
        self._upstream = port
        self._keeps = keeps
        self._serving: set[object] = set()
        self.port = free_port()
        self.delay = 0.0
        self.is_busy = False
        self.kept: list[tuple[float, bytes]] = []

    @contextmanager
    def open(self) -> Iterator[None]:
        """It forwards for the length of a block."""
        ready, stop = threading.Event(), asyncio.Event()
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._run, args=(loop, ready, stop), daemon=True)
        thread.start()
        ready.wait(10)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()

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
            if self.is_busy:
                await _refuse(reader, writer)
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
                await asyncio.sleep(self.delay)
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


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
    await reader.readexactly(int(length or 0))
    writer.write(_BUSY)
    await writer.drain()
