"""`pip install` where there is no network: the wheel is installed, everything else has to be in the tests' environment already.

Usage: ``python stand_in_pip.py install REQUIREMENT...``, with the wheel in ``DOCUMENTATION_WHEEL``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement

OURS = "fleet-telemetry"


def main(command: str, *requirements: str) -> int:
    """Install ours, and look for the others.

    Raises:
        SystemExit: If the documentation asks for something that the tests do not have, or that pip would not understand.
    """
    if command != "install" or not requirements:
        raise SystemExit(f"not `pip install REQUIREMENT...`: {command} {requirements}")
    wanted = [Requirement(text) for text in requirements]
    for requirement in wanted:
        _require(requirement)
    if any(requirement.name == OURS for requirement in wanted):
        return _install()
    return 0


def _require(requirement: Requirement) -> None:
    if requirement.name == OURS:
        unknown = requirement.extras - set(os.environ["DOCUMENTATION_EXTRAS"].split())
        if unknown:
            raise SystemExit(f"the wheel has no extra {', '.join(sorted(unknown))}")
        return
    try:
        version(requirement.name)
    except PackageNotFoundError:
        raise SystemExit(f"{requirement.name} is not in the environment of the tests") from None


def _install() -> int:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", sys.executable]
    return subprocess.run(
        [*pip, "install", "-q", "--no-deps", "--no-index", os.environ["DOCUMENTATION_WHEEL"]], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
