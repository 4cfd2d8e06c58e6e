"""What the Prometheus program at hand can do: flags differ between 2.x and 3.x. It runs nothing but `--version`."""

from __future__ import annotations

import re
import subprocess

_FIRST_WITH_ZEROES = (3, 0)
_BUILT_HERE = (3, 16)


def version(path: str) -> tuple[int, int]:
    """The program's major and minor version; one built by `go install` does not know its own and is ours."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return _BUILT_HERE
    found = re.search(r"version (\d+)\.(\d+)", done.stdout + done.stderr)
    return (int(found[1]), int(found[2])) if found else _BUILT_HERE


def flags(path: str) -> tuple[str, ...]:
    """Flags by version: exemplars are kept by all, the first increment of a new series is counted by 3.x alone."""
    if version(path) < _FIRST_WITH_ZEROES:
        return ("--enable-feature=exemplar-storage",)
    return ("--enable-feature=created-timestamp-zero-ingestion,exemplar-storage",)
