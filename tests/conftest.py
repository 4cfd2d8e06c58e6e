"""What every test shares: our own exceptions are raised instead of swallowed, and boxes are kept apart from others'."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from support.memory import MEMORY
from telemetry import guard, testing
from tests.support import chat

# They start whole fleets: one at a time, and first, so that none is left over at the end.
FLEETS = ("tests/fleet/", "tests/grafana/")
# One collector and one Prometheus for all of their files.
TOGETHER = ("tests/telemetry/cli/",)


def _together(path: str) -> str:
    """The name of what has to stay in one process, where several share the tests: a file, a folder, whole fleets."""
    return "fleets" if path.startswith(FLEETS) else next((part for part in TOGETHER if path.startswith(part)), path)


class Shared(LoadScopeScheduling):
    """Shares tests out; what shares fixtures stays together."""

    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shared:
    """How several processes share the tests."""
    return Shared(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fleets come first."""
    items.sort(key=lambda item: _together(item.nodeid.partition("::")[0]) != "fleets")


@pytest.fixture(scope="session", autouse=True)
def _boxes_of_this_session() -> Iterator[None]:
    """Processes that tests start keep their boxes where no other session looks."""
    directory = tempfile.mkdtemp(prefix="telemetry-tests-", dir=MEMORY)
    os.environ["TELEMETRY_STATE_DIR"] = directory
    os.environ.setdefault("OTEL_METRICS_EXPORTER", "none")  # this process configures itself in some tests
    yield
    shutil.rmtree(directory)


@pytest.fixture(scope="session", autouse=True)
def _patient_servers() -> None:
    """A machine under load is no reason for uvicorn to kill a worker, and the requests that it is about to answer."""
    os.environ["UVICORN_TIMEOUT_WORKER_HEALTHCHECK"] = "60"


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guard.RAISE_VARIABLE, "1")
    monkeypatch.setenv("TELEMETRY_STRICT", "1")
    monkeypatch.setattr(guard._State, "failures", 0)  # a process logs so many only


@pytest.fixture(autouse=True)
def _log_records() -> Iterator[None]:
    """What the example's start makes of every log line of its process (`worker/logs.py`) ends with the test."""
    before = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(before)


@pytest.fixture
def captured() -> Iterator[testing.Captured]:
    """What the test records, in memory."""
    with testing.captured(catalogue=chat) as recorded:
        yield recorded
