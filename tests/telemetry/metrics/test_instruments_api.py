"""OpenTelemetry's metrics API as its SDK keeps it: what each of the seven instruments does with what it is given."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions, Observation

from telemetry import guard
from telemetry.metrics.provider import MeterProvider
from telemetry.metrics.stream import MOST_FREE_SERIES
from tests.support.beside import at_once
from tests.telemetry.metrics.reading import of, standing, totals


@pytest.fixture
def provider() -> MeterProvider:
    """A provider of this test alone."""
    return MeterProvider()


@pytest.fixture
def meter(provider: MeterProvider) -> api.Meter:
    """Its meter."""
    return provider.get_meter("test", "1.0")


# --- what is recorded -------------------------------------------------------------------------------------------------


def test_counter_adds_up(provider: MeterProvider, meter: api.Meter) -> None:
    """Amounts add up by attributes; 0 makes a series, and no attributes are a series of their own."""
    counter = meter.create_counter("c")
    counter.add(1, {"a": "x"})
    counter.add(2.5, {"a": "x"})
    counter.add(0, {"a": "y"})
    counter.add(4)
    counter.add(1, None)
    counter.add(1, {})
    assert totals(provider, "c") == {of(a="x"): [3.5], of(a="y"): [0], of(): [6]}


@pytest.mark.parametrize("amount", [-1, -0.1, float("nan"), float("inf"), float("-inf")])
def test_illegal_amounts_change_nothing(provider: MeterProvider, meter: api.Meter, amount: float) -> None:
    """What a total cannot take is not counted: negative, infinite, no number."""
    counter, histogram = meter.create_counter("c"), meter.create_histogram("h")
    for one in (counter.add, histogram.record):
        one(1, {"a": "x"})
        one(amount, {"a": "x"})
    assert totals(provider, "c") == {of(a="x"): [1]}
    assert sum(totals(provider, "h")[of(a="x")][:-1]) == 1


@pytest.mark.parametrize("amount", [1, 1.0, True, Decimal(1), Fraction(1)])
def test_any_number_counts(provider: MeterProvider, meter: api.Meter, amount: Any) -> None:
    """Whole numbers, floats, decimals and fractions are numbers."""
    counter, histogram, level = (
        meter.create_counter("c"),
        meter.create_histogram("h"),
        meter.create_up_down_counter("l"),
    )
    for _ in range(2):
        counter.add(amount)
        histogram.record(amount)
        level.add(amount)
    assert totals(provider, "c") == {of(): [2]}
    assert (sum(totals(provider, "h")[of()][:-1]), totals(provider, "h")[of()][-1]) == (2, 2)
    assert standing(provider, "l") == {of(): 2}


def test_up_down_counter_goes_both_ways(provider: MeterProvider, meter: api.Meter) -> None:
    """A level moves by positive and negative amounts; what is no number does not move it."""
    level = meter.create_up_down_counter("l")
    for amount in (5, -7, float("nan"), float("inf"), 1.5):
        level.add(amount, {"a": "x"})
    assert standing(provider, "l") == {of(a="x"): -0.5}


def test_gauge_keeps_the_last(provider: MeterProvider, meter: api.Meter) -> None:
    """A gauge is what was set last, 0 and negative numbers too."""
    gauge = meter.create_gauge("g")
    gauge.set(5, {"a": "x"})
    gauge.set(-2, {"a": "x"})
    gauge.set(0, {"a": "y"})
    gauge.set(float("nan"), {"a": "y"})
    assert standing(provider, "g") == {of(a="x"): -2, of(a="y"): 0}


def test_histogram_has_the_default_buckets(provider: MeterProvider, meter: api.Meter) -> None:
    """Without advice a histogram has the buckets of the specification; a value on a bound is below it."""
    histogram = meter.create_histogram("h")
    for value in (0, 5, 5.1, 10_000, 10_001):
        histogram.record(value)
    *buckets, total = totals(provider, "h")[of()]
    assert len(buckets) == 16
    assert (buckets[0], buckets[1], buckets[2], buckets[-2], buckets[-1]) == (1, 1, 1, 1, 1)
    assert total == 20_011.1


def test_histogram_takes_advice(provider: MeterProvider, meter: api.Meter, caplog: pytest.LogCaptureFixture) -> None:
    """Buckets that are advised are used; nonsense is not, and is named."""
    meter.create_histogram("h", explicit_bucket_boundaries_advisory=[1, 2]).record(1.5)
    assert totals(provider, "h")[of()] == [0, 1, 0, 1.5]
    for number, advice in enumerate(([2, 1], ["a"], [1, float("inf")], [1, 1])):
        meter.create_histogram(f"odd{number}", explicit_bucket_boundaries_advisory=advice).record(1)  # type: ignore[arg-type]
        assert len(totals(provider, f"odd{number}")[of()]) == 17
    assert len(caplog.records) == 4


# --- attributes -------------------------------------------------------------------------------------------------------


def test_order_of_attributes_does_not_matter(provider: MeterProvider, meter: api.Meter) -> None:
    """The same attributes in any order are one series."""
    counter = meter.create_counter("c")
    for _ in range(2):
        counter.add(1, {"a": "x", "b": "y"})
        counter.add(1, {"b": "y", "a": "x"})
    assert totals(provider, "c") == {of(a="x", b="y"): [4]}


def test_types_of_values_matter(provider: MeterProvider, meter: api.Meter) -> None:
    """`1`, `1.0`, `True` and `"1"` are equal to Python or to a label, and four series to OpenTelemetry; so in lists."""
    counter = meter.create_counter("c")
    values = (1, 1.0, True, "1", [1], [True], (1.0,), ["1"])
    for _ in range(2):
        for value in values:
            counter.add(1, {"a": value})  # type: ignore[dict-item]
    entries = [entry for entry in provider.box.totals[0].entries if entry.identity.name == "c"]
    assert [repr(entry.values[0]) for entry in entries] == [
        "1",
        "1.0",
        "True",
        "'1'",
        "(1,)",
        "(True,)",
        "(1.0,)",
        "('1',)",
    ]
    assert [provider.box.totals[0].cells[entry.slot] for entry in entries] == [2] * 8


def test_attributes_are_taken_at_the_call(provider: MeterProvider, meter: api.Meter) -> None:
    """What happens to a dictionary or a list after the call does not change the series."""
    counter = meter.create_counter("c")
    attributes: dict[str, Any] = {"a": "x", "b": ["1"]}
    counter.add(1, attributes)
    attributes["a"] = "z"
    attributes["b"].append("2")
    assert set(totals(provider, "c")) == {of(a="x", b=("1",))}


def test_odd_attributes_become_text(provider: MeterProvider, meter: api.Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no value of OpenTelemetry becomes text, of bounded length; nothing raises, every event counts."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    counter = meter.create_counter("c")
    odd = [None, object(), b"\xff", {"x": 1}, 10**30, "\ud800", "y" * 5_000, float("nan")]
    for value in odd:
        counter.add(1, {"a": value})  # type: ignore[dict-item]
    counter.add(1, {1: "x"})  # type: ignore[dict-item]
    found = totals(provider, "c")
    assert sum(cells[0] for cells in found.values()) == len(odd) + 1
    assert all(len(str(value)) <= 1024 for attributes in found for _, value in attributes)
    values = {value for attributes in found for _, value in attributes}
    assert all(isinstance(value, str | float) for value in values)
    assert "\N{REPLACEMENT CHARACTER}" in values


def test_series_are_bounded(provider: MeterProvider, meter: api.Meter, caplog: pytest.LogCaptureFixture) -> None:
    """Attributes without end become one series for all beyond the limit, marked as OpenTelemetry says; no event is lost.

    One line of the log says so.
    """
    counter = meter.create_counter("c")
    for _ in range(2):
        for number in range(MOST_FREE_SERIES + 500):
            counter.add(1, {"user": f"id-{number}"})
    found = totals(provider, "c")
    assert len(found) == MOST_FREE_SERIES
    assert found[frozenset({("otel.metric.overflow", True)})] == [2 * 501]
    assert sum(cells[0] for cells in found.values()) == 2 * (MOST_FREE_SERIES + 500)
    assert [
        record.levelname for record in caplog.records if "as many as one instrument may have" in record.message
    ] == ["WARNING"]


def test_threads_lose_nothing(provider: MeterProvider, meter: api.Meter) -> None:
    """Many threads that count into the same series, new ones among them, lose no event."""
    counter, histogram = meter.create_counter("c"), meter.create_histogram("h")

    def record() -> None:
        for number in range(5_000):
            counter.add(1, {"a": "x", "n": number % 50})
            histogram.record(1.0)

    at_once(lambda _: record(), 6)
    assert sum(cells[0] for cells in totals(provider, "c").values()) == 30_000
    assert totals(provider, "h")[of()][-1] == 30_000


# --- observable instruments -------------------------------------------------------------------------------------------


def _observe(*observations: Observation) -> Any:
    return lambda options: observations


def test_observable_gauge_and_level_stand_as_observed(provider: MeterProvider, meter: api.Meter) -> None:
    """What callbacks observe is what there is; what they do not observe any more is gone."""
    values = {"a": 5.0, "b": 1.0}

    def observe(options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, {"n": name}) for name, value in values.items()]

    meter.create_observable_gauge("g", [observe])
    meter.create_observable_up_down_counter("l", [observe])
    for name in ("g", "l"):
        assert standing(provider, name) == {of(n="a"): 5, of(n="b"): 1}
    values.pop("b")
    values["a"] = 2
    for name in ("g", "l"):
        assert standing(provider, name) == {of(n="a"): 2}


def test_observable_counter_counts_what_it_grew_by(provider: MeterProvider, meter: api.Meter) -> None:
    """Of a total that somebody else keeps the growth is counted; one that begins anew counts from nothing."""
    seen = iter([10, 10, 25, 5, 6])
    meter.create_observable_counter("c", [lambda options: [Observation(next(seen), {"a": "x"})]])
    counted = []
    for _ in range(5):
        provider.collect()
        counted.append(totals(provider, "c")[of(a="x")][0])
    assert counted == [10, 10, 25, 30, 31]


def test_every_callback_is_asked_and_one_may_fail(
    provider: MeterProvider, meter: api.Meter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback that raises takes neither the others' observations nor the collection with it."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)

    def broken(options: CallbackOptions) -> Iterable[Observation]:
        raise RuntimeError("no")

    meter.create_observable_gauge(
        "g", [_observe(Observation(1, {"n": "a"})), broken, _observe(Observation(2, {"n": "b"}))]
    )
    assert standing(provider, "g") == {of(n="a"): 1, of(n="b"): 2}
    assert "observing g" in caplog.text


def test_callbacks_may_be_generators(provider: MeterProvider, meter: api.Meter) -> None:
    """A generator is sent the options and yields the observations of one collection at a time."""
    options_seen = []

    def observe() -> Generator[Iterable[Observation], CallbackOptions, None]:
        options = yield []
        for value in (1, 2):
            options_seen.append(options)
            options = yield [Observation(value)]

    meter.create_observable_gauge("g", [observe()])
    assert standing(provider, "g") == {of(): 1}
    assert standing(provider, "g") == {of(): 2}
    assert standing(provider, "g") == {}
    assert all(isinstance(options, CallbackOptions) for options in options_seen)


def test_observations_that_are_no_numbers_are_left_out(provider: MeterProvider, meter: api.Meter) -> None:
    """A reading that is not finite is absent; the one beside it is there."""
    observations = [
        Observation(float("nan"), {"n": "a"}),
        Observation(float("inf"), {"n": "b"}),
        Observation(1, {"n": "c"}),
    ]
    meter.create_observable_gauge("g", [_observe(*observations)])
    assert standing(provider, "g") == {of(n="c"): 1}


# --- meters -----------------------------------------------------------------------------------------------------------


def test_what_is_asked_for_twice_exists_once(provider: MeterProvider, caplog: pytest.LogCaptureFixture) -> None:
    """A meter of one name and version, and an instrument of one name, kind and unit, whatever the case of its letters."""
    one, two = provider.get_meter("m", "1"), provider.get_meter("m", "1")
    assert one is two
    assert one is not provider.get_meter("m", "2")
    assert one.create_counter("Requests") is two.create_counter("requests")
    assert one.create_counter("requests", "s") is not one.create_counter("requests")
    one.create_histogram("h", explicit_bucket_boundaries_advisory=[1.0])
    assert not caplog.records
    one.create_histogram("h", explicit_bucket_boundaries_advisory=[2.0])
    assert "other buckets" in caplog.text


@pytest.mark.parametrize("name", ["", "1st", "a b", "ä", "x" * 300])
def test_illegal_names_measure_nothing(provider: MeterProvider, meter: api.Meter, name: str, caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    """An instrument whose name is not legal is an error in the log, and the program goes on without it."""
    caplog.set_level(logging.ERROR)
    meter.create_counter(name).add(1)
    meter.create_observable_gauge(name, [_observe(Observation(1))])
    provider.collect()
    assert len(caplog.records) == 2
    assert provider.box.totals[0].entries == []


def test_scope_is_kept(provider: MeterProvider) -> None:
    """Which library counts, in which version, goes along with what it counts."""
    provider.get_meter("lib", "2.1", "https://schema", {"team": "a"}).create_counter("c", "By", "Bytes.").add(1)
    (entry,) = provider.box.totals[0].entries
    scope = entry.identity.scope
    assert (scope.name, scope.version, scope.schema_url, dict(scope.attributes)) == ("lib", "2.1", "https://schema", {"team": "a"})  # fmt: skip
    assert (entry.identity.unit, entry.identity.description) == ("By", "Bytes.")


def test_series_under_locks_count_the_same() -> None:
    """A build of Python whose threads run at the same time takes a lock for each event, and counts the same."""
    import subprocess
    import sys

    code = """
import threading
from telemetry.metrics import series
series.count_under_locks()
from telemetry.metrics.provider import MeterProvider
from tests.telemetry.metrics.reading import of, standing, totals
provider = MeterProvider(); meter = provider.get_meter("m")
c, h, l = meter.create_counter("c"), meter.create_histogram("h"), meter.create_up_down_counter("l")
def record():
    for _ in range(5000): c.add(1); h.record(1); l.add(1); l.add(-1)
threads = [threading.Thread(target=record) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print(totals(provider, "c")[of()], totals(provider, "h")[of()][-1], standing(provider, "l")[of()])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stdout == "[20000.0] 20000.0 0.0\n", ended.stderr
