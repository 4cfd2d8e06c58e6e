"""What the doctor knows, by check, for ``docs/doctor.md``."""

from __future__ import annotations

from docs.markdown import table
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.checks import CHECKS


def known() -> str:
    """A section for each check, with a row for each cause."""
    return "\n\n".join(f"### {check.name}\n\n{check.asks}\n\n{_causes(check)}" for check in CHECKS)


def _causes(check: Check) -> str:
    rows = (
        (f"`{cause.code}`", cause.severity, cause.means, cause.remedy.replace("|", "\\|")) for cause in check.causes
    )
    return table(("Code", "Severity", "What is wrong", "Remedy"), rows)
