"""`python -m telemetry check`, with a room of hooks that only these tests have."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from telemetry import instrumentation
from telemetry.__main__ import main

Furnish = Callable[[str], None]
LIST = "from telemetry.instrumentation.assumptions import Assumption\n"


@pytest.fixture
def furnish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Furnish]:
    """The only room, whose list is given as code."""
    room = tmp_path / "attic"
    room.mkdir()
    (room / "__init__.py").touch()
    monkeypatch.setattr(instrumentation, "__path__", [str(tmp_path), *instrumentation.__path__])
    monkeypatch.setattr("telemetry.compatibility.iter_modules", lambda path: _only(room.name))
    yield (room / "assumptions.py").write_text
    for name in [name for name in sys.modules if name.startswith("telemetry.instrumentation.attic")]:
        del sys.modules[name]


def _only(name: str) -> Iterator[object]:
    from pkgutil import ModuleInfo, get_importer

    yield ModuleInfo(get_importer("."), name, ispkg=True)  # type: ignore[arg-type]


def test_what_holds_is_told_with_versions(furnish: Furnish, capsys: pytest.CaptureFixture[str]) -> None:
    """A room whose assumptions hold is a line with the versions that they hold for, and all is well."""
    furnish(LIST + "ASSUMPTIONS = (Assumption('pytest', 'fixture'), Assumption('pytest:Item', 'runtest'))")
    assert main(["check"]) == 0
    assert capsys.readouterr().out == f"attic: 2 of 2 assumptions hold (pytest {pytest.__version__})\n"


def test_what_has_no_version_of_its_own_is_told_without(furnish: Furnish, capsys: pytest.CaptureFixture[str]) -> None:
    """Python itself, and packages that several distributions share, are no empty brackets."""
    furnish(LIST + "ASSUMPTIONS = (Assumption('multiprocessing.process', 'BaseProcess'),)")
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "attic: 1 of 1 assumptions hold\n"


def test_what_broke_is_named(furnish: Furnish, capsys: pytest.CaptureFixture[str]) -> None:
    """An assumption that does not hold is named, in whichever tuple it stands, and the status is 1."""
    furnish(LIST + "HELD = (Assumption('pytest', 'fixture'),)\nOTHERS = (Assumption('pytest:Item', 'run_twice'),)")
    assert main(["check"]) == 1
    assert "1 of 2 assumptions hold" in (said := capsys.readouterr().out)
    assert "  broken: pytest:Item has no run_twice\n" in said


def test_absent_library_breaks_nothing(furnish: Furnish, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a library that is not installed nothing is wrong, whether the list names it or imports it."""
    furnish(LIST + "ASSUMPTIONS = (Assumption('not_here.routing:Router', 'route'),)")
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "attic: 0 of 0 assumptions hold (not_here is not installed)\n"


def test_room_of_an_absent_library_is_left_out(furnish: Furnish, capsys: pytest.CaptureFixture[str]) -> None:
    """A list that cannot be imported without its library is left out; one that misses a part of it is an error."""
    furnish("import not_here")
    assert main(["check"]) == 0
    assert capsys.readouterr().out == ""
    furnish("import pytest.moved_away")
    with pytest.raises(ModuleNotFoundError, match="moved_away"):
        main(["check"])


def test_our_assumptions_hold() -> None:
    """Whatever our hooks rely on is there in the versions that we pin."""
    assert main(["check"]) == 0
