"""An ASGI application under a real uvicorn server in a thread of the test's own process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from support.ports import free_port
from support.waiting import eventually

_SECONDS = 20.0


@contextmanager
def serving(app: Any, **settings: Any) -> Iterator[str]:
    """`host:port` of a server that has started; it is stopped at the end of the block."""
    port = free_port()
    config = uvicorn.Config(app, port=port, log_level="critical", timeout_graceful_shutdown=2, **settings)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert eventually(lambda: server.started)
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(_SECONDS)
        assert not thread.is_alive()
