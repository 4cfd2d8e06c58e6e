"""Negotiated prices: what a file of them may say, when they hold, and what they cost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from telemetry import Settings, SettingsError, testing
from telemetry.settings.llm_prices import Override, PricesError, read

OPENAI = {"provider": "openai", "model": "gpt-4o-mini"}
TOML = """
[[prices]]
provider = "openai"
model = "gpt-4o*"
input = 2
cached = 0.5
output = 8.0

[[prices]]
provider = "openai"
model = "gpt-4o*"
input = 1
output = 4
service_tier = "batch"
start = 2020-01-31
"""


def _file(directory: Path, content: str, name: str = "prices.toml") -> Path:
    path = directory / name
    path.write_text(content)
    return path


def _settings(path: Path) -> Settings:
    return Settings.from_environment(env={"TELEMETRY_LLM_PRICES": str(path), "TELEMETRY_STRICT": "true"})


def test_negotiated_price_goes_first(tmp_path: Path) -> None:
    """A model that the file names costs what the file says, other models what the library says."""
    with testing.captured(_settings(_file(tmp_path, TOML))) as captured:
        with captured.telemetry.llm.request(**OPENAI) as call:
            call.usage(prompt_tokens=1_000_000, cached_tokens=1_000_000, completion_tokens=1_000_000)
        assert captured.total("llm_cost_usd_total", **OPENAI) == pytest.approx(2 + 0.5 + 8)
        with captured.telemetry.llm.request(**OPENAI, service_tier="batch") as call:
            call.usage(prompt_tokens=1_000_000)
        assert captured.total("llm_cost_usd_total", **OPENAI) == pytest.approx(2 + 0.5 + 8 + 1)
        with captured.telemetry.llm.request(provider="openai", model="gpt-4.1-mini") as call:
            call.usage(prompt_tokens=1_000_000)
        assert captured.total("llm_cost_usd_total", model="gpt-4.1-mini") == pytest.approx(0.4)
        assert captured.total("llm_price_table_info", overrides="yes") == 1


def test_model_that_nobody_else_prices(tmp_path: Path) -> None:
    """A model of one's own gets a price by the file."""
    entry = {"provider": "own", "model": "house-1", "input": 1, "output": 1}
    path = _file(tmp_path, json.dumps({"prices": [entry]}), "prices.json")
    with testing.captured(_settings(path)) as captured:
        with captured.telemetry.llm.request(provider="own", model="house-1") as call:
            call.usage(completion_tokens=500_000)
        assert captured.total("llm_cost_usd_total") == pytest.approx(0.5)
        assert captured.total("llm_unpriced_requests_total") == 0


def test_without_a_file_there_are_no_overrides(captured: testing.Captured) -> None:
    """The price table says so."""
    with captured.telemetry.llm.request(**OPENAI) as call:
        call.usage(prompt_tokens=1)
    assert captured.total("llm_price_table_info", overrides="no") == 1


def test_price_begins_on_its_day(tmp_path: Path) -> None:
    """The last entry that has begun holds; one of tomorrow does not hold yet."""
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    entries: list[dict[str, Any]] = [
        {**OPENAI, "input": price, "output": 0, "start": start}
        for price, start in ((1, "2024-01-01"), (2, "2025-01-01"), (3, tomorrow))
    ]
    path = _file(tmp_path, json.dumps({"prices": entries}), "prices.json")
    with testing.captured(_settings(path)) as captured:
        with captured.telemetry.llm.request(**OPENAI) as call:
            call.usage(prompt_tokens=1_000_000)
        assert captured.total("llm_cost_usd_total") == pytest.approx(2)


def test_written_cache_has_its_prices(tmp_path: Path) -> None:
    """What is written to the cache costs what the file says for it, by duration; else what other input costs."""
    full = Override("a", "b", 1, 0, cached=0, cache_write=10, cache_write_1h=100)
    for override, cost in ((full, 111), (Override("a", "b", 1, 0), 3), (Override("a", "b", 1, 0, cache_write=10), 21)):
        with testing.captured(Settings(llm_prices=(override,))) as captured:
            with captured.telemetry.llm.request(provider="a", model="b") as call:
                million = 1_000_000
                call.usage(prompt_tokens=3 * million, cache_written_tokens=2 * million, cache_written_1h_tokens=million)
            assert captured.total("llm_cost_usd_total") == pytest.approx(cost)


WRONG = [
    ("prices.yaml", "", "ends in .toml or .json"),
    ("prices.json", "{", "JSON file that can be read"),
    ("prices.toml", "prices =", "TOML file that can be read"),
    ("prices.json", "[]", 'no list "prices"'),
    ("prices.json", '{"prices": [7]}', "prices[0] is 7: write a table"),
    ("prices.json", '{"prices": [{"provider": "a", "model": "b", "input": 1}]}', "prices[0] has no output: add it"),
    (
        "prices.toml",
        '[[prices]]\nprovider = "a"\nmodel = "b"\ninput = 1\noutput = -1',
        "prices[0].output is -1: write US",
    ),
    ("prices.toml", '[[prices]]\nprovider = "a"\nmodel = "b"\ninput = true\noutput = nan', "prices[0].input is True"),
    ("prices.toml", '[[prices]]\nprovider = "a"\nmodel = ""\ninput = 1\noutput = 1', "prices[0].model is ''"),
    (
        "prices.toml",
        '[[prices]]\nprovider="a"\nmodel="b"\ninput=1\noutput=1\nprice=1',
        "prices[0] has 'price': write one of",
    ),
    ("prices.json", '{"prices": [{**OPENAI, "start": "soon"}]}', "JSON file"),
    (
        "prices.toml",
        '[[prices]]\nprovider="a"\nmodel="b"\ninput=1\noutput=1\nstart="soon"',
        "write a day as 2026-01-31",
    ),
]


@pytest.mark.parametrize(("name", "content", "remedy"), WRONG)
def test_wrong_file_is_an_error_at_the_start(tmp_path: Path, name: str, content: str, remedy: str) -> None:
    """What is wrong in the file is said with the setting, its value, the entry and the remedy."""
    path = _file(tmp_path, content, name)
    with pytest.raises(SettingsError) as caught:
        _settings(path)
    assert f"TELEMETRY_LLM_PRICES='{path}'" in str(caught.value)
    assert remedy in str(caught.value)


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    """A file that is not there is an error beside the others."""
    env = {"TELEMETRY_LLM_PRICES": str(tmp_path / "none.toml"), "TELEMETRY_EXIT_DEADLINE": "x", "TELEMETRY_STRICT": "1"}
    with pytest.raises(SettingsError, match=r"TELEMETRY_EXIT_DEADLINE.*TELEMETRY_LLM_PRICES"):
        Settings.from_environment(env=env)


def test_every_error_is_said_at_once(tmp_path: Path) -> None:
    """Two wrong entries are two sentences."""
    wrong = {"provider": "a", "model": "b", "input": "x", "output": None}
    with pytest.raises(PricesError, match=r"prices\[0\].input.*prices\[0\].output.*prices\[1\].input"):
        read(_file(tmp_path, json.dumps({"prices": [wrong, wrong]}), "prices.json"))
