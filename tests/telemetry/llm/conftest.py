"""A vendor process for the tests of this folder, as those of the vendor have it."""

from __future__ import annotations

from tests.simulated_llm.conftest import _running, vendor

__all__ = ["_running", "vendor"]
