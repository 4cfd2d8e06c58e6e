"""A signal handler that raises while a series gets its cells: the box stays one that can be read after a kill."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from telemetry.box.box import Box
from telemetry.box.dead import dead_boxes
from telemetry.box.header import Role
from telemetry.box.identity import ReadEntry
from telemetry.box.own import new_box
from telemetry.box.segment import Segment
from telemetry.steps import complete
from tests.telemetry.box.series import count, counter, histogram

LARGE = "x" * 200


class _LimitError(Exception):
    """What the handler raises."""


class _Interruption:
    """Raises at one of the places where CPython runs signal handlers: a function of the box begins, or a built-in ended.

    Args:
        place: Which of them.
    """

    def __init__(self, place: int) -> None:
        self._left = place
        self.came = False

    def __enter__(self) -> None:
        sys.setprofile(self._at)

    def __exit__(self, *raised: object) -> None:
        sys.setprofile(None)

    def _at(self, frame: FrameType, event: str, given: Any) -> None:
        if event in {"call", "c_return"} and "/telemetry/" in frame.f_code.co_filename:
            self._left -= 1
            if self._left == 0:
                self.came = True
                sys.setprofile(None)
                raise _LimitError


def _place(box: Box, entry: ReadEntry) -> Segment:
    """As the meter provider does: a step that is interrupted is taken again."""
    placed: list[Segment] = []
    complete([lambda: placed.append(box.place(entry))])
    return placed[-1]


def _read(box: Box, directory: Path) -> dict[str, float]:
    """What whoever comes after a kill finds: cells of counters by label."""
    assert box.path is not None
    directory.mkdir(mode=0o700)
    shutil.copy(box.path, directory / box.path.name)
    (dead,) = dead_boxes(directory)
    found: dict[str, float] = {}
    for entry, amounts in dead.standing(Role.TOTALS):
        found[str(entry.values[0])] = found.get(str(entry.values[0]), 0) + sum(amounts[:1])
    dead.leave()
    return found


@pytest.mark.parametrize("before", [0, 1, 20, 130], ids="{} series before".format)
def test_box_can_be_read_wherever_it_is_interrupted(tmp_path: Path, before: int) -> None:
    """At every place of making a series, a block or a metric, the box has what was counted, in it and later, once."""
    for place in range(1, 2000):
        box = new_box(tmp_path / f"{place}", {"target": "here"})
        for number in range(before):
            count(box, f"{number}{LARGE}")
        interruption, entry = _Interruption(place), counter("interrupted")
        try:
            with interruption:
                _place(box, entry)
        except _LimitError:
            pass
        _place(box, entry).cells[entry.slot] += 1
        _place(box, histogram("other metric"))
        count(box, "after")
        read = _read(box, tmp_path / f"{place}-copy")
        box.leave()
        assert (read["interrupted"], read["after"], len(read)) == (1, 1, before + 3), place
        if not interruption.came:
            assert place > 10
            return
    pytest.fail("it has no end")
