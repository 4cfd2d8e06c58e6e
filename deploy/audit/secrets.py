"""Looks for secrets in the files of the repository, by detect-secrets.

What looks like one and is none is in `.secrets.baseline`, which ``--write`` makes of all that is found now: look at
the difference.

Usage: ``python -m deploy.audit.secrets [--write]``
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path
from typing import Any

from detect_secrets.core import baseline
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.keyword import DENYLIST
from detect_secrets.settings import get_settings

ROOT = Path(__file__).parents[2]
BASELINE = ".secrets.baseline"


def scan(root: Path) -> tuple[SecretsCollection, SecretsCollection]:
    """What is known to be none, and all that is found in the files that git knows or would add."""
    known = baseline.load(json.loads((root / BASELINE).read_text()), BASELINE)
    found = SecretsCollection()
    with chdir(root):  # names of files are as they are asked for, in the baseline, too
        found.scan_files(*_suspects(root), num_processors=2)
    return known, found


def _suspects(root: Path) -> list[str]:
    """The files in which the pattern of some detector occurs: to look at each line of all takes ten times as long."""
    chosen = set(get_settings().plugins)
    classes: Iterable[type[Any]] = get_mapping_from_secret_type_to_class().values()
    detectors = [one for one in classes if one.__name__ in chosen]
    patterns = [re.compile("|".join(DENYLIST), re.IGNORECASE)]
    patterns += [pattern for one in detectors if issubclass(one, RegexBasedDetector) for pattern in one.denylist]  # type: ignore[attr-defined]
    texts = ((name, (root / name).read_text(errors="replace")) for name in _files(root))
    return [name for name, text in texts if any(pattern.search(text) for pattern in patterns)]


def _files(root: Path) -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in listed if name and (root / name).is_file() and not (root / name).is_symlink()]


def sentence(secret: PotentialSecret) -> str:
    """Where it is and what to do; not what it is."""
    return (
        f"{secret.filename}:{secret.line_number}: this looks like a secret ({secret.type}): take it out, and have a "
        "new one made where it was real; if it is none, run `python -m deploy.audit.secrets --write`"
    )


def main(write: bool, root: Path = ROOT) -> int:
    """Tell what is new, or make the baseline anew."""
    known, found = scan(root)
    if write:
        baseline.save_to_file(found, str(root / BASELINE))
        return 0
    new = [secret for _, secret in found - known]
    for secret in new:
        print(sentence(secret), file=sys.stderr)
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
