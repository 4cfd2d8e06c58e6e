"""Runs targets one after the other, and notes what was tried for `docs/security.md`: python -m tests.fuzzing [--only NAME] …"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "docs" / "security" / "fuzz.json"
GUIDED = ROOT / ".fleet" / "fuzz"
"""The environment with atheris."""
CORPUS = ROOT / ".fleet" / "fuzz-corpus"


class Target(NamedTuple):
    """What takes random input.

    Attributes:
        file: Where it is, from the root of the tree.
        name: Its function.
        tool: What makes the input.
    """

    file: Path
    name: str
    tool: str

    @property
    def title(self) -> str:
        """What the page calls it."""
        return f"{self.file.parent.name}/{self.file.name}::{self.name}"


class Effort(NamedTuple):
    """How long targets are tried: seconds for what covers as it goes, examples for hypothesis."""

    seconds: int
    examples: int


def targets() -> Iterator[Target]:
    """All there are."""
    for path in sorted((ROOT / "collector").rglob("*_test.go")):
        for name in re.findall(r"^func (Fuzz\w+)\(", path.read_text(), re.MULTILINE):
            yield Target(path.relative_to(ROOT), name, "go")
    for path in sorted((ROOT / "tests").rglob("test_fuzz*.py")):
        for name in re.findall(r"^@given\(.*?^def (test_\w+)\(", path.read_text(), re.MULTILINE | re.DOTALL):
            yield Target(path.relative_to(ROOT), name, "hypothesis")
            yield Target(path.relative_to(ROOT), name, "atheris")


def _go(target: Target, effort: Effort) -> tuple[list[str], str]:
    package = f"./{target.file.parent.relative_to('collector')}"
    time = f"-fuzztime={effort.seconds}s"
    return ["go", "-C", "collector", "test", package, "-run=^$", f"-fuzz=^{target.name}$", time], r"execs: (\d+)"


def _hypothesis(target: Target, effort: Effort) -> tuple[list[str], str]:
    options = ["-p", "no:logging", "--timeout=3600", "--hypothesis-show-statistics"]
    return [sys.executable, "-m", "pytest", *options, f"{target.file}::{target.name}"], r"- (\d+) passing"


def _atheris(target: Target, effort: Effort) -> tuple[list[str], str]:
    corpus = CORPUS / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={effort.seconds}", "-print_final_stats=1", "-len_control=0", "-max_len=4096"]
    run = [str(GUIDED / "bin" / "python"), "-m", "tests.fuzzing.guided", f"{target.file}::{target.name}", str(corpus)]
    return [*run, *options, f"-artifact_prefix={corpus.parent}/"], r"number_of_executed_units: (\d+)"


COMMANDS: dict[str, Callable[[Target, Effort], tuple[list[str], str]]] = {
    "go": _go,
    "hypothesis": _hypothesis,
    "atheris": _atheris,
}


def run(target: Target, effort: Effort) -> bool:
    """Try one, behind whatever else runs here; note it, and tell whether nothing broke."""
    command, tried = COMMANDS[target.tool](target, effort)
    print(f"{target.title} by {target.tool}", flush=True)
    environment = {**os.environ, "FUZZ_EXAMPLES": str(effort.examples)}
    done = subprocess.run(
        ["nice", *command], cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    said = done.stdout + done.stderr
    executions = sum(map(int, re.findall(tried, said)[-1:]))
    if done.returncode or not executions:
        print(said[-8000:])
    _note(target, executions, broke=bool(done.returncode))
    return not done.returncode and executions > 0


def _note(target: Target, executions: int, *, broke: bool) -> None:
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    row = {"day": f"{datetime.now(UTC):%Y-%m-%d}", "executions": executions, "broke": broke}
    known[f"{target.title} {target.tool}"] = row
    there = [f"{each.title} {each.tool}" for each in targets()]
    RESULT.write_text(json.dumps({name: known[name] for name in there if name in known}, indent=1) + "\n")


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="for each target of Go and of atheris")
    parser.add_argument("--examples", type=int, default=20_000, help="for each test of hypothesis")
    parser.add_argument("--only", default="", help="a part of what is printed of a target")
    options = parser.parse_args()
    effort = Effort(options.seconds, options.examples)
    asked = [each for each in targets() if options.only in f"{each.title} by {each.tool}"]
    unbroken = [run(target, effort) for target in asked]
    return 0 if asked and all(unbroken) else 1


if __name__ == "__main__":
    sys.exit(main())
