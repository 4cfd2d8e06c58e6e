"""Files that follow from others: written where they are not as they should be, or only compared."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent


def outdated(files: Mapping[Path, str]) -> list[Path]:
    """Those that are not on disk as they would be written now.

    Args:
        files: Their texts by path.
    """
    return [path for path, text in files.items() if not path.exists() or path.read_text() != text]


def settle(files: Mapping[Path, str], strays: Iterable[Path] = (), *, check: bool, remedy: str) -> int:
    """Write what is outdated and delete what is too much, or say which these are.

    Args:
        files: Texts of this repository's files by path.
        strays: Files that nothing generates any more.
        check: Whether they are only compared.
        remedy: The command that writes them.

    Returns:
        The status of the program: 1 where the comparison finds any.
    """
    stale, strays = outdated(files), list(strays)
    if check:
        names = ", ".join(str(path.relative_to(ROOT)) for path in (*stale, *strays))
        if names:
            sys.stderr.write(f"not up to date: {names}; run `{remedy}`\n")
        return 1 if names else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[path])
    for path in strays:
        path.unlink()
    return 0
