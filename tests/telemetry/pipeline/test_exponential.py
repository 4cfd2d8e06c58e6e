"""Exponential histograms: finer buckets, as exact as others, under the setting that OpenTelemetry has for them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    InMemoryMetricReader,
)
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)

from support import exposition
from support.ports import free_port
from telemetry.metrics import exponential
from telemetry.metrics.provider import MeterProvider
from telemetry.metrics.views import EXPONENTIAL
from tests.support.processes import line, started
from tests.telemetry.pipeline.fakes import Exporting, Script, points_of
from tests.telemetry.pipeline.test_adoption import _adopt, _die

DURATION = "http_request_duration_seconds"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A state directory."""
    return tmp_path / "state"


def _exporting(place: Path, script: Script | None = None, **more: Any) -> Exporting:
    return Exporting(place, script, histogram_aggregation=EXPONENTIAL, **more)


def _point(process: Exporting, metric: str = DURATION) -> Any:
    (point,) = [point for name, point in points_of(process.transport.sent[-1]) if name == metric]
    return point


def test_buckets_are_those_of_the_sdk(place: Path) -> None:
    """Bucket for bucket, what leaves is what OpenTelemetry's SDK counts of the same values at the same scale."""
    draw = random.Random(4)
    values = [draw.lognormvariate(-2, 2) for _ in range(2000)]
    values = [value for value in values if exponential.BOUNDS[0] < value < exponential.BOUNDS[-1]]
    reader = InMemoryMetricReader({sdk.Histogram: AggregationTemporality.DELTA})
    view = View(instrument_name="own_seconds", aggregation=ExponentialBucketHistogramAggregation(4000, 3))
    theirs = sdk.MeterProvider([reader], views=[view]).get_meter("own").create_histogram("own_seconds")
    process = _exporting(place)
    ours = process.telemetry.meter_provider.get_meter("own").create_histogram("own_seconds")
    for value in values:
        theirs.record(value)
        ours.record(value)
    process.export()
    point, data = _point(process, "own_seconds"), reader.get_metrics_data()
    assert data is not None
    [(_, expected)] = points_of(data)
    assert (point.scale, point.zero_count, point.count) == (expected.scale, 0, len(values))
    assert _by_index(point) == _by_index(expected)
    assert point.sum == pytest.approx(expected.sum)


def _by_index(point: ExponentialHistogramDataPoint) -> dict[int, int]:
    positive = point.positive
    return {positive.offset + place: count for place, count in enumerate(positive.bucket_counts) if count}


@pytest.mark.parametrize(
    ("value", "zeros", "index"),
    [(0.0, 1, None), (1e-9, 1, None), (1.0, 0, -1), (1.01, 0, 0), (4096.0, 0, 95), (1e6, 0, 96)],
)
def test_every_value_is_counted(place: Path, value: float, zeros: int, index: int | None) -> None:
    """What is too small for a bucket counts as 0, what is too large in the last one."""
    process = _exporting(place)
    process.timed(seconds=value)
    process.export()
    point = _point(process)
    assert (point.count, point.zero_count, point.sum) == (1, zeros, value)
    assert list(_by_index(point)) == [] if index is None else [index]


def test_who_says_buckets_has_them(place: Path) -> None:
    """Histograms whose buckets are set, or advised by their instrument, or given by a view, keep them; others are finer."""
    process = _exporting(place, histogram_buckets={DURATION: (1.0, 2.5)})
    process.timed()
    meter = process.telemetry.meter_provider.get_meter("own")
    meter.create_histogram("advised", explicit_bucket_boundaries_advisory=[1.0, 2.0]).record(1)
    meter.create_histogram("other").record(1)
    process.telemetry.database.query_executed("SELECT", "users", 0.01)
    process.export()
    kinds = {name: type(point) for name, point in points_of(process.transport.sent[0])}
    assert kinds[DURATION] is kinds["advised"] is HistogramDataPoint
    assert kinds["other"] is kinds["db_query_duration_seconds"] is ExponentialHistogramDataPoint


def test_views_say_which_aggregation() -> None:
    """A view makes a histogram exponential, or leaves it its buckets, whatever the default is."""
    views = [
        View(instrument_name="fine", aggregation=ExponentialBucketHistogramAggregation()),
        View(instrument_name="coarse", aggregation=ExplicitBucketHistogramAggregation([1.0])),
    ]
    provider = MeterProvider(views, aggregation=EXPONENTIAL)
    for name in ("fine", "coarse", "other"):
        provider.get_meter("own").create_histogram(name).record(1)
    entries = [entry for block in provider.box.totals for entry in block.entries]
    bounds = {entry.identity.name: entry.identity.bounds for entry in entries}
    assert bounds == {"fine": exponential.BOUNDS, "coarse": (1.0,), "other": exponential.BOUNDS}


def test_heir_sends_them_as_they_are(place: Path) -> None:
    """Whoever delivers for a dead process sends its exponential histograms as such, also where its own are others."""
    process = _exporting(place)
    for seconds in (0.1, 0.2, 0.2):
        process.timed(seconds=seconds)
    _die(process)
    heir, _ = _adopt(place, Exporting(place))
    point = _point(heir)
    assert (point.scale, point.count) == (exponential.SCALE, 3)
    assert sorted(_by_index(point).values()) == [1, 2]


def test_page_has_powers_of_two(place: Path) -> None:
    """The endpoint of a host, whose formats have no exponential histograms, shows a bucket for each power of two."""
    port = free_port()
    more = {
        "TELEMETRY_STATE_DIR": str(place),
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": EXPONENTIAL,
    }
    with started("timed(0.3); timed(0.5); timed(5000)\nsay('timed'); sys.stdin.read()", "", **more) as process:
        assert line(process) == "timed"
        page = exposition.scrape(f"http://localhost:{port}/metrics")
    shown = {dict(labels)["le"]: value for (name, labels), value in page.items() if name == f"{DURATION}_bucket"}
    assert (shown["0.25"], shown["0.5"], shown["4096.0"], shown["+Inf"], len(shown)) == (0, 2, 2, 3, 34)
