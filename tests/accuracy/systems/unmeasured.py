"""The tasks of the Celery tests without telemetry of ours: others measure them."""

from __future__ import annotations

from typing import Any

import telemetry


def _nothing(*_: Any, **__: Any) -> None:
    """Ours stays away."""


telemetry.configure = telemetry.instrument_celery = _nothing  # type: ignore[assignment]

from tests.telemetry.celery.tasks import app  # noqa: E402 - it configures when it is imported

__all__ = ["app"]
