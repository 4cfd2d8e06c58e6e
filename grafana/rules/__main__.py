"""Writes what follows from declarations: rules in ``grafana/alerts`` and ``grafana/compatibility``, and runbooks.

``--check`` only compares.

Usage: ``python -m grafana.rules [--check]``
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from grafana.rules import compatibility, fleet, slo
from support.generated import settle
from telemetry.objectives import written

FOLDER = Path(__file__).parent.parent
ROOT = FOLDER.parent
_WRITTEN = "# Written by `make dashboards` from grafana/rules; edit there.\n"
_OURS = (
    "# For the scrape jobs of our totals and levels: series whose name {name} has as well\n"
    "# carry its labels beside their own.\n"
)
_THEIRS = (
    "# For the job that scrapes {name} itself, while both run: series that we have as well, or that\n"
    "# {name}.yaml records, get the prefix `old_`, so that no sum has them twice.\n"
)


def files() -> dict[Path, str]:
    """Every generated file and its text."""
    generated = {FOLDER / name: text for name, text in (*_of_the_fleet(), *_of_peers())}
    objectives = written.files(slo.OBJECTIVES, slo.SOURCE)
    return generated | {ROOT / name: text for name, text in objectives.items() if not name.endswith(".json")}


def _of_the_fleet() -> Iterator[tuple[str, str]]:
    yield "alerts/recordings.yaml", _rendered({"groups": [fleet.group()]})


def _of_peers() -> Iterator[tuple[str, str]]:
    for peer in compatibility.PEERS:
        yield f"compatibility/{peer.name}.yaml", _rendered({"groups": [peer.group()]})
        yield f"compatibility/{peer.name}.aside.yml", _relabeling(peer.aside(), _THEIRS.format(name=peer.name))
        if peer.relabelings():
            yield (
                f"compatibility/{peer.name}.relabel.yml",
                _relabeling(peer.relabelings(), _OURS.format(name=peer.name)),
            )


def _relabeling(entries: list[dict[str, Any]], head: str) -> str:
    return _rendered({"metric_relabel_configs": entries}, head)


def _rendered(content: dict[str, Any], head: str = "") -> str:
    return _WRITTEN + head + yaml.safe_dump(content, sort_keys=False, width=1000)


def main(check: bool) -> int:
    """Write, or compare, the generated rule files."""
    return settle(files(), check=check, remedy="make dashboards")


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
