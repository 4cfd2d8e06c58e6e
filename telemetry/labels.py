"""Bounds label values by construction: closed sets, budgets, clean text; it stores no measurement."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from telemetry.catalogue import Label, Spec

MAX_LENGTH = 200
MAX_SERIES = 10_000
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
    except Exception:  # an object of the host's, or a number of thousands of digits
        return MISSING


class LabelClamp:
    """Turns any labels into label values that the catalogue allows for one metric.

    Args:
        spec: The metric.
        on_overflow: Called with the metric's name each time a value had to be replaced.
    """

    def __init__(self, spec: Spec[Mapping[str, object]], on_overflow: Callable[[str], None]) -> None:
        self._metric = spec.name
        self._labels = spec.label_set()
        self._on_overflow = on_overflow
        self.forget()

    def forget(self) -> None:
        """Start again with unused budgets and a fresh lock; in a forked child the old one may be held."""
        self._lock = threading.RLock()
        self._seen: dict[str, set[str]] = {label.name: set() for label in self._labels}
        self._series: set[tuple[str, ...]] = set()

    def clamp(self, labels: Mapping[str, object]) -> tuple[str, ...]:
        """Allowed values for the labels, in documented order; unknown keys are ignored.

        Budgets bound each label; where they multiply to more than ``MAX_SERIES`` series, the ones beyond that many have
        the overflow value in every open label.
        """
        given = tuple(clean(labels.get(label.name)) for label in self._labels)
        allowed = tuple(self._allow(label, value) for label, value in zip(self._labels, given, strict=True))
        if not self._has_room(allowed):
            pairs = zip(self._labels, allowed, strict=True)
            allowed = tuple(value if label.budget is None else label.overflow for label, value in pairs)
        if allowed != given:
            self._on_overflow(self._metric)
        return allowed

    def _has_room(self, series: tuple[str, ...]) -> bool:
        if series in self._series:
            return True
        with self._lock:
            if len(self._series) >= MAX_SERIES:
                return False
            self._series.add(series)
        return True

    def _allow(self, label: Label, value: str) -> str:
        if label.budget is None:
            return value if value in label.values else label.overflow
        seen = self._seen[label.name]
        if value in seen or value == label.overflow:
            return value
        with self._lock:
            if len(seen) >= label.budget.limit:
                return label.overflow
            seen.add(value)
        return value
