"""What every test shares: our own exceptions are raised instead of swallowed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from telemetry import guard, testing


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guard.STRICT_VARIABLE, "1")


@pytest.fixture
def captured() -> Iterator[testing.Captured]:
    """What the test records, in memory."""
    with testing.capture() as recorded:
        yield recorded
