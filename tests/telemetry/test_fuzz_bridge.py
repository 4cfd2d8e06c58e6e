"""Whatever other instrumentors report, nothing raises, labels stay bounded and amounts stay amounts."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import guard, testing
from telemetry.instrumentation.bridge import RULES
from telemetry.metrics.clamp import MAX_LENGTH
from telemetry.metrics.stream import MOST_SERIES
from tests.support import chat
from tests.support.chat import CHAT
from tests.support.fuzzing import fuzzed

FUZZED = fuzzed(40)
KEYS = (
    "http.request.method http.method http.route http.target http.response.status_code http.status_code error.type "
    "db.operation.name db.operation db.collection.name db.sql.table gen_ai.provider.name gen_ai.system "
    "gen_ai.request.model gen_ai.response.model gen_ai.operation.name gen_ai.token.type state pool.name"
).split()
_SCALARS = st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.binary(max_size=20))
_WORDS = st.sampled_from(
    ["GET", "input", "output", "chat", "gpt-4o", "openai", "200", "nan", "-1", "x" * 100_000, "\ud800", "/a?b"]
)
VALUES = st.one_of(_WORDS, _SCALARS, st.lists(_SCALARS, max_size=3))
ATTRIBUTES = st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=20)), VALUES, max_size=8)
AMOUNTS = st.one_of(st.floats(), st.integers(), st.sampled_from([10**400, "1", None, True, []]))
KINDS = ("create_counter", "create_histogram", "create_up_down_counter")


@FUZZED
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(RULES)), st.sampled_from(KINDS), AMOUNTS, ATTRIBUTES), min_size=1, max_size=8
    )
)
def test_any_measurement(measurements: list[tuple[str, str, Any, dict[Any, Any]]]) -> None:
    """Any amount with any attributes on any instrument of the table."""
    with pytest.MonkeyPatch.context() as patch, testing.captured(catalogue=chat) as captured:
        patch.delenv(guard.RAISE_VARIABLE, raising=False)
        for name, kind, amount, attributes in measurements:
            meter = captured.telemetry.meter_provider.get_meter("opentelemetry.instrumentation.fuzz")
            instrument = getattr(meter, kind)(name)
            (instrument.record if kind == "create_histogram" else instrument.add)(amount, attributes)
        for spec in CHAT.specs:
            series = captured.series(spec.name)
            assert len(series) <= MOST_SERIES + 1
            for key, value in series.items():
                assert math.isfinite(value), spec.name
                assert all(len(str(text)) <= MAX_LENGTH and str(text).isprintable() for _, text in key), (
                    spec.name,
                    key,
                )
