"""What comes with the package to run beside a service: configurations of the collector, dashboards, rules, runbooks."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent
_IN_PACKAGE = _PACKAGE / "data"
_CHECKOUT = _PACKAGE.parent


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
    directory: Path, *, overwrite: bool = False, changes: Mapping[str, Callable[[str], str]] | None = None
) -> list[Path]:
    """Write every shipped file into a directory, which is made where it does not exist.

    Args:
        directory: Where to.
        overwrite: Also over files that differ; they may have been changed by hand.
        changes: What is made of some of them, by their names.

    Returns:
        The files that are there now, in alphabetical order.

    Raises:
        FileExistsError: Before anything is written, if a file is there with other content, naming all of those.
    """
    contents = {directory / name: _content(file, (changes or {}).get(name)) for name, file in shipped().items()}
    changed = [str(path) for path, content in contents.items() if path.exists() and path.read_bytes() != content]
    if changed and not overwrite:
        raise FileExistsError(", ".join(changed))
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sorted(contents)


def _content(file: Path, change: Callable[[str], str] | None) -> bytes:
    return file.read_bytes() if change is None else change(file.read_text()).encode()
