"""One Redis for all Celery tests; each module starts the workers it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.telemetry.celery.fleet import Broker, Fleet, running


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Redis of its own."""
    made = Broker(tmp_path_factory.mktemp("redis"))
    yield made
    made.stop()


@pytest.fixture
def fleet(broker: Broker, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet of this one test, on an empty broker."""
    with running(broker, tmp_path) as made:
        yield made
