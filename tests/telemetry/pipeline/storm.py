"""A storm of SIGKILLs: processes that count, export and adopt each other die at any moment, and every event is known.

Each event is noted with one byte in a file before it and one after it; whatever is counted must lie between. Every writer
has a series of its own, so that each is judged by itself. Every second process counts exponential histograms, and every
second value has an exemplar.
"""

from __future__ import annotations

import math
import os
import random
import signal
import threading
import time
import traceback
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import telemetry
from telemetry import Settings
from telemetry.deliver import deliver
from telemetry.metrics.views import EXPONENTIAL
from tests.support import spans
from tests.support.killing import kill_at_a_point
from tests.support.otlp_sink import Fate, OtlpSink

ALIVE = 4
LONGEST_LIFE = 1.2


@dataclass
class Report:
    """What a storm was like.

    Attributes:
        kills: Processes that were killed; at a point of their own choice, of these.
        chosen: At a point of their own choice.
        writers: Series with a truth.
        events: How many were made.
        in_flight: Writers that were killed in the middle of an event.
        wrong: What is counted and should not be.
        exemplars: How many came.
        duplicates: Exports that came again.
        left: Files that were left behind when everybody was dead.
    """

    kills: int = 0
    chosen: int = 0
    writers: int = 0
    events: int = 0
    in_flight: int = 0
    wrong: list[str] = field(default_factory=list)
    exemplars: int = 0
    duplicates: int = 0
    left: int = 0


class Note:
    """The truth about one writer: bytes before, in the middle of and after each of its events."""

    def __init__(self, directory: Path, who: str) -> None:
        self._files = [os.open(directory / f"{who}.{at}", os.O_WRONLY | os.O_APPEND | os.O_CREAT) for at in "bma"]

    def before(self) -> None:
        os.write(self._files[0], b"x")

    def between(self) -> None:
        os.write(self._files[1], b"x")

    def after(self) -> None:
        os.write(self._files[2], b"x")


def _trace_of(who: str) -> int:
    """By which an exemplar says whose it is."""
    return zlib.crc32(who.encode()) + 1


def _record_for_ever(truth: Path, who: str, draw: random.Random) -> None:
    note = Note(truth, who)
    meter = telemetry.get().meter_provider.get_meter("storm")
    counter = meter.create_counter("storm_total")
    histogram = meter.create_histogram("storm_seconds")
    grows = meter.create_counter("storm_growing_total")
    number = 0
    while True:
        note.before()
        counter.add(1, {"who": who})
        note.between()
        with spans.current(trace_id=_trace_of(who), span_id=number + 1, sampled=number % 2 == 0):
            histogram.record(number % 4, {"who": who})
        note.after()
        number += 1
        if number % 50 == 0:
            grows.add(1, {"who": who, "number": number, "ballast": "x" * 150})
        if draw.random() < 0.1:
            time.sleep(draw.random() / 100)


def _worker(number: int, seed: int, settings: Settings, truth: Path) -> None:
    draw = random.Random(seed * 100_000 + number)
    if draw.random() < 0.4:
        kill_at_a_point(draw)
        (truth.parent / "chosen").open("a").write(f"{number}\n")
    own = replace(settings, histogram_aggregation=EXPONENTIAL) if number % 2 else settings
    telemetry.configure(settings=own)
    for thread in range(2):
        arguments = (truth, f"{number}-{thread}", random.Random(draw.random()))
        threading.Thread(target=_record_for_ever, args=arguments, daemon=True).start()
    if draw.random() < 0.3:  # some fork: the child is a writer as any other, and may outlive its parent
        time.sleep(draw.random() * 0.1)
        if os.fork() == 0:
            threading.Thread(
                target=_record_for_ever, args=(truth, f"{number}-child", random.Random(number)), daemon=True
            ).start()
            time.sleep(draw.random() * LONGEST_LIFE)
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _spawned(number: int, seed: int, settings: Settings, truth: Path) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            _worker(number, seed, settings, truth)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    return pid


def storm(directory: Path, state: Path, kills: int, seed: int) -> Report:
    """Let processes live and die until so many were killed, and compare what is counted with what was done."""
    truth = directory / "truth"
    truth.mkdir(parents=True)
    draw = random.Random(seed)
    sink = OtlpSink()
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = sink.url
    settings = Settings(
        exporters=("otlp",), export_interval=0.05, export_timeout=0.3, state_dir=state, exemplar_filter="trace_based"
    )
    sink.fate = lambda: _fate(draw)
    report = Report()
    ended, living = os.pipe()
    try:
        _live_and_die(report, kills, seed, settings, truth, draw)
        _until_all_are_dead(ended, living)
        sink.fate = lambda: "take"
        deadline = time.monotonic() + 60
        while _left(state) and time.monotonic() < deadline:
            deliver(settings, 5.0)
        report.left = len(_left(state))
        _judge(report, sink, truth)
    finally:
        sink.close()
    chosen = directory / "chosen"
    report.chosen = len(chosen.read_text().splitlines()) if chosen.exists() else 0
    return report


def _left(state: Path) -> list[Path]:
    """Boxes, and files that were set aside; one that died without a name holds nothing and goes after a minute."""
    return [path for path in state.iterdir() if not path.name.startswith(".")]


def _fate(draw: random.Random) -> Fate:
    dice = draw.random()
    return "take" if dice < 0.7 else "refuse" if dice < 0.82 else "lose" if dice < 0.92 else "hang"


class _Life:
    """How long a process may live: some from their start, most from when they begin to count, however slow the machine is."""

    def __init__(self, begins: Path, draw: random.Random) -> None:
        self._begins, self._seconds = begins, 0.02 + draw.random() * LONGEST_LIFE
        self._ends = time.monotonic() + self._seconds if draw.random() < 0.2 else math.inf

    def is_over(self) -> bool:
        if self._ends == math.inf and self._begins.exists():
            self._ends = time.monotonic() + self._seconds
        return time.monotonic() >= self._ends


def _live_and_die(report: Report, kills: int, seed: int, settings: Settings, truth: Path, draw: random.Random) -> None:
    running: dict[int, _Life] = {}
    number = 0
    while report.kills < kills or running:
        while len(running) < ALIVE and report.kills + len(running) < kills:
            number += 1
            running[_spawned(number, seed, settings, truth)] = _Life(truth / f"{number}-0.b", draw)
        for pid, life in list(running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended and life.is_over():
                os.kill(pid, signal.SIGKILL)
                ended, status = os.waitpid(pid, 0)
            if ended:
                assert os.WIFSIGNALED(status), f"a process ended by itself: {status}"
                del running[pid]
                report.kills += 1
        time.sleep(0.003)


def _until_all_are_dead(ended: int, living: int) -> None:
    """Forked children of killed processes live up to their own end: until then they have the pipe open for writing."""
    os.close(living)
    assert os.read(ended, 1) == b""
    os.close(ended)


def _sizes(truth: Path) -> Iterator[tuple[str, list[int]]]:
    for who in sorted({path.name[:-2] for path in truth.iterdir()}):
        paths = [truth / f"{who}.{at}" for at in "bma"]
        yield who, [path.stat().st_size if path.exists() else 0 for path in paths]


def _judge(report: Report, sink: OtlpSink, truth: Path) -> None:
    report.duplicates = sink.duplicates
    for who, (before, between, after) in _sizes(truth):
        counted, recorded = sink.total("storm_total", who=who), sink.total("storm_seconds", who=who)
        report.writers += 1
        report.events += before + between
        report.in_flight += before > after
        if not between <= counted <= before:
            report.wrong.append(f"{who}: {counted} counted, {between} to {before} made")
        if not after <= recorded <= between:
            report.wrong.append(f"{who}: {recorded} recorded, {after} to {between} made")
    for (_, labels), exemplar in sink.exemplars:
        whose = _trace_of(dict(labels)["who"])
        report.exemplars += 1
        if int.from_bytes(exemplar.trace_id) != whose or exemplar.as_double != (exemplar.span_id[-1] - 1) % 4:
            report.wrong.append(f"an exemplar of {labels} is another's")
    if sink.missing:
        report.wrong.append(f"{sink.missing} exports are missing")
