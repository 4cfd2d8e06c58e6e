"""The threat model of `docs/security.md`: each line names tests that are there."""

from __future__ import annotations

import re

import pytest

from docs.threats import THREATS, Threat
from support.collector import ROOT


@pytest.mark.parametrize("threat", THREATS, ids=[threat.asset for threat in THREATS])
def test_line_names_its_tests(threat: Threat) -> None:
    """Each test that a line names is in the file it says, as a test that runs."""
    assert threat.tests
    for test in threat.tests:
        path, _, name = test.partition("::")
        assert re.search(rf"^(async )?(def|func) {name}\(", (ROOT / path).read_text(), re.MULTILINE), test
