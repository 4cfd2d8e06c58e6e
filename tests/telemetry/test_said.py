"""What a user is told who has forgotten something: once, with the remedy."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import telemetry
from telemetry import Settings, process, setup, testing
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import finish, start


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    """A collector that adds up."""
    made = OtlpSink()
    yield made
    made.close()


def _said(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and words in record.getMessage()
    ]


def test_hooks_without_configure(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Hooks that record before anybody called `configure()` say so once; verbs alone, and tests that capture, do not."""
    monkeypatch.setattr(process.current, "configured", None)
    monkeypatch.setattr(process.current, "_silent", None)
    monkeypatch.setattr(process.current, "measured", process.Measured())
    telemetry.get().errors.occurred("ValueError", component="shop")
    assert _said(caplog, "configure()") == []
    app = FastAPI()
    app.get("/x")(lambda: "x")
    with telemetry.instrument(app), TestClient(app) as client:
        with testing.captured():
            client.get("/x")
        assert _said(caplog, "configure()") == []
        for _ in range(2):
            client.get("/x")
    (line,) = _said(caplog, "configure()")
    assert "http" in line
    assert "call it" in line


def test_other_settings_are_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A second `configure()` with other settings says once which hold, without secrets; with the same it says nothing."""
    first = Settings(service_name="shop")
    monkeypatch.setattr(process.current, "configured", setup.Telemetry(first))
    telemetry.configure(settings=first)
    assert _said(caplog, "configure()") == []
    destination = replace(
        first.destination, url="http://me:secret@other:4318/v1/metrics", headers={"api-key": "secret"}
    )
    for _ in range(2):
        telemetry.configure(settings=replace(first, service_name="store", destination=destination))
    (line,) = _said(caplog, "configure()")
    assert "service_name='shop' (not 'store')" in line
    assert "other:4318" in line
    assert "secret" not in line


def test_name_that_is_not_repeated_stays(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A later `configure()` without a name asks for no other one, also where it goes on after `shutdown()`."""
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    known = setup.Telemetry(Settings.from_environment("shop", {"OTEL_METRICS_EXPORTER": "none"}))
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setattr(process.current, "configured", known)
    telemetry.configure()
    known.shutdown()
    telemetry.configure()
    assert known.settings.service_name == "shop"
    assert "service_name" not in "".join(_said(caplog, "configure()"))


def test_captured_tests_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """An application under test that configures itself while a test captures is told nothing."""
    with testing.captured():
        telemetry.configure("shop")
    assert _said(caplog, "configure()") == []


def test_configure_revives(sink: OtlpSink) -> None:
    """What is recorded after `shutdown()` is said once, and delivered when `configure()` is called again; twice over."""
    code = """
    message(); telemetry.shutdown()
    message(); timed()
    t = telemetry.configure("test"); message(); telemetry.shutdown()
    telemetry.configure("test"); message()
    from opentelemetry import metrics
    metrics.get_meter("shop").create_counter("orders_total").add(1)
    """
    done = finish(start(code, sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000"))
    assert done.status == 0, done.errors
    assert (sink.total("messages_sent_total"), sink.total("orders_total"), sink.missing) == (4, 1, 0)
    assert sink.total("http_request_duration_seconds") == 1
    assert done.errors.count("is recorded after telemetry.shutdown()") == 1
    assert "Traceback" not in done.errors


def test_end_of_a_process_is_not_told(sink: OtlpSink) -> None:
    """What is recorded behind the exit handler, at the end of an interpreter, is no news."""
    done = finish(start("import atexit; atexit.unregister(print); message()", sink.url))
    assert (done.status, done.errors) == (0, "")


def test_missing_extras_are_named() -> None:
    """Without a library its function says what to install."""
    code = """
    import sys
    for name in ("celery", "sqlalchemy", "starlette"): sys.modules[name] = None
    import telemetry
    for call in (telemetry.instrument_celery, telemetry.instrument_sqlalchemy, telemetry.instrument):
        try: call(object())
        except ImportError as error: print(error)
    """
    done = finish(start(code, "", begin=""))
    assert done.output.splitlines() == [
        f"telemetry.{call}() needs {library}, which is not installed: pip install 'fleet-telemetry[{extra}]'"
        for call, library, extra in (
            ("instrument_celery", "celery", "celery"),
            ("instrument_sqlalchemy", "sqlalchemy", "sqlalchemy"),
            ("instrument", "starlette", "fastapi"),
        )
    ]
