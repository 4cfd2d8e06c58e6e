"""What leaves the process: what the catalogue declares, and nothing else."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from telemetry import Settings
from telemetry.catalogue import BY_NAME, HistogramSpec
from telemetry.catalogue.http import DURATION
from telemetry.setup import Telemetry


def _metrics(telemetry: Telemetry, reader: InMemoryMetricReader) -> dict[str, Any]:
    data = reader.get_metrics_data()
    resources = data.resource_metrics if data else ()
    return {m.name: m for r in resources for scope in r.scope_metrics for m in scope.metrics}


def _started(**settings: Any) -> tuple[Telemetry, InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    telemetry = Telemetry(Settings(**settings), [reader])
    telemetry.start()
    return telemetry, reader


def _record_foreign(telemetry: Telemetry) -> None:
    assert telemetry._provider is not None
    meter = telemetry._provider.get_meter("somebody.else", "7")
    meter.create_counter("foreign_total").add(1, {"user": "id-1"})
    meter.create_histogram("foreign_seconds").record(1)
    meter.create_up_down_counter("foreign_now").add(1)
    meter.create_gauge("foreign_fact").set(1)
    meter.create_observable_gauge("foreign_observed", [lambda options: ()])


def test_uncatalogued_instruments_stay_inside() -> None:
    """An instrument outside the catalogue does not leave the process, whoever made it."""
    telemetry, reader = _started()
    _record_foreign(telemetry)
    telemetry.business.message_sent(plan="free")
    assert set(_metrics(telemetry, reader)) == {"messages_sent_total"}


def test_one_setting_opens_the_way() -> None:
    """`TELEMETRY_PASS_UNCATALOGUED` lets them out, for debugging."""
    telemetry, reader = _started(pass_uncatalogued=True)
    _record_foreign(telemetry)
    assert {"foreign_total", "foreign_seconds", "foreign_now", "foreign_fact"} <= set(_metrics(telemetry, reader))


def test_undeclared_labels_stay_inside() -> None:
    """A label that the catalogue does not declare is cut off, even from an instrument with a catalogued name."""
    telemetry, reader = _started()
    assert telemetry._provider is not None
    histogram = telemetry._provider.get_meter("telemetry").create_histogram(DURATION.name)
    histogram.record(0.1, {"method": "GET", "endpoint": "/x", "user": "id-1"})
    points = _metrics(telemetry, reader)[DURATION.name].data.data_points
    assert [dict(point.attributes) for point in points] == [{"method": "GET", "endpoint": "/x"}]


def test_every_instrument_has_its_declared_shape() -> None:
    """Each histogram leaves with exactly the buckets of the catalogue, each series with exactly its labels."""
    telemetry, reader = _started()
    for name, bound in telemetry.instruments._bound.items():
        labels = dict.fromkeys(BY_NAME[name].label_keys, "x")
        amount = getattr(bound, "record", None) or getattr(bound, "add", None)
        if amount is not None:
            amount(1, labels)
        else:
            bound.set_all([(labels, 1)])  # type: ignore[attr-defined]
    metrics = _metrics(telemetry, reader)
    assert set(metrics) == set(BY_NAME)
    for name, metric in metrics.items():
        spec = BY_NAME[name]
        for point in metric.data.data_points:
            assert set(point.attributes) == set(spec.label_keys), name
            if isinstance(spec, HistogramSpec):
                assert tuple(point.explicit_bounds) == spec.buckets
