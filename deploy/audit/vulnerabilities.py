"""Asks databases of known vulnerabilities about everything that is installed, by pip-audit and govulncheck.

Both databases are on the internet. Where one cannot be asked, or does not know a package, that is told, and the audit
has not passed. With ``--if-reachable`` a database that cannot be asked is told and is no failure; what is asked is
judged as ever.

Usage: ``python -m deploy.audit.vulnerabilities [--if-reachable]``
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements.fleet.lock", "deploy/release/sbom.lock")
GOVULNCHECK = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"
GO = "https://vuln.go.dev/index/db.json"
PASSED, FOUND, NOT_RUN = 0, 1, 3
_SECONDS = 5.0


class Result(NamedTuple):
    """What came of an audit.

    Attributes:
        status: `PASSED`, `FOUND` or `NOT_RUN`.
        sentences: For people.
    """

    status: int
    sentences: list[str]


def of_python(lock: str) -> Result:
    """Every package of a lock."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--no-deps",
        "--disable-pip",
        "--format=json",
        "--progress-spinner=off",
    ]
    done = subprocess.run([*command, "-r", lock], cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        return read_pip_audit(lock, done.stdout)
    except ValueError:
        return _unreachable(lock, "pip-audit", done.stderr)


def read_pip_audit(lock: str, report: str) -> Result:
    """What its report in JSON says.

    Raises:
        ValueError: If it is none.
    """
    packages = json.loads(report)["dependencies"]
    found = [
        f"{lock}: {package['name']} {package['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}: raise it in pyproject.toml, run `make lock`"
        for package in packages
        for vulnerability in package.get("vulns", ())
    ]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        found.append(f"{lock}: not audited, the database does not know them or is away: {', '.join(sorted(skipped))}")
    return Result(NOT_RUN if skipped else FOUND if found else PASSED, found)


def of_go(program: Path) -> Result:
    """Every module that a program was built from."""
    command = ["go", "run", GOVULNCHECK, "-mode=binary", str(program)]
    done = subprocess.run(command, cwd=ROOT / "collector", capture_output=True, text=True, check=False)
    return read_govulncheck(program.name, done.returncode, done.stdout, done.stderr)


def read_govulncheck(program: str, status: int, output: str, errors: str) -> Result:
    """What it says; `go run` tells its status, 3 where it found any, in a line of its own."""
    if status == 0:
        return Result(PASSED, [])
    if "exit status 3" in errors:
        return Result(FOUND, [f"{program}: {output}", "raise the module in collector/builder.yaml and run `make lock`"])
    return _unreachable(program, "govulncheck", errors.replace("exit status 1", ""))


def _unreachable(what: str, program: str, said: str) -> Result:
    last = said.strip().splitlines()[-1:] or ["nothing"]
    return Result(
        NOT_RUN, [f"{what}: not audited, {program} cannot ask its database; run this where it can. It said: {last[0]}"]
    )


def knows_packages() -> bool:
    """Whether the database of Python's packages can be asked from here: it should know at least one."""
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as lock:
        lock.write(f"pip-audit=={version('pip-audit')}\n")
        lock.flush()
        return of_python(lock.name).status != NOT_RUN


def answers(database: str) -> bool:
    """Whether a database can be asked from here."""
    try:
        with urllib.request.urlopen(database, timeout=_SECONDS):
            return True
    except OSError:
        return False


def _audits(if_reachable: bool) -> Iterator[Callable[[], Result]]:
    if not if_reachable or knows_packages():
        yield from (partial(of_python, lock) for lock in LOCKS)
    else:
        yield lambda: _unreachable(", ".join(LOCKS), "pip-audit", "it does not know pip-audit itself")
    if not if_reachable or answers(GO):
        yield partial(of_go, ROOT / ".venv/bin/otelcol")
    else:
        yield lambda: _unreachable("otelcol", "govulncheck", f"no answer of {GO}")


def main(if_reachable: bool = False) -> int:
    """Audit everything, and tell what was found and what could not be asked.

    Args:
        if_reachable: A database that cannot be asked is no failure.
    """
    results = [audit() for audit in _audits(if_reachable)]
    for sentence in (sentence for result in results for sentence in result.sentences):
        print(sentence, file=sys.stderr)
    statuses = {result.status for result in results}
    if statuses == {PASSED}:
        print("No vulnerability is known in anything that is installed.")
    if if_reachable:
        statuses.discard(NOT_RUN)
    return FOUND if FOUND in statuses else max(statuses, default=PASSED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--if-reachable", action="store_true", help="a database that cannot be asked is no failure")
    sys.exit(main(**vars(parser.parse_args())))
