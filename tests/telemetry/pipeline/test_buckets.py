"""Buckets of the catalogue's histograms by one setting, alike in every process."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from telemetry import Settings, SettingsError, setup, testing
from telemetry.box.header import Role
from telemetry.catalogue import HistogramSpec, http
from tests.support.chat import CHAT

NAME = "TELEMETRY_HISTOGRAM_BUCKETS"
GIVEN = "http_request_duration_seconds = 0.5, 2.5 ,10; llm_request_duration_seconds=1,60;"


def test_setting_gives_the_buckets() -> None:
    """A histogram has the buckets that are set, any other one those of the catalogue."""
    with testing.captured(Settings.from_environment(None, {NAME: GIVEN})) as captured:
        for seconds in (0.1, 2.5, 3.0, 99.0):
            captured.telemetry.http.answered("GET", "/x", 200, seconds)
        captured.telemetry.http.route("GET", "/x").answered(200, 1.0, 0.1)
        where = {"method": "GET", "endpoint": "/x"}
        assert captured.buckets("http_request_duration_seconds", **where) == [1, 2, 1, 1]
        first_byte = captured.buckets("http_time_to_first_byte_seconds", **where)
        assert len(first_byte) == len(http.FIRST_BYTE.buckets) + 1


def test_box_says_its_buckets(tmp_path: Path) -> None:
    """What a process leaves behind says by which buckets it counted, to heirs that count by others."""
    made = setup.Telemetry(
        Settings(exporters=("otlp",), state_dir=tmp_path, histogram_buckets={http.DURATION.name: (2.5, 5.0)})
    )
    made.pipeline._started = True
    made.http.answered("GET", "/x", 200, 3.0)
    left = {moved.entry.identity.name: moved for moved in made.meter_provider.box.standing(Role.TOTALS)}
    assert left[http.DURATION.name].entry.identity.bounds == (2.5, 5.0)
    assert list(left[http.DURATION.name].amounts) == [0.0, 1.0, 0.0, 3.0]


WRONG = {
    "http_request_duration_seconds": "write it as",
    "http_request_duration_seconds=": "write it as",
    "http_request_duration_seconds=2.5,a": "write it as",
    "http_request_duration_seconds=2.5,1": "does not ascend",
    "http_request_duration_seconds=2.5,2.5": "does not ascend",
    "http_request_duration_seconds=2.5,inf": "does not ascend",
    f"llm_request_duration_seconds={','.join(map(str, range(51)))}": "1 to 50 ascending numbers",
}


@pytest.mark.parametrize(("wrong", "said"), WRONG.items(), ids=range(len(WRONG)))
def test_wrong_buckets(wrong: str, said: str) -> None:
    """Wrong buckets are refused at start, naming the setting, its value and the remedy."""
    with pytest.raises(SettingsError, match=said) as refused:
        Settings.from_environment(None, {NAME: wrong, "TELEMETRY_STRICT": "true"})
    assert f"{NAME}={wrong!r}" in str(refused.value)
    assert "write it as" in str(refused.value)


UNFIT = {
    "http_request_duration_seconds=1,5": r"lacks \[2.5\], which rules read",
    "http_requests_total=1": "is no histogram of the catalogue",
    "request_duration=1": "is no histogram of the catalogue",
}


@pytest.mark.parametrize(("wrong", "said"), UNFIT.items(), ids=range(len(UNFIT)))
def test_unfit_buckets(
    wrong: str, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Buckets that no histogram of the catalogue can have are an ERROR line with the remedy; all counts as declared."""
    settings = Settings.from_environment(None, {NAME: wrong})
    with pytest.raises(SettingsError, match=said):
        setup.Telemetry(settings)
    monkeypatch.delenv("TELEMETRY_STRICT")
    with testing.captured(settings) as captured:
        captured.telemetry.http.answered("GET", "/x", 200, 0.1)
        assert len(captured.buckets("http_request_duration_seconds", method="GET", endpoint="/x")) == 15
    (line,) = [record for record in caplog.records if NAME in record.message]
    assert line.levelname == "ERROR"
    assert "write it as" in line.message


def test_wrong_buckets_in_code() -> None:
    """The same goes for settings that are made in code."""
    with pytest.raises(SettingsError, match=r"histogram_buckets: .*does not ascend"):
        Settings(histogram_buckets={http.FIRST_BYTE.name: (math.nan,)})


def test_declared_buckets_have_what_is_relied_on() -> None:
    """Every bound that other buckets have to have is one of the declared ones."""
    for spec in CHAT.specs:
        if isinstance(spec, HistogramSpec):
            assert set(spec.relied_on) <= set(spec.buckets)
