"""The causes as they are declared, and what follows from what; nothing is examined here."""

from __future__ import annotations

from collections import Counter

import pytest

from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.checks import CHECKS
from telemetry.cli.doctor.examination import explained_by, ordered
from telemetry.cli.doctor.finding import Cause, Severity

CAUSES = [cause for check in CHECKS for cause in check.causes]
CODES = {cause.code for cause in CAUSES}


def test_codes_are_unique() -> None:
    """A code names one cause, and no check."""
    assert Counter(cause.code for cause in CAUSES).most_common(1)[0][1] == 1
    assert not CODES & {check.name for check in CHECKS} - {"hooks"}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.code)
def test_causes_are_explained(cause: Cause) -> None:
    """What a cause explains exists; no cause explains itself by way of others; the texts are sentences."""
    assert set(cause.explains) <= CODES | {check.name for check in CHECKS}
    follows = explained_by(cause.code, CHECKS)
    assert not [code for code in follows if cause.code in explained_by(code, CHECKS)]
    assert cause.means.endswith(".")
    assert not cause.remedy.endswith(".")


def test_what_follows_is_left_out() -> None:
    """A finding that another one explains, also by way of a third, is left out; errors come before warnings."""
    end = Cause("end", "", "")
    middle = Cause("middle", "", "", explains=("last",))
    start = Cause("start", "", "", explains=("middle",))
    late = Cause("late", "", "", severity=Severity.WARNING)
    checks = [
        Check("first", "", (late, start, middle), lambda case: ()),
        Check("last", "", (end,), lambda case: ()),
    ]
    found = [cause.found("") for cause in (late, end, start)]
    assert [finding.code for finding in ordered(found, checks)] == ["start", "late"]
    assert [finding.code for finding in ordered([end.found("")], checks)] == ["end"]
