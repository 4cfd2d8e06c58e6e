"""Whether what a command printed has every line that the page shows; ``…`` stands for any text.

Usage: ``python shown.py EXPECTED PRINTED``
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def missing(expected: str, printed: str) -> list[str]:
    """The lines of the page that were not printed."""
    lines = printed.splitlines()
    return [line for line in expected.splitlines() if not any(_pattern(line).fullmatch(other) for other in lines)]


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, line.split("…"))))


if __name__ == "__main__":
    sys.exit(1 if missing(Path(sys.argv[1]).read_text(), Path(sys.argv[2]).read_text()) else 0)
