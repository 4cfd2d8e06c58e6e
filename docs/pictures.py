"""What each picture of the documentation shows: one that is older than that is found; `make pictures` takes them anew.

Usage: ``python -m docs.pictures`` names those that have to be taken anew.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "pictures"
TAKEN = FOLDER / "taken.json"
_PREVIEW = "telemetry/cli/preview/pages/**/*"

# Files by whose change a picture is outdated.
SHOWN: dict[str, tuple[str, ...]] = {
    "front-page.png": ("deploy/front_page/**/*",),
    "application-performance.png": ("grafana/dashboards/application-performance.json", _PREVIEW),
    "celery-monitoring.png": ("grafana/dashboards/celery-monitoring.json", _PREVIEW),
    "telemetry-health.png": ("grafana/dashboards/telemetry-health.json", _PREVIEW),
    "watch.svg": ("telemetry/cli/watch/*.py",),
    "alert.png": ("grafana/dashboards/telemetry-health.json", "grafana/alerts/celery.yaml", _PREVIEW),
}


def digest(picture: str) -> str:
    """A checksum of all that a picture shows."""
    files = sorted({path for pattern in SHOWN[picture] for path in ROOT.glob(pattern) if _is_source(path)})
    summed = sha256()
    for path in files:
        summed.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return summed.hexdigest()


def _is_source(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc"


def taken() -> dict[str, str]:
    """By picture, the checksum of what it showed when it was taken."""
    known: dict[str, str] = json.loads(TAKEN.read_text()) if TAKEN.exists() else {}
    return known


def outdated() -> list[str]:
    """Pictures that are missing, or older than what they show."""
    known = taken()
    return [name for name in SHOWN if known.get(name) != digest(name) or not (FOLDER / name).exists()]


def has_taken(picture: str) -> None:
    """Note that a picture shows what is there now."""
    TAKEN.write_text(json.dumps({**taken(), picture: digest(picture)}, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    old = outdated()
    if old:
        sys.exit(f"older than what they show: {', '.join(old)}; run `make pictures`")
