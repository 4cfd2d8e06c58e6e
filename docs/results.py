"""What ``benchmarks/`` stored; it measures nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def result_of(name: str) -> Any:
    """A benchmark's result."""
    return json.loads((_RESULTS / f"{name}.json").read_text())


def about(name: str) -> str:
    """When it was measured, and with which versions."""
    result = result_of(name)
    versions = [f"Python {result['python']}", *(f"{name} {version}" for name, version in result["packages"].items())]
    return f"Measured {result['measured']}, {', '.join(versions)}."
