"""What is missing of what hooks rely on is said once, and counted."""

from __future__ import annotations

import logging

import pytest

from telemetry import testing
from telemetry.instrumentation import assumptions
from telemetry.instrumentation.assumptions import Assumption


def test_miss_is_one_line_and_one_error(
    captured: testing.Captured, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a new version of a library has moved is named once, with the consequence, and counted once."""
    monkeypatch.setattr(assumptions, "_told", set())
    moved = (
        Assumption("celery:Celery", "send_task"),
        Assumption("celery.nowhere:Thing", "x"),
        Assumption("os", "fark"),
    )
    with caplog.at_level(logging.ERROR, "telemetry"):
        assert not assumptions.check("Celery 9", moved, "nothing is counted")
        assert not assumptions.check("Celery 9", moved, "nothing is counted")
    assert [record.message for record in caplog.records] == [
        "telemetry: Celery 9 has no celery.nowhere:Thing.x, os.fark: nothing is counted"
    ]
    assert captured.total("errors_total", error_type="MissingAssumptionError", component="telemetry") == 1
