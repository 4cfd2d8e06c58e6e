"""Every check, the most fundamental first: a cause stands before what usually follows from it."""

from __future__ import annotations

from telemetry.cli.doctor import (
    clock,
    collector,
    endpoint,
    exporter,
    fleet,
    hooks,
    prometheus,
    queries,
    settings,
    state,
    versions,
)
from telemetry.cli.doctor.check import Check

CHECKS: tuple[Check, ...] = (
    versions.CHECK,
    settings.CHECK,
    hooks.CHECK,
    exporter.CHECK,
    endpoint.CHECK,
    collector.CHECK,
    state.CHECK,
    prometheus.CHECK,
    fleet.CHECK,
    queries.CHECK,
    clock.CHECK,
)
