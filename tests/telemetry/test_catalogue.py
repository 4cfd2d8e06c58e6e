"""The catalogue against the guide's table, and the soundness of every declaration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

from telemetry.catalogue import BUILT_IN, Budget, CounterSpec, HistogramSpec, Spec
from tests.support.chat import CHAT

GUIDE = Path(__file__).with_name("guide_metrics.txt").read_text().splitlines()
TYPES = {"counter": "Counter", "histogram": "Histogram", "level": "Gauge", "fact": "Gauge"}


class _Labels(TypedDict):
    route: Annotated[str, Budget(2, "the test")]


def test_documented_is_the_guide() -> None:
    """Names, types, labels and order of what hooks of ours measure are the guide's, word for word."""
    rows = [f"{spec.name}|{TYPES[spec.kind]}|{', '.join(spec.documented_labels)}" for spec in BUILT_IN.documented]
    assert rows == [row for row in GUIDE if row.partition("|")[0] in BUILT_IN.by_name]
    assert len(rows) == 20


@pytest.mark.parametrize("spec", CHAT.specs, ids=lambda spec: spec.name)
def test_declarations_are_sound(spec: Spec[Any]) -> None:
    """Every metric is found by its name, says what it is, and has labels that are bounded."""
    assert CHAT.by_name[spec.name] is spec
    assert spec.help[0].isupper() or spec.help[0].isdigit()
    assert all(label.values or label.budget for label in spec.label_set())
    assert "environment" not in spec.label_keys


@pytest.mark.parametrize(
    ("name", "unit", "said"),
    [("Bad-Name_total", "", "snake_case"), ("x_total", "seconds", "unit"), ("x_count", "", "_total")],
)
def test_wrong_declarations_are_refused(name: str, unit: str, said: str) -> None:
    """A declaration that would break the contract is an error at import, naming the metric."""
    with pytest.raises(ValueError, match=said):
        CounterSpec(name=name, help="Something.", labels=_Labels, unit=unit)


def test_wrong_buckets_are_refused() -> None:
    """Buckets that do not ascend, or that are integers, never reach the SDK."""
    for buckets in ((1.0, 1.0), (1, 2), ()):
        with pytest.raises(ValueError, match="ascending"):
            HistogramSpec(name="x_seconds", help="Something.", labels=_Labels, unit="s", buckets=buckets)
