"""Where the collector of fleet-telemetry is, which this package carries as a program."""

from __future__ import annotations

from pathlib import Path

__all__ = ["program"]


def program() -> Path:
    """The static program for this machine."""
    return Path(__file__).parent / "otelcol"
