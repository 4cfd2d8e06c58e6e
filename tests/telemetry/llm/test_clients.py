"""`llm_call` and `request()` around vendors' own clients, against a vendor process and its books."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anthropic
import openai
import pytest

import telemetry
from telemetry import testing
from telemetry.instrumentation.llm.call import LlmCall
from tests.simulated_llm.conftest import KEY, RunningVendor

MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}
TEXT = "Tell me about the history of the city, please."
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
RESPONSES_TOOL = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": False}
MESSAGES_TOOL = {"name": "get_weather", "input_schema": PARAMETERS}
WITH_USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}

Ask = dict[str, Any]


def _chat(text: str = TEXT, **options: Any) -> Ask:
    return {"model": MODELS["openai"], "messages": [{"role": "user", "content": text}]} | options


def _responses(text: str = TEXT, **options: Any) -> Ask:
    return {"model": MODELS["openai"], "input": text} | options


def _messages(text: str = TEXT, **options: Any) -> Ask:
    messages = [{"role": "user", "content": text}]
    return {"model": MODELS["anthropic"], "max_tokens": 300, "messages": messages} | options


def _embedded(**options: Any) -> Ask:
    return {"model": "text-embedding-3-small", "input": [TEXT, TEXT]} | options


def _method(vendor: RunningVendor, path: str, *, is_async: bool) -> Callable[..., Any]:
    """A method of a vendor's client, by its path: ``openai.responses.create``."""
    provider, *names = path.split(".")
    package: Any = {"openai": openai, "anthropic": anthropic}[provider]
    kind = {"openai": "OpenAI", "anthropic": "Anthropic"}[provider]
    transport = package.DefaultAsyncHttpxClient if is_async else package.DefaultHttpxClient
    found: Any = getattr(package, f"Async{kind}" if is_async else kind)(
        base_url=vendor.url if provider == "anthropic" else f"{vendor.url}/v1",
        api_key=KEY,
        max_retries=0,
        http_client=transport(verify=False, timeout=10),  # 127.0.0.1: certificates take a fifth of a second to load
    )
    for name in names:
        found = getattr(found, name)
    return found  # type: ignore[no-any-return]


CREATED: list[tuple[str, Ask]] = [
    ("openai.chat.completions.create", _chat()),
    ("openai.chat.completions.create", _chat(f"{TEXT} [[tool]]", tools=[CHAT_TOOL])),
    ("openai.chat.completions.create", _chat(stream=True, **WITH_USAGE)),
    ("openai.chat.completions.create", _chat(f"{TEXT} [[tool]]", tools=[CHAT_TOOL], stream=True, **WITH_USAGE)),
    ("openai.chat.completions.parse", _chat()),
    ("openai.responses.create", _responses()),
    ("openai.responses.create", _responses(f"{TEXT} [[tool]]", tools=[RESPONSES_TOOL])),
    ("openai.responses.create", _responses(f"{TEXT} [[tokens:90]]", max_output_tokens=20)),
    ("openai.responses.create", _responses(stream=True)),
    ("openai.responses.create", _responses(f"{TEXT} [[tokens:90]]", max_output_tokens=20, stream=True)),
    ("openai.responses.create", _responses(f"{TEXT} [[tool]]", tools=[RESPONSES_TOOL], stream=True)),
    ("openai.responses.parse", _responses()),
    ("openai.embeddings.create", _embedded()),
    ("anthropic.messages.create", _messages()),
    ("anthropic.messages.create", _messages(f"{TEXT} [[tool]]", tools=[MESSAGES_TOOL])),
    ("anthropic.messages.create", _messages(stream=True)),
]
MANAGED: list[tuple[str, Ask]] = [
    ("openai.chat.completions.stream", _chat(**WITH_USAGE)),
    ("openai.chat.completions.stream", _chat(f"{TEXT} [[tool]]", tools=[CHAT_TOOL], **WITH_USAGE)),
    ("openai.responses.stream", _responses()),
    ("openai.responses.stream", _responses(f"{TEXT} [[tool]]", tools=[RESPONSES_TOOL])),
    ("anthropic.messages.stream", _messages()),
    ("anthropic.messages.stream", _messages(f"{TEXT} [[tool]]", tools=[MESSAGES_TOOL])),
    ("anthropic.beta.messages.stream", _messages()),
]
both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def _labels(path: str, ask: Mapping[str, Any]) -> dict[str, str]:
    return {"provider": path.split(".", maxsplit=1)[0], "model": ask["model"]}


def _assert_one_call(captured: testing.Captured, vendor: RunningVendor, labels: dict[str, str]) -> None:
    """Exactly one call was counted, complete and as the vendor bills it."""
    billed = vendor.ledger()["tokens_total"]
    assert {kind: captured.total("llm_tokens_used_total", type=kind) for kind in billed} == billed
    assert billed["prompt"] > 0
    assert captured.value("llm_requests_total", **labels) == 1
    assert captured.value("llm_request_duration_seconds", **labels) == 1
    assert captured.total("llm_cost_usd_total") > 0
    for nothing in ("llm_unpriced_requests_total", "llm_streams_aborted_total", "llm_tokens_estimated_total"):
        assert captured.total(nothing) == 0
    assert captured.total("errors_total") == 0


def _called(path: str, ask: Ask) -> Callable[..., Any]:
    def decorated(method: Callable[..., Any]) -> Callable[..., Any]:
        return telemetry.llm_call(**_labels(path, ask))(method)

    return decorated


@pytest.mark.parametrize(("path", "ask"), CREATED)
def test_sync_client(captured: testing.Captured, vendor: RunningVendor, path: str, ask: Ask) -> None:
    """A decorated method of a sync client is one call, billed as in the vendor's books."""
    answer = _called(path, ask)(_method(vendor, path, is_async=False))(**ask)
    assert list(answer) if ask.get("stream") else answer.usage
    _assert_one_call(captured, vendor, _labels(path, ask))


@pytest.mark.parametrize(("path", "ask"), CREATED)
async def test_async_client(captured: testing.Captured, vendor: RunningVendor, path: str, ask: Ask) -> None:
    """A decorated method of an async client, which is no coroutine function, is one call as well."""
    answer = await _called(path, ask)(_method(vendor, path, is_async=True))(**ask)
    assert [chunk async for chunk in answer] if ask.get("stream") else answer.usage
    _assert_one_call(captured, vendor, _labels(path, ask))


def test_async_client_under_run(captured: testing.Captured, vendor: RunningVendor) -> None:
    """What a decorated method of an async client returns is good for `asyncio.run`, and for a task."""
    path, ask = CREATED[0]
    measured = _called(path, ask)

    async def in_a_task() -> Any:
        return await asyncio.create_task(measured(_method(vendor, path, is_async=True))(**ask))

    assert asyncio.run(in_a_task()).usage
    _assert_one_call(captured, vendor, _labels(path, ask))
    asyncio.run(measured(_method(vendor, path, is_async=True))(**ask))
    assert captured.total("llm_requests_total") == 2


def _iterated(stream: Any) -> None:
    assert len(list(stream)) > 3


def _done(stream: Any) -> None:
    stream.until_done()


def _final(stream: Any) -> None:
    name = next(name for name in dir(type(stream._chunks)) if name.startswith("get_final_") and "text" not in name)
    assert getattr(stream, name)().usage


@pytest.mark.parametrize("read", [_iterated, _done, _final])
@pytest.mark.parametrize(("path", "ask"), MANAGED)
def test_sync_manager(captured: testing.Captured, vendor: RunningVendor, path: str, ask: Ask, read: Any) -> None:
    """A stream manager is one call, from its entry to the end of its stream, however that is read."""
    with _called(path, ask)(_method(vendor, path, is_async=False))(**ask) as stream:
        read(stream)
    _assert_one_call(captured, vendor, _labels(path, ask))
    assert captured.value("llm_time_to_first_token_seconds", **_labels(path, ask)) == 1


async def _iterated_async(stream: Any) -> None:
    assert len([event async for event in stream]) > 3


async def _done_async(stream: Any) -> None:
    await stream.until_done()


@pytest.mark.parametrize("read", [_iterated_async, _done_async])
@pytest.mark.parametrize(("path", "ask"), MANAGED)
async def test_async_manager(
    captured: testing.Captured, vendor: RunningVendor, path: str, ask: Ask, read: Callable[[Any], Awaitable[None]]
) -> None:
    """The same of an async client."""
    async with _called(path, ask)(_method(vendor, path, is_async=True))(**ask) as stream:
        await read(stream)
    _assert_one_call(captured, vendor, _labels(path, ask))
    assert captured.value("llm_time_to_first_token_seconds", **_labels(path, ask)) == 1


async def test_text_streams(captured: testing.Captured, vendor: RunningVendor) -> None:
    """Anthropic's `text_stream`, which its helper feeds itself, is seen too."""
    path, ask = "anthropic.messages.stream", _messages()
    with _called(path, ask)(_method(vendor, path, is_async=False))(**ask) as stream:
        assert "simulated" in "".join(stream.text_stream)
        assert stream.get_final_message().usage
    _assert_one_call(captured, vendor, _labels(path, ask))
    vendor.reset()
    async with _called(path, ask)(_method(vendor, path, is_async=True))(**ask) as stream:
        assert "simulated" in "".join([text async for text in stream.text_stream])
    assert captured.total("llm_tokens_used_total", type="completion") > vendor.ledger()["tokens_total"]["completion"]
    assert captured.total("llm_requests_total") == 2


def _enter_then_stream(call: LlmCall, manager: Any) -> None:
    with manager as stream:
        list(call.stream(stream))


def _stream_then_enter(call: LlmCall, manager: Any) -> None:
    with call.stream(manager) as stream:
        list(stream)


def _watched_beside(call: LlmCall, manager: Any) -> None:
    with manager as stream:
        call.stream(stream)
        stream.until_done()


@pytest.mark.parametrize("use", [_enter_then_stream, _stream_then_enter, _watched_beside])
@pytest.mark.parametrize(("path", "ask"), MANAGED)
def test_request_around_a_manager(
    captured: testing.Captured, vendor: RunningVendor, path: str, ask: Ask, use: Callable[[LlmCall, Any], None]
) -> None:
    """`request()` takes a manager before or after it is entered, and sees what its helper reads."""
    with captured.telemetry.llm.request(**_labels(path, ask)) as call:
        use(call, _method(vendor, path, is_async=False)(**ask))
    _assert_one_call(captured, vendor, _labels(path, ask))


@pytest.mark.parametrize(("path", "ask"), MANAGED)
async def test_request_around_an_async_manager(
    captured: testing.Captured, vendor: RunningVendor, path: str, ask: Ask
) -> None:
    """The same of an async client."""
    with captured.telemetry.llm.request(**_labels(path, ask)) as call:
        async with call.stream(_method(vendor, path, is_async=True)(**ask)) as stream:
            assert [event async for event in stream]
    _assert_one_call(captured, vendor, _labels(path, ask))


async def test_request_around_an_awaitable_stream(captured: testing.Captured, vendor: RunningVendor) -> None:
    """`request()` takes the awaitable that gives a stream as it takes the stream."""
    path, ask = "openai.responses.create", _responses(stream=True)
    create = _method(vendor, path, is_async=True)
    with captured.telemetry.llm.request(**_labels(path, ask)) as call:
        async with await call.stream(create(**ask)) as stream:
            assert [event async for event in stream]
    _assert_one_call(captured, vendor, _labels(path, ask))


@both
@pytest.mark.parametrize(("path", "ask"), MANAGED)
async def test_manager_that_is_left(
    captured: testing.Captured, vendor: RunningVendor, path: str, ask: Ask, is_async: bool
) -> None:
    """A manager left in the middle of its stream is one aborted call."""
    manager = _called(path, ask)(_method(vendor, path, is_async=is_async))(**ask)
    if is_async:
        async with manager as stream:
            await anext(aiter(stream))
    else:
        with manager as stream:
            next(iter(stream))
    assert captured.value("llm_streams_aborted_total", **_labels(path, ask)) == 1
    assert captured.value("llm_requests_total", **_labels(path, ask)) == 1


@both
@pytest.mark.parametrize(("path", "ask"), MANAGED)
async def test_manager_that_fails(
    captured: testing.Captured, vendor: RunningVendor, path: str, ask: Ask, is_async: bool
) -> None:
    """A vendor's error at the entry of a manager is one call and one error by its class; nothing is billed."""
    failing = _chat("[[error:429]]") if "chat" in path else _responses("[[error:429]]")
    failing = _messages("[[error:429]]") if path.startswith("anthropic") else failing
    manager = _called(path, ask)(_method(vendor, path, is_async=is_async))(**failing)
    with pytest.raises(Exception, match="429"):  # noqa: PT012 - the way in differs
        if is_async:
            await manager.__aenter__()
        else:
            manager.__enter__()
    assert captured.value("errors_total", error_type="RateLimitError", component="llm") == 1
    assert captured.total("llm_requests_total") == 1
    assert captured.total("llm_unpriced_requests_total") == 0


def test_helper_that_keeps_its_chunks_elsewhere(captured: testing.Captured) -> None:
    """A helper of a version we do not know is said once, and what is iterated of it still counts."""

    class Helper:
        def __init__(self) -> None:
            self._elsewhere = iter([{"type": "message_delta", "usage": {"input_tokens": 5, "output_tokens": 7}}])

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            return next(self._elsewhere)

        def get_final_message(self) -> None:
            list(self)

    labels = {"provider": "anthropic", "model": "claude-haiku-4-5"}
    for _ in range(2):
        list(telemetry.llm_call(**labels)(Helper)())
    assert captured.total("llm_tokens_used_total", **labels) == 24
    assert captured.value("errors_total", error_type="MissingAssumptionError", component="telemetry") == 1
