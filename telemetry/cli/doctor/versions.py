"""Do the installed distributions go together?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions, version

from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding, Severity

_OURS = "fleet-telemetry"
_VENDORS = ("openai", "anthropic", "litellm", "google-genai", "mistralai")
_OLD = 365
_OUR_FILES = re.compile(r"^telemetry/[^,]*\.py", re.MULTILINE)
# As metadata has it. Their libraries are common, and older ones do no harm to what is measured.
_OF_TOOLS = re.compile(r"extra == ['\"](testing|watch)['\"]")

SHADOWED = Cause(
    "package-shadowed",
    "Another distribution installs a package `telemetry`, over the files of this one.",
    "pip uninstall it, then pip install --force-reinstall fleet-telemetry",
    explains=("assumption-broken", "hooks"),
)
CONFLICT = Cause(
    "version-out-of-range",
    "A library has a version that this one was not made for.",
    "pip install 'fleet-telemetry[…]' with the extras you use, which chooses versions that fit",
    explains=("assumption-broken",),
)
PRICES = Cause(
    "prices-old",
    "The price table of LLM vendors is old, so costs are wrong.",
    "pip install --upgrade genai-prices, or set TELEMETRY_LLM_PRICES",
    severity=Severity.WARNING,
)


def _run(_: Case) -> Iterator[Finding]:
    shadowing = sorted(_shadowing(distributions()))
    if shadowing:
        yield SHADOWED.found(
            f"{', '.join(shadowing)} also installs a package called telemetry",
            remedy=f"pip uninstall {' '.join(shadowing)}, then pip install --force-reinstall {_OURS}",
        )
    for wanted, found in _conflicts():
        yield CONFLICT.found(f"{found} is installed, and {_OURS} wants {wanted}")
    yield from _prices(datetime.now(UTC).date())


def _shadowing(installed: Iterable[Distribution]) -> set[str]:
    """Other distributions with files in a package of our name."""
    return {
        each.metadata["Name"]
        for each in installed
        if _OUR_FILES.search(_record(each)) and _normal(each.metadata["Name"] or "") != _OURS
    }


def _record(installed: Distribution) -> str:
    """Its files, a line each, as they stand: to take them apart costs a third of a second for a hundred of them."""
    return installed.read_text("RECORD") or installed.read_text("SOURCES.txt") or ""


def _conflicts() -> Iterator[tuple[str, str]]:
    """What is wanted, and what is installed instead; libraries that are not installed are not wanted."""
    from opentelemetry.instrumentation.dependencies import get_dependency_conflicts

    for requirement in sorted(_requirements()):
        conflict = get_dependency_conflicts([requirement])
        if conflict is not None and conflict.found:
            yield requirement, str(conflict.found)


def _requirements() -> set[str]:
    """Those of this distribution and of its extras, but for extras that a service runs nothing of."""
    try:
        wanted = distribution(_OURS).requires or []
    except PackageNotFoundError:  # a checkout
        return set()
    return {each.partition(";")[0].strip() for each in wanted if not _OF_TOOLS.search(each)}


def _prices(today: date) -> Iterator[Finding]:
    from telemetry.instrumentation.llm.pricing import price_table

    if not any(map(_is_installed, _VENDORS)):
        return
    library, table = price_table()
    try:
        age = (today - date.fromisoformat(table)).days
    except ValueError:
        return
    if age > _OLD:
        yield PRICES.found(f"the newest price of genai-prices {library} is {age} days old ({table})")


def _is_installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


CHECK = Check(
    name="versions",
    asks="Do the installed distributions go together?",
    causes=(SHADOWED, CONFLICT, PRICES),
    run=_run,
)
