"""What comes with the package to run beside a service: configurations of the collector, dashboards, rules, runbooks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telemetry.runbooks import RUNBOOKS, led_to

ANCHORED = " anchored"
"""Behind a window: it begins with the last sample before it, and an increase is a whole number, not extrapolated."""
KNOWS_ANCHORED = (3, 16)
"""The first Prometheus that takes ``ANCHORED`` without a flag."""

_ANCHORED_WINDOW = re.compile(rf"(?<=\]){ANCHORED}\b")
_TEXTS = {".json", ".yaml", ".yml", ".md"}
_PACKAGE = Path(__file__).parent
_IN_PACKAGE = _PACKAGE / "data"
_CHECKOUT = _PACKAGE.parent


@dataclass(frozen=True)
class Choices:
    """What files say other than by default.

    Attributes:
        runbooks: Where pages of runbooks are, as `runbooks.page` takes it.
        prometheus: Major and minor version of the oldest Prometheus that reads them.
    """

    runbooks: str = RUNBOOKS
    prometheus: tuple[int, int] = KNOWS_ANCHORED

    def applied(self, text: str) -> str:
        """The text of a dashboard or a rule file as it is to be."""
        linked = led_to(self.runbooks, text)
        return linked if self.prometheus >= KNOWS_ANCHORED else _ANCHORED_WINDOW.sub("", linked)


def shipped() -> dict[str, Path]:
    """Every file by its name below the directory that ``write_files`` fills.

    A wheel has them inside the package; in a checkout they are where ``pyproject.toml`` tells the wheel to take them.
    """
    if _IN_PACKAGE.is_dir():
        return dict(_below(_IN_PACKAGE, Path()))
    return {name: file for source, target in _included() for name, file in _below(source, target)}


def _included() -> Iterator[tuple[Path, Path]]:
    project: dict[str, Any] = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text())
    for source, target in project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].items():
        yield _CHECKOUT / source, Path(target).relative_to(_IN_PACKAGE.relative_to(_CHECKOUT))


def _below(source: Path, name: Path) -> Iterator[tuple[str, Path]]:
    if source.is_file():
        yield str(name), source
        return
    for file in sorted(source.rglob("*")):
        if file.is_file():
            yield str(name / file.relative_to(source)), file


def write_files(
    directory: Path,
    choices: Choices | None = None,
    *,
    overwrite: bool = False,
    changes: Mapping[str, Callable[[str], str]] | None = None,
) -> list[Path]:
    """Write every shipped file into a directory, which is made where it does not exist.

    Args:
        directory: Where to.
        choices: What they say other than by default.
        overwrite: Also over files that differ; they may have been changed by hand.
        changes: What is made of some of them, by their names.

    Returns:
        The files that are there now, in alphabetical order.

    Raises:
        FileExistsError: Before anything is written, if a file is there with other content, naming all of those.
    """
    given = choices or Choices()
    contents = {directory / name: _content(file, given, (changes or {}).get(name)) for name, file in shipped().items()}
    changed = [str(path) for path, content in contents.items() if path.exists() and path.read_bytes() != content]
    if changed and not overwrite:
        raise FileExistsError(", ".join(changed))
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sorted(contents)


def _content(file: Path, choices: Choices, change: Callable[[str], str] | None) -> bytes:
    if file.suffix not in _TEXTS:
        return file.read_bytes()
    text = choices.applied(file.read_text())
    return (change(text) if change else text).encode()
