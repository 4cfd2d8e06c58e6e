"""What every test shares: our own exceptions are raised instead of swallowed, and boxes are kept apart from others'."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from support.memory import MEMORY
from telemetry import guard, testing
from tests.support import chat


@pytest.fixture(scope="session", autouse=True)
def _boxes_of_this_session() -> Iterator[None]:
    """Processes that tests start keep their boxes where no other session looks."""
    directory = tempfile.mkdtemp(prefix="telemetry-tests-", dir=MEMORY)
    os.environ["TELEMETRY_STATE_DIR"] = directory
    yield
    shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guard.STRICT_VARIABLE, "1")
    monkeypatch.setattr(guard._State, "failures", 0)  # a process logs so many only


@pytest.fixture
def captured() -> Iterator[testing.Captured]:
    """What the test records, in memory."""
    with testing.captured(catalogue=chat) as recorded:
        yield recorded
