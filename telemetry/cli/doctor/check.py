"""A check of the doctor: the question, the causes it knows, and the function that looks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry.cli.doctor.case import Case
    from telemetry.cli.doctor.finding import Cause, Finding


@dataclass(frozen=True)
class Check:
    """One question.

    Attributes:
        name: Its name; causes of other checks may explain all of its causes by it.
        asks: The question, for the documentation.
        causes: What it can find, the most fundamental first.
        run: Looks; what it raises is a finding, too.
        seconds: How long it may take; ``None`` if what it asks for has an end of its own.
    """

    name: str
    asks: str
    causes: tuple[Cause, ...]
    run: Callable[[Case], Iterable[Finding]]
    seconds: float | None = 8.0
