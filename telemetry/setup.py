"""Joins settings, instruments, recorders and the pipeline of a process; what is measured is in the catalogue."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace

from opentelemetry import metrics
from opentelemetry.sdk.metrics.view import View

from telemetry import guard, process
from telemetry.box.box import Box
from telemetry.catalogue import BUILT_IN, Catalogue
from telemetry.catalogue.loading import Module, Modules, each, including, of_entry_points
from telemetry.domains.celery import CeleryRecorder
from telemetry.domains.database import DatabaseRecorder
from telemetry.domains.errors import ErrorsRecorder
from telemetry.domains.http import HttpRecorder
from telemetry.instrumentation.bridge import Bridge
from telemetry.instrumentation.llm.billing import LlmBilling
from telemetry.instrumentation.llm.calls import LlmCalls
from telemetry.instrumentation.registry import Registry
from telemetry.metrics.catalogue_instruments import Instruments
from telemetry.metrics.catalogued import Declared
from telemetry.metrics.provider import MeterProvider
from telemetry.pipeline.pipeline import Pipeline
from telemetry.preloading import preload
from telemetry.settings.buckets import fitting
from telemetry.settings.destination import Destination
from telemetry.settings.problems import SettingsError
from telemetry.settings.settings import Settings, is_strict

_logger = logging.getLogger("telemetry")

_MOST_NAMES = 20  # in a line of the log
_OF_INSTRUMENTS = (
    "catalogue",
    "disabled_instrumentations",
    "excluded_paths",
    "excluded_urls",
    "exemplar_filter",
    "histogram_aggregation",
    "histogram_buckets",
    "llm_prices",
    "pass_uncatalogued",
    "prometheus_client",
)
"""Settings that instruments and hooks have when they are made."""


class Telemetry:
    """Every recorder of the product and the pipeline that carries their metrics away.

    Args:
        settings: How metrics leave the process.
        views: Of the application's own instruments, beside those of the catalogue.
        catalogue: What is declared; it may grow.

    Attributes:
        catalogue: What is declared.
        meter_provider: What counts: for auto-instrumentors, whose metrics land on the documented series, and for an
            application's own instruments.
        http: Requests and responses.
        celery: Tasks, queues and workers.
        llm: Calls to LLM vendors.
        database: Pools and queries.
        errors: Errors and rate limits.
        last_said: Of settings that differ, in the log.
    """

    def __init__(self, settings: Settings, views: Sequence[View] = (), catalogue: Catalogue = BUILT_IN) -> None:
        self.settings = settings
        self.last_said = ""
        self.catalogue = catalogue
        buckets, wrong = fitting(settings.histogram_buckets, catalogue)
        _complain(f"TELEMETRY_HISTOGRAM_BUCKETS (histogram_buckets): {problem}" for problem in wrong)
        declared = Declared(catalogue.specs, buckets, views, settings.histogram_aggregation)
        self.meter_provider = MeterProvider(
            declared.views,
            clamp_of=declared.clamp_of,
            owner=_Owner(self),
            exemplars=settings.exemplar_filter,
            aggregation=settings.histogram_aggregation,
        )
        self.instruments = Instruments(self.meter_provider.get_meter("telemetry"), declared)
        self._billing = LlmBilling(self.instruments, self.meter_provider, settings.llm_prices)
        self.pipeline = Pipeline(settings, self.meter_provider, self.instruments, self.observe, self.settle_for)
        self._registry = _registry(self.meter_provider, declared) if settings.prometheus_client else None
        self.errors = ErrorsRecorder(self.instruments)
        self.http = HttpRecorder(self.instruments, self.errors)
        self.celery = CeleryRecorder(self.instruments, self.errors)
        self.llm = LlmCalls(self.instruments, self.errors, self._billing)
        self.database = DatabaseRecorder(self.instruments, self.errors)
        process.lifetime.forking.subscribe(self.before_fork)
        process.lifetime.forked.subscribe(self.after_fork_in_child)

    def include(self, catalogue: Catalogue) -> None:
        """Count what this catalogue declares, too; the zero series of what is new are there from now on."""
        self.catalogue = self.catalogue.including(*catalogue.modules)
        self.instruments.include(self.catalogue.specs)
        self.instruments.declare_closed()

    @property
    def own_sources(self) -> frozenset[str]:
        """Domains that hooks of ours measure in this process; the bridge leaves these alone."""
        return process.current.measured.domains()

    def observe(self) -> None:
        """Ask the application for what is read at each collection."""
        process.lifetime.collecting.fire()
        with guard.guarded("pricing noted LLM calls"):
            self._billing.collecting()
        self._collect_registry()
        self.meter_provider.collect()

    def _collect_registry(self) -> None:
        with guard.guarded("reading the metrics of prometheus_client"):
            if self._registry is not None:
                self._registry.collect()

    def start(self) -> None:
        """Start the pipeline of this process where it does not run yet; never raises."""
        self.pipeline.start()

    def force_flush(self, timeout: float = 5.0) -> bool:
        """Export what is recorded now; whether everything was acknowledged within ``timeout`` seconds."""
        self.settle()
        return self.pipeline.force_flush(timeout)

    def deliver_before_exit(self) -> None:
        """Export what is recorded, for servers that end without exit handlers; ``shutdown()`` waits no second time."""
        self.settle()
        self.pipeline.deliver_before_exit()

    def shutdown(self) -> None:
        """Export what is left, within the exit deadline; safe to call more than once."""
        self.end()
        self.pipeline.tells_of_late_events = True

    def end(self) -> None:
        """The same at the end of the process, where nothing is said of what comes later."""
        if not self.pipeline.has_heir():
            self.settle()
        self._collect_registry()
        self.pipeline.shutdown()

    def go_on(self, settings: Settings) -> None:
        """Export again after ``shutdown()``, also what was recorded since.

        Args:
            settings: How; what they say of instruments and hooks stays as it was.
        """
        self.settings = replace(settings, **{name: getattr(self.settings, name) for name in _OF_INSTRUMENTS})
        self.pipeline.go_on(self.settings)

    def settle(self) -> None:
        """Do now what was put off: price the LLM calls that had no price yet."""
        with guard.guarded("pricing noted LLM calls"):
            self._billing.settle()

    def settle_for(self, box: Box) -> bool:
        """Do what a dead process had put off, in its own box; whether that worked."""
        return self._billing.settle_for(box)

    def preload(self) -> None:
        """Load what processes would load that this one is about to fork."""
        preload()

    def before_fork(self) -> None:
        """Remember what a child must not count again."""
        if self._registry is not None:
            self._registry.before_fork()

    def after_fork_in_child(self) -> None:
        """Forget what the parent recorded; the first event in the child starts a pipeline of its own."""
        self._billing.after_fork_in_child()
        self.pipeline.after_fork_in_child()
        if self._registry is not None:  # what it counts is no event that we see
            self._registry.after_fork_in_child()
            self.start()


def _registry(provider: MeterProvider, declared: Declared) -> Registry | None:
    try:
        from prometheus_client import REGISTRY
    except ImportError:
        _complain(["TELEMETRY_PROMETHEUS_CLIENT: there is no prometheus_client: pip install prometheus-client"])
        return None
    return Registry(provider, declared.takes, REGISTRY)


class _Silent(Telemetry):
    """Records for nobody, and says so once where hooks record."""

    _said = False

    def __init__(self) -> None:
        super().__init__(Settings())
        self.instruments.is_configured = False

    def start(self) -> None:
        """There is nothing to start."""
        domains = self.own_sources
        if domains and not self._said:
            self._said = True
            _logger.warning(
                "telemetry: telemetry.configure() has not been called: what the hooks (%s) record goes nowhere; "
                "call it where the process starts",
                ", ".join(sorted(domains)),
            )


class _Owner:
    """What the meter provider of a process asks, for the parts that are made after it."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self.substitute = Bridge(telemetry).substitute

    def make_box(self) -> Box:
        return self._telemetry.pipeline.make_box()

    def first_counted(self) -> None:
        self._telemetry.start()

    def label_overflowed(self, metric: str) -> None:
        self._telemetry.instruments.label_overflowed(metric)

    def value_rejected(self, metric: str) -> None:
        self._telemetry.instruments.value_rejected(metric)

    def force_flush(self, timeout: float) -> bool:
        return self._telemetry.force_flush(timeout)

    def shutdown(self) -> None:
        self._telemetry.shutdown()


def configure(
    service_name: str | None = None,
    *,
    settings: Settings | None = None,
    views: Sequence[View] = (),
    catalogue: Modules = (),
) -> Telemetry:
    """Configure telemetry for this process; the first call wins, later calls return its result.

    Where a later call asks for something else, the log names it; after ``shutdown()`` it goes on, also with what was
    recorded since.

    Its meter provider becomes OpenTelemetry's global one, where no other one is set.

    Args:
        service_name: Used where ``OTEL_SERVICE_NAME`` is not set.
        settings: Instead of the environment's.
        views: The SDK's, for the application's own instruments: names, attributes and buckets.
        catalogue: Modules that declare metrics of the application's own, or their dotted names; of later calls, too.
            Those of ``TELEMETRY_CATALOGUE`` and of entry points in the group ``telemetry_catalogue`` come on top.

    Returns:
        The recorders of this process.

    Raises:
        SettingsError: With ``TELEMETRY_STRICT=true``, if a setting is wrong: every wrong one, its value and the remedy.
            Without, each is an error in the log, and its default holds. The same is true of what is wrong with the
            catalogue.
    """
    before = process.current.configured
    asked = settings or Settings.from_environment(service_name or (before.settings.service_name if before else None))
    named = [*_given(catalogue), *([] if before else _installed(asked))]
    including(BUILT_IN, named)  # imports them; not under the lock, which another thread that imports one may ask for
    with process.current.lock:
        known = process.current.configured  # a module of the catalogue may have configured when it was imported
        loaded = _loaded(BUILT_IN if known is None else known.catalogue, named)
        if known is None:
            process.current.configured = known = _configured(asked, views, loaded)
            process.lifetime.configured.fire(known)
            return known
        if not process.current.is_replaced:
            _configured_again(known, asked, views)
        if loaded != known.catalogue:
            known.include(loaded)
        return known


def _configured_again(telemetry: Telemetry, asked: Settings, views: Sequence[View]) -> None:
    if telemetry.pipeline.is_closed:
        telemetry.go_on(asked)
    known = telemetry.settings
    differing = [
        f"{name}={_shown(getattr(known, name))} (not {_shown(getattr(asked, name))})"
        for name in (field.name for field in fields(Settings) if field.compare)
        if getattr(known, name) != getattr(asked, name)
    ]
    differing += ["views as they were"] if views else []
    line = f"telemetry.configure() was called before, and its settings hold: {', '.join(differing)}"
    if differing and line != telemetry.last_said:
        telemetry.last_said = line
        _logger.warning("telemetry: %s", line)


def _shown(value: object) -> str:
    return value.address if isinstance(value, Destination) else repr(value)


def _given(catalogue: Modules) -> Iterator[tuple[Module, str]]:
    """The modules of an argument, each with who names it."""
    return ((module, "configure(catalogue=…)") for module in each(catalogue))


def _installed(settings: Settings) -> Iterator[tuple[Module, str]]:
    """Those of the environment and of installed distributions."""
    for name in settings.catalogue:
        yield name, f"TELEMETRY_CATALOGUE={','.join(settings.catalogue)!r}"
    yield from of_entry_points()


def _loaded(catalogue: Catalogue, named: Iterable[tuple[Module, str]]) -> Catalogue:
    loaded, wrong = including(catalogue, named)
    _complain(wrong)
    return loaded


def _complain(problems: Iterable[str]) -> None:
    """Say what is left out and why; where that is strict, do not go on."""
    found = list(problems)
    if found and is_strict():
        raise SettingsError("; ".join(found))
    for problem in found:
        _logger.error("telemetry: %s; it is left out", problem)


def _configured(settings: Settings, views: Sequence[View], catalogue: Catalogue) -> Telemetry:
    _report_problems(settings)
    telemetry = Telemetry(settings, views, catalogue)
    guard.on_failure(lambda error: telemetry.errors.occurred(error, component="telemetry"))
    telemetry.instruments.declare_closed()
    telemetry.start()
    process.lifetime.ended.subscribe(telemetry.end)
    _set_globally(telemetry.meter_provider)
    _logger.info(
        "telemetry: service=%s environment=%s exporter=%s interval=%gs pid=%d",
        settings.service_name,
        settings.environment,
        ",".join(settings.exporters) or "none",
        settings.export_interval,
        os.getpid(),
    )
    return telemetry


def _report_problems(settings: Settings) -> None:
    for problem in settings.problems:
        _logger.error("telemetry: %s", problem)
    for problem in settings.ignored:
        _logger.warning("telemetry: %s", problem)
    if settings.foreign:
        _logger.warning(
            "telemetry: %s: no variable of fleet-telemetry, and not like one; docs/settings.md has them all",
            ", ".join(settings.foreign[:_MOST_NAMES]),
        )


def _set_globally(provider: MeterProvider) -> None:
    """Let ``metrics.get_meter()`` lead here, unless the application has set a provider of its own."""
    before = metrics.get_meter_provider()
    if type(before).__name__ == "_ProxyMeterProvider":
        metrics.set_meter_provider(provider)
    elif before is not provider:
        _logger.warning(
            "telemetry: OpenTelemetry's meter provider is %s already: instruments of its meters do not count here; "
            "configure telemetry first, or hand telemetry.get().meter_provider to who measures",
            type(before).__name__,
        )


def shutdown() -> None:
    """Export what is left and stop; for the end of a process that does not end normally."""
    if process.current.configured is not None:
        process.current.configured.shutdown()


# After the imports above, so that a child renews the locks of those modules before it is told that it was forked.
process.lifetime.watch_this_process()
process.current.make_silent = _Silent
