"""A vendor process for the tests of this folder, without any history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulated_llm.conftest import RunningVendor, end, start


@pytest.fixture(scope="package")
def _running() -> Iterator[RunningVendor]:
    process, vendor = start()
    yield vendor
    end(process)


@pytest.fixture
def vendor(_running: RunningVendor) -> RunningVendor:
    """A vendor without any history."""
    _running.reset()
    return _running
