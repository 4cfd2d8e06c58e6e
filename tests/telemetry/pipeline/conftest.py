"""A collector that adds up, for tests over real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.otlp_sink import OtlpSink


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    """A collector that adds up."""
    made = OtlpSink()
    yield made
    made.close()
