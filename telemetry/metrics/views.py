"""What the SDK's views say about an instrument: name, description, attributes and aggregation of its streams.

A view keeps what it was made with to itself, so this is the one place that reads private names of the SDK; a test makes
a view of each kind and compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics import view as aggregations
from opentelemetry.sdk.metrics.view import View

from telemetry.box.identity import Identity, Kind, Scope
from telemetry.metrics import exponential

HistogramAggregation = Literal["explicit_bucket_histogram", "base2_exponential_bucket_histogram"]
EXPLICIT: HistogramAggregation = "explicit_bucket_histogram"
EXPONENTIAL: HistogramAggregation = "base2_exponential_bucket_histogram"

# What the specification names as the default buckets of a histogram.
DEFAULT_BOUNDS = (0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0)

_SDK_KINDS: Mapping[str, tuple[str, ...]] = {
    "Counter": ("Counter",),
    "UpDownCounter": ("UpDownCounter",),
    "Histogram": ("Histogram",),
    "Gauge": ("Gauge", "_Gauge"),
    "ObservableCounter": ("ObservableCounter",),
    "ObservableUpDownCounter": ("ObservableUpDownCounter",),
    "ObservableGauge": ("ObservableGauge",),
}
_DEFAULTS: Mapping[str, Kind] = {
    "Counter": Kind.SUM,
    "ObservableCounter": Kind.SUM,
    "UpDownCounter": Kind.LEVEL,
    "ObservableUpDownCounter": Kind.LEVEL,
    "Histogram": Kind.HISTOGRAM,
    "Gauge": Kind.GAUGE,
    "ObservableGauge": Kind.GAUGE,
}


@dataclass(frozen=True)
class Instrument:
    """What a view can know of an instrument.

    Attributes:
        kind: Name of its class in the API of OpenTelemetry.
        name: Its name.
        unit: Its unit.
        description: Its description.
        scope: Whose it is.
        bounds: Buckets it advises, for a histogram.
    """

    kind: str
    name: str
    unit: str
    description: str
    scope: Scope
    bounds: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Selected:
    """A stream that an instrument has.

    Attributes:
        identity: The metric.
        allowed: The attributes that tell its series apart; ``None`` for all.
    """

    identity: Identity
    allowed: frozenset[str] | None = None


def streams_of(
    instrument: Instrument, views: Sequence[View], default: HistogramAggregation = EXPLICIT
) -> list[Selected]:
    """The streams of an instrument: one for each view that selects it, or the default one where none does.

    Args:
        instrument: The instrument.
        views: What may select it.
        default: What a histogram is that no view selects and that advises no buckets.
    """
    selecting = [view for view in views if _selects(view, instrument)]
    if not selecting:
        return [Selected(_identity(instrument, _aggregation(instrument, default)))]
    return list(_selected(instrument, selecting))


def _aggregation(instrument: Instrument, default: HistogramAggregation) -> object:
    if default == EXPONENTIAL and instrument.kind == "Histogram" and instrument.bounds is None:
        return aggregations.ExponentialBucketHistogramAggregation()
    return aggregations.DefaultAggregation()


def _selected(instrument: Instrument, views: Iterable[Any]) -> Iterator[Selected]:
    for view in views:
        if isinstance(view._aggregation, aggregations.DropAggregation):
            continue
        identity = _identity(instrument, view._aggregation, view._name, view._description)
        yield Selected(identity, None if view._attribute_keys is None else frozenset(view._attribute_keys))


def _selects(view: Any, instrument: Instrument) -> bool:
    name, unit = view._instrument_name, view._instrument_unit
    wanted = (
        (view._meter_name, instrument.scope.name),
        (view._meter_version, instrument.scope.version),
        (view._meter_schema_url, instrument.scope.schema_url),
    )
    return (
        (view._instrument_type is None or _is_of(instrument.kind, view._instrument_type))
        and (name is None or fnmatchcase(instrument.name, name.lower()))
        and (unit is None or fnmatchcase(instrument.unit, unit))
        and all(asked is None or asked == said for asked, said in wanted)
    )


def _is_of(kind: str, instrument_type: type) -> bool:
    return any(issubclass(getattr(sdk, name), instrument_type) for name in _SDK_KINDS[kind] if hasattr(sdk, name))


def _identity(
    instrument: Instrument, aggregation: object, name: str | None = None, description: str | None = None
) -> Identity:
    kind, bounds = _kind_and_bounds(instrument, aggregation)
    return Identity(
        name or instrument.name,
        kind,
        instrument.unit,
        instrument.description if description is None else description,
        bounds if kind is Kind.HISTOGRAM else (),
        instrument.scope,
    )


def _kind_and_bounds(instrument: Instrument, aggregation: Any) -> tuple[Kind, tuple[float, ...]]:
    advised = DEFAULT_BOUNDS if instrument.bounds is None else instrument.bounds
    default = _DEFAULTS[instrument.kind]
    match aggregation:
        case aggregations.ExplicitBucketHistogramAggregation():
            given = aggregation._boundaries
            return Kind.HISTOGRAM, advised if given is None else tuple(float(bound) for bound in given)
        case aggregations.SumAggregation():
            return (Kind.SUM if default is Kind.HISTOGRAM else default), ()
        case aggregations.LastValueAggregation():
            return Kind.GAUGE, ()
        case aggregations.ExponentialBucketHistogramAggregation():
            return Kind.HISTOGRAM, exponential.BOUNDS
    return default, advised
