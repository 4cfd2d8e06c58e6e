"""Calls of vendors' clients are measured without a line of code: each counts once, whoever else measures or wraps it."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from importlib import import_module
from typing import Any

import anthropic
import openai
import pytest
from genai_prices import data_snapshot
from pydantic import BaseModel

from support.waiting import eventually
from telemetry import guard, llm_call, testing
from telemetry.instrumentation.instrumentor import found
from telemetry.instrumentation.llm import clients
from telemetry.instrumentation.llm.covering import part_of_another
from telemetry.instrumentation.llm.zero_code import ZeroCodeAnthropic, ZeroCodeOpenAI
from tests.simulated_llm.conftest import KEY, RunningVendor

GPT, CLAUDE, EMBEDDING = "gpt-4o-mini", "claude-haiku-4-5", "text-embedding-3-small"
MESSAGES: Any = [{"role": "user", "content": "hello"}]
CHAT: Any = {"model": GPT, "messages": MESSAGES}
MESSAGE: Any = {"model": CLAUDE, "messages": MESSAGES, "max_tokens": 64}


class Answer(BaseModel):
    """What a model may be asked for."""

    text: str


@pytest.fixture(autouse=True)
def hooked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both clients are hooked for one test, as zero code does in a process that it has configured."""
    monkeypatch.setattr(found, "is_measured", True)
    instrumentors = [ZeroCodeOpenAI(), ZeroCodeAnthropic()]
    for instrumentor in instrumentors:
        instrumentor.instrument(skip_dep_check=True)
    yield
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


def read(stream: Any) -> None:
    for _ in stream:
        pass


async def read_async(stream: Any) -> None:
    async for _ in stream:
        pass


def helper(manager: Any) -> None:
    with manager as events:
        read(events)


async def helper_async(manager: Any) -> None:
    async with manager as events:
        await read_async(events)


OPENAI: dict[str, Callable[[openai.OpenAI], object]] = {
    "create": lambda c: c.chat.completions.create(**CHAT),
    "create, streamed": lambda c: read(c.chat.completions.create(**CHAT, stream=True)),
    "stream": lambda c: helper(c.chat.completions.stream(**CHAT)),
    "raw": lambda c: c.chat.completions.with_raw_response.create(**CHAT).parse(),
    "raw, streamed": lambda c: read(c.chat.completions.with_raw_response.create(**CHAT, stream=True).parse()),
    "raw, unread": lambda c: c.chat.completions.with_raw_response.create(**CHAT, stream=True).http_response.read(),
    "response": lambda c: c.responses.create(model=GPT, input="hello"),
    "response, streamed": lambda c: read(c.responses.create(model=GPT, input="hello", stream=True)),
    "response, stream": lambda c: helper(c.responses.stream(model=GPT, input="hello")),
    "embedding": lambda c: c.embeddings.create(model=EMBEDDING, input="hello"),
}
OPENAI_ASYNC: dict[str, Callable[[openai.AsyncOpenAI], Any]] = {
    "create": lambda c: c.chat.completions.create(**CHAT),
    "stream": lambda c: helper_async(c.chat.completions.stream(**CHAT)),
    "response": lambda c: c.responses.create(model=GPT, input="hello"),
    "raw": lambda c: c.chat.completions.with_raw_response.create(**CHAT),
    "embedding": lambda c: c.embeddings.create(model=EMBEDDING, input="hello"),
}
ANTHROPIC: dict[str, Callable[[anthropic.Anthropic], object]] = {
    "create": lambda c: c.messages.create(**MESSAGE),
    "create, streamed": lambda c: read(c.messages.create(**MESSAGE, stream=True)),
    "stream": lambda c: helper(c.messages.stream(**MESSAGE)),
    "raw": lambda c: c.messages.with_raw_response.create(**MESSAGE).parse(),
    "beta": lambda c: c.beta.messages.create(**MESSAGE),
}
ANTHROPIC_ASYNC: dict[str, Callable[[anthropic.AsyncAnthropic], Any]] = {
    "create": lambda c: c.messages.create(**MESSAGE),
    "stream": lambda c: helper_async(c.messages.stream(**MESSAGE)),
}


def client(kind: Callable[..., Any], vendor: RunningVendor) -> Any:
    path = "/v1" if "OpenAI" in kind.__name__ else ""
    return kind(base_url=vendor.url + path, api_key=KEY, max_retries=0)


def assert_one(captured: testing.Captured, provider: str, model: str, *, priced: bool = True) -> None:
    """One call was counted, with its tokens."""
    of_call = {"provider": provider, "model": model}
    assert eventually(lambda: captured.total("llm_requests_total", **of_call)) == 1
    assert captured.total("llm_requests_total") == 1
    assert captured.total("llm_request_duration_seconds", **of_call) == 1
    assert not priced or captured.total("llm_tokens_used_total", **of_call) > 0


@pytest.mark.parametrize("how", OPENAI)
def test_openai_calls(captured: testing.Captured, vendor: RunningVendor, how: str) -> None:
    """Every way to call OpenAI's client is one call, with the usage its answer tells."""
    OPENAI[how](client(openai.OpenAI, vendor))
    model = EMBEDDING if how == "embedding" else GPT
    assert_one(captured, "openai", model, priced=how in {"create", "raw", "response", "embedding"})


@pytest.mark.parametrize("how", OPENAI_ASYNC)
async def test_async_openai_calls(captured: testing.Captured, vendor: RunningVendor, how: str) -> None:
    """So is every way to call its asynchronous client."""
    await OPENAI_ASYNC[how](client(openai.AsyncOpenAI, vendor))
    model = EMBEDDING if how == "embedding" else GPT
    assert_one(captured, "openai", model, priced=how in {"create", "raw", "response", "embedding"})


@pytest.mark.parametrize("how", ANTHROPIC)
def test_anthropic_calls(captured: testing.Captured, vendor: RunningVendor, how: str) -> None:
    """So is every way to call Anthropic's."""
    ANTHROPIC[how](client(anthropic.Anthropic, vendor))
    assert_one(captured, "anthropic", CLAUDE)


@pytest.mark.parametrize("how", ANTHROPIC_ASYNC)
async def test_async_anthropic_calls(captured: testing.Captured, vendor: RunningVendor, how: str) -> None:
    """And its asynchronous one."""
    await ANTHROPIC_ASYNC[how](client(anthropic.AsyncAnthropic, vendor))
    assert_one(captured, "anthropic", CLAUDE)


async def test_coroutines_stay_coroutines(vendor: RunningVendor) -> None:
    """What a client's asynchronous method returns is a coroutine as before."""
    calling = client(openai.AsyncOpenAI, vendor).chat.completions.create(**CHAT)
    assert inspect.iscoroutine(calling)
    await calling


def test_own_recording_goes_before(captured: testing.Captured, vendor: RunningVendor) -> None:
    """What the program records itself, as a block, a function or a stream, is not counted a second time."""
    c, telemetry = client(openai.OpenAI, vendor), captured.telemetry
    with telemetry.llm.request(provider="mine", model="block") as call:
        call.response(c.chat.completions.create(**CHAT))
    with telemetry.llm.request(provider="mine", model="stream") as call:
        read(call.stream(c.chat.completions.create(**CHAT, stream=True)))
    llm_call(provider="mine", model="function")(lambda: c.chat.completions.create(**CHAT))()
    llm_call(provider="mine", model="helper")(c.chat.completions.stream)(**CHAT).__enter__().close()

    @llm_call(provider="mine", model="generator")
    def pieces() -> Iterator[Any]:
        yield from c.chat.completions.create(**CHAT, stream=True)

    read(pieces())
    models = {"block", "stream", "function", "helper", "generator"}
    assert all(captured.total("llm_requests_total", provider="mine", model=model) == 1 for model in models)
    assert captured.total("llm_requests_total") == 5


def test_calls_between_the_pieces_of_a_stream_count(captured: testing.Captured, vendor: RunningVendor) -> None:
    """While a stream is read that the program records itself, other calls are calls of their own."""
    c = client(openai.OpenAI, vendor)

    @llm_call(provider="mine", model="generator")
    def pieces() -> Iterator[Any]:
        yield from c.chat.completions.create(**CHAT, stream=True)

    reader = pieces()
    next(reader)
    c.chat.completions.create(**CHAT)
    reader.close()
    with captured.telemetry.llm.request(provider="mine", model="stream") as call:
        chunks = iter(call.stream(c.chat.completions.create(**CHAT, stream=True)))
        next(chunks)
        c.chat.completions.create(**CHAT)
        read(chunks)
    assert captured.total("llm_requests_total", provider="openai") == 2
    assert captured.total("llm_requests_total", provider="mine") == 2


def _in_executor(create: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(create).result()


def _in_context_of_executor(create: Callable[[], Any]) -> Any:
    return _in_executor(partial(copy_context().run, create))


HANDED: dict[str, Callable[[Callable[[], Any]], Any]] = {
    "executor": _in_executor,
    "executor with context": _in_context_of_executor,
    "to_thread": lambda create: asyncio.run(asyncio.to_thread(create)),
}


@pytest.mark.parametrize("how", HANDED)
def test_call_that_is_handed_on_counts_once(captured: testing.Captured, vendor: RunningVendor, how: str) -> None:
    """What the program records itself and has another thread call, with or without its context, is one call."""
    c = client(openai.OpenAI, vendor)
    with captured.telemetry.llm.request(provider="openai", model=GPT) as call:
        call.response(HANDED[how](lambda: c.chat.completions.create(**CHAT)))
    assert_one(captured, "openai", GPT)
    c.chat.completions.create(**CHAT)
    assert captured.total("llm_requests_total") == 2


def test_calls_of_a_forked_child_are_its_own(captured: testing.Captured) -> None:
    """A call that the program records while another thread forks is none of the child's."""
    with captured.telemetry.llm.request(provider="openai", model=GPT), ThreadPoolExecutor(1) as executor:

        def forks() -> int:
            pid = os.fork()
            if pid == 0:
                os._exit(part_of_another("openai", GPT) is not None)
            return os.waitpid(pid, 0)[1]

        assert executor.submit(forks).result() == 0


async def test_call_that_a_task_makes_counts_once(captured: testing.Captured, vendor: RunningVendor) -> None:
    """What the program records itself and awaits as a task is one call, as often as it is tried."""
    c = client(openai.AsyncOpenAI, vendor)
    with captured.telemetry.llm.request(provider="openai", model=GPT) as call:
        with pytest.raises(openai.OpenAIError):
            await asyncio.create_task(c.with_options(api_key="wrong").chat.completions.create(**CHAT))
        call.response(await asyncio.create_task(c.chat.completions.create(**CHAT)))
    assert_one(captured, "openai", GPT)


async def test_call_in_the_background_counts(captured: testing.Captured, vendor: RunningVendor) -> None:
    """A task that is begun while a call goes on is a call by itself, before and after the program makes its own."""
    c = client(openai.AsyncOpenAI, vendor)

    @llm_call(provider="mine", model="answer")
    async def answer() -> tuple[Any, asyncio.Task[Any]]:
        early = asyncio.create_task(c.chat.completions.create(**CHAT))
        await asyncio.sleep(0)
        await c.chat.completions.create(**CHAT)
        late = asyncio.create_task(c.chat.completions.create(**CHAT, stream=True))
        return await c.chat.completions.create(**CHAT), await early and late

    _, late = await answer()
    await read_async(await late)
    assert captured.total("llm_requests_total", provider="mine") == 1
    assert captured.total("llm_requests_total", provider="openai", model=GPT) == 2
    assert captured.total("llm_time_to_first_token_seconds", provider="openai") == 1


async def test_call_that_outlives_another_counts(captured: testing.Captured, vendor: RunningVendor) -> None:
    """A task that goes on when the call is over in which it began was another call."""
    c = client(openai.AsyncOpenAI, vendor)
    with captured.telemetry.llm.request(provider="mine", model="own transport"):
        background = asyncio.create_task(c.chat.completions.create(**CHAT))
        await asyncio.sleep(0)
    await background
    assert captured.total("llm_requests_total", provider="mine") == 1
    assert captured.total("llm_requests_total", provider="openai") == 1


async def test_calls_side_by_side_are_several(captured: testing.Captured, vendor: RunningVendor) -> None:
    """Of several tasks that call at once while one call is recorded, one is that call."""
    c = client(openai.AsyncOpenAI, vendor)
    with captured.telemetry.llm.request(provider="openai", model=GPT) as call:
        answers = await asyncio.gather(*(c.chat.completions.create(**CHAT) for _ in range(3)))
        call.response(answers[0])
    assert captured.total("llm_requests_total") == 3


def test_failures_are_calls(captured: testing.Captured) -> None:
    """A call that fails is a request with a duration and an error, and raises what it raised."""
    c = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="none", max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        c.chat.completions.create(**CHAT)
    assert captured.total("llm_requests_total", provider="openai") == 1
    assert captured.total("errors_total", error_type="APIConnectionError", component="llm") == 1


def test_contrib_instrumentor_beside_does_not_double(captured: testing.Captured, vendor: RunningVendor) -> None:
    """OpenTelemetry's own instrumentor of the same client records the same call, which counts once."""
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    contrib = OpenAIInstrumentor()
    contrib.instrument(skip_dep_check=True, meter_provider=captured.telemetry.meter_provider)
    try:
        client(openai.OpenAI, vendor).chat.completions.create(**CHAT)
        azure = openai.AzureOpenAI(base_url=vendor.url + "/v1", api_key=KEY, api_version="2024-10-21")
        with pytest.raises(openai.APIStatusError):
            azure.chat.completions.create(**CHAT)
    finally:
        contrib.uninstrument()
    assert captured.total("llm_requests_total", provider="openai") == 1
    assert captured.total("llm_requests_total", provider="azure") == 1
    assert captured.total("llm_requests_total") == 2


def test_uninstrumented_clients_are_as_before(captured: testing.Captured, vendor: RunningVendor) -> None:
    """Without the instrumentor nothing is counted, and the methods are the client's own."""
    ours = vars(openai.resources.chat.Completions)["create"]
    ZeroCodeOpenAI().uninstrument()
    try:
        assert vars(openai.resources.chat.Completions)["create"] is not ours
        client(openai.OpenAI, vendor).chat.completions.create(**CHAT)
        assert captured.total("llm_requests_total") == 0
    finally:
        ZeroCodeOpenAI().instrument(skip_dep_check=True)


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("https://api.openai.com/v1/", "openai"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://shop.openai.azure.com/openai", "azure"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "google"),
        ("https://api.x.ai/v1", "x-ai"),
        ("https://notx.ai/v1", "openai"),
        ("http://models.internal:8000/v1", "openai"),
    ],
)
def test_vendor_of_an_address(address: str, provider: str) -> None:
    """Whoever answers in OpenAI's way is known by his address; an unknown one counts as OpenAI."""
    made = openai.OpenAI(base_url=address, api_key="none")
    assert clients.of_client(made.chat.completions, {"model": GPT}, "openai") == (provider, GPT)


def test_vendors_have_the_names_of_their_prices() -> None:
    """Every vendor that we name is one under whose name prices are looked up."""
    priced = {provider.id for provider in data_snapshot.get_snapshot().providers}
    ours = {*clients._OF_HOSTS.values(), *clients._OF_KINDS.values(), *clients._OF_LITELLM.values()}
    assert ours <= priced


def test_hooked_methods_exist() -> None:
    """Every method that is hooked is one of the installed clients, but those of older versions."""
    for module, paths in {**clients.OPENAI, **clients.ANTHROPIC}.items():
        if module == "openai.resources.beta.chat.completions":
            continue
        for path in paths:
            owner, _, name = path.partition(".")
            assert hasattr(getattr(import_module(module), owner), name), f"{module}.{path}"


def test_call_goes_on_when_its_vendor_is_not_found(
    captured: testing.Captured, vendor: RunningVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is not as we know it makes its calls, and they count as the library's."""
    monkeypatch.delenv(guard.RAISE_VARIABLE, raising=False)
    monkeypatch.setattr(clients, "_provider", lambda *_: 1 / 0)
    assert client(openai.OpenAI, vendor).chat.completions.create(**CHAT).usage is not None
    assert captured.total("llm_requests_total", provider="openai", model="unknown") == 1
