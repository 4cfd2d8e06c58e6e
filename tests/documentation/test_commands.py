"""Every block of commands of the documentation is run, or named here with what runs it instead."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.documentation.blocks import ROOT, Block, commands
from tests.documentation.sandbox import Sandbox

BLOCKS = {block.name: block for block in commands()}


@dataclass(frozen=True)
class Run:
    """A block that is run.

    Attributes:
        with_files: Files and folders of the repository that stand in its directory.
        before: Commands that the page presumes.
        serves: The address at which each of its last commands answers, where those end only when they are told to.
        alternatives: How many commands at its end serve, each by itself.
        checkout: Whether it runs modules of the repository.
        leaves: A file that must be there afterwards.
        slow: Whether it waits for scrapes, or reads twice: `make test-slow` runs it.
    """

    with_files: tuple[str, ...] = ()
    before: str = ""
    serves: str = ""
    alternatives: int = 1
    checkout: bool = False
    leaves: str = ""
    slow: bool = False


@dataclass(frozen=True)
class Elsewhere:
    """A block that another test runs, or what it stands for.

    Attributes:
        why: Why not here.
        proof: The test's file, or the folder of tests.
    """

    why: str
    proof: str = field(kw_only=True)


OWN = ("examples/plain/own.py",)
COLLECTOR = "http://127.0.0.1:13133/"
SERVES_OWN = "http://127.0.0.1:8000/"
LONG = "make runs it for minutes, on the fleet"

HERE: dict[str, Run] = {
    "README.md#2": Run(OWN, serves=SERVES_OWN),
    "README.md#3": Run(serves=COLLECTOR, leaves="monitoring/otel-collector.durable.yaml"),
    "collector/wheel/README.md#1": Run(before="instead_of /var/lib", serves=COLLECTOR),
    "docs/adopt.md#1": Run(OWN, serves=SERVES_OWN),
    "docs/bucket-bounds.md#1": Run(),
    "docs/collectors.md#1": Run(checkout=True, leaves="gateway"),
    "docs/collectors.md#2": Run(
        before=BLOCKS["docs/collectors.md#1"].text, serves="http://127.0.0.1:4318/", checkout=True
    ),
    "docs/deploy.md#4": Run(
        ("deploy/remote-write",),
        "mkdir deploy; mv remote-write deploy; instead_of /var/lib",
        "http://127.0.0.1:9090/-/ready",
    ),
    "docs/doctor.md#1": Run(before="served_and_monitored", slow=True),
    "docs/exemplars.md#1": Run(),
    "docs/install.md#1": Run(),
    "docs/lines.md#1": Run(),
    "docs/lines.md#2": Run(),
    "docs/lines.md#3": Run(),
    "docs/native-histograms.md#1": Run(),
    "docs/no-collector.md#1": Run(OWN, serves="http://127.0.0.1:9464/metrics"),
    "docs/objectives.md#1": Run(leaves="grafana/dashboards/objectives.json"),
    "docs/own-metrics.md#1": Run(
        ("examples/own_metrics",), "export OTELCOL_STATE_DIR=$PWD/state; mkdir state", COLLECTOR
    ),
    "docs/preview.md#1": Run(
        before="monitored; cp -r monitoring/grafana/dashboards my-dashboards; mv my-dashboards/telemetry-health.json another.json",
        serves="http://127.0.0.1:8300/",
        alternatives=2,
    ),
    "docs/security.md#1": Run(leaves="secrets/scrape-tokens"),
    "docs/servers.md#1": Run(OWN, serves=SERVES_OWN, alternatives=2),
    "docs/services.md#1": Run(),
    "docs/watch.md#1": Run(before="known_as collector-1; monitored", slow=True),
    "examples/plain/README.md#1": Run(OWN, serves=SERVES_OWN),
    "examples/preload/README.md#1": Run(
        ("examples/preload/own.py", "examples/preload/gunicorn.conf.py"), serves=SERVES_OWN
    ),
}
ELSEWHERE: dict[str, Elsewhere] = {
    "README.md#1": Elsewhere(LONG, proof="tests/fleet/test_contract.py"),
    "docs/index.md#1": Elsewhere(LONG, proof="tests/fleet/test_contract.py"),
    "docs/demo.md#1": Elsewhere(LONG, proof="tests/fleet/test_contract.py"),
    "docs/accuracy.md#1": Elsewhere("it takes 40 minutes", proof="tests/accuracy"),
    "docs/collectors.md#3": Elsewhere("restarts a unit of systemd", proof="tests/deploy/test_gateway.py"),
    "docs/deploy.md#1": Elsewhere("needs a container engine", proof="tests/documentation/test_command_lines.py"),
    "docs/deploy.md#2": Elsewhere("needs a container engine", proof="tests/fleet/rehearsal/test_secure.py"),
    "docs/deploy.md#3": Elsewhere("installs units of systemd", proof="tests/documentation/test_command_lines.py"),
    "docs/security.md#2": Elsewhere("serves on every address", proof="tests/deploy/test_access.py"),
    "docs/security.md#3": Elsewhere("sets variables", proof="tests/deploy/test_access.py"),
    "docs/kubernetes.md#1": Elsewhere("needs a cluster", proof="tests/documentation/test_command_lines.py"),
    "docs/kubernetes.md#2": Elsewhere("needs a cluster", proof="tests/documentation/test_command_lines.py"),
    "examples/shop/README.md#1": Elsewhere("needs a broker and a vendor", proof="tests/adopt/test_launchers.py"),
    "collector/README.md#1": Elsewhere("Go's tests: `make test-collector`", proof="collector/fleettotals"),
}
TUTORIAL = "docs/tutorial.md"


def test_no_block_is_forgotten() -> None:
    """Each block is in exactly one table, and the tables name no block that is gone."""
    known = [*HERE, *ELSEWHERE, *(name for name, block in BLOCKS.items() if block.page == TUTORIAL)]
    assert sorted(known) == sorted(BLOCKS)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_proof_exists(name: str) -> None:
    """What runs a block in place of this test is there."""
    assert (ROOT / ELSEWHERE[name].proof).exists()


def test_make_targets_exist() -> None:
    """Every `make …` of a block of commands is a target, and so is every one that a page's text names."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, block in BLOCKS.items():
        assert set(re.findall(r"^(?:\w+=\S+ )*make ([a-z-]+)", block.text, re.MULTILINE)) <= targets, name
    for page in {block.page for block in BLOCKS.values()}:
        assert set(re.findall(r"`make ([a-z-]+)", (ROOT / page).read_text())) <= targets, page


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if run.slow else []) for name, run in HERE.items()]
)
def test_block_runs(name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """The block's commands, word for word, succeed in a directory of their own, or serve."""
    run = HERE[name]
    for path in run.with_files:
        copy: Callable[..., object] = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
        copy(ROOT / path, tmp_path / Path(path).name)
    sandbox.run(_script(BLOCKS[name], run), tmp_path, checkout=run.checkout)
    assert (tmp_path / run.leaves).exists()


def _script(block: Block, run: Run) -> str:
    lines = block.text.replace("\\\n", " ").splitlines(keepends=True)
    last = len(lines) - run.alternatives if run.serves else len(lines)
    serving = "".join(f"serves {run.serves} {line!r}\n" for line in map(str.strip, lines[last:]))
    return "".join([f"{run.before}\n", *lines[:last], serving])
