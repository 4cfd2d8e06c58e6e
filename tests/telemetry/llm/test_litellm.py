"""Calls that LiteLLM makes are measured without a line of code, and count once though it calls other clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from telemetry import llm_call, testing
from telemetry.instrumentation.instrumentor import found
from telemetry.instrumentation.llm.zero_code import ZeroCodeAnthropic, ZeroCodeLiteLLM, ZeroCodeOpenAI
from tests.simulated_llm.conftest import KEY, RunningVendor

MESSAGES = [{"role": "user", "content": "hello"}]
GPT, CLAUDE = "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"


@pytest.fixture(scope="module")
def litellm() -> Any:
    """The library, where it is installed; it must not ask the world for prices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        return pytest.importorskip("litellm", reason="LiteLLM is not installed here: make test-litellm")


@pytest.fixture(autouse=True)
def hooked(litellm: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All three clients are hooked for one test."""
    monkeypatch.setattr(found, "is_measured", True)
    instrumentors = [ZeroCodeOpenAI(), ZeroCodeAnthropic(), ZeroCodeLiteLLM()]
    for instrumentor in instrumentors:
        instrumentor.instrument(skip_dep_check=True)
    yield
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


def options(vendor: RunningVendor, model: str) -> dict[str, Any]:
    """What a call needs."""
    base = vendor.url + ("/v1" if model == GPT else "")
    return {"model": model, "messages": MESSAGES, "api_base": base, "api_key": KEY, "max_tokens": 32}


@pytest.mark.parametrize("model", [GPT, CLAUDE])
async def test_each_call_counts_once(
    captured: testing.Captured, vendor: RunningVendor, litellm: Any, model: str
) -> None:
    """Sync, async and streamed calls count once each, for the vendor and the model that they are for."""
    litellm.completion(**options(vendor, model))
    litellm.completion(
        model, MESSAGES, **{k: v for k, v in options(vendor, model).items() if k not in {"model", "messages"}}
    )
    await litellm.acompletion(**options(vendor, model))
    for _ in litellm.completion(**options(vendor, model), stream=True):
        pass
    async for _ in await litellm.acompletion(**options(vendor, model), stream=True):
        pass
    provider, _, name = model.partition("/")
    assert captured.total("llm_requests_total", provider=provider, model=name) == 5
    assert captured.total("llm_requests_total") == 5
    assert captured.total("llm_tokens_used_total", provider=provider, model=name, type="completion") > 0


def test_programs_own_recording_goes_before(captured: testing.Captured, vendor: RunningVendor, litellm: Any) -> None:
    """What the program records itself counts once, as it says."""
    llm_call(provider="mine", model="m")(lambda: litellm.completion(**options(vendor, GPT)))()
    assert captured.total("llm_requests_total") == captured.total("llm_requests_total", provider="mine") == 1


def test_unknown_model_fails_as_before(captured: testing.Captured, litellm: Any) -> None:
    """What LiteLLM cannot place is its error, and a call of an unknown vendor."""
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(model="nobody-knows", messages=MESSAGES)
    assert captured.total("llm_requests_total", model="nobody-knows") == 1
