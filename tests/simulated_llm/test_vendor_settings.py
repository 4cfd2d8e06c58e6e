"""The vendor's settings: keys have no default, mistakes are explained; and its memory is bounded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deploy.simulated_llm.chance import Seen
from deploy.simulated_llm.settings import SettingsError, load_settings
from deploy.simulated_llm.tokens import PromptCache, automatic_lengths, pieces, tokenize


def test_keys_have_no_default() -> None:
    """Without keys the process ends at once, with a sentence and no stack trace."""
    command = [sys.executable, "-m", "uvicorn", "deploy.simulated_llm.main:app", "--port", "0"]
    ended = subprocess.run(command, env={}, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "SIMULATED_LLM_API_KEYS is not set" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_all_mistakes_at_once() -> None:
    """Every wrong setting is named with its value and the remedy."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"SIMULATED_LLM_SPEED": "fast", "SIMULATED_LLM_ERROR_RATE": "2", "SIMULATED_LLM_SEED": "1.5"})
    assert [line.split("=")[0].split(" ")[0] for line in str(caught.value).splitlines()] == [
        "SIMULATED_LLM_API_KEYS",
        "SIMULATED_LLM_SEED",
        "SIMULATED_LLM_SPEED",
        "SIMULATED_LLM_ERROR_RATE",
    ]


def test_memory_is_bounded() -> None:
    """What was seen and what is cached is forgotten, oldest first, beyond a limit."""
    seen = Seen(limit=3)
    assert [seen.count(name) for name in "abcda"] == [1, 1, 1, 1, 1]
    assert seen.count("d") == 2
    cache = PromptCache(limit=2)
    for model in ("one", "two", "three"):
        cache.longest_known(model, ["x"] * 2000, [1024])
    assert cache.longest_known("three", ["x"] * 2000, [1024]) == 1024
    assert cache.longest_known("one", ["x"] * 2000, [1024]) == 0


def test_tokens_make_the_text() -> None:
    """Pieces joined are the text, and there are as many as tokens."""
    text = "Counting, simply: extraordinary words are two tokens or more."
    assert "".join(pieces(text)) == text
    assert len(pieces(text)) == len(tokenize(text))
    assert list(automatic_lengths(1024)) == []
    assert list(automatic_lengths(1281)) == [1024, 1152, 1280]
