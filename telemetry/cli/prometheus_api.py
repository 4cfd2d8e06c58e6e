"""Prometheus' HTTP API, as much of it as is asked here; every question gives an answer or says why there is none."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from telemetry.cli import web
from telemetry.cli.page import Sample
from telemetry.settings.destination import without_credentials


class PrometheusError(Exception):
    """It does not answer, or answers with an error; the message says which."""


@dataclass(frozen=True)
class Target:
    """Something that Prometheus scrapes.

    Attributes:
        job: The name of its job.
        instance: How its series are called.
        url: What is scraped.
        is_up: Whether the last scrape went well.
        last_error: Why not.
        interval: Seconds between scrapes.
    """

    job: str
    instance: str
    url: str
    is_up: bool
    last_error: str
    interval: float


class Prometheus:
    """One server.

    Args:
        url: Where it is, with the path before ``/api/v1``, if there is one, and with credentials, if it wants any.
        timeout: Seconds of silence until a question is given up.

    Attributes:
        url: Where it is, for people.
    """

    def __init__(self, url: str, timeout: float = web.PATIENCE) -> None:
        self._url = url.rstrip("/")
        self.url = without_credentials(self._url)
        self._timeout = timeout

    def ask(self, path: str, **form: str) -> Any:
        """The ``data`` of an answer of ``/api/v1/<path>``.

        Raises:
            PrometheusError: If there is none.
        """
        body = urlencode(form).encode() if form else None
        answer = web.get(f"{self._url}/api/v1/{path}", self._timeout, body=body)
        try:
            said = json.loads(answer.body)
            if said["status"] == "success":
                return said["data"]
            raise PrometheusError(f"{said.get('errorType', 'error')}: {said.get('error', '')}")
        except (ValueError, KeyError, TypeError):
            reason = answer.problem if not answer.is_ok else "what it answers is not Prometheus' API"
            raise PrometheusError(reason) from None

    def query(self, expression: str) -> list[Sample]:
        """The series that an expression gives now; the metric's name is the sample's.

        Raises:
            PrometheusError: If it cannot be evaluated.
        """
        data = self.ask("query", query=expression)
        if data["resultType"] != "vector":
            return [Sample("", {}, float(data["result"][1]))] if data["resultType"] == "scalar" else []
        return [_sample(series["metric"], series["value"][1]) for series in data["result"]]

    def clock(self) -> tuple[float, float]:
        """By how many seconds its clock is ahead of ours, and how exactly that is known.

        Raises:
            PrometheusError: If it does not say.
        """
        asked = time.time()
        its = self.query("time()")[0].value
        return its - (asked + time.time()) / 2, time.time() - asked

    def targets(self) -> list[Target]:
        """What it scrapes.

        Raises:
            PrometheusError: If it does not say.
        """
        return [_target(each) for each in self.ask("targets?state=active")["activeTargets"]]


def _sample(labels: Mapping[str, str], value: str) -> Sample:
    return Sample(labels.get("__name__", ""), {k: v for k, v in labels.items() if k != "__name__"}, float(value))


def _target(said: Mapping[str, Any]) -> Target:
    labels = said.get("labels", {})
    return Target(
        job=labels.get("job", ""),
        instance=labels.get("instance", ""),
        url=said.get("scrapeUrl", ""),
        is_up=said.get("health") != "down",
        last_error=said.get("lastError", ""),
        interval=_seconds(said.get("scrapeInterval", "")),
    )


def _seconds(duration: str) -> float:
    """A duration as Prometheus writes it: ``1m30s``, ``200ms``."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    return sum(float(amount) * units[unit] for amount, unit in re.findall(r"(\d+)(ms|s|m|h|d)", duration))
