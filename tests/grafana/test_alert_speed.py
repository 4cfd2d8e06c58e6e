"""`ALERT_SPEED`: the fleet's rules with every duration divided, and untouched by default."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deploy import alert_rules, render
from deploy.settings import FleetSettings, SettingsError
from support import prometheus_program
from telemetry.runbooks import RUNBOOKS
from telemetry.shipped import ANCHORED, Choices
from tests.grafana.expressions import RULE_FILES


def test_rules_are_untouched_by_default() -> None:
    """Without the setting, Prometheus gets the files as they are."""
    assert dict(alert_rules.files(1, 5)) == {path.name: path.read_text() for path in RULE_FILES}


def test_rules_fit_the_prometheus() -> None:
    """One before 3.16 gets windows that are not anchored; where alerts lead is the fleet's own address."""
    texts = alert_rules.files(1, 5, Choices("http://127.0.0.1:1/runbooks", (2, 42)))
    for path in RULE_FILES:
        text = path.read_text().replace(ANCHORED, "").replace(RUNBOOKS, "http://127.0.0.1:1/runbooks")
        assert texts[path.name] == text


@pytest.mark.parametrize(
    ("said", "version"),
    [("prometheus, version 2.42.0+ds (branch: debian)", (2, 42)), ("prometheus, version  (branch: )", (3, 16))],
    ids=["debian", "built"],
)
def test_version_is_read(said: str, version: tuple[int, int], tmp_path: Path) -> None:
    """As the program says it; one that does not know its own was built here."""
    program = tmp_path / "prometheus"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o700)
    assert prometheus_program.version(str(program)) == version


def test_every_duration_is_divided() -> None:
    """Windows, offsets, delays and intervals; no window under four scrapes, no delay under a second; thresholds stay."""
    text = """
groups:
  - name: a
    interval: 30s
    rules:
      - alert: B
        expr: rate(x_total[5m]) > 5 and increase(y_total[1h] offset 10m) > 100 and avg_over_time(z[2h:1m]) < 0.3
        for: 10m
"""
    rule = yaml.safe_load(alert_rules.faster(text, 60, 1))["groups"][0]
    assert rule["interval"] == "1000ms"
    assert rule["rules"][0]["for"] == "10000ms"
    assert rule["rules"][0]["expr"].split(" and ") == [
        "rate(x_total[5000ms]) > 5",
        "increase(y_total[60000ms] offset 10000ms) > 100",
        "avg_over_time(z[120000ms:1m]) < 0.3",
    ]
    assert "[20000ms]" in alert_rules.faster("rate(x[5m])", 60, 5)


def test_names_of_recordings_stay() -> None:
    """`:rate5m` in a name is no duration."""
    for name, text in alert_rules.files(60, 1).items():
        before = yaml.safe_load(next(path for path in RULE_FILES if path.name == name).read_text())
        after = yaml.safe_load(text)
        for old, new in zip(before["groups"], after["groups"], strict=True):
            assert [rule.get("record") for rule in new["rules"]] == [rule.get("record") for rule in old["rules"]]


def test_fleet_renders_them(tmp_path: Path) -> None:
    """One setting; the rules stand in the fleet's directory, where its Prometheus reads them."""
    settings = FleetSettings.isolated(tmp_path, alert_speed=60)
    files = render.render(settings, [])
    assert "for: 2000ms" in files[settings.conf / "alerts" / "guide.yaml"]
    assert f"  - {settings.conf}/alerts/guide.yaml\n" in files[settings.conf / "prometheus.yml"]


def test_setting_is_checked() -> None:
    """A wrong value is refused with name, value and remedy."""
    with pytest.raises(SettingsError, match=r"ALERT_SPEED=0 is out of range: set it to a whole number from 1 to 3600"):
        FleetSettings.from_environ({"ALERT_SPEED": "0"})
