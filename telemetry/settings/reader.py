"""Reads declared variables from an environment, and keeps what is wrong with them instead of raising it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from telemetry.settings.problems import Problem, WrongValueError
from telemetry.settings.variables import Variable

T = TypeVar("T")


class Said(NamedTuple):
    """What an environment says of a variable.

    Attributes:
        name: The variable that counts: the one for metrics alone, where that is set.
        raw: Its text; empty where it is not set.
    """

    name: str
    raw: str


class Reader:
    """One reading of an environment.

    Args:
        env: The variables.

    Attributes:
        problems: Wrong values.
        ignored: Legal values that have no effect.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.problems: list[Problem] = []
        self.ignored: list[Problem] = []

    @property
    def names(self) -> Iterable[str]:
        """Every variable that is set."""
        return self._env.keys()

    def said(self, variable: Variable[Any]) -> Said:
        """The text of a variable; a blank one is not set, as the specification says."""
        for name in filter(None, (variable.wins, variable.name)):
            raw = self._env.get(name, "").strip()
            if raw:
                return Said(name, raw)
        return Said(variable.name, "")

    def read(self, variable: Variable[T]) -> T:
        """The value of a variable; of a wrong one what can be used of it, else the default."""
        name, raw = self.said(variable)
        if not raw:
            return variable.default
        try:
            value = variable.read(raw)
        except WrongValueError as error:
            return self._wrong(variable, Said(name, raw), str(error), error.instead)
        except Exception:  # also OSError and RuntimeError, of paths: no value stops the service
            return self._wrong(variable, Said(name, raw), f"is not valid: set it to {variable.form}", None)
        why = variable.why_ignored(raw)
        if why:
            self.no_effect(name, raw, why)
            return variable.default
        return value

    def _wrong(self, variable: Variable[T], said: Said, remedy: str, instead: Any) -> T:
        shown = "…" if variable.is_secret else said.raw
        if instead is None:
            default = (variable.shown or str(variable.default)).replace("`", "")
            self.wrong(said.name, shown, remedy, f"the default holds: {default or 'it is not set'}")
            return variable.default
        self.wrong(said.name, shown, remedy, "the rest of it holds")
        value: T = instead
        return value

    def wrong(self, setting: str, value: str, remedy: str, effect: str) -> None:
        """Keep a wrong value, or one that does not fit another one."""
        self.problems.append(Problem(setting, value, remedy, effect))

    def no_effect(self, setting: str, value: str, why: str) -> None:
        """Keep a legal value that changes nothing."""
        self.ignored.append(Problem(setting, value, f"has no effect: {why}"))
