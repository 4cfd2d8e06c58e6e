"""One collector, one Redis and one vendor of models for all examples; each example has an environment of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import collector
from support.collector import Collector
from tests.adopt.installed import Installed, find
from tests.simulated_llm.conftest import _running, vendor
from tests.telemetry.celery.conftest import broker

__all__ = ["_running", "broker", "vendor"]


@pytest.fixture(scope="session")
def shared() -> Iterator[Collector]:
    """A collector for all of them."""
    with collector.running() as running:
        yield running


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Where the launchers are, and the package is installed."""
    return find(tmp_path_factory.mktemp("site") / "packages")
