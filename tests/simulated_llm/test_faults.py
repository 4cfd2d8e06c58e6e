"""Errors, hangs and broken connections: on demand, at random, and never missing from the ledger."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import httpx2
import openai
import pytest

from support.waiting import eventually
from tests.simulated_llm.conftest import RunningVendor

FAILURES = {"429", "500", "503"}


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize("stream", [False, True])
def test_error_on_demand(vendor: RunningVendor, status: int, stream: bool) -> None:
    """A message can ask for any error, whole or streamed; nothing is billed for it."""
    with pytest.raises(openai.APIStatusError) as caught:
        vendor.say(f"Please fail [[error:{status}]]", stream=stream)
    assert caught.value.status_code == status
    assert ("retry-after" in caught.value.response.headers) == (status == 429)
    assert vendor.outcomes() == {str(status): 1}
    assert vendor.ledger()["tokens_total"] == {"prompt": 0, "cached": 0, "completion": 0}


def test_error_that_passes(vendor: RunningVendor) -> None:
    """An error can be asked for a number of times: the same request then works, as after a retry."""
    outcomes = []
    for _ in range(3):
        try:
            vendor.say("[[error:503:2]]")
        except openai.InternalServerError:
            outcomes.append(503)
        else:
            outcomes.append(200)
    assert outcomes == [503, 503, 200]


def test_controls_in_history_are_over(vendor: RunningVendor) -> None:
    """Only the last message counts: a conversation that once failed goes on."""
    history = [{"role": "user", "content": "[[error:500]]"}, {"role": "user", "content": "Better now?"}]
    assert vendor.openai.chat.completions.create(model="gpt-4o-mini", messages=history)  # type: ignore[arg-type]


def test_wrong_control_is_explained(vendor: RunningVendor) -> None:
    """A control with a value that makes no sense is refused with a sentence; other brackets are just text."""
    with pytest.raises(openai.BadRequestError, match=r"\[\[error:soon\]\] is not understood"):
        vendor.say("[[error:soon]]")
    assert vendor.say("See [[this note]]").usage


def test_hang_ends_in_a_timeout(vendor: RunningVendor) -> None:
    """A vendor that hangs is left by its client; it is noticed, and nothing is billed."""
    started = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        vendor.openai.with_options(timeout=0.3).chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "[[hang:30]]"}]
        )
    assert time.monotonic() - started < 5
    assert eventually(lambda: vendor.outcomes() == {"aborted": 1})
    assert vendor.ledger()["tokens_total"]["prompt"] == 0


def test_short_hang_is_survived(vendor: RunningVendor) -> None:
    """A vendor that hangs for less than the client's patience answers late."""
    started = time.monotonic()
    assert vendor.say("[[hang:0.3]] [[tokens:15]]").usage.completion_tokens == 15
    assert time.monotonic() - started >= 0.3


def test_vendor_breaks_a_stream_off(vendor: RunningVendor) -> None:
    """A dropped stream is billed as far as it came, and its client was told no usage."""
    chunks: list[Any] = []
    stream = vendor.say("[[drop:7]] [[tokens:50]]", stream=True, stream_options={"include_usage": True})
    with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
        chunks += stream
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) == 7
    books = vendor.ledger()
    assert vendor.outcomes() == {"dropped": 1}
    assert books["tokens_total"]["completion"] == 7
    assert books["tokens_total"]["prompt"] > 0
    assert books["tokens_reported_total"] == {"prompt": 0, "cached": 0, "completion": 0}


def test_vendor_breaks_a_reply_off(vendor: RunningVendor) -> None:
    """A reply that is not streamed can be lost as well."""
    with pytest.raises(openai.APIConnectionError):
        vendor.say("[[drop]]")
    assert vendor.outcomes() == {"dropped": 1}


def test_client_leaves_a_stream(vendor: RunningVendor) -> None:
    """A stream that its client leaves is billed as far as it was made: at least what was seen, less than all."""
    seen = 0
    with vendor.say("[[tokens:100000]]", stream=True) as stream:
        for chunk in stream:
            seen += bool(chunk.choices and chunk.choices[0].delta.content)
            if seen == 5:
                break
    assert eventually(lambda: vendor.outcomes() == {"aborted": 1})
    assert 5 <= vendor.ledger()["tokens_total"]["completion"] < 100_000


def test_unknown_path_is_refused(vendor: RunningVendor) -> None:
    """A path that is no part of the API gets the vendor's 404, which also says that it is simulated."""
    answer = httpx.get(f"{vendor.url}/v1/nothing")
    assert (answer.status_code, answer.headers["x-simulated"]) == (404, "true")
    assert "Invalid URL" in answer.json()["error"]["message"]


def _story(vendor: RunningVendor, prompts: list[str], threads: int) -> list[tuple[str, str, int]]:
    """What happens to each prompt, sent by so many threads: prompt, fate, tokens of the reply."""
    client = vendor.openai.with_options(timeout=2)

    def tell(prompt: str) -> tuple[str, str, int]:
        try:
            reply = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}])
        except openai.APIStatusError as error:
            return prompt, str(error.status_code), 0
        except openai.APITimeoutError:
            return prompt, "hang", 0
        except openai.APIConnectionError:
            return prompt, "drop", 0
        assert reply.usage is not None
        return prompt, str(reply.choices[0].message.content), reply.usage.completion_tokens

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(tell, prompts))


def test_chance_is_reproducible(faulty: Callable[[], RunningVendor]) -> None:
    """The same requests in another order and by other threads have the same fate, errors and time-outs included."""
    prompts = [f"Question {number % 20}" for number in range(60)]
    first = Counter(_story(faulty(), prompts, threads=4))
    second = Counter(_story(faulty(), prompts[::-1], threads=8))
    assert first == second
    assert {fate for _, fate, _ in first} >= FAILURES


def test_repeated_content_differs(vendor: RunningVendor) -> None:
    """The same question again gets another reply, as from a real model."""
    lengths = [vendor.say("Again?").usage.completion_tokens for _ in range(5)]
    assert len(set(lengths)) > 1


def test_ledger_equals_what_clients_saw(faulty: Callable[[], RunningVendor]) -> None:
    """Under errors and eight threads, the ledger has each outcome and each token as the clients have seen them."""
    vendor = faulty()
    story = _story(vendor, [f"Number {number}" for number in range(60)], threads=8)
    seen = Counter(fate if fate in {*FAILURES, "hang", "drop"} else "ok" for _, fate, _ in story)
    assert eventually(lambda: vendor.ledger()["requests_total"] == len(story))
    names = {"hang": "aborted", "drop": "dropped"}
    assert vendor.outcomes() == {names.get(fate, fate): count for fate, count in seen.items()}
    assert vendor.ledger()["tokens_reported_total"]["completion"] == sum(tokens for _, _, tokens in story)
