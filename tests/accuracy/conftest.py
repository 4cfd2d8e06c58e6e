"""Collector, scale and table of the accuracy suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.accuracy.table import Row, Table
from tests.support.collector import Collector, running
from tests.support.flaky_proxy import FlakyProxy

TABLE = Table()


@dataclass(frozen=True)
class Scale:
    """How much a scenario does.

    Attributes:
        name: For the table.
        events: Per recording thread.
        children: In a fork storm.
        outage: Seconds a collector is away.
    """

    name: str
    events: int
    children: int
    outage: float


SHORT = Scale("short", 300, 20, 1.5)
FULL = Scale("full", 20_000, 200, 60.0)


@pytest.fixture(params=[SHORT, pytest.param(FULL, marks=pytest.mark.accuracy)], ids=lambda scale: scale.name)
def scale(request: pytest.FixtureRequest) -> Scale:
    """The short form in every run, the full one in `make test-accuracy`."""
    made: Scale = request.param
    return made


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A fresh collector with the product's configuration."""
    with running() as made:
        yield made


@pytest.fixture
def proxy(collector: Collector) -> Iterator[FlakyProxy]:
    """A way to the collector that can be made to fail."""
    made = FlakyProxy(collector.endpoint)
    yield made
    made.close()


class Check:
    """Writes rows of one scenario and fails on a wrong one."""

    def __init__(self, scenario: str) -> None:
        self._scenario = scenario

    def exact(self, what: str, truth: float, counted: float) -> None:
        """Nothing lost, nothing doubled."""
        self._add(Row(self._scenario, what, truth, counted, truth, truth))

    def within(self, what: str, truth: float, counted: float, least: float, most: float, bound: str) -> None:
        """A stated bound holds."""
        self._add(Row(self._scenario, what, truth, counted, least, most, bound))

    def _add(self, row: Row) -> None:
        TABLE.rows.append(row)
        assert row.is_right, f"{row.scenario}, {row.what}: {row.counted:g} of {row.truth:g}"


@pytest.fixture
def check(request: pytest.FixtureRequest, scale: Scale) -> Check:
    """The rows of this scenario, named by its docstring's first words; every scenario has both forms."""
    title = (request.function.__doc__ or request.node.name).partition(":")[0]
    return Check(title)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, and write it to the file named by `ACCURACY_ROWS`."""
    if TABLE.rows:
        terminalreporter.section("accuracy")
        terminalreporter.write_line(TABLE.text())
    if os.environ.get("ACCURACY_ROWS"):
        TABLE.write(Path(os.environ["ACCURACY_ROWS"]))
