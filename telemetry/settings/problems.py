"""What is found while settings are read: wrong values, and legal ones that have no effect; as data, for who reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class SettingsError(ValueError):
    """One or more settings are wrong; the message names each setting, its value and the remedy."""


class WrongValueError(ValueError):
    """A value cannot be used; the message says what is wrong and names the remedy.

    Args:
        sentence: The message.
        instead: What holds instead; ``None`` for the default of the setting.
    """

    def __init__(self, sentence: str, instead: Any = None) -> None:
        super().__init__(sentence)
        self.instead = instead


@dataclass(frozen=True)
class Problem:
    """Something that a user should know about a setting.

    Attributes:
        setting: The environment variable.
        value: As it is set; without what is secret in it.
        remedy: What is wrong with it and what to do.
        effect: What holds now.
    """

    setting: str
    value: str
    remedy: str
    effect: str = ""

    def __str__(self) -> str:
        """One sentence for the log."""
        effect = f" ({self.effect})" if self.effect else ""
        return f"{self.setting}={self.value!r} {self.remedy}{effect}"
