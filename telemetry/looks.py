"""How dashboards look, whoever builds them: colours, what stands for no value, and how firing alerts are told."""

from __future__ import annotations

GREEN, ORANGE, RED, BLUE, GREY = "green", "orange", "red", "blue", "gray"
NEUTRAL = "text"
"""The colour of writing: neither good nor bad."""
NOTHING = "\N{EN DASH}"
"""What is written where there is no value."""
COUNT = "locale"
"""Grafana's unit of whole numbers: 128,354."""

CALCS = ("lastNotNull", "max")
SORTED_BY = "Last *"
"""What a legend says of each series, and by what it is sorted: what does not fit is the least."""

FIRING = {3: ("critical", RED), 2: ("warning", ORANGE), 1: ("info", BLUE), 0: ("0", GREEN)}
"""Text and colour of an alert by what ``ranked`` gives it."""


def ranked(*where: str) -> str:
    """PromQL of the alerts that fire, with the keys of ``FIRING`` as values."""

    def of(*severity: str) -> str:
        matchers = ", ".join(('alertstate="firing"', *severity, *where))
        return f"ALERTS{{{matchers}}}"

    critical, warning = of('severity="critical"'), of('severity="warning"')
    return f"3 * {critical} or 2 * {warning} or 1 * {of()}"


def or_no_alert(alerts: str) -> str:
    """``alerts``, and a 0 named `none` where there is none."""
    return f'{alerts} or on () label_replace(vector(0), "alertname", "none", "", "")'
