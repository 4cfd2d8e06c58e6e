"""Whatever labels are given, what a metric gets is clean text, of its closed sets, within its budgets."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from telemetry.metrics.clamp import MAX_LENGTH, LabelClamp
from tests.support.chat import CHAT
from tests.support.fuzzing import fuzzed
from tests.telemetry.test_fuzz_bridge import VALUES

FUZZED = fuzzed(100)
SPECS = {spec.name: spec for spec in CHAT.specs}
_NAMES = sorted({label.name for spec in CHAT.specs for label in spec.label_set()})
_LABELS = st.dictionaries(st.one_of(st.sampled_from(_NAMES), st.text(max_size=5)), VALUES, max_size=6)


@FUZZED
@given(st.sampled_from(sorted(SPECS)), st.lists(_LABELS, min_size=1, max_size=20))
def test_any_labels(name: str, many: list[dict[Any, Any]]) -> None:
    """Values are printable, encodable and short, closed sets stay closed, budgets hold, and what is allowed stays as it is."""
    clamp = LabelClamp(SPECS[name])
    allowed = [clamp.allowed(clamp.given(labels)) for labels in many]
    for number, label in enumerate(SPECS[name].label_set()):
        values = {each[number] for each in allowed}
        if label.budget is None:
            assert values <= {*label.values, label.overflow}
        else:
            assert len(values) <= label.budget.limit + 1
        assert all(0 < len(value.encode()) <= 4 * MAX_LENGTH and value.isprintable() for value in values)
    for each in allowed:
        assert clamp.allowed(each) == each
