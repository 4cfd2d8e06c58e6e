"""The licences of everything that is installed: of Python's packages by their metadata, of Go's modules by their files.

``--write`` reads those of the collector's modules anew, which have to be in Go's cache, into `docs/licences.json`.

Usage: ``python -m docs.licences [--write]``
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
STORED = ROOT / "docs" / "licences.json"
MODULES = ROOT / "collector" / "otelcol" / "go.mod"
LOCKS = ("requirements.lock", "requirements.fleet.lock")

ALLOWED = frozenset(
    "0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause CC0-1.0 ISC LGPL-3.0-only MIT MIT-0 MIT-CMU MPL-2.0 PSF-2.0 Python-2.0 "
    "Unicode-3.0 Unlicense ZPL-2.1 Zlib".split()
)
"""What may be among them. LGPL and MPL bind who changes the library itself, which is not done here."""

_WORDS = {
    "Apache": "Apache-2.0",
    "BSD-2": "BSD-2-Clause",
    "2-Clause": "BSD-2-Clause",
    "BSD": "BSD-3-Clause",
    "ISC": "ISC",
    "LGPL": "LGPL-3.0-only",
    "Lesser General Public License v3": "LGPL-3.0-only",
    "MIT": "MIT",
    "Mozilla Public License 2.0": "MPL-2.0",
    "MPL": "MPL-2.0",
    "PSF": "PSF-2.0",
    "Python Software Foundation": "PSF-2.0",
    "Unlicense": "Unlicense",
    "ZPL": "ZPL-2.1",
    "Zope": "ZPL-2.1",
}
"""What older metadata says, by a part of it; the first one counts."""

_TEXTS = {
    "Apache License": "Apache-2.0",
    "Mozilla Public License": "MPL-2.0",
    "Permission is hereby granted, free of charge": "MIT",
    "Permission to use, copy, modify, and/or distribute": "ISC",
    "Permission to use, copy, modify, and distribute": "ISC",
    "Neither the name": "BSD-3-Clause",
    "names of its contributors": "BSD-3-Clause",
    "Redistribution and use in source and binary forms": "BSD-2-Clause",
}
"""What a file of a licence says, by a sentence of it; the first one counts."""

_ELSEWHERE = {
    "async-timeout": "Apache-2.0",
    "cffi": "MIT-0",
    "colorama": "BSD-3-Clause",
    "exceptiongroup": "MIT",
    "greenlet": "MIT AND PSF-2.0",
    "httpx2-jsfetch": "BSD-3-Clause",
    "pycparser": "BSD-3-Clause",
    "tzdata": "Apache-2.0",
    "uvloop": "Apache-2.0 OR MIT",
}
"""Packages that only other systems or versions of Python need, so that they may not be here to be asked."""


def of_package(name: str) -> str:
    """The licence of a package; empty if it does not say."""
    try:
        return of_metadata(distribution(name))
    except PackageNotFoundError:
        return _ELSEWHERE.get(name.lower(), "")


def of_metadata(found: Distribution) -> str:
    """By its expression, its classifiers or what it calls its licence, in this order."""
    said: Any = found.metadata
    if "License-Expression" in said:
        return str(said["License-Expression"])
    classifiers = [line for line in said.get_all("Classifier") or () if line.startswith("License ::")]
    texts = [line.rpartition(" :: ")[2] for line in classifiers] + [(said["License"] or "")[:100]]
    words = [licence for text in texts for word, licence in _WORDS.items() if word in text]
    return words[0] if words else of_texts(_files_of(found))


def _files_of(found: Distribution) -> Iterator[str]:
    for path in found.files or ():
        if re.match(r"licen[cs]e|copying", path.name, re.IGNORECASE):
            yield Path(str(path.locate())).read_text(errors="replace")


def of_texts(texts: Iterable[str]) -> str:
    """The licence whose text is among these; empty if it is none that is known."""
    text = " ".join(" ".join(texts).split())
    return next((licence for sentence, licence in _TEXTS.items() if sentence.lower() in text.lower()), "")


def is_allowed(expression: str) -> bool:
    """Whether what is allowed meets an expression: one of those between OR, all of those between AND."""
    choices = re.sub(r"[()]", " ", expression).split(" OR ")
    return any(
        all(part.partition(" WITH ")[0].strip() in ALLOWED for part in choice.split(" AND ")) for choice in choices
    )


def packages() -> dict[str, str]:
    """Name and version of each package that may be installed."""
    locks = "\n".join((ROOT / lock).read_text() for lock in LOCKS)
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", locks, re.MULTILINE))


def modules() -> dict[str, str]:
    """Path and version of each module that the collector is built from."""
    found = dict(re.findall(r"^\s*(?:require )?([\w./~-]+\.[\w./~-]+) (v\S+)", MODULES.read_text(), re.MULTILINE))
    return {path: version for path, version in found.items() if not path.startswith("github.com/fleet-telemetry")}


def licences() -> dict[str, dict[str, str]]:
    """Licences by what has them: packages and modules."""
    stored: dict[str, str] = json.loads(STORED.read_text())
    return {
        "Python packages": {name: of_package(name) for name in sorted(packages())},
        "Go modules": {path: stored.get(path, "") for path in sorted(modules())},
    }


def table() -> str:
    """A row for each licence, with all that have it."""
    rows = ["| Of | Licence | Who has it |", "|---|---|---|"]
    for kind, found in licences().items():
        by_licence: dict[str, list[str]] = defaultdict(list)
        for name, licence in found.items():
            by_licence[licence].append(name)
        rows += [f"| {kind} | {licence} | {', '.join(names)} |" for licence, names in sorted(by_licence.items())]
    return "\n".join(rows)


def problems(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A sentence for each licence that may not be here, and for each thing without one."""
    sentences = []
    for kind, by_name in found.items():
        remedy = "run `make licences`" if kind == "Go modules" else "add it to docs/licences.py if its files have one"
        for name, licence in by_name.items():
            if not licence:
                sentences.append(f"{kind}: {name} has no licence that is known: {remedy}")
            elif not is_allowed(licence):
                sentences.append(
                    f"{kind}: {name} has {licence}, which is not in ALLOWED of docs/licences.py: do without it"
                )
    return sentences


def write() -> None:
    """Read the licences of the modules that are in Go's cache."""
    home = Path(_go("env", "GOMODCACHE"))
    found = {path: of_texts(_texts_in(home / f"{_escaped(path)}@{version}")) for path, version in modules().items()}
    STORED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def _go(*words: str) -> str:
    return subprocess.run(["go", *words], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607


def _escaped(path: str) -> str:
    """As Go's cache writes capital letters."""
    return re.sub(r"[A-Z]", lambda letter: f"!{letter[0].lower()}", path)


def _texts_in(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if re.match(r"licen[cs]e|copying", path.name, re.IGNORECASE) and path.is_file():
            yield path.read_text(errors="replace")


def main(words: list[str]) -> int:
    """Tell of what may not be here."""
    if "--write" in words:
        write()
    sentences = problems(licences())
    sys.stderr.writelines(f"{sentence}\n" for sentence in sentences)
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
