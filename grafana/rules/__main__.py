"""Writes ``grafana/alerts/recordings.yaml`` and ``slo.yaml``; ``--check`` only compares.

Usage: ``python -m grafana.rules [--check]``
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from grafana.rules import fleet, slo

FOLDER = Path(__file__).parent.parent / "alerts"
FILES: dict[str, list[dict[str, Any]]] = {
    "recordings.yaml": [fleet.group()],
    "slo.yaml": [slo.group(objective) for objective in slo.OBJECTIVES],
}


def render(groups: list[dict[str, Any]]) -> str:
    """The file's text."""
    body = yaml.safe_dump({"groups": groups}, sort_keys=False, width=1000)
    return f"# Written by `make dashboards` from grafana/rules; edit there.\n{body}"


def main(check: bool) -> int:
    """Write, or compare, the generated rule files."""
    files = {FOLDER / name: render(groups) for name, groups in FILES.items()}
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if check and stale:
        names = ", ".join(path.name for path in stale)
        sys.stderr.write(f"not up to date in grafana/alerts: {names}; run `make dashboards`\n")
        return 1
    for path in stale:
        path.write_text(files[path])
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
