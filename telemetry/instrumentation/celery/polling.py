"""Reads queue lengths and worker heartbeats from the broker, and reports them from one process of the fleet at a time.

Every process that measures a Celery application is a candidate; a short lease in the broker elects the one that
reads and reports. When it dies, another takes over within the lease, so no death hides the numbers.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery import Celery, _state, signals

from telemetry import guard, process
from telemetry.box.directory import UnusableError
from telemetry.domains.celery_broker import BrokerReading
from telemetry.instrumentation.celery.assumptions import BROKER, holds
from telemetry.instrumentation.celery.broker import Broker
from telemetry.instrumentation.celery.brokers import broker_of, options_for
from telemetry.instrumentation.celery.queues import QueueNames
from telemetry.instrumentation.celery.readers import Readers
from telemetry.lifetime import when_gone
from telemetry.process import get

_logger = logging.getLogger("telemetry")

SHORTEST, LONGEST = 1.0, 4.0
LEASE_INTERVALS = 3
LOOP_FRESH = 20.0
SETTLING = 5.0
STARTING = 10.0
TIMEOUT = 2
HEARTBEAT = 10


class BrokerPoller:
    """Polls the broker from a daemon thread of a process that exports: a publisher or a worker's main process.

    Args:
        app: The application whose broker it is.
        queues: The queues it declares.
    """

    def __init__(self, app: Celery, queues: QueueNames) -> None:
        self._app = app
        self._queues = queues
        self._begin()
        self._inherited = False
        self._waits = False
        process.lifetime.forked.subscribe(self.after_fork_in_child)
        process.lifetime.collecting.subscribe(self.ensure_running)
        process.lifetime.ending.subscribe(self.stop)

    def _begin(self) -> None:
        self._identity = f"{socket.gethostname()}-{os.getpid()}-{time.monotonic_ns()}"
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._hold_until = time.monotonic() + SETTLING
        self._in_worker = False
        self._worker: str | None = None
        self._has_ended: Callable[[], bool] = lambda: False
        self._loop_turned: float | None = None
        self._connection: Any = None
        self._broker: Broker | None = None
        self._leading = False
        self._unreachable = False
        self._readers: Readers | None = None
        self._logged: set[str] = set()

    def after_fork_in_child(self) -> None:
        """A forked process observes nothing unless it publishes; it touches no connection of its parent."""
        process.current.left_to_parent.append(self._connection)  # closing it would talk to the parent's broker
        if self._leading:
            get().celery.broker.drop(self)
        self._begin()
        self._inherited = True

    def wait_for_use(self, *, wait: bool) -> None:
        """Whether to read nothing for an application that Celery has made by itself, until it publishes or works.

        ``shared_task`` and other libraries make it; nobody has told it a broker, and nobody may ever use it.
        """
        self._waits = wait

    def pool_child(self) -> None:
        """This process is a child of a worker: its parent observes. The solo pool is the worker itself."""
        if not self._in_worker:
            self._stop.set()

    def published(self) -> None:
        """This process publishes, so that it is a candidate even if it was forked."""
        self._inherited = self._waits = False

    def ensure_running(self) -> None:
        """Start polling; called at each collection, so that only processes that export poll."""
        if self._thread is None and not self._inherited and not self._stop.is_set() and self._is_settled():
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=_poll_while_it_lives, args=(weakref.ref(self), self._stop))
                    self._thread.name, self._thread.daemon = "telemetry-celery", True
                    when_gone(self, self._stop.set)
                    self._thread.start()

    def worker_begins(self) -> None:
        """This process is about to become the main process of a worker node; it forks before anything is polled."""
        self._in_worker = True
        self._waits = False
        self._hold_until = float("inf")

    def worker_set_up(self, hostname: str, has_ended: Callable[[], bool], *, beats_from_loop: bool) -> None:
        """The worker has a name; it counts as alive from here on, before its first task, until it has ended."""
        self._worker, self._has_ended = hostname, has_ended
        self._hold_until = time.monotonic() + STARTING
        if beats_from_loop:
            signals.heartbeat_sent.connect(self._loop_turns, dispatch_uid=f"telemetry-{id(self)}")

    def worker_ready(self) -> None:
        """The worker has connected and forked."""
        self._hold_until = 0.0
        self.ensure_running()

    def stop(self) -> None:
        """End normally: the worker's 0 is reported at once, and another process takes over at once."""
        if self._stop.is_set() or self._thread is None:
            self._stop.set()
            return
        self._stop.set()
        self._thread.join(TIMEOUT)
        if not self._thread.is_alive() and not self._unreachable:
            try:
                self._leave()
            except Exception as error:
                if guard.is_the_hosts(error):
                    raise
                _logger.warning("the broker cannot be told that this process ends (%s): it finds out itself", error)

    def _leave(self) -> None:
        broker = self._connected()
        if self._worker is not None:
            broker.worker_gone(self._worker)
        if self._leading:
            self._read(broker)
            broker.release()
        if self._readers is not None:
            self._readers.leave()

    def _loop_turns(self, **_: Any) -> None:
        self._loop_turned = time.monotonic()

    def _is_settled(self) -> bool:
        """Not before the application has its final configuration: reading it too early would freeze it."""
        if self._waits and _is_celerys_own(self._app):
            return False
        if time.monotonic() > self._hold_until:
            return True
        return not self._in_worker and "amqp" in vars(self._app) and "queues" in vars(self._app.amqp)

    def poll(self) -> float:
        """Read the broker, and report it if that is up to this process; seconds until the next time."""
        interval = min(LONGEST, max(SHORTEST, get().settings.export_interval))
        try:
            self._poll(interval)
        except Exception as error:
            self._lost(error)
        return interval

    def _poll(self, interval: float) -> None:
        broker = self._connected()
        if self._worker is not None and self._has_ended():
            broker.worker_gone(self._worker)
            self._worker = None
        worker = self._worker if self._loop_is_fresh() else None
        led = self._leading
        self._leading = broker.attend(worker, self._queues.declared(), interval * LEASE_INTERVALS)
        if self._leading:
            self._read(broker)
        elif led:
            get().celery.broker.forget(self)
        if self._unreachable:
            self._unreachable = False
            _logger.warning("the broker can be read again")

    def _read(self, broker: Broker) -> None:
        reading = BrokerReading(
            workers=broker.workers(),
            queue_lengths=broker.queue_lengths(),
            unacked=broker.unacked(),
            oldest=broker.oldest(),
            fingerprint=broker.fingerprint(),
        )
        get().celery.broker.observe(self, reading)
        if reading.fingerprint is not None:
            with guard.guarded("comparing brokers"):
                self._compare(reading.fingerprint)

    def _compare(self, fingerprint: str) -> None:
        """Log which broker this process reads, and each other one that is read for the same fleet on this host."""
        others = self._others(fingerprint)
        if fingerprint not in self._logged:
            _logger.info("this process reads the broker %s; its fingerprint is %s", self._where(), fingerprint)
        for other in others - self._logged:
            _logger.warning(
                "%s: this process reads the broker %s (%s), another reads the broker %s, and both report as one fleet: "
                "queue lengths overwrite each other, totals are added up; give each service a service.namespace in "
                "OTEL_RESOURCE_ATTRIBUTES",
                get().settings.fleet,
                fingerprint,
                self._where(),
                other,
            )
        self._logged |= {fingerprint, *others}

    def _others(self, fingerprint: str) -> set[str]:
        with suppress(UnusableError):
            self._readers = self._readers or Readers(get().settings)
            return self._readers.others(fingerprint)
        return set()

    def _where(self) -> str:
        return str(self._connection.as_uri())

    def _loop_is_fresh(self) -> bool:
        """A worker whose loop turned once and does not turn any more is stuck, though this thread still runs."""
        return self._loop_turned is None or time.monotonic() - self._loop_turned < LOOP_FRESH

    def _connected(self) -> Broker:
        if self._broker is None:
            holds(BROKER, "queue lengths may not be read")
            options = options_for(self._app.connection_for_read().transport.driver_type, TIMEOUT)
            self._connection = self._app.connection_for_read(
                connect_timeout=TIMEOUT, transport_options=options, heartbeat=HEARTBEAT
            )
            self._broker = broker_of(self._connection, get().settings.fleet, self._identity)
        return self._broker

    def _lost(self, error: Exception) -> None:
        if not self._unreachable:
            _logger.warning("the broker cannot be read (%s): queue lengths and workers are unknown, not 0", error)
        self._unreachable, self._leading, self._broker = True, False, None
        connection, self._connection = self._connection, None
        with guard.guarded("reporting an unreachable broker"):
            get().celery.broker_unreachable(self, error)
        with suppress(Exception):
            connection.close()


def _is_celerys_own(app: Celery) -> bool:
    fallback: Any = getattr(_state, "default_app", None)
    return fallback is app and not fallback.set_as_current


def _poll_while_it_lives(poller: weakref.ref[BrokerPoller], stop: threading.Event) -> None:
    """Between two readings the thread holds nothing that could keep an application alive."""
    while not stop.is_set():
        living = poller()
        if living is None:
            return
        interval = living.poll()
        del living
        stop.wait(interval)
