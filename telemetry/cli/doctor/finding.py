"""The vocabulary of the doctor: a cause that can be found, and one that was found here; no check is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Metrics are missing or wrong."""
    WARNING = "warning"
    """They will be, or some of them are."""


@dataclass(frozen=True)
class Cause:
    """Something that can be wrong, declared once: documentation and findings come from it.

    Attributes:
        code: Its name, for scripts.
        means: A sentence for the documentation.
        remedy: What to do, where a finding does not know better.
        severity: How bad it is.
        explains: Causes (their codes) and whole checks (their names) that are no news where this one was found.
    """

    code: str
    means: str
    remedy: str
    severity: Severity = Severity.ERROR
    explains: tuple[str, ...] = ()

    def found(self, problem: str, *evidence: str, remedy: str = "") -> Finding:
        """It is the case here.

        Args:
            problem: What is wrong, with addresses, names and numbers.
            evidence: What was seen, a line each.
            remedy: What to do, where it is more than the declared one.
        """
        return Finding(self.code, self.severity, problem, remedy or self.remedy, evidence)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong here.

    Attributes:
        code: Of its cause.
        severity: How bad it is.
        problem: What is wrong.
        remedy: What to do.
        evidence: What was seen, a line each.
    """

    code: str
    severity: Severity
    problem: str
    remedy: str
    evidence: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)
