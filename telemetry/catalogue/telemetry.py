"""Metrics about telemetry itself, none of them in the guide: what it had to cut, refuse or could not deliver."""

from __future__ import annotations

from typing import Annotated, TypedDict

from telemetry.catalogue._labels import NoLabels
from telemetry.catalogue._spec import Budget, CounterSpec


class MetricLabels(TypedDict):
    """Which metric was affected."""

    metric: Annotated[str, Budget(200, "metrics of this catalogue")]


LABEL_OVERFLOWS = CounterSpec(
    name="telemetry_label_overflows_total",
    help="Events whose label value was replaced because the value was not allowed or the label's budget was used up.",
    labels=MetricLabels,
    unit="{event}",
    documented=False,
)
REJECTED_VALUES = CounterSpec(
    name="telemetry_rejected_values_total",
    help="Events that were not counted because the value was negative, not a number, or 1e200 or more.",
    labels=MetricLabels,
    unit="{event}",
    documented=False,
)
UNDELIVERED = CounterSpec(
    name="telemetry_undelivered_total",
    help="Counts that were dropped: the collector refused them for good, or nobody delivered them for too long.",
    labels=MetricLabels,
    unit="{event}",
    documented=False,
)
UNANSWERED_EXPORTS = CounterSpec(
    name="telemetry_unanswered_exports_total",
    help="Exports sent again because no answer came; a collector that knows no sequences may have counted them twice.",
    labels=NoLabels,
    unit="{export}",
    documented=False,
)
