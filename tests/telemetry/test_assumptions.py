"""What hooks rely on in libraries is there, and what is missing is said once and counted."""

from __future__ import annotations

import logging
import pkgutil
from importlib import import_module

import pytest

import telemetry.instrumentation
from telemetry import testing
from telemetry.instrumentation import assumptions
from telemetry.instrumentation.assumptions import Assumption

ROOMS = [
    import_module(f"{room.name}.assumptions")
    for room in pkgutil.iter_modules(telemetry.instrumentation.__path__, "telemetry.instrumentation.")
    if room.ispkg and "assumptions" in [found.name for found in pkgutil.iter_modules(import_module(room.name).__path__)]
]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__.split(".")[-2])
def test_installed_versions_have_everything(room: object) -> None:
    """Every assumption of every room holds in the versions that this project is tested with."""
    listed = room.ASSUMPTIONS  # type: ignore[attr-defined]
    assert [assumption for assumption in listed if not assumption.holds()] == []
    assert len(set(listed)) == len(listed) > 0


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
