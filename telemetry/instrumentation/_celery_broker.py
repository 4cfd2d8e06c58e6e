"""Reads queue lengths and worker heartbeats from the broker, from one process of the fleet at a time.

Every process that measures a Celery application is a candidate; a short lease in the broker elects the one that
reads and reports. When it dies, another takes over within the lease, so no death hides the numbers.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from kombu.exceptions import ChannelError

from telemetry import guard
from telemetry.setup import get

_logger = logging.getLogger("telemetry")

MAX_INTERVAL = 15.0
HEARTBEAT_FRESH = 15.0
KNOWN_FOR = 3600.0
LEASE_KEY = "telemetry:celery:lease"
WORKERS_KEY = "telemetry:celery:workers"
ALIVE_KEY = "telemetry:celery:alive:"


class BrokerObserver:
    """Polls the broker from a daemon thread of the process that instrumented the application, never of its children."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._pid = os.getpid()
        self._identity = f"{socket.gethostname()}-{self._pid}-{time.monotonic_ns()}"
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._beating = threading.Lock()
        self._worker: str | None = None
        self._last_beat = 0.0
        self._unreachable = False

    def ensure_running(self) -> None:
        """Start polling; called at each collection, so that only processes that export poll."""
        if self._thread is None and os.getpid() == self._pid:
            self._thread = threading.Thread(target=self._run, name="telemetry-celery", daemon=True)
            self._thread.start()

    def worker_started(self, hostname: str) -> None:
        """This process is the main process of a worker node."""
        self._worker = hostname
        self._last_beat = time.monotonic()

    def worker_alive(self) -> None:
        """The worker's own loop turned."""
        self._last_beat = time.monotonic()

    def worker_stopped(self) -> None:
        """The worker ends normally: its 0 is reported at once instead of after its heartbeat got old."""
        if self._worker is not None and os.getpid() == self._pid:
            with self._beating, self._client() as client:
                self._stop.set()
                client.delete(ALIVE_KEY + self._worker)

    def _run(self) -> None:
        interval = min(MAX_INTERVAL, max(1.0, get().settings.export_interval))
        while not self._stop.wait(0 if self._first() else interval):
            try:
                self._poll(interval)
                self._unreachable = False
            except Exception as error:
                self._report(error)

    def _first(self) -> bool:
        first, self._polled = not getattr(self, "_polled", False), True
        return first

    def _report(self, error: Exception) -> None:
        if not self._unreachable:
            _logger.warning("the broker cannot be read (%s): queue lengths and workers are unknown, not 0", error)
        self._unreachable = True
        with guard.guarded("reporting an unreachable broker"):
            get().celery.broker_unreachable(error)

    def _poll(self, interval: float) -> None:
        with self._connection() as connection:
            channel = connection.default_channel
            client = channel.client
            self._beat(client)
            if not self._leads(client, interval):
                get().celery.forget_readings()
                return
            get().celery.observe_workers(self._workers(client))
            get().celery.observe_queue_lengths({name: _length(channel, name) for name in self._app.amqp.queues})

    def _beat(self, client: Any) -> None:
        # Held, so that a beat under way cannot write after the worker has said that it ends.
        with self._beating:
            fresh = time.monotonic() - self._last_beat < HEARTBEAT_FRESH
            if self._worker is not None and fresh and not self._stop.is_set():
                client.zadd(WORKERS_KEY, {self._worker: client.time()[0]})
                client.set(ALIVE_KEY + self._worker, 1, ex=int(HEARTBEAT_FRESH) + 5)

    def _leads(self, client: Any, interval: float) -> bool:
        lease = int(interval * 2500)
        if client.set(LEASE_KEY, self._identity, nx=True, px=lease):
            return True
        holder = client.get(LEASE_KEY)
        if holder is not None and _text(holder) == self._identity:
            client.pexpire(LEASE_KEY, lease)
            return True
        return False

    def _workers(self, client: Any) -> dict[str, bool]:
        now = client.time()[0]
        client.zremrangebyscore(WORKERS_KEY, 0, now - KNOWN_FOR)
        names = [_text(name) for name in client.zrange(WORKERS_KEY, 0, -1)]
        return {name: bool(client.exists(ALIVE_KEY + name)) for name in names}

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        options = {"socket_timeout": 2, "socket_connect_timeout": 2, "retry_on_timeout": False}
        with self._app.connection_for_read(connect_timeout=2, transport_options=options) as connection:
            yield connection

    @contextmanager
    def _client(self) -> Iterator[Any]:
        with self._connection() as connection:
            yield connection.default_channel.client


def _length(channel: Any, queue: str) -> int:
    """Messages waiting in a queue, all priorities; an empty queue of Redis does not exist."""
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except ChannelError:
        return 0


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
