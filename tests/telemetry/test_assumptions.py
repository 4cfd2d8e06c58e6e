"""What is missing of what hooks rely on is said once, and counted."""

from __future__ import annotations

import logging
import sys
from functools import wraps
from types import ModuleType
from typing import Any

import pytest

from telemetry import process, testing
from telemetry.instrumentation import assumptions
from telemetry.instrumentation.assumptions import Assumption


def test_miss_is_one_line_and_one_error(
    captured: testing.Captured, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a new version of a library has moved is named once, with the consequence, and counted once."""
    monkeypatch.setattr(process.current, "told", set())
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


def test_wrapped_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a function and a constructor take is found behind wrappers, ours or somebody else's, however many."""

    def select(*, scope: Any, path: str) -> None: ...

    def circular(*, scope: Any) -> None: ...

    def wrapped(function: Any) -> Any:
        @wraps(function)
        def outer(*given: Any, **named: Any) -> Any:
            return function(*given, **named)

        return outer

    class Made:
        def __init__(self, size: int) -> None: ...

    library: Any = ModuleType("library")
    library.select, library.Made, library.circular = wrapped(wrapped(select)), Made, circular
    monkeypatch.setattr(Made, "__init__", wrapped(Made.__init__))
    circular.__wrapped__ = circular  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "library", library)
    names = {("select", "scope"), ("select", "path"), ("select", "mount"), ("Made", "size"), ("circular", "scope")}
    holding = {(owner, name) for owner, name in names if Assumption(f"library:{owner}", name).holds()}
    assert holding == {("select", "scope"), ("select", "path"), ("Made", "size")}
