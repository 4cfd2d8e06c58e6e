"""A real vendor process for the tests of this folder, and the vendors' own clients for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx
import openai
import pytest

from support.ports import free_port

KEY = "key-of-the-tests"
QUICK = {"SIMULATED_LLM_API_KEYS": KEY, "SIMULATED_LLM_SPEED": "1000", "SIMULATED_LLM_ERROR_RATE": "0"}


@dataclass
class RunningVendor:
    """A vendor process and how to talk to it."""

    url: str

    @property
    def openai(self) -> openai.OpenAI:
        """OpenAI's client, which does not retry."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=KEY, max_retries=0, timeout=10)

    @property
    def anthropic(self) -> anthropic.Anthropic:
        """Anthropic's client, which does not retry."""
        return anthropic.Anthropic(base_url=self.url, api_key=KEY, max_retries=0, timeout=10)

    def ledger(self) -> dict[str, Any]:
        """The books as they are."""
        books: dict[str, Any] = httpx.get(f"{self.url}/simulated/ledger").json()
        return books

    def outcomes(self) -> dict[str, int]:
        """Requests by outcome."""
        return {line["outcome"]: line["count"] for line in self.ledger()["requests"]}

    def reset(self) -> None:
        """Begin anew."""
        httpx.post(f"{self.url}/simulated/reset", headers={"x-api-key": KEY}).raise_for_status()

    def say(self, text: str, **options: Any) -> Any:
        """One chat with the default model."""
        options = {"model": "gpt-4o-mini"} | options
        return self.openai.chat.completions.create(messages=[{"role": "user", "content": text}], **options)

    def ask(self, text: str, **options: Any) -> Any:
        """One message to Anthropic's default model."""
        settings: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 500} | options
        return self.anthropic.messages.create(messages=[{"role": "user", "content": text}], **settings)


def start(**settings: str) -> tuple[subprocess.Popen[bytes], RunningVendor]:
    """Start a vendor process on a free port, and wait until it answers."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "deploy.simulated_llm.main:app", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "critical"], env=os.environ | QUICK | settings)
    vendor = RunningVendor(f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{vendor.url}/health").is_success:
                return process, vendor
        except httpx.TransportError:
            time.sleep(0.05)
    end(process)
    pytest.fail(f"the vendor did not start; exit code {process.poll()}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End one process, by its id."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def _running() -> Iterator[RunningVendor]:
    process, vendor = start()
    yield vendor
    end(process)


@pytest.fixture
def vendor(_running: RunningVendor) -> RunningVendor:
    """A vendor without any history."""
    _running.reset()
    return _running


@pytest.fixture(scope="session")
def faulty() -> Iterator[Callable[[], RunningVendor]]:
    """A vendor of which half the requests fail; each call gives it without any history."""
    process, vendor = start(SIMULATED_LLM_ERROR_RATE="0.5", SIMULATED_LLM_SEED="7")

    def anew() -> RunningVendor:
        vendor.reset()
        return vendor

    yield anew
    end(process)
