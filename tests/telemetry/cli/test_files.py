"""`fleet-telemetry files` with metrics of an application's own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.collector import find_otelcol
from telemetry.catalogue import CounterSpec, LevelSpec, NoLabels, Spec
from telemetry.cli.collector_config import with_metrics
from telemetry.cli.main import main
from telemetry.shipped import shipped
from tests.support import own_metrics

NAME = "otel-collector.durable.yaml"
SPECS: list[Spec[Any]] = [value for value in vars(own_metrics).values() if isinstance(value, Spec)]


def test_own_metrics_are_known_to_the_collector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a user's modules the durable collector's lists have each of their metrics, as what it is, with its bounds."""
    assert main(["files", str(tmp_path), "--catalogue", own_metrics.__name__]) == 0
    written = yaml.safe_load((tmp_path / NAME).read_text())
    totals, levels = written["processors"]["fleet_totals"], written["processors"]["fleet_levels"]
    shown = written["exporters"]["fleet_prometheus/now"]["known_metrics"]
    for spec in SPECS:
        is_total = spec.kind in {"counter", "histogram"}
        assert (spec.name in totals["known_metrics"]) is (spec.name in levels["known_totals"]) is is_total
        assert (spec.name in totals["other_metrics"]) is (spec.name in shown) is not is_total
        assert (spec.name in levels["known_levels"]) is (spec.kind == "level")
        if spec.kind == "histogram":
            assert totals["known_metrics"][spec.name]["bounds"] == list(spec.buckets)
    command = [find_otelcol(), "validate", "--config", str(tmp_path / NAME)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert main(["files", str(tmp_path), "--catalogue", own_metrics.__name__]) == 0  # the same once more
    assert main(["files", str(tmp_path / "none"), "--catalogue", "no.such.module"]) == 2
    assert "no.such.module" in capsys.readouterr().err


def test_metric_that_is_there_gives_way() -> None:
    """A metric that the shipped file lists already is there once, as the user's module has it."""
    counter = CounterSpec(name="messages_sent_total", help="Messages sent.", labels=NoLabels)
    level = LevelSpec(name="users_active", help="Users of a process.", labels=NoLabels)  # a fact in the shipped file
    changed = with_metrics(shipped()[NAME].read_text(), [counter, level])
    lists = yaml.safe_load(changed)["processors"]["fleet_levels"]
    assert changed.count("      messages_sent_total: {}\n") == changed.count("- messages_sent_total\n") == 1
    assert ("users_active" in lists["known_levels"], "users_active" in lists["known_facts"]) == (True, False)
