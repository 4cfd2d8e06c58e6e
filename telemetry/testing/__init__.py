"""Test tools for users: what a block of code recorded, golden files of own metrics; PromQL is read in ``.promql``.

``telemetry.testing.promql`` needs the extra ``fleet-telemetry[testing]``; the rest needs nothing more.
"""

from __future__ import annotations

from telemetry.testing.capturing import Captured, assert_counted, captured
from telemetry.testing.golden import assert_golden, golden

__all__ = ["Captured", "assert_counted", "assert_golden", "captured", "golden"]
