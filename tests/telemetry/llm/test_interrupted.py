"""Exceptions of signal handlers that land while a call is counted: everything is counted, and they pass."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from telemetry import testing
from telemetry.steps import Steps, complete

OPENAI = {"provider": "openai", "model": "gpt-4o-mini"}
ANSWER = {"usage": {"prompt_tokens": 100, "completion_tokens": 20}}
CHUNK = {"choices": [{"delta": {"content": "12345678"}}]}


class Interruption(BaseException):
    """What a signal handler raises."""


@contextmanager
def interrupted_at(moment: int) -> Iterator[list[str]]:
    """Raise at the n-th place where CPython runs signal handlers: a function begins, or a built-in one returned."""
    places: list[str] = []

    def handler(frame: Any, event: str, argument: Any) -> None:
        if event in {"call", "c_return"} and frame.f_code.co_filename != __file__:
            places.append(f"{event} in {frame.f_code.co_qualname}")
            if len(places) == moment:
                sys.setprofile(None)
                raise Interruption

    sys.setprofile(handler)
    try:
        yield places
    finally:
        sys.setprofile(None)


def _moments(captured: testing.Captured, action: Callable[[], Callable[[], None]]) -> Iterator[tuple[str, bool]]:
    """Interrupt an action at each of its places, one after the other, until it has no more.

    Args:
        captured: What it counts into.
        action: Prepares it, and returns what may be interrupted.
    """
    action()()
    for moment in range(1, 2000):
        act = action()
        before = captured.total("llm_requests_total")
        try:
            with interrupted_at(moment) as places:
                act()
        except Interruption:
            yield places[-1], captured.total("llm_requests_total") > before
        else:
            if len(places) < moment:
                return
            yield places[-1], True  # raised where a generator is thrown away: Python itself swallows that
    pytest.fail("it has no end")


COUNTS = {
    "llm_requests_total": 1,
    "llm_request_duration_seconds": 1,
    "llm_tokens_used_total": 120,
    "llm_cost_usd_total": 100 * 0.15e-6 + 20 * 0.6e-6,
}

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def _ending(captured: testing.Captured) -> Callable[[], None]:
    call = captured.telemetry.llm.request(**OPENAI)
    call.response(ANSWER)
    return call.end


def test_call_is_counted_once_however_it_is_interrupted(captured: testing.Captured) -> None:
    """Wherever an exception lands in the end of a call, every count of it is there once, and the exception passes."""
    calls, lost = 1, []
    for place, was_counted in _moments(captured, lambda: _ending(captured)):
        calls += was_counted
        lost += [] if was_counted else [place]
        for metric, each in COUNTS.items():
            assert captured.total(metric) == pytest.approx(each * calls), (metric, place)
    assert calls > 50
    assert lost == ["call in LlmCall.end"], "only before it began"


def test_aborted_stream_is_counted_once_however_it_is_interrupted(captured: testing.Captured) -> None:
    """The same of a stream that broke off."""

    def ending() -> Callable[[], None]:
        call = captured.telemetry.llm.request(**OPENAI, messages="12345678")
        next(iter(call.stream(iter([CHUNK]))))
        return lambda: call.end(ConnectionError())

    calls = 1
    for place, was_counted in _moments(captured, ending):
        calls += was_counted
        for metric, each in {
            "llm_requests_total": 1,
            "llm_streams_aborted_total": 1,
            "llm_tokens_estimated_total": 4,
        }.items():
            assert captured.total(metric) == each * calls, (metric, place)
        assert captured.total("errors_total", component="llm") == captured.total("llm_unpriced_requests_total") == calls
    assert calls > 50


def test_chunk_is_seen_once_however_it_is_interrupted(captured: testing.Captured) -> None:
    """Wherever an exception lands, a chunk's text and its being the first count once."""
    places = 0
    for moment in range(1, 1000):
        call = captured.telemetry.llm.request(**OPENAI)
        stream = call.stream(iter([]))
        began = captured.total("llm_time_to_first_token_seconds")
        try:
            with interrupted_at(moment):
                call.saw(CHUNK)
        except Interruption:
            places += 1
            if captured.total("llm_time_to_first_token_seconds") == began:
                call.saw(CHUNK)
                assert call._stream is not None
                assert call._stream._bytes == 8, "it had not been seen at all"
            assert captured.total("llm_time_to_first_token_seconds") == began + 1
        else:
            break
        del stream
    assert places > 10


def test_usage_of_an_interrupted_answer_is_kept(captured: testing.Captured) -> None:
    """An exception that lands while an answer is read passes, and the call is billed nevertheless."""
    reads = 0

    class Answer:
        @property
        def usage(self) -> Any:
            nonlocal reads
            reads += 1
            if reads == 1:
                raise Interruption
            return ANSWER["usage"]

    with pytest.raises(Interruption), captured.telemetry.llm.request(**OPENAI) as call:
        call.response(Answer())
    assert captured.total("llm_tokens_used_total") == 120


def test_step_that_always_fails_is_left_out() -> None:
    """A step that fails twice is left out, those after it are taken, and its exception passes."""
    taken: list[str] = []

    def fails() -> None:
        taken.append("failed")
        raise ValueError

    steps: Steps = [lambda: taken.append("first"), fails, lambda: taken.append("last")]
    with pytest.raises(ValueError):  # noqa: PT011 - ours
        complete(steps)
    assert taken == ["first", "failed", "failed", "last"]
    assert steps == []
