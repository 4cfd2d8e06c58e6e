"""Where a rehearsal has its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.rehearsal.__main__ import DIRECTORY


@pytest.fixture
def folder() -> Path:
    """For roots, volumes and logs, in memory."""
    if DIRECTORY not in os.environ:
        pytest.skip("it needs namespaces of its own: make rehearse")
    return Path(os.environ[DIRECTORY])
