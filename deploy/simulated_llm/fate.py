"""What goes wrong with a request: what its controls ask for, else a rare draw; doing it is ``paced``'s business."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.simulated_llm.chance import Chance

RANDOM_HANG_SECONDS = 60.0
# Kind and share of the requests that fail at random.
_MISFORTUNES = {"500": 35, "503": 20, "429": 25, "hang": 10, "drop": 10}


@dataclass(frozen=True, slots=True)
class Controls:
    """What a test asks for; the defaults ask for nothing."""

    error: int | None = None
    error_times: int | None = None
    hang: float = 0.0
    tokens: int | None = None
    drop: bool = False
    drop_after: int | None = None
    tool: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What goes wrong; the defaults are a request that goes well."""

    error: int | None = None
    hang: float = 0.0
    drop: bool = False
    drop_after: int | None = None


def decide(chance: Chance, controls: Controls, error_rate: float) -> Fate:
    """Decide once, before anything is sent."""
    if controls != Controls():
        active = controls.error_times is None or chance.nth <= controls.error_times
        return Fate(controls.error if active else None, controls.hang, controls.drop, controls.drop_after)
    draw = chance.stream("fate")
    if draw.random() >= error_rate:
        return Fate()
    kind = draw.choices(list(_MISFORTUNES), list(_MISFORTUNES.values()))[0]
    if kind == "hang":
        return Fate(hang=RANDOM_HANG_SECONDS)
    return Fate(drop=True) if kind == "drop" else Fate(error=int(kind))
