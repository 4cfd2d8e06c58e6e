"""The SDK's views on our instruments: each criterion that selects, each thing that a stream can be given."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    LastValueAggregation,
    SumAggregation,
    View,
)

from telemetry.metrics.provider import MeterProvider
from tests.telemetry.metrics.reading import of, standing, totals

SELECTING: list[tuple[dict[str, Any], bool]] = [
    ({"instrument_name": "requests"}, True),
    ({"instrument_name": "REQUESTS"}, True),
    ({"instrument_name": "req*"}, True),
    ({"instrument_name": "other"}, False),
    ({"instrument_type": sdk.Counter}, True),
    ({"instrument_type": sdk.Histogram}, False),
    ({"instrument_unit": "s"}, True),
    ({"instrument_unit": "By"}, False),
    ({"meter_name": "lib"}, True),
    ({"meter_name": "other"}, False),
    ({"meter_version": "1"}, True),
    ({"meter_version": "2"}, False),
    ({"meter_schema_url": "https://s"}, True),
    ({"meter_schema_url": "https://t"}, False),
    ({"instrument_name": "requests", "meter_name": "other"}, False),
]


@pytest.mark.parametrize(("criteria", "selects"), SELECTING)
def test_criteria_select_as_the_sdk_does(criteria: dict[str, Any], selects: bool) -> None:
    """A view selects an instrument of ours where the SDK's own would be selected."""
    view = View(**criteria, description="renamed")
    theirs = sdk.MeterProvider().get_meter("lib", "1", "https://s").create_counter("requests", "s")
    provider = MeterProvider([view])
    provider.get_meter("lib", "1", "https://s").create_counter("requests", "s").add(1)
    (entry,) = provider.box.totals[0].entries
    if view._instrument_name != "REQUESTS":  # which older versions of the SDK do not take for `requests`
        assert view._match(theirs) is selects
    assert (entry.identity.description == "renamed") is selects


def test_stream_has_what_the_view_gives_it() -> None:
    """Name, description, attributes and buckets of a stream are the view's; attributes it leaves out add up."""
    view = View(
        instrument_name="latency",
        name="seconds",
        description="Seconds.",
        attribute_keys={"route"},
        aggregation=ExplicitBucketHistogramAggregation([1, 2]),
    )
    provider = MeterProvider([view])
    histogram = provider.get_meter("m").create_histogram("latency")
    histogram.record(0.5, {"route": "/a", "user": "1"})
    histogram.record(1.5, {"user": "2", "route": "/a"})
    assert totals(provider, "seconds") == {of(route="/a"): [1, 1, 0, 2.0]}
    assert totals(provider, "latency") == {}


def test_two_views_are_two_streams() -> None:
    """An instrument that two views select has two streams, each with every event."""
    views = [View(instrument_name="c", name="all", attribute_keys=set()), View(instrument_name="c", name="each")]
    provider = MeterProvider(views)
    counter = provider.get_meter("m").create_counter("c")
    counter.add(1, {"a": "x"})
    counter.add(2, {"a": "y"})
    assert totals(provider, "all") == {of(): [3]}
    assert totals(provider, "each") == {of(a="x"): [1], of(a="y"): [2]}


def test_dropped_instruments_cost_nothing() -> None:
    """A view that drops an instrument leaves no series of it."""
    provider = MeterProvider([View(instrument_name="*", aggregation=DropAggregation())])
    meter = provider.get_meter("m")
    meter.create_counter("c").add(1)
    meter.create_observable_gauge("g", [lambda options: 1 / 0])
    assert provider.box.totals[0].entries == []


def test_aggregations() -> None:
    """The aggregation of a view decides what is kept: a sum of a histogram, buckets of a counter, the last value."""
    views = [
        View(instrument_name="h", aggregation=SumAggregation()),
        View(instrument_name="c", aggregation=ExplicitBucketHistogramAggregation([10.0])),
        View(instrument_name="l", aggregation=LastValueAggregation()),
        View(instrument_name="e", aggregation=ExponentialBucketHistogramAggregation()),
    ]
    provider = MeterProvider(views)
    meter = provider.get_meter("m")
    for value in (5, 20):
        meter.create_histogram("h").record(value)
        meter.create_counter("c").add(value)
        meter.create_up_down_counter("l").add(value)
        meter.create_histogram("e").record(value)
    assert totals(provider, "h") == {of(): [25]}
    assert totals(provider, "c") == {of(): [1, 1, 25]}
    assert standing(provider, "l") == {of(): 20}
    assert sum(totals(provider, "e")[of()][:-1]) == 2


def test_levels_whose_attributes_are_left_out_add_up() -> None:
    """Observations that a view makes one series add up, as the specification has it for sums."""
    from opentelemetry.metrics import Observation

    provider = MeterProvider([View(instrument_name="l", attribute_keys={"pool"})])
    observations = [Observation(2, {"pool": "a", "n": 1}), Observation(3, {"pool": "a", "n": 2})]
    provider.get_meter("m").create_observable_up_down_counter("l", [lambda options: observations])
    assert standing(provider, "l") == {of(pool="a"): 5}
