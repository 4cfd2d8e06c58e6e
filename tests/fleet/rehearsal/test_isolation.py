"""What `python -m deploy.rehearsal` asks for."""

from __future__ import annotations

import os

import pytest

from deploy.rehearsal import __main__ as rehearsal


@pytest.mark.parametrize(
    ("user", "command", "said"),
    [(0, [], "Say what to run"), (1000, ["true"], "Namespaces need root")],
    ids=["no command", "no root"],
)
def test_what_is_missing_is_said(
    user: int, command: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a command, or without root, it says so and starts nothing."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert rehearsal.main(command) == 2
    assert said in capsys.readouterr().err
