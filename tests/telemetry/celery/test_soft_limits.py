"""A soft time limit reaches its task wherever the task is, and what the task was recording stays whole."""

from __future__ import annotations

import gc
import signal
import time
from collections import Counter
from types import FrameType

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from support.waiting import eventually
from telemetry import testing
from tests.support import chat
from tests.telemetry.celery.fleet import TASKS, Fleet

RUNS = 40


def test_limit_reaches_tasks_that_record_all_the_time(fleet: Fleet) -> None:
    """Of forty tasks whose LLM calls are half a millisecond apart none runs on; calls, tokens and durations agree."""
    fleet.start_worker()
    results = [fleet.send("records_all_the_time", soft_time_limit=0.3) for _ in range(RUNS)]
    how = Counter(type(result.get(timeout=60, propagate=False)).__name__ for result in results)
    assert how == {"SoftTimeLimitExceeded": RUNS}
    assert eventually(lambda: fleet.counted(f"{TASKS}.records_all_the_time") == {"failed": RUNS})

    def calls() -> set[float]:
        return {
            fleet.sink.total("llm_requests_total", model="endless"),
            fleet.sink.total("llm_request_duration_seconds", model="endless"),
            fleet.sink.total("llm_tokens_used_total", model="endless", type="prompt") / 10,
            fleet.sink.total("llm_tokens_used_total", model="endless", type="completion") / 5,
        }

    assert eventually(lambda: len(calls()) == 1 and calls() != {0}), calls()


def _raise(signum: int, frame: FrameType | None) -> None:
    """What billiard's handler does."""
    raise SoftTimeLimitExceeded


def test_events_are_whole_however_often_they_are_interrupted(captured: testing.Captured) -> None:
    """Signals at random moments of recording end the loop around it each time, and never leave half an event."""
    # The first event of a process asks the SDK's detectors in a pool of threads: Python drops what lands in its callbacks.
    captured.telemetry.errors.occurred("First", component="test")
    before = signal.signal(signal.SIGALRM, _raise)
    gc.collect()
    gc.disable()  # Python drops what lands in the callbacks of its collector, too
    try:
        for number in range(300):
            with pytest.raises(SoftTimeLimitExceeded):
                _record_until_interrupted(0.0005 + number * 1e-6, captured)
    finally:
        gc.enable()
        signal.signal(signal.SIGALRM, before)
    calls = captured.total("llm_requests_total")
    assert calls > 300
    assert captured.total("llm_request_duration_seconds") == calls
    assert captured.total("llm_tokens_used_total", type="prompt") == 10 * calls
    assert captured.total("storage_operations_total") == captured.total("storage_bytes_transferred_total") / 7


def _record_until_interrupted(seconds: float, captured: testing.Captured) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        call = captured.telemetry.llm.request(provider="p", model="m")
        call.usage(prompt_tokens=10, completion_tokens=5)
        call.end()
        chat.of(captured.telemetry).operation("upload", bucket="b", transferred_bytes=7)
