"""A model of senders and a collector: whatever order they count, send, lose, repeat, die and inherit in, sums are the truth."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    multiple,
    rule,
    run_state_machine_as_test,
)
from opentelemetry.sdk.metrics.export import MetricsData

from support.memory import MEMORY
from telemetry.pipeline.adoption import Adoption
from telemetry.pipeline.transport import Answer
from tests.telemetry.pipeline.fakes import BUSY, REFUSED, TAKEN, UNANSWERED, UNREACHABLE, Exporting, Ledger, Script

ROUTE = b"m" * 16
PLANS = ("free", "pro", "enterprise")


class Killed(BaseException):
    """The process is gone."""


FATES = st.sampled_from(
    ["taken", "busy", "unreachable", "answer lost", "request lost", "killed before", "killed after", "all refused"]
)


class Fleet(RuleBasedStateMachine):
    """Processes of one host that export to one durable collector, which remembers the last sequence of each sender."""

    processes: Bundle[Exporting] = Bundle("processes")

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="telemetry-model-", dir=MEMORY))
        self.collector = Ledger()
        self.truth: Counter[str] = Counter()
        self.alive: list[Exporting] = []

    @rule(target=processes)
    def start(self) -> Exporting:
        """A process starts."""
        return self._started()

    def _started(self) -> Exporting:
        script = Script()
        script.taken = self.collector
        process = Exporting(self.directory, script)
        self.alive.append(process)
        return process

    @rule(process=processes, plan=st.sampled_from(PLANS), times=st.integers(1, 5))
    def count(self, process: Exporting, plan: str, times: int) -> None:
        """It counts, in a counter and in a histogram."""
        for _ in range(times):
            process.message(plan)
            process.timed(f"/{plan}")
            self.truth["messages_sent_total"] += 1
            self.truth["http_request_duration_seconds"] += 1
            self.truth["http_requests_total"] += 1

    @rule(target=processes, process=consumes(processes), fates=st.lists(FATES, min_size=1, max_size=4))
    def export(self, process: Exporting, fates: list[str]) -> object:
        """It exports; what becomes of each request is written."""
        return self._survived(process, fates, process.export)

    @rule(target=processes, process=consumes(processes), fates=st.lists(FATES, min_size=1, max_size=4))
    def inherit(self, process: Exporting, fates: list[str]) -> object:
        """It delivers for the dead."""
        return self._survived(process, fates, lambda: self._adopt(process))

    @rule(process=consumes(processes))
    def kill(self, process: Exporting) -> None:
        """It dies."""
        self._die(process)

    @rule(target=processes, process=consumes(processes))
    def clean(self, process: Exporting) -> Exporting:
        """Somebody removes its file; it counts into a new one."""
        process.telemetry.meter_provider.box.remove()
        process.telemetry.pipeline.look_after_boxes()
        process.transport.answer = TAKEN
        assert process.export()  # what was on its way
        assert process.export()  # what was counted since
        return process

    def _survived(self, process: Exporting, fates: list[str], act: object) -> object:
        process.transport.answer = self._fated(list(fates))
        assert callable(act)
        try:
            act()
        except Killed:
            self._die(process)
            return multiple()
        return process

    def _fated(self, fates: list[str]) -> object:
        def answer(data: MetricsData) -> Answer:
            fate = fates.pop(0) if fates else "taken"
            if fate == "all refused" and self.collector.has(data):
                fate = "taken"  # what refuses an export for its content has not taken it before
            if fate in {"answer lost", "killed after"}:
                self.collector.take(data)
            if fate.startswith("killed"):
                raise Killed
            answers = {"busy": BUSY, "unreachable": UNREACHABLE, "all refused": REFUSED, "taken": TAKEN}
            return answers.get(fate, UNANSWERED) if data.resource_metrics or fate != "all refused" else REFUSED

        return answer

    def _adopt(self, process: Exporting) -> None:
        target = process.telemetry.meter_provider.box.process["target"]
        adoption = Adoption(
            self.directory, target, process.delivery, 3600, process.observed, process.telemetry.settle_for
        )
        adoption.adopt(ROUTE, 5.0)

    def _die(self, process: Exporting) -> None:
        self.alive.remove(process)
        for box in (*process.telemetry.pipeline._retired, process.telemetry.meter_provider.renew()):
            if box is not None:
                box.leave()

    def teardown(self) -> None:
        """When everybody is dead and somebody has delivered for them, every count is there once."""
        for process in list(self.alive):
            self._die(process)
        heir = self._started()
        heir.transport.answer = TAKEN
        for _ in range(3):
            self._adopt(heir)
        counted = {name: self.collector.counts[name] for name in self.truth}
        self._die(heir)
        shutil.rmtree(self.directory)
        assert counted == dict(self.truth)
        assert self.collector.gaps == 0


EVERY_RUN = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


def test_sums_are_the_truth() -> None:
    """The same sixty stories in every run."""
    run_state_machine_as_test(Fleet, settings=EVERY_RUN)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_sums_are_the_truth_in_new_stories() -> None:
    """Stories that nobody has seen, and longer ones."""
    run_state_machine_as_test(
        Fleet, settings=settings(EVERY_RUN, max_examples=600, stateful_step_count=50, derandomize=False)
    )
