"""Settings of the simulated vendor, read once from the environment; every error at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How the vendor behaves.

    Attributes:
        api_keys: Keys that are accepted, ``SIMULATED_LLM_API_KEYS`` (comma separated) or ``SIMULATED_LLM_API_KEY``.
        seed: Everything random is derived from it, ``SIMULATED_LLM_SEED``.
        speed: Latencies are divided by it, ``SIMULATED_LLM_SPEED``.
        error_rate: Share of requests answered by a vendor error, ``SIMULATED_LLM_ERROR_RATE``.
    """

    api_keys: frozenset[str]
    seed: int = 1
    speed: float = 5.0
    error_rate: float = 0.01

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Settings:
        """Settings from environment variables.

        Raises:
            ValueError: Naming every wrong setting, its value and the remedy.
        """
        problems: list[str] = []
        raw_keys = env.get("SIMULATED_LLM_API_KEYS") or env.get("SIMULATED_LLM_API_KEY", "")
        keys = frozenset(key.strip() for key in raw_keys.split(",") if key.strip())
        if not keys:
            problems.append("SIMULATED_LLM_API_KEYS is not set: set it to the keys that clients may use")
        seed = _number(env, "SIMULATED_LLM_SEED", 1.0, 0.0, 2.0**53, problems)
        speed = _number(env, "SIMULATED_LLM_SPEED", 5.0, 0.01, 1e6, problems)
        error_rate = _number(env, "SIMULATED_LLM_ERROR_RATE", 0.01, 0.0, 1.0, problems)
        if problems:
            raise ValueError("; ".join(problems))
        return cls(keys, int(seed), speed, error_rate)


def _number(env: Mapping[str, str], name: str, default: float, least: float, most: float, problems: list[str]) -> float:
    raw = env.get(name) or str(default)
    try:
        value = float(raw)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        problems.append(f"{name}={raw!r} is not valid: set it to a number from {least:g} to {most:g}")
    return value


def load() -> Settings:
    """The settings of this process; wrong ones end it with a sentence."""
    try:
        return Settings.from_environment(os.environ)
    except ValueError as error:
        sys.exit(f"The simulated LLM vendor cannot start: {error}")
