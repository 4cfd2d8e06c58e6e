"""`fleet-telemetry catalogue`, in each of its forms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from telemetry.catalogue import BUILT_IN
from telemetry.cli.main import main

ROOT = Path(__file__).parents[3]
NAMES = [spec.name for spec in BUILT_IN.specs]


def test_reader_that_has_seen_enough_is_no_error() -> None:
    """`fleet-telemetry catalogue | head -1` ends without a traceback."""
    command = f"set -o pipefail; {sys.executable} -m telemetry catalogue | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def _printed(form: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["catalogue", "--format", form]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("form", ["table", "markdown", "json", "semconv"])
def test_every_metric_is_printed(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each form has every metric, in documented order."""
    words = _printed(form, capsys).replace("`", " ").replace('"', " ").split()
    assert list(dict.fromkeys(word for word in words if word in set(NAMES))) == NAMES


def test_json_has_labels_and_buckets(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON a metric has its closed values, its budgets and its buckets."""
    metrics = {each["name"]: each for each in json.loads(_printed("json", capsys))}
    duration = metrics["http_request_duration_seconds"]
    assert duration["type"] == "histogram"
    assert duration["buckets"][0] == 0.005
    method, endpoint = duration["labels"]
    assert "GET" in method["values"]
    assert (endpoint["limit"], endpoint["overflow"]) == (500, "other")


def test_own_modules_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """With modules of a user, only what they declare is printed; one that cannot be loaded is refused."""
    assert main(["catalogue", "tests.support.own_metrics"]) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) > 1
    assert "http_requests_total" not in printed
    assert main(["catalogue", "no.such.module"]) == 2
    assert "no.such.module" in capsys.readouterr().err


@pytest.fixture
def semconv(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The semantic conventions, read as `weaver` does."""
    read: dict[str, Any] = yaml.safe_load(_printed("semconv", capsys))
    return read


def test_conventions_are_whole(semconv: dict[str, Any]) -> None:
    """Each metric has what the schema requires, and refers to attributes that are defined, each once."""
    assert semconv["file_format"] == "definition/2"
    keys = [attribute["key"] for attribute in semconv["attributes"]]
    assert len(keys) == len(set(keys))
    for metric in semconv["metrics"]:
        assert {"name", "brief", "instrument", "unit", "stability"} <= metric.keys()
        assert metric["instrument"] in {"counter", "histogram", "updowncounter", "gauge"}
        assert {each["ref"] for each in metric.get("attributes", [])} <= set(keys)


def test_members_of_conventions_are_unique(semconv: dict[str, Any]) -> None:
    """A closed label lists its values under ids of their own; an open one has an example."""
    for attribute in semconv["attributes"]:
        if isinstance(attribute["type"], dict):
            ids = [member["id"] for member in attribute["type"]["members"]]
            assert len(ids) == len(set(ids)), attribute["key"]
        else:
            assert attribute["examples"]
