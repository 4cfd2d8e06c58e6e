"""Runs every check at once, and orders what they find: what another finding explains is left out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import partial

from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding, Severity
from telemetry.cli.doctor.later import Later, UnfinishedError

UNFINISHED = Cause(
    "check-unfinished",
    "A check did not end in time.",
    "run the doctor again, where the network to collector and Prometheus is quick",
    severity=Severity.WARNING,
)
FAILED = Cause(
    "check-failed",
    "A check could not be made.",
    "run the doctor again; if it stays, report it with this message",
    severity=Severity.WARNING,
)


def examine(case: Case, checks: Sequence[Check]) -> list[Finding]:
    """What is wrong, the most probable cause first.

    Args:
        case: What is examined.
        checks: In the order of their causes.
    """
    began = time.monotonic()
    running = [(check, Later(partial(_all, check, case))) for check in checks]
    found = [finding for check, later in running for finding in _ended(check, later, began)]
    return ordered(found, checks)


def _all(check: Check, case: Case) -> list[Finding]:
    return list(check.run(case))


def _ended(check: Check, later: Later[list[Finding]], began: float) -> list[Finding]:
    left = None if check.seconds is None else max(0.0, began + check.seconds - time.monotonic())
    try:
        return later.get(left)
    except UnfinishedError:
        return [UNFINISHED.found(f"the check of {check.name} did not end in time")]
    except Exception as error:
        return [FAILED.found(f"the check of {check.name} failed: {error!r}")]


def ordered(found: Iterable[Finding], checks: Sequence[Check]) -> list[Finding]:
    """Errors before warnings, causes before what usually follows; without what another one explains."""
    found = list(found)
    causes = [*(cause for check in checks for cause in check.causes), UNFINISHED, FAILED]
    position = {cause.code: place for place, cause in enumerate(causes)}
    explained = {code for finding in found for code in explained_by(finding.code, checks)}
    left = [finding for finding in found if finding.code not in explained]
    return sorted(left, key=lambda finding: (finding.severity is not Severity.ERROR, position[finding.code]))


def explained_by(code: str, checks: Sequence[Check]) -> set[str]:
    """Every cause that follows from one, also by way of others."""
    causes = {cause.code: cause for check in checks for cause in check.causes}
    named = {check.name: [cause.code for cause in check.causes] for check in checks}
    follows: set[str] = set()
    ahead = [code]
    while ahead:
        cause = causes.get(ahead.pop())
        for name in cause.explains if cause else ():
            new = [each for each in named.get(name, [name]) if each not in follows]
            follows.update(new)
            ahead += new
    return follows - {code}
