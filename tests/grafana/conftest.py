"""One fleet under known traffic for all tests of this folder that look at dashboards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.fleet import Fleet
from tests.grafana.live import Prometheus, busy_fleet

Busy = tuple[Fleet, dict[str, Any], Prometheus]


@pytest.fixture(scope="package")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    """The fleet after its traffic, what was done, and its Prometheus as of a scrape that has all of it."""
    with busy_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="package")
def fleet(busy: Busy) -> Fleet:
    """The fleet."""
    return busy[0]


@pytest.fixture(scope="package")
def truth(busy: Busy) -> dict[str, Any]:
    """What was done."""
    return busy[1]


@pytest.fixture(scope="package")
def prometheus(busy: Busy) -> Prometheus:
    """Its Prometheus."""
    return busy[2]
