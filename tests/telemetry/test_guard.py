"""Our own failures: swallowed, logged a few times, counted, and never a failure of the application."""

from __future__ import annotations

import logging

import pytest

from telemetry import guard


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(guard.STRICT_VARIABLE)
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


def test_our_tests_see_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `TELEMETRY_STRICT` nothing is swallowed."""
    monkeypatch.setenv(guard.STRICT_VARIABLE, "1")
    with pytest.raises(ValueError, match="ours"):
        _fail()
