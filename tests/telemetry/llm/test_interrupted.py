"""Exceptions of signal handlers that land while a call is counted: everything is counted, and they pass."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import pytest

from telemetry import llm_call, testing
from telemetry.box.identity import attributes_of
from telemetry.catalogue.llm import REQUESTS, ModelLabels
from telemetry.instrumentation.llm import pricing
from telemetry.instrumentation.llm.notes import MOST_DIFFERENT, bill_of
from telemetry.steps import Steps, complete

OPENAI = {"provider": "openai", "model": "gpt-4o-mini"}
ANSWER = {"usage": {"prompt_tokens": 100, "completion_tokens": 20}}
CHUNK = {"choices": [{"delta": {"content": "12345678"}}]}


class Interruption(BaseException):
    """What a signal handler raises."""


@contextmanager
def interrupted_at(moment: int, within: str = "") -> Iterator[list[str]]:
    """Raise at the n-th place where CPython runs signal handlers: a function begins, or a built-in one returned.

    Args:
        moment: The n.
        within: Part of the path of files to which it is limited.
    """
    places: list[str] = []

    def handler(frame: Any, event: str, argument: Any) -> None:
        file = frame.f_code.co_filename
        if event in {"call", "c_return"} and file != __file__ and within in file:
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

pytestmark = [
    pytest.mark.skipif(
        sys.version_info[:2] == (3, 14),
        reason="`with lock` of Python 3.14 keeps the lock where a signal handler raises (python/cpython#148874)",
    ),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited"),
]


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


def test_pieces_of_a_bill_are_noted_once_however_it_is_interrupted(
    captured: testing.Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bill that is noted in pieces is in the notes as a whole, and once, wherever an exception lands."""
    billing = captured.telemetry._billing
    monkeypatch.setattr(pricing, "is_ready", lambda: False)
    monkeypatch.setattr(billing, "settle_soon", lambda: None)
    billing._notes._different.update(range(MOST_DIFFERENT))
    labels: ModelLabels = {"provider": "openai", "model": "gpt-4o-mini"}
    requests = captured.telemetry.instruments.counter(REQUESTS).bind(labels)

    def noted() -> int:
        usages = [(bill_of(attributes_of(note)).usage, note.standing()) for note in billing._notes.all()]
        return round(sum(usage.prompt * count for usage, count in usages))

    for moment in range(1, 5000):
        call = captured.telemetry.llm.request(**OPENAI)
        call.usage(prompt_tokens=15)
        try:
            with interrupted_at(moment) as places:
                call.end()
        except Interruption:
            assert noted() == 15 * requests.standing(), places[-1]
        else:
            assert noted() == 15 * requests.standing(), places[-1]
            if len(places) < moment:
                break
    assert moment > 150


def test_interrupted_settling_is_gone_on_with(captured: testing.Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an exception breaks off the pricing of notes, the next one prices those that are left."""
    billing = captured.telemetry._billing
    monkeypatch.setattr(billing, "settle_soon", lambda: None)
    billing.settle()
    for moment in range(1, 1000):
        with monkeypatch.context() as patch:
            patch.setattr(pricing, "is_ready", lambda: False)
            _ending(captured)()
        with suppress(Interruption), interrupted_at(moment, within="telemetry/instrumentation") as places:
            billing.settle()
        billing.settle()
        assert [note.standing() for note in billing._notes.all()] == [0], places[-1]
        if len(places) < moment:
            break
    assert moment > 10


class Vendors:
    """A vendor's: it knows how often it was opened and closed."""

    usage = ANSWER["usage"]

    def __init__(self) -> None:
        self.opened = self.closed = 0

    def __enter__(self) -> Self:
        self.opened += 1
        return self

    def __exit__(self, *error: object) -> None:
        self.closed += 1

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__()


class Stream(Vendors):
    """A stream."""

    def __iter__(self) -> Iterator[Any]:
        return iter([CHUNK])

    def __next__(self) -> Any:
        return CHUNK

    def close(self) -> Any:
        """Close it."""
        self.closed += 1


class AsyncStream(Stream):
    """A stream whose closing is awaited."""

    async def close(self) -> Any:
        """Close it."""
        self.closed += 1


def _await(coroutine: Coroutine[Any, Any, object]) -> None:
    try:  # and no ``suppress``: its functions are places, too
        coroutine.send(None)
    except StopIteration:
        return


def _with(manager: Any) -> None:
    with manager:
        pass


async def _async_with(manager: Any) -> None:
    async with manager:
        pass


def _places_left_open(
    captured: testing.Captured, make: Callable[[], tuple[Vendors, Any]], use: Callable[[Any], None]
) -> set[str]:
    """The places where an exception leaves open what was opened; every use is counted, wherever it lands.

    Args:
        captured: What it counts into.
        make: Something of a vendor's, and what stands for it.
        use: What opens and closes it.
    """
    left_open = set()
    for moment in range(1, 1000):
        vendors, watched = make()
        with suppress(Interruption), interrupted_at(moment) as places:
            use(watched)
        if vendors.closed < vendors.opened:
            left_open.add(places[-1])
        if len(places) < moment:
            assert moment > 50
            return left_open
    pytest.fail("it has no end")


@pytest.mark.parametrize(
    ("vendors", "use"),
    [(Stream, lambda stream: stream.close()), (AsyncStream, lambda stream: _await(stream.close()))],
    ids=["sync", "async"],
)
def test_stream_is_closed_however_it_is_interrupted(
    captured: testing.Captured, vendors: type[Stream], use: Callable[[Any], None]
) -> None:
    """A vendor's stream that its reader closes is closed, wherever in our counting an exception lands."""

    def make() -> tuple[Vendors, Any]:
        stream = vendors().__enter__()
        call = captured.telemetry.llm.request(**OPENAI)
        return stream, call.stream(stream, on_end=call.end)

    assert _places_left_open(captured, make, use) <= {
        "call in WatchedStream.close",
        "call in WatchedStream._closed",
        "call in WatchedStream.__getattr__",
    }, "only before it began"


@pytest.mark.parametrize("vendors", [Vendors, Stream])
@pytest.mark.parametrize("use", [_with, lambda manager: _await(_async_with(manager))], ids=["with", "async-with"])
def test_what_was_entered_is_left_however_it_is_interrupted(
    captured: testing.Captured, vendors: type[Vendors], use: Callable[[Any], None]
) -> None:
    """What a vendor's manager has opened is closed, wherever an exception lands before, behind or in the block."""

    def make() -> tuple[Vendors, Any]:
        manager = vendors()
        return manager, llm_call(**OPENAI)(lambda: manager)()

    left_open = _places_left_open(captured, make, use)
    assert {place.rpartition(".")[2] for place in left_open} <= {"__exit__", "__aexit__"}, "only before it began"


def test_future_is_done_however_it_is_interrupted(captured: testing.Captured) -> None:
    """Wherever in our counting an exception lands, what stands for a future gets the future's result."""

    async def asks(moment: int) -> int:
        made = asyncio.get_running_loop().create_future()
        answer: Any = llm_call(**OPENAI)(lambda: made)()
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        made.set_result(ANSWER)
        with interrupted_at(moment, within="telemetry/instrumentation") as places:
            while not answer.done():
                await asyncio.sleep(0)
        assert answer.result() == ANSWER
        return len(places)

    moment = 1
    while asyncio.run(asyncio.wait_for(asks(moment), 5)) >= moment:
        moment += 1
    assert moment > 20


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


def test_step_may_return_others() -> None:
    """What a step returns takes its place, and is taken once where one of it is interrupted."""
    taken: list[str] = []

    def is_interrupted_at_first() -> None:
        taken.append("second")
        if taken.count("second") == 1:
            raise Interruption

    steps: Steps = [
        lambda: [lambda: taken.append("first"), is_interrupted_at_first],
        lambda: taken.append("last"),
    ]
    with pytest.raises(Interruption):
        complete(steps)
    assert taken == ["first", "second", "second", "last"]
    assert steps == []
