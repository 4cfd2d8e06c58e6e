"""Which version of the package runs: of the installed distribution, or of the checkout that it is imported from."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DISTRIBUTION = "fleet-telemetry"
_CHECKOUT = Path(__file__).parents[1]


def own_version() -> str:
    """As ``pip show fleet-telemetry`` has it."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return str(tomllib.loads((_CHECKOUT / "pyproject.toml").read_text())["project"]["version"])
