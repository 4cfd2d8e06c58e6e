"""Delivers what dead processes of the host counted: whoever lives does it, with the very code that delivers its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telemetry import guard
from telemetry.box import locks
from telemetry.box.box import Box
from telemetry.box.dead import dead_boxes
from telemetry.box.directory import SUFFIX
from telemetry.pipeline.delivery import MOST_EXPORTS, Delivery, Export, ExportListener
from telemetry.pipeline.otlp import amounts_of, listed
from telemetry.pipeline.transport import LOCAL, is_same_place

_logger = logging.getLogger("telemetry")

Settle = Callable[[Box], bool]

_TICK = 0.1  # by which a file system's clock may be behind


@dataclass
class Adopted:
    """What became of the boxes of dead processes.

    Attributes:
        delivered: How many the collector has.
        kept: How many wait for the next one who looks.
        foreign: How many are delivered elsewhere, by their address.
        expired: How many were too old.
    """

    delivered: int = 0
    kept: int = 0
    foreign: dict[str, int] = field(default_factory=dict)
    expired: int = 0


class Adoption:
    """Looks for the dead and delivers for them.

    Args:
        directory: Where boxes are kept.
        target: Where this process delivers to; what goes elsewhere is left to those who deliver there.
        delivery: Sends and acknowledges.
        most_age: Seconds after which what a process counted is old news, and dropped with an error in the log.
        listener: Who counts what is dropped.
        settle: Comes back to the notes of a box; whether it could.
        keep: Has to have what an endpoint shows, too, before a box goes.
        any_credentials: Whether what goes to the same address with other credentials is delivered, too.
    """

    def __init__(
        self,
        directory: Path,
        target: str,
        delivery: Delivery,
        most_age: float,
        listener: ExportListener,
        settle: Settle = lambda box: True,
        keep: Callable[[list[Box]], object] = lambda boxes: None,
        *,
        any_credentials: bool = False,
    ) -> None:
        self._directory = directory
        self._target = target
        self._delivery = delivery
        self._most_age = most_age
        self._listener = listener
        self._settle = settle
        self._keep = keep
        self._any_credentials = any_credentials

    def adopt(self, route: bytes, timeout: float) -> Adopted:
        """Deliver for every dead process; one that dies in the middle of this leaves it to the next one.

        Args:
            route: By which name exports go to a collector that were not on their way before.
            timeout: Seconds it may take.
        """
        deadline = time.monotonic() + timeout
        adopted = Adopted()
        for boxes in self._takeable(adopted):
            try:
                if time.monotonic() < deadline and self._deliver(boxes, route, deadline):
                    adopted.delivered += len(boxes)
                    self._keep_shown(boxes)
                else:
                    adopted.kept += len(boxes)
            finally:
                for box in boxes:
                    box.close()
            if self._delivery.is_failing:
                break
        return adopted

    def _takeable(self, adopted: Adopted) -> Iterator[list[Box]]:
        """Boxes that are ours to deliver, as many at a time as go into one request."""
        taken: list[Box] = []
        for box in dead_boxes(self._directory):
            if not self._is_ours(box, adopted):
                box.leave()
                continue
            taken.append(box)
            if len(taken) == MOST_EXPORTS:
                yield taken
                taken = []
        if taken:
            yield taken

    def _is_ours(self, box: Box, adopted: Adopted) -> bool:
        target = str(box.process.get("target", ""))
        age = _age(box)
        if age > self._most_age and target != LOCAL:
            adopted.expired += 1
            self._drop(box, age)
            return False
        if target != self._target and not (self._any_credentials and is_same_place(target, self._target)):
            adopted.foreign[target] = adopted.foreign.get(target, 0) + 1
            return False
        with guard.guarded("settling what a dead process had put off"):
            if self._settle(box):
                return True
        adopted.kept += 1
        return False

    def _keep_shown(self, boxes: list[Box]) -> None:
        shown = [box for box in boxes if box.is_shown]
        if shown:
            with guard.guarded("adding up what dead processes counted"):
                self._keep(shown)

    def awaits_since(self, moment: float) -> bool:
        """Whether a process has died that began after ``moment``, in Unix seconds: a child, or one beside this one."""
        with suppress(OSError):
            return any(
                path.stat().st_mtime > moment - _TICK and not locks.is_locked(path)
                for path in self._directory.glob(f"*{SUFFIX}")
            )
        return False

    def expire(self) -> None:
        """Drop what is too old, also while nothing can be delivered."""
        for box in dead_boxes(self._directory):
            try:
                age = _age(box)
                if age > self._most_age and box.process.get("target") != LOCAL:
                    self._drop(box, age)
            finally:
                box.leave()

    def _drop(self, box: Box, age: float) -> None:
        lost = amounts_of(box.undelivered())
        if lost or not box.is_shown:
            self._listener.given_up(lost)
            _logger.error(
                "%s was left %.0f hours ago, which is longer than TELEMETRY_STATE_MAX_AGE; dropped: %s",
                box.path,
                age / 3600,
                listed(lost) or "nothing",
            )
        if box.is_shown:
            box.give_up()
            self._keep_shown([box])
        else:
            box.remove()

    def _deliver(self, boxes: list[Box], route: bytes, deadline: float) -> bool:
        """First what was on its way when a process died, then the rest of it."""
        for _ in range(2):
            exports = [
                Export(segment, box.process.get("resource", {}), box.carried_exemplars(segment))
                for box in boxes
                for segment in box.totals
                if segment.prepare(route)
            ]
            if not self._delivery.send(exports, deadline - time.monotonic()):
                return False
        return True


def _age(box: Box) -> float:
    """Seconds since its process last said that it lives."""
    return (time.time_ns() - box.alive_at) / 1e9


def exports_of(box: Box, route: bytes, *, announce: bool = False) -> tuple[list[Export], bool]:
    """What a box has to deliver, and whether some of it was prepared before."""
    resource: dict[str, Any] = box.process.get("resource", {})
    repeats = not all(segment.header.is_acknowledged for segment in box.totals)
    prepared = [segment for segment in box.totals if segment.prepare(route, announce=announce)]
    return [Export(segment, resource, box.carried_exemplars(segment)) for segment in prepared], repeats
