"""Where the examples find their launchers and the package: this checkout, or an environment that has the wheel alone."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.installed import ROOT, pretend_installed

EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Installed:
    """A Python environment.

    Attributes:
        programs: The directory of its programs.
        path: Its PYTHONPATH; empty where the package is really installed.
    """

    programs: Path
    path: str

    def command(self, *words: str, instrumented: bool) -> list[str]:
        """A command line of this environment's programs, under the agent or not."""
        agent = [str(self.programs / "opentelemetry-instrument")] if instrumented else []
        return [*agent, str(self.programs / words[0]), *words[1:]]

    def variables(self, folder: str = "") -> dict[str, str]:
        """What a process is found by; ``folder`` is added to where Python looks for modules."""
        return {
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, [folder, self.path])),
        }


def find(directory: Path) -> Installed:
    """The environment that `ADOPT_PROGRAMS` names, or this one with the checkout as if it were installed.

    Args:
        directory: Is made, for what says so.
    """
    named = os.environ.get("ADOPT_PROGRAMS")
    if named:
        return Installed(Path(named), "")
    site = pretend_installed(directory)
    return Installed(Path(sys.executable).parent, os.pathsep.join([site, str(ROOT)]))


def copied(example: str, folder: Path) -> Path:
    """A copy of an example in a folder that is made."""
    return shutil.copytree(EXAMPLES / example, folder / example)


def inherited() -> Mapping[str, str]:
    """The variables of the tests that a program of a user has, too."""
    ours = {"TELEMETRY_STRICT", "TELEMETRY_RAISE_ERRORS"}
    return {name: value for name, value in os.environ.items() if name not in ours}
