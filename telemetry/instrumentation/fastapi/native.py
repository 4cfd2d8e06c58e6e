"""FastAPI's own metrics of requests, which it has since 0.16x: off where they would come to us, who count them already.

FastAPI asks for its setting at each request. What it does besides, spans and logs, is not touched.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import metrics

from telemetry import process


class _UnlessOurs:
    """FastAPI's setting ``metrics``: true where the meter provider that they go to is somebody else's.

    Args:
        settings: FastAPI's, of one application.
    """

    __slots__ = ("_settings",)

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings

    def __bool__(self) -> bool:
        configured = process.current.configured
        provider = self._settings.get("meter_provider") or metrics.get_meter_provider()
        return configured is None or provider is not configured.meter_provider


def leave_out(app: object) -> None:
    """Let an application that is measured count no request for us once more."""
    settings = _settings(app)
    if settings.get("metrics") is True:
        settings["metrics"] = _UnlessOurs(settings)


def restore(app: object) -> None:
    """It counts as it did before."""
    settings = _settings(app)
    if isinstance(settings.get("metrics"), _UnlessOurs):
        settings["metrics"] = True


def _settings(app: object) -> dict[str, Any]:
    """FastAPI's own, which are changed in place; empty for what has none."""
    found = getattr(app, "_telemetry", None)
    return found if isinstance(found, dict) else {}
