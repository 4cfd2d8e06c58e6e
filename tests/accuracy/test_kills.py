"""Senders, their children and the collector are SIGKILLed: what they had counted, known by notes, is counted once."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from support.waiting import eventually
from tests.accuracy import senders
from tests.accuracy.conftest import Scale
from tests.accuracy.measure import Bound, Check, Watch, watched
from tests.accuracy.programs import COUNTER, NOTED, Notes
from tests.accuracy.systems.base import System, WithCollector
from tests.support.processes import end, line

TWICE = "an export in flight at a kill may count twice"
UNSEEN = "a killed collector loses what was not scraped"
# Events in the life of a collector; an official one that lives shorter than its restart takes hides that it began anew.
LIFE = 1000
SECOND = 1000  # events at most; an export takes less than one
FOR_EVER = NOTED + "say('begun'); note_for_ever()"


def _is_under_way(notes: Notes, events: int = 200) -> bool:
    """Wait until so many events more are noted."""
    before = notes.done
    return eventually(lambda: notes.done > before + events)


@pytest.mark.parametrize("heir", ["a sibling", "`python -m telemetry deliver`"], ids=["sibling", "command"])
@pytest.mark.costly
def test_killed_sender(check: Check, system: System, scale: Scale, notes: Notes, heir: str) -> None:
    """Sender SIGKILLed: whoever lives delivers what it had counted, but for the one event under way."""
    sibling = system.start("flush(); say('lives'); sys.stdin.read()") if heir == "a sibling" else None
    for _ in range(scale.kills):
        with system.started(FOR_EVER, **notes.variables) as process:
            assert line(process) == "begun"
            assert _is_under_way(notes)
            process.kill()
            process.wait()
    if sibling is None:
        system.deliver()
    check.noted(notes, f", delivered by {heir}", Bound(TWICE, doubled=scale.kills * SECOND))
    if sibling is not None:
        system.ends(sibling)


@pytest.mark.costly
def test_killed_children(check: Check, system: System, scale: Scale, notes: Notes) -> None:
    """Children SIGKILLed while they count: their parent delivers for them, and nothing is left behind."""
    code = f"""{NOTED}
draw = random.Random(1)
for _ in range({5 * scale.kills}):
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0: note_for_ever()
        children.append(pid)
    time.sleep(0.05 + draw.random() / 2)
    for pid in children: os.kill(pid, signal.SIGKILL)
    wait_for_all(children)
say("killed"); sys.stdin.read()
"""
    with system.started(code, **notes.variables) as parent:
        assert line(parent) == "killed"
        check.noted(notes, bound=Bound(TWICE, doubled=notes.begun))
        system.ends(parent)
    check.nothing_left()


@pytest.mark.needs("collector")
@pytest.mark.costly
def test_collector_is_killed_when_idle(check: Check, system: WithCollector, scale: Scale) -> None:
    """Collector SIGKILLed after a scrape: what was counted before and what comes afterwards are the whole."""
    # Less comes afterwards than before: an official collector that reached its old total again would hide that it began anew.
    before, after = scale.events, scale.events // 3
    code = f"record({before}); say('half'); sys.stdin.readline(); record({after}); say('whole'); sys.stdin.read()"
    watch = Watch(system, COUNTER)
    with system.started(code) as process:
        assert line(process) == "half"
        assert eventually(lambda: watch.look() == before)
        system.collector.kill()
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert line(process) == "whole"
        time.sleep(0.5)  # an export fails meanwhile; a restart that none notices is made up for within 30 s
        system.collector.start()
        eventually(lambda: watch.look() == before + after, system.patience)
        check.exact("increments scrapes see", before + after, watch.look())
        if system.is_ours:
            check.exact("zero series known again", 2, list(system.collector.series(COUNTER).values()).count(0))
        system.ends(process)


@pytest.mark.needs("collector")
def test_collector_is_killed_under_load(check: Check, system: WithCollector, scale: Scale, notes: Notes) -> None:
    """Collector SIGKILLed under load, several times: nothing is lost, and no value is ever lower."""
    with watched(system) as watch, senders.started(system, notes) as recording:
        recording.go()
        begun = time.monotonic()
        for _ in range(scale.kills):
            seen = watch.increments
            assert eventually(lambda seen=seen: watch.increments > seen + LIFE * (1 + 3 * system.is_bounded))
            system.collector.kill()
            system.collector.start()
        recording.stand_still()
        eventually(lambda: notes.done <= watch.look() <= notes.begun, system.patience)
        two_seconds = 2 * notes.done / (time.monotonic() - begun)
        bound = Bound(UNSEEN, lost=scale.kills * two_seconds)
        check.between("increments scrapes see", notes.done, notes.begun, watch.look(), bound)
        if not system.is_bounded:
            check.noted(notes)
            check.exact("values that fell", 0, watch.falls)


@pytest.mark.needs("collector")
@pytest.mark.costly
def test_everything_at_once(check: Check, system: WithCollector, scale: Scale, notes: Notes) -> None:
    """Senders, their children and the collector SIGKILLed at random, answers lost and refused meanwhile: each event once."""
    draw, proxy = random.Random(1), system.behind_a_proxy()
    code = NOTED + "say('begun'); os.fork(); os.fork(); note_for_ever()"
    families = [system.start(code, **notes.variables) for _ in range(2)]
    until = time.monotonic() + 4 * scale.seconds
    while time.monotonic() < until:
        time.sleep(draw.random() * 0.5)  # what happens when is what is drawn
        match draw.choice(("sender", "family", "collector", "lose answers", "503", "pass")):
            case "sender":
                os.kill(families[0].pid, signal.SIGKILL)  # its children live on
            case "family":
                end(families.pop(0))
                families.append(system.start(code, **notes.variables))
            case "collector":
                system.collector.kill()
                system.collector.start()
            case mode:
                proxy.mode = mode
    proxy.mode = "pass"
    for family in families:
        end(family)
    for _ in range(2):
        system.deliver()
    check.noted(notes, bound=Bound("the bounds of each fault together", notes.begun, notes.begun))
    check.nothing_left()
