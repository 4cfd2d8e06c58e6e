"""What can be set about the simulated vendor, read once from the environment; keys have no default."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


class SettingsError(ValueError):
    """Some settings are wrong; the message names every one of them and the remedy."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one simulated vendor.

    Attributes:
        api_keys: The keys that are let in.
        seed: Where all chance comes from.
        speed: How many times faster than the real vendors.
        error_rate: The share of requests that fail.
    """

    api_keys: frozenset[str]
    seed: int = 1
    speed: float = 3.0
    error_rate: float = 0.01


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings; an empty variable counts as not set.

    Raises:
        SettingsError: With every wrong setting, its value and the remedy.
    """
    problems: list[str] = []
    listed = environ.get("SIMULATED_LLM_API_KEYS") or environ.get("SIMULATED_LLM_API_KEY") or ""
    keys = frozenset(filter(None, (key.strip() for key in listed.split(","))))
    if not keys:
        problems.append(
            "SIMULATED_LLM_API_KEYS is not set and has no default: set it to the keys to let in, separated by commas."
        )

    def read(name: str, default: str, parse: Callable[[str], float], remedy: str) -> float:
        text = environ.get(name) or default
        try:
            return parse(text)
        except ValueError:
            problems.append(f"{name}={text} cannot be used: set it to {remedy}.")
            return parse(default)

    seed = read("SIMULATED_LLM_SEED", "1", int, "a whole number")
    speed = read("SIMULATED_LLM_SPEED", "3", _between(0.001, 1e9), "a positive number, 1 for the real vendors' pace")
    error_rate = read("SIMULATED_LLM_ERROR_RATE", "0.01", _between(0, 1), "a share from 0 to 1")
    if problems:
        raise SettingsError("\n".join(problems))
    return Settings(api_keys=keys, seed=int(seed), speed=speed, error_rate=error_rate)


def _between(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = float(text)
        if math.isnan(number) or not least <= number <= most:
            raise ValueError(text)
        return number

    return parse
