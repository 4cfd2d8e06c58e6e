"""Our own failures: swallowed, logged a few times, counted, and never a failure of the application."""

from __future__ import annotations

import functools
import logging
import signal
from collections.abc import Callable
from typing import cast

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from telemetry import guard, testing


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    monkeypatch.setattr(guard._State, "failures", 0)
    monkeypatch.setattr(guard._State, "listener", None)


def _fail() -> None:
    with guard.guarded("testing"):
        raise ValueError("ours")


def test_failure_is_swallowed_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The application goes on, the log names what failed, and the listener gets the exception."""
    seen: list[BaseException] = []
    guard.on_failure(seen.append)
    _fail()
    assert "telemetry failed while testing" in caplog.text
    assert [type(error) for error in seen] == [ValueError]


def test_log_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """A failure in every request fills no disk; each is still counted."""
    seen: list[BaseException] = []
    guard.on_failure(seen.append)
    for _ in range(1_000):
        _fail()
    assert len(caplog.records) == 20
    assert len(seen) == 1_000


def test_listener_that_fails_does_not_recurse() -> None:
    """Counting a failure may fail itself, any number of times."""
    calls = []

    def broken(error: BaseException) -> None:
        calls.append(error)
        _fail()
        raise RuntimeError("listener")

    guard.on_failure(broken)
    _fail()
    _fail()
    assert len(calls) == 2


def test_broken_log_handler_is_not_our_failure() -> None:
    """A handler of the application that raises does not make telemetry raise."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("handler")

    handler = Broken()
    logging.getLogger("telemetry").addHandler(handler)
    try:
        _fail()
    finally:
        logging.getLogger("telemetry").removeHandler(handler)


def test_ends_of_the_program_are_not_swallowed() -> None:
    """Exit, interrupt and cancellation are not failures of ours."""
    for end in (SystemExit, KeyboardInterrupt, GeneratorExit):
        with pytest.raises(end), guard.guarded("testing"):
            raise end


class _TimedOutError(Exception):
    """What a job queue's time-out is."""


class _Alarm:
    """Handlers of every kind that Python takes."""

    def __call__(self, signum: int, frame: object) -> None:
        raise _TimedOutError

    def method(self, signum: int, frame: object) -> None:
        """Raise as well."""
        raise _TimedOutError


def _function(signum: int, frame: object) -> None:
    raise _TimedOutError


def _of_class(kind: type[Exception], signum: int, frame: object) -> None:
    raise kind


class _Heir(_Alarm):
    """Has no ``__call__`` of its own."""


def _disarming(*given: object) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    raise _TimedOutError


HANDLERS = [_function, _Alarm().method, _Alarm(), _Heir(), _disarming, functools.partial(_of_class, _TimedOutError)]


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda handler: getattr(handler, "__name__", type(handler).__name__))
def test_what_a_signal_handler_raises_is_the_hosts(
    handler: Callable[[int, object], object], caplog: pytest.LogCaptureFixture
) -> None:
    """A time-out that hits the process inside telemetry ends what the application does, and is no failure of ours."""
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(_TimedOutError), guard.guarded("testing"):
            signal.raise_signal(signal.SIGALRM)
    finally:
        signal.signal(signal.SIGALRM, before)
    with guard.guarded("testing"):
        raise _TimedOutError  # nobody's signal
    assert [record.message.split(";")[0] for record in caplog.records] == ["telemetry failed while testing"]


def test_time_out_of_a_thread_is_the_hosts() -> None:
    """Celery's and RQ's time-outs may come from another thread; they are known by name, and by what they derive from."""
    time_out = type("BaseTimeoutException", (Exception,), {"__module__": "rq.timeouts"})
    for kind in (SoftTimeLimitExceeded, time_out, type("JobTimeout", (time_out,), {})):
        with pytest.raises(kind), guard.guarded("testing"):
            raise kind


def test_labels_do_not_swallow_a_time_out(captured: testing.Captured) -> None:
    """A time-out that hits while a label is turned into text is not taken for a label without text."""

    class Slow:
        def __str__(self) -> str:
            raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        captured.telemetry.errors.occurred(ValueError(), component=cast("str", Slow()))


def test_our_tests_see_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `TELEMETRY_RAISE_ERRORS` nothing is swallowed."""
    monkeypatch.setenv(guard.RAISE_VARIABLE, "1")
    with pytest.raises(ValueError, match="ours"):
        _fail()
