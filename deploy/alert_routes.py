"""Alertmanager's configuration for this fleet: the routes that users copy, and receivers that need no secret."""

from __future__ import annotations

from typing import Any

import yaml

from deploy import alert_rules
from deploy.settings import ROOT

SOURCE = ROOT / "grafana" / "alertmanager.yml"
_HEAD = "# Rendered by deploy/ from grafana/alertmanager.yml: its routes; its receivers tell ALERT_WEBHOOK.\n"


def configuration(webhook: str, speed: int) -> str:
    """The text of the file.

    Args:
        webhook: Who is told of every alert; empty for nobody: alerts arrive, and Alertmanager's API shows them.
        speed: What durations are divided by.
    """
    body = yaml.safe_load(SOURCE.read_text())
    told: dict[str, Any] = {"webhook_configs": [{"url": webhook, "send_resolved": True}]} if webhook else {}
    receivers = [{"name": receiver["name"], **told} for receiver in body["receivers"]]
    kept = {key: body[key] for key in ("route", "inhibit_rules")}
    return _HEAD + alert_rules.faster(
        yaml.safe_dump({**kept, "receivers": receivers}, sort_keys=False, width=1000), speed, 1
    )
