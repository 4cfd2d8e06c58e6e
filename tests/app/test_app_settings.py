"""Settings: what is wrong is named with its value and what to do; nothing secret is shown."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from app.plans import Plan
from app.settings import Settings, SettingsError, load_settings


def _message() -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (
            "DATABASE_URL",
            "mysql://me:secret@host/db",
            "DATABASE_URL='***@host/db' names a database that is not supported",
        ),
        ("DATABASE_URL", "sqlite:////no/such/place/chat.db", "a directory that does not exist"),
        ("DATABASE_URL", "sqlite://", "cannot be shared by app and worker"),
        ("STORAGE_URL", "/tmp/files", "STORAGE_URL='/tmp/files' is neither a file:/// nor an s3:// URL"),
        ("REDIS_URL", "localhost:6379", "REDIS_URL='localhost:6379' is not a Redis URL"),
        ("LLM_PROVIDER", "acme", "set LLM_PROVIDER to openai or anthropic"),
        ("OPENAI_API_KEY", "", "OPENAI_API_KEY is not set, but LLM_PROVIDER=openai needs it"),
        ("UPLOAD_MAX_BYTES", "ten", "UPLOAD_MAX_BYTES='ten'"),
        (
            "RATE_LIMITS",
            '{"free": {"default": "often"}}',
            "'often', which is not a limit such as '60/minute'",
        ),
        ("RATE_LIMITS", '{"gold": {"default": "1/minute"}}', "RATE_LIMITS[gold]"),
        ("RATE_LIMITS", "{", "RATE_LIMITS='{' is not JSON"),
        ("STORAGE_QUOTA", '{"free": -1}', "STORAGE_QUOTA[free]=-1"),
    ],
)
def test_wrong_setting_is_explained(environment: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
    """A wrong setting is refused at start with its name, its value and the remedy."""
    environment.setenv(name, value)
    message = _message()
    assert told in message
    assert "set " in message
    assert "secret" not in message


def test_all_errors_at_once(environment: pytest.MonkeyPatch) -> None:
    """Every wrong setting is named in one go."""
    environment.delenv("DATABASE_URL")
    environment.setenv("LLM_TIMEOUT_SECONDS", "0")
    assert [line.partition(" ")[0] for line in _message().splitlines()] == [
        "DATABASE_URL",
        "LLM_TIMEOUT_SECONDS='0'",
    ]


def test_limits_fall_back(environment: pytest.MonkeyPatch) -> None:
    """Limits that are set replace the defaults one by one."""
    environment.setenv("RATE_LIMITS", '{"free": {"default": "5/minute"}}')
    settings = load_settings()
    assert settings.limit_of(Plan.FREE, "/api/v1/files") == "5/minute"
    assert settings.limit_of(Plan.FREE, "/api/v1/images") == "10/minute"
    assert settings.limit_of(Plan.PRO, "/api/v1/files") == "3000/minute"


def test_start_fails_cleanly(environment: pytest.MonkeyPatch) -> None:
    """The server's start ends with the explanation, not with a stack trace."""
    environment.setenv("STORAGE_URL", "nowhere")
    with pytest.raises(SystemExit, match="STORAGE_URL='nowhere'"):
        runpy.run_module("app.main")


def test_settings_are_documented() -> None:
    """The page about the backend names every setting, and no setting that does not exist."""
    page = (Path(__file__).parents[2] / "docs" / "app.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE))
    assert documented == {name.upper() for name in Settings.model_fields}
