"""Asks databases of known vulnerabilities about everything that is installed, by pip-audit and govulncheck.

Both databases are on the internet. Where one cannot be asked, or does not know a package, that is told, and the audit
has not passed.

Usage: ``python -m deploy.audit.vulnerabilities``
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements.fleet.lock", "deploy/release/sbom.lock")
GOVULNCHECK = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"
PASSED, FOUND, NOT_RUN = 0, 1, 3


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


def main() -> int:
    """Audit everything, and tell what was found and what could not be asked."""
    audits: list[Callable[[], Result]] = [
        *(partial(of_python, lock) for lock in LOCKS),
        partial(of_go, ROOT / ".venv/bin/otelcol"),
    ]
    results = [audit() for audit in audits]
    for sentence in (sentence for result in results for sentence in result.sentences):
        print(sentence, file=sys.stderr)
    statuses = {result.status for result in results}
    if statuses == {PASSED}:
        print("No vulnerability is known in anything that is installed.")
    return FOUND if FOUND in statuses else max(statuses)


if __name__ == "__main__":
    sys.exit(main())
