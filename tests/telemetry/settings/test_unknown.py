"""Variables whose names begin as ours do and are none of ours are told once, the nearest of ours with those like it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import telemetry
from telemetry import setup
from telemetry.settings.settings import Settings
from telemetry.settings.unknown import unknown

SOURCES = Path(telemetry.__file__).parent


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("TELEMETRY_STATEDIR", "TELEMETRY_STATE_DIR"),
        ("TELEMETRY_EXCLUDE_PATH", "TELEMETRY_EXCLUDED_PATHS"),
        ("TELEMETRY_PRICES", "TELEMETRY_LLM_PRICES"),
        ("TELEMETRY_PASS_UNCATALOGED", "TELEMETRY_PASS_UNCATALOGUED"),
        ("TELEMETRY_STRIKT", "TELEMETRY_STRICT"),
    ],
)
def test_mistyped_name_is_told_with_the_nearest(typed: str, nearest: str) -> None:
    """A name that is nearly one of ours is told with that one, and its value is not shown."""
    settings = Settings.from_environment(env={typed: "secret"})
    (said,) = map(str, settings.ignored)
    assert typed in said
    assert f": {nearest} is the nearest" in said
    assert "secret" not in said
    assert (settings.problems, settings.foreign) == ((), ())


def test_variables_of_other_products_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Names that are not like any of ours are told in one line, and are no error in strict processes either."""
    env = {"TELEMETRY_ENABLED": "1", "TELEMETRY_UPLOAD_URL": "x", "TELEMETRY_STRICT": "true", "TELEMETRYX": "1"}
    settings = Settings.from_environment(env=env)
    assert (settings.problems, settings.ignored) == ((), ())
    assert settings.foreign == ("TELEMETRY_ENABLED", "TELEMETRY_UPLOAD_URL")
    setup._report_problems(settings)
    (line,) = [record.message for record in caplog.records]
    assert "TELEMETRY_ENABLED, TELEMETRY_UPLOAD_URL: no variable of fleet-telemetry" in line


def test_every_name_in_our_sources_is_known() -> None:
    """What our own code reads and sets is not told as somebody else's."""
    named = {
        name for path in SOURCES.rglob("*.py") for name in re.findall(r"\bTELEMETRY_[A-Z_]+[A-Z]\b", path.read_text())
    }
    assert unknown(named) == []
