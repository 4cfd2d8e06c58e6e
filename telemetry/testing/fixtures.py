"""Fixtures for pytest: ``pytest_plugins = ["telemetry.testing.fixtures"]`` in a ``conftest.py`` makes them known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from telemetry.testing import capturing


@pytest.fixture(name="captured")
def captured_() -> Iterator[capturing.Captured]:
    """What the test records, in memory."""
    with capturing.captured() as recorded:
        yield recorded
