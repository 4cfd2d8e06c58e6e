"""Whatever bytes a box has, who adopts it neither fails nor hangs nor takes amounts that were never counted for real ones."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricsData

from support.memory import MEMORY
from telemetry.box.box import Box
from telemetry.box.dead import dead_boxes
from telemetry.box.exemplars import Exemplar
from telemetry.box.header import MAGIC, Role
from telemetry.box.host import Host
from telemetry.box.own import new_box
from telemetry.pipeline.exposition import families
from telemetry.pipeline.otlp import export_of, totals_of
from telemetry.pipeline.sums import group_of
from tests.support.fuzzing import fuzzed
from tests.telemetry.box.series import ROUTE, count, histogram

FUZZED = fuzzed(80)
MOST = 30.0
"""The largest amount of the box that is damaged."""


@contextmanager
def _directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(dir=MEMORY))
    try:
        yield made
    finally:
        shutil.rmtree(made)


@cache
def _whole() -> bytes:
    """A box with counters and histograms, one of them with an exemplar, an export of it under way."""
    with _directory() as directory:
        box = new_box(directory / "state", {"resource": {"service.name": "x"}, "target": "here"})
        box.make_room_for_exemplars()
        for number in range(int(MOST)):
            segment = count(box, str(number), number)
        segment.prepare(ROUTE)
        entry = histogram("h")
        block = box.place(entry)
        block.cells[entry.slot] += 1
        box.make_room_for_exemplars()
        box.keep_exemplar(entry, block.cells, 0, Exemplar(0.1, time.time_ns(), bytes(range(16)), bytes(range(8))))
        assert box.path is not None
        content = box.path.read_bytes()
        box.leave()
        return content


def _adopt(content: bytes) -> list[float]:
    """What everybody makes of a box with this content: an endpoint, who looks, and who delivers."""
    with _directory() as directory:
        (directory / "some.box").write_bytes(content)
        list(families(Host(directory, group_of).read()))
        taken = [amount for box in dead_boxes(directory) for amount in _delivered(box)]
        list(families(Host(directory, group_of).read()))
        return taken


def _delivered(box: Box) -> list[float]:
    try:
        box.exemplars()
        totals_of(box)
        amounts = [amount for _, amounts in box.standing(Role.TOTALS) for amount in amounts]
        for segment in box.totals:
            segment.prepare(ROUTE)
            export = export_of(
                segment, segment.carried(), box.process.get("resource", {}), box.carried_exemplars(segment)
            )
            encode_metrics(MetricsData([export])).SerializeToString()
        return amounts
    finally:
        box.leave()


@FUZZED
@given(st.binary(max_size=4096), st.booleans())
@example(MAGIC, False)
@example(MAGIC[:-1] + b"\xff" + bytes(4000), False)
@example(b"", False)
def test_any_bytes(content: bytes, looks_right: bool) -> None:
    """A file of any bytes, with the right beginning or without, gives no counts."""
    assert not any(_adopt(MAGIC + content if looks_right else content))


_DAMAGE = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=16)), min_size=1, max_size=6
)


@FUZZED
@given(_DAMAGE, st.floats(0, 1))
@example([(0.0, MAGIC[:-1] + b"\x02")], 1.0)
@example([(0.0, b"T")], 0.5)
def test_damaged_box(damage: list[tuple[float, bytes]], left: float) -> None:
    """A box with other bytes here and there, cut anywhere, is set aside or gives amounts as amounts are."""
    content = bytearray(_whole())
    for place, replaced in damage:
        begin = int(place * len(content))
        content[begin : begin + len(replaced)] = replaced
    amounts = _adopt(bytes(content[: math.ceil(left * len(content))]))
    assert all(amount >= 0 and math.isfinite(amount) for amount in amounts)


def test_whole_box() -> None:
    """The box that the tests damage is one that can be read."""
    assert sum(_adopt(_whole())) == sum(range(int(MOST))) + 1
