"""What the catalogue's views make of an instrument: its name, its labels, its buckets, whoever creates it."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics.view import View

from telemetry import testing
from telemetry.box.header import Role
from telemetry.catalogue import CounterSpec, FactSpec, HistogramSpec, Spec
from telemetry.catalogue.http import DURATION, REQUESTS
from tests.support.chat import CHAT


def _record(captured: testing.Captured, spec: Spec[Any], labels: Any) -> None:
    instruments = captured.telemetry.instruments
    match spec:
        case CounterSpec():
            instruments.counter(spec).add(1, labels)
        case HistogramSpec():
            instruments.histogram(spec).record(1, labels)
        case FactSpec():
            instruments.fact(spec).set_all([(labels, 1)])


def test_every_total_has_its_declared_shape(captured: testing.Captured) -> None:
    """Each histogram counts in exactly the buckets of the catalogue, each series has exactly its labels."""
    for spec in CHAT.specs:
        _record(captured, spec, dict.fromkeys(spec.label_keys, "x"))
    kept = {entry.identity.name: entry for entry, _ in captured.telemetry.meter_provider.box.standing(Role.TOTALS)}
    for spec in CHAT.specs:
        if isinstance(spec, CounterSpec | HistogramSpec):
            assert kept[spec.name].keys == spec.label_keys
            assert kept[spec.name].identity.bounds == getattr(spec, "buckets", ())
            assert (kept[spec.name].identity.unit, kept[spec.name].identity.description) == (spec.unit, spec.help)


def test_undeclared_labels_stay_inside(captured: testing.Captured) -> None:
    """A label that the catalogue does not declare is cut off, whoever made the instrument."""
    meter = captured.telemetry.meter_provider.get_meter("somebody.else", "7")
    histogram = meter.create_histogram(DURATION.name)
    histogram.record(0.1, {"method": "GET", "endpoint": "/x", "user": "id-1"})
    assert captured.series(DURATION.name) == {(("endpoint", "/x"), ("method", "GET")): 1}
    assert captured.buckets(DURATION.name, method="GET", endpoint="/x")[4] == 1


def test_one_name_is_one_metric(captured: testing.Captured) -> None:
    """What the application counts under a documented name adds to it."""
    counter = captured.telemetry.meter_provider.get_meter("own").create_counter(REQUESTS.name)
    counter.add(1, {"method": "GET", "endpoint": "/x", "status_code": "200"})
    captured.telemetry.http.answered("GET", "/x", 200, 0.1)
    assert captured.value(REQUESTS.name, method="GET", endpoint="/x", status_code="200") == 2


def test_application_gives_views_of_its_own() -> None:
    """A view of the application shapes its own instruments beside the catalogue, whose streams stay as declared."""
    views = [View(instrument_name="jobs", name="jobs_seconds", attribute_keys={"queue"})]
    with testing.captured(views=views) as captured:
        jobs = captured.telemetry.meter_provider.get_meter("own").create_histogram("jobs")
        jobs.record(2, {"queue": "a", "job": "1"})
        jobs.record(3, {"queue": "a", "job": "2"})
        captured.telemetry.http.answered("GET", "/x", 200, 0.1)
        assert captured.series("jobs_seconds") == {(("queue", "a"),): 2}
        assert captured.series("jobs") == {}
        assert captured.total(REQUESTS.name) == 1
