"""Prints every requirement of `pyproject.toml` without its version, for a resolution to the newest ones that fit together.

Usage: ``python tests/versions/unpinned.py > requirements.txt``
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def unpinned(project: dict[str, Any]) -> list[str]:
    """Names and extras of what the project, its extras and its groups require."""
    lists = [
        project["project"]["dependencies"],
        *_extras(project),
        *project["dependency-groups"].values(),
    ]
    return sorted(set(_names(requirement for requirements in lists for requirement in requirements)))


def _extras(project: dict[str, Any]) -> Iterator[list[str]]:
    """But for the collector's, which this repository builds."""
    extras = project["project"]["optional-dependencies"]
    return (requirements for name, requirements in extras.items() if name != "collector")


def _names(requirements: Iterable[str | dict[str, str]]) -> Iterator[str]:
    """A group that is included in another one is a list of its own."""
    for requirement in requirements:
        if isinstance(requirement, str):
            yield re.split(r"[<>=!~; ]", requirement, maxsplit=1)[0]


if __name__ == "__main__":
    sys.stdout.write("\n".join(unpinned(tomllib.loads(PROJECT.read_text()))) + "\n")
