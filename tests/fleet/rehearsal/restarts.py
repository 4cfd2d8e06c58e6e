"""Starts containers anew as the restart policy of compose.yaml does: whatever ended, with a pause that grows while it keeps ending."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.rehearsal.fleet import Rehearsal
from tests.support.beside import beside

_LOOKS = 0.05
# As Docker does: the first pause is this long, each further one twice as long, until a container has lived a while.
_FIRST_PAUSE, _LIVED = 0.1, 10.0


class Restarts:
    """Watches over the containers whose policy is `unless-stopped`.

    Args:
        rehearsal: Whose containers; all of them run.

    Attributes:
        count: How often one was started anew.
    """

    def __init__(self, rehearsal: Rehearsal) -> None:
        self._rehearsal = rehearsal
        self._watched = [one.name for one in rehearsal.containers if one.spec.get("restart") == "unless-stopped"]
        self._began = dict.fromkeys(self._watched, time.monotonic())
        self._pauses = dict.fromkeys(self._watched, _FIRST_PAUSE)
        self._due: dict[str, float] = {}
        self.count = 0

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The policy is in force for the length of a block; at its end everything runs."""
        with beside(self._run):
            yield
        while self._look():
            time.sleep(_LOOKS)

    def seconds_of_life(self, name: str) -> float:
        """How long ago a container was started."""
        return time.monotonic() - self._began[name]

    def _run(self, over: threading.Event) -> None:
        while not over.wait(_LOOKS):
            self._look()

    def _look(self) -> bool:
        """Whether a container is down."""
        for name in self._watched:
            if self._rehearsal.boxes[name].ended(0) is not None:
                self._revive_when_due(name)
        return bool(self._due)

    def _revive_when_due(self, name: str) -> None:
        if name not in self._due:
            lived = self.seconds_of_life(name) >= _LIVED
            pause = _FIRST_PAUSE if lived else self._pauses[name]
            self._pauses[name], self._due[name] = 2 * pause, time.monotonic() + pause
        elif time.monotonic() >= self._due[name]:
            del self._due[name]
            self._began[name] = time.monotonic()
            self._rehearsal.revive(self._rehearsal.boxes[name])
            self.count += 1
