"""Joins settings, instruments, recorders and the pipeline of a process; what is measured is in the catalogue."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.metrics import MeterProvider as MeterProviderApi
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader

from telemetry import guard
from telemetry.domains.business import BusinessRecorder
from telemetry.domains.celery import CeleryRecorder
from telemetry.domains.database import DatabaseRecorder
from telemetry.domains.errors import ErrorsRecorder
from telemetry.domains.http import HttpRecorder
from telemetry.domains.llm import LlmRecorder
from telemetry.domains.storage import StorageRecorder
from telemetry.instruments import Instruments
from telemetry.pipeline import fork
from telemetry.pipeline.handover import Handover, Recorded
from telemetry.pipeline.provider import build_provider, build_readers
from telemetry.pipeline.reader import DeltaReader
from telemetry.pipeline.settings import Settings

_logger = logging.getLogger("telemetry")

_DRAIN_SECONDS = 1.0
_LEAST_EXIT_SECONDS = 0.5


class Telemetry:
    """Every recorder of the product and the pipeline that carries their metrics away.

    Args:
        settings: How metrics leave the process.
        readers: Readers used instead of those the settings ask for (tests).

    Attributes:
        http: Requests and responses.
        celery: Tasks, queues and workers.
        llm: Calls to LLM vendors.
        database: Pools and queries.
        business: Users, conversations, messages, images, audio.
        storage: Object store operations and quotas.
        errors: Errors and rate limits.
        own_sources: Domains that hooks of ours measure in this process; the bridge leaves these alone.
    """

    def __init__(self, settings: Settings, readers: Sequence[MetricReader] | None = None) -> None:
        self.settings = settings
        self._given_readers = readers
        self._provider: MeterProvider | None = None
        self._readers: list[MetricReader] = []
        self._start_lock = threading.RLock()
        self._starting = self._started = False
        self._closed = False
        self._exit_seconds = settings.exit_deadline
        self._on_shutdown: list[Callable[[], None]] = []
        constant = {"environment": settings.environment} if settings.sink == "prometheus" else {}
        self.instruments = Instruments(self.start, constant)
        self.errors = ErrorsRecorder(self.instruments)
        self.http = HttpRecorder(self.instruments, self.errors)
        self.celery = CeleryRecorder(self.instruments, self.errors)
        self.llm = LlmRecorder(self.instruments, self.errors)
        self.database = DatabaseRecorder(self.instruments, self.errors)
        self.business = BusinessRecorder(self.instruments)
        self.storage = StorageRecorder(self.instruments)
        self.own_sources: set[str] = set()
        fork.register(self)

    def on_collect(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` at each collection, in the export thread."""
        self.instruments.on_collect(callback)

    def on_shutdown(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after the last export of this process; a forked child forgets it."""
        self._on_shutdown.append(callback)

    @property
    def meter_provider(self) -> MeterProviderApi:
        """A MeterProvider to hand to auto-instrumentors: their metrics land on the documented series."""
        from telemetry.bridge import BridgeMeterProvider

        return BridgeMeterProvider(self, self._provider if self.settings.pass_uncatalogued else None)

    def start(self) -> None:
        """Start the pipeline of this process where it does not run yet; never raises."""
        if self._started or self._closed:
            return
        with self._start_lock:
            if self._started or self._starting:
                return
            self._starting = True
            with guard.guarded("starting the metrics pipeline"):
                self._start()
            # Only now: until its instruments are attached, another thread has to wait, or its histograms go nowhere.
            self._started = True

    def _start(self) -> None:
        given = self._given_readers
        self._readers = build_readers(self.settings, self.instruments) if given is None else list(given)
        self._provider = build_provider(self.settings, self._readers, self.instruments.constant_labels)
        self.instruments.attach(self._provider.get_meter("telemetry"))
        for reader in self._readers:
            if isinstance(reader, DeltaReader):
                reader.start()

    def force_flush(self, timeout: float = 5.0) -> bool:
        """Export what is recorded now; whether everything was acknowledged within ``timeout`` seconds."""
        self._settle()
        delivered = [reader.force_flush(timeout * 1000) for reader in self._readers]
        return all(delivered)

    def deliver_before_exit(self) -> None:
        """Export what is recorded, for servers that end without exit handlers; ``shutdown()`` waits no second time."""
        begun = time.monotonic()
        self._settle()
        with guard.guarded("delivering what a server recorded before its end"):
            for reader in self._readers:
                if isinstance(reader, DeltaReader) and not reader.deliver_before_exit(self.settings.exit_deadline):
                    left = self.settings.exit_deadline - (time.monotonic() - begun)
                    self._exit_seconds = max(left, min(_LEAST_EXIT_SECONDS, self.settings.exit_deadline))

    def shutdown(self) -> None:
        """Export what is left, within the exit deadline; safe to call more than once."""
        if self._closed:
            return
        self._settle()
        self._closed = True
        for reader in self._readers:
            with guard.guarded("delivering the last metrics"):
                reader.shutdown(self._exit_seconds * 1000)
        for callback in self._on_shutdown:
            with guard.guarded("ending what shutdown ends"):
                callback()

    def hand_over(self, handover: Handover) -> None:
        """Leave what a child did not deliver to its parent instead of waiting for a collector; ends the pipeline."""
        if self._closed:
            return
        if not handover.is_possible():
            self.shutdown()
            return
        self._settle()
        self._closed = True
        for reader in self._readers:
            if isinstance(reader, DeltaReader):
                handover.leave(reader.drain(_DRAIN_SECONDS))

    def _settle(self) -> None:
        with guard.guarded("pricing the last LLM calls"):
            self.llm.settle()

    def adopt(self, recorded: Recorded) -> None:
        """Export what a child handed over as this process's own; called at a collection."""
        for reader in self._readers:
            if isinstance(reader, DeltaReader):
                reader.adopt(recorded)

    def after_fork_in_child(self) -> None:
        """Forget what the parent recorded; the first event in the child starts a pipeline of its own."""
        _Process.lock = threading.RLock()
        self._start_lock = threading.RLock()
        self._starting = self._started = False
        self._provider = None
        self._readers = []
        self._closed = False
        self._exit_seconds = self.settings.exit_deadline
        self._on_shutdown = []
        self.instruments.reset()


class _Process:
    """The one configured Telemetry of this process, and the silent one for code that runs without."""

    telemetry: Telemetry | None = None
    silent: Telemetry | None = None
    lock = threading.RLock()


def configure(service_name: str | None = None, *, settings: Settings | None = None) -> Telemetry:
    """Configure telemetry for this process; the first call wins, later calls return its result.

    Args:
        service_name: Used where ``OTEL_SERVICE_NAME`` is not set.
        settings: Instead of the environment's.

    Returns:
        The recorders of this process.

    Raises:
        SettingsError: If a setting is wrong, naming every wrong setting, its value and the remedy.
    """
    with _Process.lock:
        if _Process.telemetry is None:
            _Process.telemetry = _configured(settings or Settings.from_environment(service_name))
        return _Process.telemetry


def _configured(settings: Settings) -> Telemetry:
    telemetry = Telemetry(settings)
    guard.on_failure(lambda error: telemetry.errors.occurred(error, component="telemetry"))
    telemetry.instruments.declare_closed()
    telemetry.start()
    fork.flush_at_exit(telemetry)
    _logger.info(
        "telemetry: service=%s environment=%s exporter=%s interval=%gs pid=%d",
        settings.service_name,
        settings.environment,
        settings.sink,
        settings.export_interval,
        os.getpid(),
    )
    return telemetry


def get() -> Telemetry:
    """The configured telemetry of this process, or a silent one where ``configure()`` was never called."""
    return _Process.telemetry or _silent()


def _silent() -> Telemetry:
    with _Process.lock:
        if _Process.silent is None:
            _Process.silent = Telemetry(Settings())
        return _Process.silent


@contextmanager
def replaced(telemetry: Telemetry) -> Iterator[Telemetry]:
    """Let ``get()`` return ``telemetry`` for the length of a block."""
    before, _Process.telemetry = _Process.telemetry, telemetry
    try:
        yield telemetry
    finally:
        _Process.telemetry = before


def shutdown() -> None:
    """Export what is left and stop; for the end of a process that does not end normally."""
    if _Process.telemetry is not None:
        _Process.telemetry.shutdown()
