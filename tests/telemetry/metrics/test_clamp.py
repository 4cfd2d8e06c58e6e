"""Label values and amounts that hostile input may bring."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from telemetry import guard, testing
from telemetry.metrics.clamp import MAX_LENGTH, clean
from tests.support import chat

ODD_VALUES = ["", "\ud800", "a\nb", "x" * 10_000, None, 7, 1.5, True, b"bytes", ["list"], object()]


@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: type(value).__name__)
def test_any_value_becomes_text(value: object) -> None:
    """Whatever is given as a label becomes short, printable, encodable text that is not empty."""
    text = clean(value)
    assert text.encode()
    assert 0 < len(text) <= MAX_LENGTH
    assert text.isprintable()


def test_hostile_paths_stay_within_budget(captured: testing.Captured) -> None:
    """Ten thousand distinct endpoints become the budget and `other`; nothing is lost and the overflow is counted."""
    draw = random.Random(1)
    for _ in range(10_000):
        captured.telemetry.http.answered("GET", f"/{draw.getrandbits(64)}", 200, 0.1)
    assert captured.total("http_requests_total") == 10_000
    assert len(captured.series("http_requests_total")) == 501
    assert captured.total("telemetry_label_overflows_total", metric="http_requests_total") == 9_500


def test_unknown_closed_value_is_other(captured: testing.Captured) -> None:
    """A plan or method nobody declared is `other` or `_OTHER`."""
    chat.of(captured.telemetry).message_sent(plan="platinum")
    captured.telemetry.http.answered("BREW", "/pot", 418, 0.1)
    assert captured.value("messages_sent_total", user_plan="other") == 1
    assert captured.value("http_requests_total", method="_OTHER", endpoint="/pot", status_code="418") == 1


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf, -1])
def test_illegal_amounts_are_reported(captured: testing.Captured, amount: float) -> None:
    """NaN, infinity and negative amounts change no total; they are counted as rejected."""
    chat.of(captured.telemetry).audio_transcribed(seconds=amount, provider="p", language="en")
    captured.telemetry.http.answered("GET", "/x", 200, amount)
    assert captured.total("audio_transcribed_minutes_total") == 0
    assert captured.total("http_request_duration_seconds") == 0
    assert captured.total("telemetry_rejected_values_total") == 2


def test_wrong_types_never_raise(captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside our own tests a mistake in a call is swallowed, and the application goes on."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    wrong: Any = object()
    chat.of(captured.telemetry).audio_transcribed(seconds=1, provider=wrong, language=wrong)
    chat.of(captured.telemetry).image_generated(model="m", count=wrong)
    captured.telemetry.http.answered(wrong, wrong, wrong, 0.1)
    chat.of(captured.telemetry).observe_quota_used([("u", "free", wrong)])
    assert captured.total("images_generated_total") == 0


def test_numbers_and_text_are_one_series(captured: testing.Captured) -> None:
    """A label given as a number is the same series as its text."""
    model: Any = 4
    chat.of(captured.telemetry).image_generated(model=model)
    chat.of(captured.telemetry).image_generated(model="4")
    assert captured.value("images_generated_total", model="4") == 2
