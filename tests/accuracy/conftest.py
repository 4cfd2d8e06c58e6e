"""Systems, scale and table of the accuracy suite: each scenario runs on each system, short and in full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from docs.accuracy.table import Absent, Table
from tests.accuracy.measure import Check
from tests.accuracy.programs import Notes
from tests.accuracy.systems import ALL
from tests.accuracy.systems.base import System
from tests.accuracy.systems.ours import Durable, Official
from tests.telemetry.celery.conftest import broker, fleet  # noqa: F401 - fixtures

TABLE = Table()


@dataclass(frozen=True)
class Scale:
    """How much a scenario does.

    Attributes:
        name: For the names of tests.
        events: Per recording thread.
        children: In a fork storm.
        requests: To replicas.
        kills: Of senders, replicas and collectors.
        seconds: An outage, or a storm, takes.
    """

    name: str
    events: int
    children: int
    requests: int
    kills: int
    seconds: float


SHORT = Scale("short", 300, 20, 100, 2, 1.5)
FULL = Scale("full", 3_000, 60, 400, 4, 5.0)


def pytest_configure(config: pytest.Config) -> None:
    """The marks of this suite."""
    for mark in (
        "needs(what, …): systems that lack one of these have no part in the scenario",
        "costly: the short form runs on the durable collector alone, where every change waits for it",
        "covered: its short form is run by `make test-slow` alone; tests of its own room show the same at every change",
        "long: there is no short form",
    ):
        config.addinivalue_line("markers", mark)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The short form on both collectors in every run, on the rest in `make test-slow`; the full one in `make test-accuracy`."""
    if "system" not in metafunc.fixturenames:
        return
    has = metafunc.definition.get_closest_marker
    in_every_run = set() if has("covered") else {Durable} if has("costly") else {Durable, Official}
    parameters = [
        pytest.param(system, scale, id=f"{system.key}-{scale.name}", marks=_marks(scale, system in in_every_run))
        for system in ALL
        for scale in ((FULL,) if has("long") else (SHORT, FULL))
    ]
    metafunc.parametrize(("system", "scale"), parameters, indirect=True)


def _marks(scale: Scale, in_every_run: bool) -> list[pytest.MarkDecorator]:
    if scale is FULL:
        return [pytest.mark.accuracy, pytest.mark.timeout(1200)]
    return [] if in_every_run else [pytest.mark.slow]


@pytest.fixture
def scale(request: pytest.FixtureRequest) -> Scale:
    """How much this test does."""
    made: Scale = request.param
    return made


@pytest.fixture
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """A fresh one; a scenario that it has no part in is noted and left out."""
    kind: type[System] = request.param
    for needs in request.node.iter_markers("needs"):
        for reason in filter(None, map(kind.lacks.get, needs.args)):
            TABLE.absent.append(Absent(*_scenario(request), kind.key, reason))
            pytest.skip(reason)
    made = kind(tmp_path)
    yield made
    made.close()


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """What happened, known without telemetry."""
    return Notes(tmp_path)


@pytest.fixture
def check(request: pytest.FixtureRequest, system: System, scale: Scale) -> Check:
    """The rows of this scenario, whatever its scale."""
    return Check(TABLE, *_scenario(request), system, scale.name)


def _scenario(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The module, and the first words of the docstring."""
    part = request.module.__name__.rpartition("test_")[2]
    return part, (request.function.__doc__ or request.node.name).partition(":")[0].rstrip(".")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, and keep it in the file named by `ACCURACY_ROWS`."""
    if TABLE.rows:
        terminalreporter.section("accuracy")
        for row in TABLE.lines():
            terminalreporter.write_line(row)
    if os.environ.get("ACCURACY_ROWS"):
        TABLE.write(Path(os.environ["ACCURACY_ROWS"]))
