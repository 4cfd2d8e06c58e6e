"""Starts an example in a folder of its own, and reads from a collector what was counted of it."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.collector import Collector
from support.ports import free_port
from support.processes import kill_group
from support.waiting import eventually
from tests.adopt.installed import Installed, copied, inherited
from tests.adopt.launchers import FORMS, Launcher

Counts = Counter[tuple[str, ...]]


@dataclass
class Example:
    """One that runs.

    Attributes:
        process: The first process of it.
        port: Where it listens, if it does.
        folder: A copy of its own.
        log: What its processes say.
        environment: By which its series are told from others.
        collector: Where it sends.
        variables: What it was started with.
    """

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    log: Path
    environment: str
    collector: Collector
    variables: Mapping[str, str]

    def said(self) -> str:
        """Everything it has said."""
        return self.log.read_text(errors="replace")

    def counted(self, metric: str, *labels: str) -> Counts:
        """What of a metric is not 0, by some of its labels."""
        counts: Counts = Counter()
        for key, value in self.collector.series(metric).items():
            of_series = dict(key)
            if of_series.get("environment") == self.environment and value:
                counts[tuple(of_series[label] for label in labels)] += int(value)
        return counts

    def settles_at(self, wanted: Counts, metric: str, *labels: str) -> Counts:
        """What is counted once it is what is wanted, or what it is when the time is over."""
        return eventually(lambda: self.counted(metric, *labels), 20, wanted=lambda counted: counted == wanted)

    def names(self) -> set[str]:
        """Every name under which something of it arrived."""
        samples = {**self.collector.samples("TOTALS"), **self.collector.samples("LEVELS")}
        return {name for name, labels in samples if dict(labels).get("environment") == self.environment}

    def end(self) -> None:
        """End it as its operator would; its last counts are delivered then."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


@contextmanager
def started(
    launcher: Launcher,
    form: str,
    collector: Collector,
    installed: Installed,
    folder: Path,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Example]:
    """An example that does not survive the block.

    Args:
        launcher: Starts it.
        form: With variables only, or by the module that has lines of telemetry.
        collector: Where it sends.
        installed: Where its launcher is.
        folder: Is made, for a copy of the example.
        variables: More of them.
    """
    port, own = free_port(), copied(launcher.example, folder)
    environment = f"{folder.name}-{port}"
    words = {"program": launcher.program if form == FORMS[0] else launcher.lines, "port": port, "name": environment}
    command = [word.format(**words) for word in launcher.command]
    own_variables = {
        **installed.variables(),
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={environment}",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "TELEMETRY_STATE_DIR": str(folder / "state"),
    }
    needed = {name: value.format(**words) for name, value in launcher.variables.items()}
    given = {**inherited(), **own_variables, **needed, **(variables or {})}
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            installed.command(*command, instrumented=form == FORMS[0]),
            env=given,
            cwd=own,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Example(process, port, own, log, environment, collector, given)
    finally:
        kill_group(process.pid)
        process.wait()
