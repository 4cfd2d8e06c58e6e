"""Makes Python believe that the package is installed, with the entry points it declares, where it is a checkout."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def pretend_installed(directory: Path) -> str:
    """A directory for PYTHONPATH.

    Args:
        directory: Is made.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = directory / f"fleet_telemetry-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fleet-telemetry\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    (info / "entry_points.txt").write_text("\n".join(f"[{group}]\n{_lines(points)}" for group, points in groups))
    return str(directory)


def _lines(points: dict[str, str]) -> str:
    return "".join(f"{name} = {target}\n" for name, target in points.items())
