"""Which values of distributions are kept as exemplars: those recorded while a span is current that a filter lets pass.

Where none are kept, nothing here runs.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from opentelemetry.context import Context, get_current
from opentelemetry.trace import INVALID_SPAN, SpanContext, TraceFlags, set_span_in_context

from telemetry import guard
from telemetry.box.exemplars import Exemplar
from telemetry.metrics.series import LARGEST, HistogramSeries, Many

ExemplarFilter = Literal["always_off", "trace_based", "always_on"]
Current = Callable[[], SpanContext | None]

# Where a context has its span: most events are of none, and asking `get_current_span` for that takes twice as long.
(_SPAN,) = set_span_in_context(INVALID_SPAN, Context())


def sampled_span() -> SpanContext | None:
    """The current span, if there is one that is sampled: whoever follows the link finds it."""
    span: Any = get_current().get(_SPAN)
    if span is None:
        return None
    context: SpanContext = span.get_span_context()
    return context if context.trace_flags & TraceFlags.SAMPLED and context.trace_id else None


def any_span() -> SpanContext | None:
    """The current span, if there is one."""
    span: Any = get_current().get(_SPAN)
    context: SpanContext | None = None if span is None else span.get_span_context()
    return context if context is not None and context.is_valid else None


CURRENT: Mapping[ExemplarFilter, Current | None] = {
    "always_off": None,
    "trace_based": sampled_span,
    "always_on": any_span,
}
"""What asks for the span of an exemplar, by the value of ``OTEL_METRICS_EXEMPLAR_FILTER``."""


class ManyWithExemplars(Many, Protocol):
    """What a series with exemplars is one of."""

    @property
    def current_span(self) -> Current | None:
        """Asks for the span of an exemplar."""

    def keep_exemplar(self, series: HistogramSeries, bucket: int, exemplar: Exemplar) -> None:
        """Keep an exemplar of a series."""


class ExemplarSeries(HistogramSeries):
    """A distribution whose newest values say in which span they were recorded. The value counts first."""

    __slots__ = ()

    stream: ManyWithExemplars

    def record(self, amount: float) -> None:
        """Record ``amount`` (0 or more); anything else is not recorded but reported. Never raises."""
        HistogramSeries.record(self, amount)
        try:
            span = self.stream.current_span()  # type: ignore[misc]  # there is one, or the series were another's
            if span is not None and 0.0 <= amount < LARGEST:
                self._keep(float(amount), span)
        except TypeError:  # no number, and not recorded
            return
        except Exception as error:
            guard.swallow(error, f"keeping an exemplar of {self.identity.name}")

    update = record

    def _keep(self, value: float, span: SpanContext) -> None:
        ids = span.trace_id.to_bytes(16, "big"), span.span_id.to_bytes(8, "big")
        self.stream.keep_exemplar(self, bisect_left(self.bounds, value), Exemplar(value, time.time_ns(), *ids))
