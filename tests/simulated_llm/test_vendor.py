"""The simulated vendor, asked by the vendors' own clients, against its own ledger."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from deploy.ports import free_port_run
from deploy.simulated_llm.behaviour import Behaviour
from deploy.simulated_llm.settings import Settings
from tests.fleet.client import recording

KEY = "test-key"
ENVIRONMENT = {
    "SIMULATED_LLM_API_KEYS": KEY,
    "SIMULATED_LLM_SPEED": "200",
    "SIMULATED_LLM_ERROR_RATE": "0",
}
HELLO: Any = [{"role": "user", "content": "Hello there"}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A vendor process of its own."""
    port = free_port_run(1)[0]
    command = [sys.executable, "-m", "uvicorn", "deploy.simulated_llm.main:app", "--port", str(port)]
    process = subprocess.Popen(command, env={"PYTHONPATH": ".", **ENVIRONMENT}, stderr=subprocess.DEVNULL)
    try:
        _await(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _await(address: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx.get(address)
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(address)


def _client(url: str, key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=5)


def _ledger(url: str) -> dict[str, Any]:
    body: dict[str, Any] = httpx.get(f"{url}/simulated/ledger").json()
    return body


def test_ledger_is_what_clients_saw(url: str) -> None:
    """Plain, streamed and cached calls of both APIs: the ledger bills what the usage says, and says it is simulated."""
    client, before = _client(url), _ledger(url)
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    assert "simulated" in (answer.choices[0].message.content or "")
    stream = client.chat.completions.create(
        model="gpt-4o-mini", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    usage = [chunk.usage for chunk in stream if chunk.usage][-1]
    claude = anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0)
    message = claude.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=HELLO)
    assert answer.usage
    seen = answer.usage.completion_tokens + usage.completion_tokens + message.usage.output_tokens
    ledger = _ledger(url)
    assert ledger["tokens_total"]["completion"] - before["tokens_total"]["completion"] == seen
    assert ledger["requests_total"] - before["requests_total"] == 3


def test_long_prompt_is_cached_the_second_time(url: str) -> None:
    """A long prompt's beginning is read from the prompt cache when it comes again."""
    prompt: Any = [{"role": "user", "content": "a long story " * 600}]
    first, second = (_client(url).chat.completions.create(model="gpt-4o", messages=prompt).usage for _ in range(2))
    assert first
    assert second
    assert first.prompt_tokens == second.prompt_tokens
    assert first.prompt_tokens_details
    assert second.prompt_tokens_details
    assert first.prompt_tokens_details.cached_tokens == 0
    assert second.prompt_tokens_details.cached_tokens == 1024


def test_images_and_audio(url: str) -> None:
    """Images and transcripts are served; the minutes are those of the recording."""
    images = _client(url).images.generate(model="gpt-image-1", prompt="a door")
    assert images.data
    answer = _client(url).audio.transcriptions.create(
        model="whisper-1", file=("a.wav", recording(3.0)), response_format="verbose_json"
    )
    assert float(answer.duration) == 3.0
    assert _ledger(url)["images_total"] == 1
    assert _ledger(url)["audio_seconds_total"] == 3.0


@pytest.mark.parametrize(
    ("key", "model", "text", "error"),
    [
        ("wrong", "gpt-4o", "hi", openai.AuthenticationError),
        (KEY, "gpt-99", "hi", openai.NotFoundError),
        (KEY, "gpt-4o", "[[error:429]]", openai.RateLimitError),
        (KEY, "gpt-4o", "[[error:500]]", openai.InternalServerError),
        (KEY, "gpt-4o", "x" * 600_000, openai.BadRequestError),
        (KEY, "gpt-4o", "[[hang:20]]", openai.APITimeoutError),
    ],
)
def test_errors_are_the_vendors(url: str, key: str, model: str, text: str, error: type[Exception]) -> None:
    """Errors arrive as the exceptions that the vendor's own client raises for them."""
    client = _client(url, key).with_options(timeout=0.5) if "hang" in text else _client(url, key)
    with pytest.raises(error):
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])


def test_same_seed_same_answers(url: str) -> None:
    """Tokens depend on the seed and the content, not on what else was asked."""
    question: Any = [{"role": "user", "content": "Nobody asked this before"}]
    first = _client(url).chat.completions.create(model="gpt-4o-mini", messages=question).usage
    planned = Behaviour(Settings.from_environment(ENVIRONMENT)).plan("gpt-4o-mini", "Nobody asked this before")
    assert first
    assert planned.completion == first.completion_tokens


def test_key_has_no_default() -> None:
    """Without keys the vendor does not start, and says what to set."""
    with pytest.raises(ValueError, match="SIMULATED_LLM_API_KEYS is not set"):
        Settings.from_environment({})
