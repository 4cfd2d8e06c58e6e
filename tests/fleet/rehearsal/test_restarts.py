"""Containers that end are started anew as Docker does it; nothing is really started here."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from support.waiting import eventually
from tests.fleet.rehearsal.restarts import Restarts


@dataclass
class _Box:
    name: str
    status: int | None = None

    def ended(self, _seconds: float) -> int | None:
        return self.status


@dataclass
class _Rehearsal:
    boxes: dict[str, _Box]
    containers: list[Any]
    revived: list[str] = field(default_factory=list)

    def revive(self, box: _Box) -> None:
        box.status = None
        self.revived.append(box.name)


def _rehearsal() -> _Rehearsal:
    policies = {"app-1": "unless-stopped", "migrations": "no"}
    containers = [SimpleNamespace(name=name, spec={"restart": policy}) for name, policy in policies.items()]
    return _Rehearsal({name: _Box(name) for name in policies}, containers)


def test_what_ended_is_started_anew() -> None:
    """A container that ended comes back unless its policy is `no`; at the end of the block all that were killed run."""
    rehearsal = _rehearsal()
    with Restarts(cast("Any", rehearsal)).applied():
        rehearsal.boxes["migrations"].status = 0
        rehearsal.boxes["app-1"].status = 137
        assert eventually(lambda: rehearsal.revived == ["app-1"], 10)
        rehearsal.boxes["app-1"].status = 137
    assert rehearsal.revived == ["app-1", "app-1"]
    assert rehearsal.boxes["migrations"].status == 0
