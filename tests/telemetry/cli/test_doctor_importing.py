"""What is wrong with an application: each case leaves one thing out of a module that measures all of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.telemetry.cli.conftest import Doctor

_ROOT = Path(__file__).parents[3]
_MODULE = """
import telemetry
from celery import Celery
from fastapi import FastAPI
from sqlalchemy import create_engine


print("whatever an application prints")
telemetry.configure("shop")
app, celery_app, engine = FastAPI(), Celery("shop"), create_engine("sqlite://")

@app.get("/items/{item}")
def item(item: str) -> str:
    return item

telemetry.instrument(app)
telemetry.instrument_celery(celery_app)
telemetry.instrument_sqlalchemy(engine)
"""


@pytest.fixture
def most_seconds() -> float:
    """An import takes its time on a machine that is busy with other tests."""
    return 60.0


PATIENT = ("own:app", "--import-seconds", "50")


@pytest.fixture
def module(service: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The module `own`, where the doctor is run."""
    service.chdir(tmp_path)
    service.setenv("PYTHONPATH", str(_ROOT))
    file = tmp_path / "own.py"
    file.write_text(_MODULE)
    return file


def test_measured_application_is_silent(module: Path, doctor: Doctor) -> None:
    """An application of which everything is measured gives no finding, whatever it prints."""
    assert doctor(*PATIENT).findings == []


@pytest.mark.parametrize(
    ("without", "code"),
    [
        ('telemetry.configure("shop")', "not-configured"),
        ("telemetry.instrument(app)", "http-not-measured"),
        pytest.param("telemetry.instrument_celery(celery_app)", "celery-not-measured", marks=pytest.mark.slow),
        pytest.param("telemetry.instrument_sqlalchemy(engine)", "database-not-measured", marks=pytest.mark.slow),
    ],
)
def test_missing_call_is_the_first_finding(module: Path, doctor: Doctor, without: str, code: str) -> None:
    """One call that is left out is named with the call."""
    module.write_text(_MODULE.replace(without, ""))
    told = doctor(*PATIENT)
    assert told.first == code, told.findings


def test_import_that_fails_is_the_first_finding(module: Path, doctor: Doctor) -> None:
    """What Python says of a module that cannot be imported is shown."""
    module.write_text("import not_installed_at_all")
    told = doctor(*PATIENT)
    assert told.first == "app-import-fails"
    assert "No module named 'not_installed_at_all'" in told.findings[0]["problem"]


@pytest.mark.slow
def test_import_that_hangs_is_the_first_finding(module: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that waits is ended after a few seconds, and named."""
    module.write_text("import time; time.sleep(60)")
    assert doctor(*PATIENT).first == "app-import-hangs"


def test_import_that_takes_long_is_told_in_time(module: Path, doctor: Doctor) -> None:
    """An import that computes for longer than it is waited for is ended, and named with how long it may take."""
    module.write_text("while True: pass")
    began = time.monotonic()
    told = doctor("own:app", "--import-seconds", "2")
    assert (told.first, time.monotonic() - began < 30) == ("app-import-slow", True), told.findings
    assert "takes longer than 2 s" in told.findings[0]["problem"]


@pytest.mark.slow
def test_process_that_ends_is_the_first_finding(module: Path, doctor: Doctor) -> None:
    """A module that ends its process when it is imported is named, and the doctor lives."""
    module.write_text("import os; os._exit(3)")
    assert doctor(*PATIENT).first == "app-import-fails"


@pytest.mark.slow
def test_missing_attribute_is_the_first_finding(module: Path, doctor: Doctor) -> None:
    """A name that the module does not have is named."""
    assert doctor("own:api", *PATIENT[1:]).first == "app-not-found"


def test_exclusion_of_everything_is_the_first_finding(
    module: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exclusion that leaves no route of the application is named."""
    monkeypatch.setenv("TELEMETRY_EXCLUDED_PATHS", "^/")
    told = doctor(*PATIENT)
    assert told.first == "everything-excluded", told.findings


@pytest.mark.slow
def test_broken_assumption_is_the_first_finding(module: Path, doctor: Doctor) -> None:
    """A library that lacks what a hook relies on is named."""
    module.write_text(f"{_MODULE}\nimport fastapi.routing\ndel fastapi.routing._route_selected\n")
    told = doctor(*PATIENT)
    assert told.first == "assumption-broken", told.findings
    assert "fastapi.routing has no _route_selected" in told.findings[0]["problem"]
