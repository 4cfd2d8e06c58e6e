"""Two collectors, scraped as `prometheus-scrape-config.collectors.yml` says: totals add up, facts and levels count once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.catalogue import FLEET
from support.collector import CONFIG, DURABLE, running
from support.waiting import eventually
from telemetry.catalogue import HistogramSpec
from tests.grafana import expressions
from tests.grafana.another_environment import EACH, READING, label_sets
from tests.grafana.live import WINDOW, Prometheus, as_of_last_scrape, process_of, prometheus_of, scraping

# The two are scraped at different moments, so increases extrapolate a little; counting twice would be a factor of 2.
EXTRAPOLATION = 0.3


@contextmanager
def _has_scraped(url: str, collectors: int) -> Iterator[None]:
    """Prometheus has scraped the three pages of each collector: into an empty store it takes no zero of a series."""
    assert eventually(lambda: len(Prometheus(url).query("up == 1")) == 3 * collectors)
    yield


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus of two collectors; to each, one process of `prod` has exported everything."""
    directory = tmp_path_factory.mktemp("two")
    with (
        running() as one,
        running() as other,
        prometheus_of(directory, scraping([one, other])) as url,
        _has_scraped(url, collectors=2),
        process_of("prod", one.endpoint),
        process_of("prod", other.endpoint),
    ):
        # A scrape that began before a process did takes no zero of its series; the next one does.
        series = {
            "celery_queue_length": 6,
            f"(increase(messages_sent_total[{WINDOW}]) > 0)": 6,
            "group by (instance) (celery_worker_pool_size)": 2,
        }
        everywhere = " and on () ".join(f"count({each}) == {number}" for each, number in series.items())
        assert eventually(lambda: Prometheus(url).query("messages_sent_total"))
        complete = eventually(lambda: as_of_last_scrape(url), wanted=lambda seen: bool(seen.query(everywhere)))
        assert complete.query(everywhere)
        yield complete


@pytest.mark.parametrize("spec", FLEET.specs, ids=lambda spec: spec.name)
def test_recording_is_the_fleets(spec: Any, prometheus: Prometheus) -> None:
    """`fleet:…` has each label set once: counters and levels of both processes, facts as they are."""
    name = f"fleet:{spec.name.removesuffix('_total')}"
    recorded = next(
        expression
        for record, expression in expressions.recordings().items()
        if record in {f"{name}:rate5m", f"{name}_count:rate5m", f"{name}:sum", f"{name}:max"}
    )
    samples = prometheus.query(recorded.replace("rate(", "increase(").replace("[5m]", f"[{WINDOW}]"))
    each = {"fact": READING, "level": 2 * READING}.get(spec.kind, 2 * EACH)
    have = {tuple(sorted(labels.items())): value for labels, value in samples}
    assert isinstance(spec, HistogramSpec) or len(have) == len(samples)
    for labels in label_sets(spec):
        key = tuple(sorted({**labels, "environment": "prod"}.items()))
        assert have[key] == pytest.approx(each, rel=EXTRAPOLATION), labels


@pytest.mark.parametrize(
    ("board", "title", "expected"),
    [
        ("celery-monitoring", "Tasks waiting", 3 * READING),
        ("celery-monitoring", "Active workers", READING),
        ("application-performance", "In progress", None),
        ("application-performance", "Messages in the time range", 3 * 2 * EACH),
        ("telemetry-health", "Replicas reporting", 2),
    ],
)
def test_panel_is_the_fleets(board: str, title: str, expected: float | None, prometheus: Prometheus) -> None:
    """Panels of facts, levels and totals, none of them doubled by the second collector."""
    levels = (
        2
        * READING
        * len(list(label_sets(next(spec for spec in FLEET.specs if spec.name == "http_requests_in_progress"))))
    )
    assert prometheus.value(board, title) == pytest.approx(levels if expected is None else expected, rel=EXTRAPOLATION)


def test_folded_points_are_seen(tmp_path: Path) -> None:
    """A durable collector whose metrics have used up their budgets: the expressions of the alerts on that say so."""
    with (
        running(DURABLE, {"OTELCOL_SERIES_PER_METRIC": "2"}) as collector,
        prometheus_of(tmp_path, scraping([collector])) as url,
        process_of("prod", collector.endpoint),
    ):
        for name in ("CollectorFoldsPoints", "CollectorSeriesBudget"):
            expression = expressions.alerts()[name]["expr"]
            found = eventually(lambda expression=expression: Prometheus(url).query(expression))
            assert {"metric", "instance"} == set(found[0][0]), name


def test_lost_points_are_seen(tmp_path: Path) -> None:
    """A collector at its limit of series: the expressions of the alerts on that say so."""
    small = tmp_path / "small.yaml"
    text = CONFIG.read_text()
    assert "max_streams: 100000" in text
    small.write_text(text.replace("max_streams: 100000", "max_streams: 20"))
    with (
        running(small) as collector,
        prometheus_of(tmp_path, scraping([collector])) as url,
        process_of("prod", collector.endpoint),
    ):
        for name, labels in (("CollectorDropsPoints", {"error": "limit"}), ("CollectorSeriesBudget", {})):
            expression = expressions.alerts()[name]["expr"]
            found = eventually(lambda expression=expression: Prometheus(url).query(expression))
            assert found, name
            assert labels.items() <= found[0][0].items()
