"""What the Prometheus program at hand can do: flags differ between 2.x and 3.x. It runs nothing but `--version`."""

from __future__ import annotations

import re
import subprocess

_FIRST_WITH_ZEROES = 3


def major_version(path: str) -> int:
    """The program's major version; one built by `go install` does not know its own and is a 3.x of ours."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return 3
    found = re.search(r"version (\d+)\.", done.stdout + done.stderr)
    return int(found[1]) if found else 3


def flags(path: str) -> tuple[str, ...]:
    """Flags by version: 3.x counts the first increment of a new series, 2.42 has no such feature."""
    if major_version(path) < _FIRST_WITH_ZEROES:
        return ()
    return ("--enable-feature=created-timestamp-zero-ingestion",)
