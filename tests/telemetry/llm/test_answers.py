"""`telemetry.llm_call` around functions whose answer is still to be awaited or entered."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, Self

import pytest

import telemetry
from telemetry import testing

ANSWER = {"usage": {"prompt_tokens": 100, "completion_tokens": 20}}
OPENAI = {"provider": "openai", "model": "gpt-4o-mini"}
SECONDS = 0.05
observed = telemetry.llm_call(**OPENAI)


async def _answer() -> Any:
    await asyncio.sleep(SECONDS)
    return ANSWER


async def _failure() -> Any:
    await asyncio.sleep(0)
    raise TimeoutError


class Request:
    """Something of a client library's own that can be awaited, entered and iterated, as each of them has one."""

    request_id = "r-1"

    def __init__(self, make: Callable[[], Any] = _answer) -> None:
        self._make = make
        self.closed = False

    def __await__(self) -> Generator[Any, None, Any]:
        return self._make().__await__()  # type: ignore[no-any-return]

    async def __aenter__(self) -> Self:
        await self
        return self

    async def __aexit__(self, *error: object) -> None:
        self.closed = True

    @property
    def usage(self) -> Any:
        """As answers have it."""
        return ANSWER["usage"]


class Paginator(Request):
    """One that can be iterated, too."""

    async def __aiter__(self) -> AsyncIterator[Any]:
        yield {"choices": []}
        yield await self


def _coroutine() -> Awaitable[Any]:
    return _answer()


def _task() -> Awaitable[Any]:
    return asyncio.ensure_future(_answer())


def _future() -> Awaitable[Any]:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(SECONDS, future.set_result, ANSWER)
    return future


def _request() -> Awaitable[Any]:
    return Request()


awaitables = pytest.mark.parametrize("make", [_coroutine, _task, _future, _request])


def _assert_counted(captured: testing.Captured) -> None:
    assert captured.value("llm_requests_total", **OPENAI) == 1
    assert captured.value("llm_tokens_used_total", **OPENAI, type="prompt") == 100
    assert captured.total("llm_unpriced_requests_total") == captured.total("errors_total") == 0
    assert captured.total("llm_streams_aborted_total") == 0


@awaitables
async def test_awaitable_is_timed_to_its_end(captured: testing.Captured, make: Callable[[], Awaitable[Any]]) -> None:
    """The call takes as long as its answer has to be awaited for."""
    answer = observed(make)()
    assert inspect.isawaitable(answer)
    assert captured.total("llm_requests_total") == 0
    assert await answer == ANSWER
    _assert_counted(captured)
    assert (captured.histogram_sum("llm_request_duration_seconds", **OPENAI) or 0) > 0.9 * SECONDS


@awaitables
@pytest.mark.parametrize("use", [asyncio.gather, lambda answer: asyncio.wait_for(answer, 5), asyncio.shield])
async def test_awaitable_is_good_for_asyncio(
    captured: testing.Captured, make: Callable[[], Awaitable[Any]], use: Callable[[Any], Awaitable[Any]]
) -> None:
    """What takes any awaitable takes what stands for it."""
    assert await use(observed(make)()) in (ANSWER, [ANSWER])
    _assert_counted(captured)


@pytest.mark.parametrize(
    "make",
    [_failure, lambda: asyncio.ensure_future(_failure()), lambda: Request(_failure)],
    ids=["coro", "task", "own"],
)
async def test_awaitable_that_fails(captured: testing.Captured, make: Callable[[], Any]) -> None:
    """What an awaitable raises reaches its caller and is one error of one call."""
    with pytest.raises(TimeoutError):
        await observed(make)()
    assert captured.value("errors_total", error_type="TimeoutError", component="llm") == 1
    assert captured.total("llm_requests_total") == 1
    assert captured.total("llm_unpriced_requests_total") == 0


def test_call_is_not_made_before_it_is_awaited(captured: testing.Captured) -> None:
    """A coroutine that waits for a while before it is awaited is a call of the time that it took itself."""

    async def late() -> None:
        answer = observed(_coroutine)()
        await asyncio.sleep(5 * SECONDS)
        await answer

    asyncio.run(late())
    assert (captured.histogram_sum("llm_request_duration_seconds", **OPENAI) or 0) < 4 * SECONDS


def test_never_awaited_is_no_call(captured: testing.Captured) -> None:
    """What nobody awaits is no call; Python warns of the host's own coroutine, as before, and of none of ours."""
    observed(_request)()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        observed(_coroutine)()
        gc.collect()
    assert [str(warning.message) for warning in caught] == ["coroutine '_answer' was never awaited"]
    assert captured.total("llm_requests_total") == captured.total("llm_unpriced_requests_total") == 0


async def test_task_that_nobody_awaits_is_a_call(captured: testing.Captured) -> None:
    """A task runs by itself: it is a call whose result nobody asked for."""
    answer = observed(_task)()
    while not answer.done():
        await asyncio.sleep(SECONDS / 10)
    _assert_counted(captured)


async def test_task_cancelled_before_it_began(captured: testing.Captured) -> None:
    """A task that is cancelled before its first step made no call."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = asyncio.create_task(observed(_coroutine)())  # type: ignore[arg-type]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        observed(_coroutine)().close()  # type: ignore[attr-defined]
        gc.collect()
    assert captured.total("llm_requests_total") == 0


@awaitables
async def test_cancelled_in_the_middle(captured: testing.Captured, make: Callable[[], Awaitable[Any]]) -> None:
    """A call that is cancelled is a call, and no error."""
    task = asyncio.ensure_future(observed(make)())
    await asyncio.sleep(SECONDS / 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert captured.total("llm_requests_total") == 1
    assert captured.total("errors_total") == captured.total("llm_unpriced_requests_total") == 0


@pytest.mark.parametrize("make", [_task, _future])
async def test_future_cancelled_at_once(captured: testing.Captured, make: Callable[[], Awaitable[Any]]) -> None:
    """Who cancels a future before anything else runs has cancelled the vendor's call, which is one call."""
    made = make()
    answer: Any = observed(lambda: made)()
    assert answer.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await answer
    assert made.cancelled()  # type: ignore[attr-defined]
    assert not answer.cancel()
    assert captured.total("llm_requests_total") == 1
    assert captured.total("errors_total") == captured.total("llm_unpriced_requests_total") == 0


@pytest.mark.parametrize("refuses", [False, True])
async def test_cancelled_task_has_the_last_word(captured: testing.Captured, refuses: bool) -> None:
    """A cancelled task is waited for while it tidies up, and what it answers nevertheless is the answer."""
    steps: list[str] = []

    async def stubborn() -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            steps.append("tidied up")
            if not refuses:
                raise
        return ANSWER

    answer: Any = observed(lambda: asyncio.create_task(stubborn(), name="ask"))()
    assert answer.get_name() == "ask"

    async def wait() -> Any:
        return await answer

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert steps == ["tidied up"]
    assert waiting.cancelled() is not refuses
    assert captured.total("llm_tokens_used_total", type="prompt") == 100 * refuses
    assert captured.total("llm_requests_total") == 1


async def test_future_that_is_done(captured: testing.Captured) -> None:
    """A future that had its result when it was returned has it at once."""
    done = asyncio.get_running_loop().create_future()
    done.set_result(ANSWER)
    answer: Any = observed(lambda: done)()
    assert answer.done()
    assert answer.result() == ANSWER
    _assert_counted(captured)


async def test_future_is_given_its_result_by_the_caller(captured: testing.Captured) -> None:
    """Who gives a future its result may do so by what stands for it."""
    made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    answer: Any = observed(lambda: made)()
    answer.set_result(ANSWER)
    assert made.result() == await answer == ANSWER
    _assert_counted(captured)


async def test_future_of_a_stream(captured: testing.Captured) -> None:
    """A stream that a task gives is over when it was read to its end, and cancelled before, the task made a call."""

    async def create() -> Iterator[Any]:
        return iter([{"choices": []}, ANSWER])

    stream = await observed(lambda: asyncio.ensure_future(create()))()
    assert captured.total("llm_requests_total") == 0
    assert list(stream)[-1] == ANSWER
    _assert_counted(captured)
    answer = observed(lambda: asyncio.ensure_future(create()))()
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert captured.total("llm_requests_total") == 2
    assert captured.total("llm_streams_aborted_total") == 0


def test_future_whose_loop_ends(captured: testing.Captured) -> None:
    """A task that is cancelled because its event loop ends is one call."""

    async def leaves_it() -> None:
        observed(_task)()

    asyncio.run(leaves_it())
    assert captured.total("llm_requests_total") == 1


async def test_awaitable_stays_what_it_is(captured: testing.Captured) -> None:
    """Attributes, `async with` and `async for` are the answer's own; each use is one call."""
    request = observed(Request)()
    assert request.request_id == "r-1"
    assert not hasattr(request, "__enter__")
    async with request as entered:
        assert captured.total("llm_requests_total") == 0
    assert entered.closed
    _assert_counted(captured)
    assert [chunk async for chunk in observed(Paginator)()][-1] == ANSWER
    assert captured.total("llm_requests_total") == 2
    assert captured.total("llm_tokens_used_total", type="prompt") == 200


async def test_awaited_stream(captured: testing.Captured) -> None:
    """A stream that comes out of an awaitable is over when it was read to its end."""

    async def chunks() -> AsyncIterator[Any]:
        yield {"choices": []}
        yield ANSWER

    async def create() -> AsyncIterator[Any]:
        return chunks()

    def create_later() -> Awaitable[AsyncIterator[Any]]:
        return create()

    stream = await observed(create_later)()
    assert captured.total("llm_requests_total") == 0
    assert not inspect.isawaitable(stream)
    assert [chunk async for chunk in stream][-1] == ANSWER
    _assert_counted(captured)


def test_managers_of_the_host(captured: testing.Captured) -> None:
    """A context manager of the application's own makes its call between its entry and its exit."""

    @observed
    @contextlib.contextmanager
    def opened() -> Iterator[Iterator[Any]]:
        yield iter([{"choices": []}, ANSWER])

    manager = opened()
    assert captured.total("llm_requests_total") == 0
    with manager as stream:
        assert list(stream)[-1] == ANSWER
    _assert_counted(captured)
    with pytest.raises(TimeoutError), opened():
        raise TimeoutError
    assert captured.value("errors_total", error_type="TimeoutError", component="llm") == 1


def test_open_answer_is_an_answer(captured: testing.Captured) -> None:
    """What is open already, as an HTTP response that could be closed by `with`, is the answer of a call that is over."""

    class Response(contextlib.closing[Any]):
        usage = ANSWER["usage"]

        def __init__(self) -> None:
            super().__init__(self)

        def close(self) -> None:
            """Nothing is open."""

    answer = observed(Response)()
    assert isinstance(answer, Response)
    _assert_counted(captured)
