"""Bounds the label values of a catalogued metric by construction: closed sets, budgets, clean text."""

from __future__ import annotations

from collections.abc import Mapping

from telemetry import guard
from telemetry.catalogue import Label, Spec

MAX_LENGTH = 200
MISSING = "unknown"


def clean(value: object) -> str:
    """Text that every exporter accepts: a string, printable, of bounded length; never empty."""
    text = value if isinstance(value, str) else MISSING if value is None else _text(value)
    text = text[:MAX_LENGTH].encode("utf-8", "replace").decode("utf-8")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "?" for c in text)
    return text or MISSING


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # of an object of the host's, or for a number of thousands of digits
        if guard.is_the_hosts(error):
            raise
        return MISSING


class LabelClamp:
    """Turns any labels into label values that the catalogue allows for one metric. Callers take turns.

    Args:
        spec: The metric.

    Attributes:
        keys: Names of its labels, in documented order.
    """

    def __init__(self, spec: Spec[Mapping[str, object]]) -> None:
        self.keys = spec.label_keys
        self._labels = spec.label_set()
        self._declared: dict[str, set[str]] = {label.name: set() for label in self._labels}
        self.forget()

    def declare(self, label: str, value: str) -> None:
        """Allow an open label a value that the application declares, whatever else takes of its budget."""
        self._declared[label].add(clean(value))

    def forget(self) -> None:
        """Start again with unused budgets; what is declared stays."""
        self._seen: dict[str, set[str]] = {label.name: set() for label in self._labels}

    def given(self, labels: Mapping[str, object]) -> tuple[str, ...]:
        """Values of the labels as they are given, as clean text; unknown names are ignored."""
        return tuple(clean(labels.get(label.name)) for label in self._labels)

    def allowed(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Those values, or what stands for one that is not allowed or is over the budget."""
        return tuple(self._allow(label, value) for label, value in zip(self._labels, given, strict=True))

    def folded(self, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """What stands for a series beyond the number a metric may have: every open label gives up its value."""
        pairs = zip(self._labels, allowed, strict=True)
        return tuple(value if label.budget is None else label.overflow for label, value in pairs)

    def _allow(self, label: Label, value: str) -> str:
        if label.budget is None:
            return value if value in label.values else label.overflow
        if value in self._declared[label.name]:
            return value
        seen = self._seen[label.name]
        if value not in seen and value != label.overflow:
            if len(seen) >= label.budget.limit:
                return label.overflow
            seen.add(value)
        return value
