"""The ways of one process's counts out of it: its box, its threads, and what a fork and an exit mean to them."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from opentelemetry.sdk.metrics.export import MetricsData

from telemetry import extras, guard
from telemetry.box import locks
from telemetry.box.box import SHOWN, Box
from telemetry.box.own import new_box
from telemetry.metrics.provider import MeterProvider
from telemetry.metrics.series import Series
from telemetry.pipeline.adoption import Adoption, Settle, exports_of
from telemetry.pipeline.delivery import Delivery, Export, ExportListener
from telemetry.pipeline.export import PeriodicExport
from telemetry.pipeline.otlp import levels_of, standing_of, totals_of
from telemetry.pipeline.resource import build_resource, is_forked_child
from telemetry.pipeline.transport import build_transport, target_of
from telemetry.settings.settings import Settings
from telemetry.settings.values import Exporter

_logger = logging.getLogger("telemetry")

_LEAST_EXIT_SECONDS = 0.5
_LONGEST = threading.TIMEOUT_MAX / 2  # a century


class Way(Protocol):
    """How counts leave a process: by exports, or by an endpoint that is read."""

    def start(self) -> None:
        """Begin."""

    def force_flush(self, timeout: float) -> bool:
        """Let everything that is recorded leave; whether it did within ``timeout`` seconds."""

    def deliver_before_exit(self, timeout: float) -> bool:
        """The same in a process whose end may come unseen."""

    def shutdown(self, timeout: float) -> None:
        """The same for the last time."""

    def leave(self) -> None:
        """End without it: somebody else has what is left in the box."""

    def after_fork_in_child(self) -> None:
        """Let go of what is the parent's."""


class Pipeline:
    """What one process exports, and by which ways. It starts at the first event, in a forked child again.

    Args:
        settings: How metrics leave the process.
        provider: Has its instruments and its box.
        listener: Who counts what did not go well.
        observe: Asks the application, at each collection.
        settle: Comes back to the notes of a dead process.

    Attributes:
        tells_of_late_events: Whether the log is told of what is recorded after ``shutdown()``.
    """

    def __init__(
        self,
        settings: Settings,
        provider: MeterProvider,
        listener: ExportListener,
        observe: Callable[[], None],
        settle: Settle,
    ) -> None:
        self.settings = _waitable(settings)
        self._provider = provider
        self._listener = listener
        self._settle = settle
        self._observe = observe
        self._heir: Path | None = None
        self._begin()

    def _begin(self) -> None:
        self._ways: dict[Exporter, Way] = {}
        self._observing = threading.Lock()
        self._starting = self._started = self._closed = self._ended = False
        self._retired: list[Box] = []
        self._route = os.urandom(16)
        self._resource: Mapping[str, Any] = {}
        self._began = time.time_ns()
        self._exit_seconds = self.settings.exit_deadline
        self.tells_of_late_events = False
        self.is_forked = is_forked_child()

    # --- the life of a process ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start where it does not run yet; never raises."""
        if self._closed and self.tells_of_late_events:
            self._tell_of_late_events()
        if self._started or self._closed:
            return
        with self._provider.lock:
            if self._started or self._starting:
                return
            self._starting = True
            for exporter in self.settings.exporters:
                self._start_one(exporter)
            self._started = True

    def _start_one(self, exporter: Exporter) -> None:
        with guard.guarded(f"starting the exporter {exporter}"):
            try:
                self._ways[exporter] = way = self._build(exporter)
            except ImportError as error:
                _logger.error("telemetry: the exporter %s cannot be started: %s", exporter, error)  # noqa: TRY400
            else:
                way.start()

    def _tell_of_late_events(self) -> None:
        self.tells_of_late_events = False
        _logger.warning(
            "telemetry: something is recorded after telemetry.shutdown(): it is kept in memory, delivered if "
            "telemetry.configure() is called again, and lost if not"
        )

    @property
    def is_closed(self) -> bool:
        """Whether ``shutdown()`` was called."""
        return self._closed

    def go_on(self, settings: Settings) -> None:
        """Export again, also what was recorded since ``shutdown()``."""
        with self._provider.lock:
            since = self._provider.renew()
            self.settings = _waitable(settings)
            self._begin()
            self._retired = [since] if since is not None else []
        self.start()

    def _build(self, exporter: Exporter) -> Way:
        match exporter:
            case "otlp":
                return self._build_export()
            case "prometheus":
                with extras.needed("prometheus", "OTEL_METRICS_EXPORTER='prometheus'"):
                    from telemetry.pipeline.prometheus import PrometheusEndpoint

                return PrometheusEndpoint(self.settings, self, self._settle)
            case "console":
                from telemetry.pipeline.console import Console

                return Console(self, self.settings.export_interval)

    def _build_export(self) -> PeriodicExport:
        from telemetry.pipeline.sums import keeper  # which loads OpenSSL

        _import_what_exports_import_lazily()
        settings = self.settings
        delivery = Delivery(build_transport(settings.destination), self._listener, self._provider.lock)
        adoption = Adoption(
            settings.box_directory,
            target_of(settings),
            delivery,
            settings.state_max_age,
            self._listener,
            self._settle,
            keeper(settings.box_directory),
        )
        return PeriodicExport(self, delivery, adoption, settings.export_interval, settings.export_timeout)

    def force_flush(self, timeout: float) -> bool:
        """Export what is recorded now; whether everything was acknowledged within ``timeout`` seconds."""
        return self._of_each_within(min(timeout, _LONGEST), "flushing", lambda way, left: way.force_flush(left))

    def deliver_before_exit(self) -> None:
        """Export what is recorded, for servers that end without exit handlers; ``shutdown()`` waits no second time."""
        begun = time.monotonic()
        if not self._ways or self.has_heir():
            return
        deadline = self.settings.exit_deadline
        doing = "delivering what a server recorded before its end"
        if not self._of_each_within(deadline, doing, lambda way, seconds: way.deliver_before_exit(seconds)):
            left = deadline - (time.monotonic() - begun)
            self._exit_seconds = max(left, min(_LEAST_EXIT_SECONDS, deadline))

    def _of_each_within(self, seconds: float, doing: str, ask: Callable[[Way, float], object]) -> bool:
        """The same of all together within so many seconds: those that stay in this host first, which need few."""
        deadline = time.monotonic() + seconds
        return self._of_each(doing, lambda way: ask(way, max(0.0, deadline - time.monotonic())))

    def _of_each(self, doing: str, ask: Callable[[Way], object]) -> bool:
        """Whether each way says yes; what one of them raises is no, and keeps the others from nothing."""
        said = []
        for _, way in sorted(self._ways.items(), key=lambda item: item[0] == "otlp"):
            said.append(False)
            with guard.guarded(doing):
                said[-1] = bool(ask(way))
        return all(said)

    def leave_no_box(self) -> None:
        """Remove the box if it is done; should the process go on, its next event makes another one."""
        with self._provider.lock:
            if self._provider.has_box and self._provider.box.is_shown:
                return  # it stays for the endpoint, and so would each of those that came after it
            box = self._provider.renew()
            self._retired += [box] if box is not None else []
            self._close_retired()

    def shutdown(self) -> None:
        """Export what is left, within the exit deadline; in a child whose parent lives, leave it to that one."""
        if self._closed:
            return
        self._closed = True
        if self.has_heir():
            self._of_each("leaving the last metrics", lambda way: way.leave())
        else:
            doing = "delivering the last metrics"
            self._of_each_within(self._exit_seconds, doing, lambda way, left: way.shutdown(left))
        with guard.guarded("closing the box"), self._provider.lock:
            self._ended = True
            current = self._provider.renew()
            for box in (*self._retired, *([current] if current else [])):
                box.close()
            self._retired = []

    def has_heir(self) -> bool:
        """Whether a process that this one was forked from lives, which delivers for its dead children."""
        return self._heir is not None and locks.is_locked(self._heir)

    def after_fork_in_child(self) -> None:
        """Forget what the parent recorded; the first event in the child starts a pipeline of its own."""
        path = self._provider.path
        self._heir = path or self._heir
        for box in self._retired:
            box.leave()
        self._of_each("letting go of what is the parent's", lambda way: way.after_fork_in_child())
        self._provider.after_fork_in_child()
        self._begin()

    def endpoint(self) -> Any:
        """The Prometheus endpoint, where that is the way of this process; ``None`` elsewhere."""
        return self._ways.get("prometheus")

    # --- what there is to export --------------------------------------------------------------------------------------

    def make_box(self) -> Box:
        """The box of this process; in memory where nobody would ever deliver what is left in a file."""
        self._resource = dict(build_resource(self.settings).attributes)
        exporters = {"otlp", "prometheus"}.intersection(self.settings.exporters)
        is_exported = bool(exporters) and not self._ended
        process = {"resource": self._resource, "target": target_of(self.settings), SHOWN: len(exporters) > 1}
        return new_box(self.settings.box_directory if is_exported else None, process)

    def boxes(self) -> list[Box]:
        """The box of this process, if it has one, and those before that are not delivered yet."""
        with self._provider.lock:
            return [*([self._provider.box] if self._provider.has_box else []), *self._retired]

    def box(self) -> Box:
        """The box of this process, made where it does not exist."""
        return self._provider.box

    def exports(self, *, announce: bool) -> tuple[list[Export], bool]:
        """What the boxes have to deliver now, and whether some of it was prepared before."""
        self.look_after_boxes()
        with self._provider.lock:
            route = self.route()
            exports: list[Export] = []
            repeats = False
            for box in self.boxes():
                of_box, repeated = exports_of(box, route, announce=announce)
                exports += of_box
                repeats = repeats or repeated
            return exports, repeats

    def look_after_boxes(self) -> None:
        """Say that this process lives, and count into a new box where somebody has removed the file."""
        with self._provider.lock:
            self._close_retired()
            if not self._provider.has_box:
                return
            if not self._provider.box.is_there():  # a cleaner of the directory took it
                gone = self._provider.renew()
                self._retired += [gone] if gone else []
            self._provider.box.is_alive()

    def _close_retired(self) -> None:
        done = [box for box in self._retired if box.is_done()]
        self._retired = [box for box in self._retired if box not in done]
        for box in done:
            box.close()

    def route(self) -> bytes:
        """By which name this process's exports go to a collector."""
        return self._route

    def series(self) -> Iterable[Series]:
        """Every level and gauge."""
        return self._provider.standing()

    def observe(self) -> None:
        """Ask the application, for one way at a time."""
        with self._observing:
            self._observe()

    def standing(self) -> MetricsData:
        """Everything as it stands."""
        with self._provider.lock:
            boxes = [totals_of(box) for box in self.boxes()]
        return standing_of(boxes, self.series(), self._resource, self._began)

    def levels(self) -> MetricsData | None:
        """Every level and gauge as an export."""
        return levels_of(self.series(), self._resource, self._began, time.time_ns())


def _waitable(settings: Settings) -> Settings:
    """The same settings with times that threads can wait for: who sets more means never."""
    names = ("export_interval", "export_timeout", "exit_deadline")
    return replace(settings, **{name: min(getattr(settings, name), _LONGEST) for name in names})


def _import_what_exports_import_lazily() -> None:
    """A fork while the export thread imports a module leaves that module's import lock held in the child for ever."""
    for name in (
        "encodings.idna",
        "netrc",
        "opentelemetry.exporter.otlp.proto.common.metrics_encoder",
        "opentelemetry.instrumentation.utils",
        "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2",
        "requests",
        "stringprep",
    ):
        import_module(name)
