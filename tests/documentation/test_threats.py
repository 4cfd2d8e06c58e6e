"""The threat model of `docs/security.md`: each line names tests that are there."""

from __future__ import annotations

import json
import re

import pytest

from docs.threats import FUZZED, THREATS, Threat
from support.collector import ROOT
from tests.fuzzing.__main__ import targets


@pytest.mark.parametrize("threat", THREATS, ids=[threat.asset for threat in THREATS])
def test_line_names_its_tests(threat: Threat) -> None:
    """Each test that a line names is in the file it says, as a test that runs."""
    assert threat.tests
    for test in threat.tests:
        path, _, name = test.partition("::")
        assert re.search(rf"^(async )?(def|func) {name}\(", (ROOT / path).read_text(), re.MULTILINE), test


def test_page_knows_every_target() -> None:
    """Everything that takes random input was tried, and the page says when."""
    tried = json.loads(FUZZED.read_text())
    assert sorted(tried) == sorted(f"{target.title} {target.tool}" for target in targets())
    assert not [name for name, row in tried.items() if row["broke"] or not row["executions"]]
