"""What looks at the repository itself: secrets are found, licences and vulnerabilities told, and no answer is not a good one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.audit import secrets, vulnerabilities
from docs import licences
from support.ports import closed_url

KEY = "AKIA" + "ZQ3DRSTUVWXYZ2345"[:16]


def _repository(tmp_path: Path, line: str) -> Path:
    """A repository with one line in it, and our baseline."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shutil.copy(secrets.ROOT / secrets.BASELINE, tmp_path)
    (tmp_path / "settings.py").write_text(f"{line}\n")
    return tmp_path


def test_planted_key_is_found(tmp_path: Path) -> None:
    """A key in any file of the repository is told by its place and kind, and not shown; without it there is nothing to tell."""
    program = [
        sys.executable,
        "-c",
        "import sys; from deploy.audit.secrets import *; sys.exit(main(False, Path(sys.argv[1])))",
    ]
    for line, status in (("REGION = 'here'", 0), (f"REGION = '{KEY}'", 1)):
        root = _repository(tmp_path / str(status), line)
        done = subprocess.run([*program, str(root)], cwd=secrets.ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert ("settings.py:1: this looks like a secret (AWS Access Key)" in done.stderr) == bool(status)
        assert KEY not in done.stderr + done.stdout


REPORTS = {
    "passed": ([{"name": "a", "version": "1", "vulns": []}], vulnerabilities.PASSED, ""),
    "found": (
        [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}],
        vulnerabilities.FOUND,
        "PYSEC-1, mended in 2",
    ),
    "unknown": ([{"name": "a", "skip_reason": "not found"}], vulnerabilities.NOT_RUN, "not audited"),
}


@pytest.mark.parametrize("name", REPORTS)
def test_report_of_packages(name: str) -> None:
    """What is known of a package fails the audit; a package that nobody could be asked about has not passed it."""
    packages, status, sentence = REPORTS[name]
    result = vulnerabilities.read_pip_audit("a.lock", json.dumps({"dependencies": packages}))
    assert result.status == status
    assert sentence in " ".join(result.sentences)


@pytest.mark.parametrize(
    ("status", "errors", "expected"),
    [
        (0, "", "PASSED"),
        (1, "exit status 3", "FOUND"),
        (1, "fetching vulnerabilities: no such host\nexit status 1", "NOT_RUN"),
    ],
    ids=["passed", "found", "unreachable"],
)
def test_report_of_modules(status: int, errors: str, expected: str) -> None:
    """The same of Go's modules."""
    result = vulnerabilities.read_govulncheck("otelcol", status, "GO-1", errors)
    assert result.status == getattr(vulnerabilities, expected)
    assert (expected == "NOT_RUN") == ("not audited" in " ".join(result.sentences))


def test_unreachable_database_is_no_pass(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a database cannot be asked, the audit says so and ends with a status of its own, unless something was found."""
    passed, away = vulnerabilities.Result(0, []), vulnerabilities.Result(vulnerabilities.NOT_RUN, ["not audited"])
    monkeypatch.setattr(vulnerabilities, "of_python", lambda lock: away)
    monkeypatch.setattr(vulnerabilities, "of_go", lambda program: passed)
    assert vulnerabilities.main() == vulnerabilities.NOT_RUN
    assert "not audited" in capsys.readouterr().err
    monkeypatch.setattr(
        vulnerabilities, "of_go", lambda program: vulnerabilities.Result(vulnerabilities.FOUND, ["one"])
    )
    assert vulnerabilities.main() == vulnerabilities.FOUND


def test_check_asks_what_can_be_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`make check` is told what was not audited; what was audited is judged."""
    monkeypatch.setattr(vulnerabilities, "knows_packages", lambda: True)
    monkeypatch.setattr(vulnerabilities, "answers", lambda database: False)
    monkeypatch.setattr(vulnerabilities, "of_go", lambda program: pytest.fail("its database does not answer"))
    monkeypatch.setattr(vulnerabilities, "of_python", lambda lock: vulnerabilities.Result(0, []))
    assert vulnerabilities.main(if_reachable=True) == vulnerabilities.PASSED
    assert "otelcol: not audited" in capsys.readouterr().err
    found = vulnerabilities.Result(vulnerabilities.FOUND, ["one"])
    monkeypatch.setattr(vulnerabilities, "of_python", lambda lock: found)
    assert vulnerabilities.main(if_reachable=True) == vulnerabilities.FOUND


def test_database_that_is_not_there_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there; a database that does not know a package that is published cannot be asked either."""
    assert not vulnerabilities.answers(closed_url())
    for status, knows in ((vulnerabilities.NOT_RUN, False), (vulnerabilities.PASSED, True)):
        monkeypatch.setattr(
            vulnerabilities, "of_python", lambda lock, status=status: vulnerabilities.Result(status, [])
        )
        assert vulnerabilities.knows_packages() is knows


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("(MIT OR GPL-2.0-only) ", True),
        ("MIT AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("AGPL-3.0-only", False),
        ("", False),
    ],
    ids=str,
)
def test_licences_that_may_be(expression: str, allowed: bool) -> None:
    """A licence has to be among those allowed: one of a choice, each of several that hold together."""
    assert licences.is_allowed(expression) is allowed
    assert bool(licences.problems({"Python packages": {"it": expression}})) is not allowed


def test_everything_has_a_licence() -> None:
    """Each package and module that is installed has one that may be."""
    found = licences.licences()
    assert all(len(names) > 50 for names in found.values())
    assert licences.problems(found) == []
