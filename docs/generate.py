"""Writes what follows from catalogue and measurements between markers, in documentation and collector configuration.

``--check`` only compares.

Usage: ``python -m docs.generate [--check]``
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from app.catalogue import FLEET
from docs import doctor, licences, rooms, soak, threats
from docs.accuracy import page as accuracy
from docs.adopt.page import launchers
from docs.celery.page import outcomes
from docs.migrate import page as migrate
from docs.performance import PARTS
from docs.scale import PARTS as SCALE
from docs.variables import variables, without_effect
from grafana.rules import reference as alerts
from grafana.rules.compatibility import PEERS
from support.generated import settle
from telemetry.catalogue.reference import overview, sections
from telemetry.cli.collector_config import LISTS, NAME
from telemetry.instrumentation.bridge import RULES, Rule
from telemetry.settings.variables import OWN, STANDARD

ROOT = Path(__file__).parent.parent


def translations(rules: Mapping[str, Rule]) -> str:
    """A table with a row for each foreign instrument."""
    rows = ["| Instrument | Lands on | Where that is measured by our own hooks |", "|---|---|---|"]
    for name, rule in rules.items():
        onto = ", ".join(f"`{spec.name}`" for spec in rule.onto) or f"nothing: {rule.reason}"
        also = f"; dropped where its meter has `{rule.unless}` too" if rule.unless else ""
        own = "dropped for vendors the application records itself" if rule.domain == "llm" else "dropped"
        rows.append(f"| `{name}` | {onto}{also} | {own} |")
    return "\n".join(rows)


def known(marker: str) -> str:
    """A list of the collector's configuration."""
    return "\n".join(LISTS[marker](FLEET.specs))


def code(path: str) -> str:
    """A file of an example as a block of code."""
    return f"```python\n{(ROOT / path).read_text().rstrip()}\n```"


def commands(path: str) -> str:
    """A script as a block of commands, without its head."""
    _, _, body = (ROOT / path).read_text().partition("\n\n")
    return f"```sh\n{body.rstrip()}\n```"


GENERATED: dict[str, dict[str, Callable[[], str]]] = {
    "docs/accuracy.md": {
        "measured": accuracy.measured,
        "results": accuracy.results,
        "bounds": accuracy.bounds,
    },
    "docs/adopt.md": {"launchers": launchers},
    "docs/architecture.md": {"rooms": rooms.diagram},
    "docs/celery.md": {"outcomes": outcomes},
    "docs/doctor.md": {"checks": doctor.known},
    "docs/licences.md": {"licences": licences.table},
    "docs/metrics.md": {
        "metrics": lambda: overview(FLEET.documented),
        "documented": lambda: sections(FLEET.documented),
        "additional": lambda: sections(spec for spec in FLEET.specs if not spec.documented),
    },
    "docs/own-metrics.md": {
        "declaration": lambda: code("examples/own_metrics/metrics.py"),
        "shop": lambda: code("examples/own_metrics/shop.py"),
        "tests": lambda: code("examples/own_metrics/test_shop.py"),
    },
    "docs/alerts.md": {"alerts": alerts.overview, "guide": alerts.comparison},
    "docs/recording.md": {"bridge": lambda: translations(RULES)},
    "docs/performance.md": dict(PARTS),
    "docs/soak.md": dict(soak.PARTS),
    "docs/scale.md": dict(SCALE),
    "docs/security.md": {
        "certificates": lambda: commands("deploy/certificates.sh"),
        "threats": threats.table,
        "left": threats.left,
        "attacks": threats.measured,
        "fuzz": threats.fuzzed,
    },
    "docs/settings.md": {
        "standard": lambda: variables(STANDARD),
        "ignored": lambda: without_effect(STANDARD),
        "own": lambda: variables(OWN),
    },
    **{f"docs/migrate/{peer.name}.md": {"names": partial(migrate.names, peer)} for peer in PEERS},
    NAME: {marker: partial(known, marker) for marker in LISTS},
}
COMMENTS = {".md": ("<!-- ", " -->"), ".yaml": ("      # ", "")}


def fill(text: str, marker: str, content: str, suffix: str = ".md") -> str:
    """``text`` with what stands between the markers replaced; they are comments of files with this suffix.

    Raises:
        ValueError: If the markers are missing.
    """
    before, after = COMMENTS[suffix]
    start, end = f"{before}generated:{marker}{after}", f"{before}/generated:{marker}{after}"
    before, found_start, rest = text.partition(start)
    _, found_end, after = rest.partition(end)
    if not found_start or not found_end:
        raise ValueError(f"markers {start} … {end} are missing")
    return f"{before}{start}\n{content}\n{end}{after}"


def main(check: bool) -> int:
    """Write, or compare, every generated part."""
    return settle({ROOT / name: _filled(ROOT / name) for name in GENERATED}, check=check, remedy="make generate")


def _filled(path: Path) -> str:
    """A file with every part of it made anew."""
    text = path.read_text()
    for marker, content in GENERATED[path.relative_to(ROOT).as_posix()].items():
        text = fill(text, marker, content(), path.suffix)
    return text


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
