"""A planned restart of a collector that runs `otel-collector.yaml`: after Prometheus has seen what it took.

Such a collector keeps its totals in memory. What it has taken and nobody has scraped ends with it, so a restart waits
for a scrape. Behind a gateway it is drained before that, and nothing is lost at all. One that runs
`otel-collector.durable.yaml` needs none of this: stop it and start it.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from collector.gateway.gateway import Gateway

BATCH_SECONDS = 1.0
"""Five times the `batch` time-out of `otel-collector.yaml`: what was taken is on the metrics page after that."""


class RestartError(RuntimeError):
    """The restart was not begun; the message is for people and says what to do."""


class Scrapes:
    """When Prometheus scraped a page of the collector.

    Args:
        prometheus: Address of Prometheus.
        page: The page as Prometheus names it, such as ``http://localhost:8889/metrics``.
    """

    def __init__(self, prometheus: str, page: str) -> None:
        self._api = f"{prometheus.rstrip('/')}/api/v1/targets?state=active"
        self._page = page

    def wait_for_next(self, seconds: float) -> None:
        """Return as soon as a scrape that begins from now on has succeeded.

        Raises:
            RestartError: If Prometheus does not answer, does not scrape the page or does not succeed in time.
        """
        begun = datetime.now(UTC)
        deadline = time.monotonic() + seconds
        while True:
            target = self._target()
            scraped_at = datetime.fromisoformat(target["lastScrape"])
            if scraped_at > begun and target["health"] == "up":
                return
            if time.monotonic() > deadline:
                reason = target.get("lastError") or "its interval may be longer than that"
                raise RestartError(
                    f"Prometheus has not scraped {self._page} within {seconds:g} s ({reason}): "
                    "mend that, or wait longer with --wait"
                )
            time.sleep(0.01)

    def _target(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(self._api, timeout=5) as answer:  # an address the user gave
                targets: list[dict[str, Any]] = json.load(answer)["data"]["activeTargets"]
        except (OSError, ValueError, KeyError) as error:
            raise RestartError(f"Prometheus does not answer at {self._api} ({error}): check --prometheus") from None
        for target in targets:
            if target["scrapeUrl"] == self._page:
                return target
        known = ", ".join(sorted(target["scrapeUrl"] for target in targets)) or "nothing"
        raise RestartError(f"Prometheus does not scrape {self._page}, it scrapes {known}: check --page")


def restart_after_scrape(scrapes: Scrapes, restart: Callable[[], None], seconds: float = 60.0) -> None:
    """Restart a collector that senders reach directly; they keep what they cannot deliver meanwhile.

    Lost is what it took in its last moment: what its `batch` still held at the scrape, and what came after it.
    """
    scrapes.wait_for_next(seconds)
    restart()


def restart_drained(
    gateway: Gateway, name: str, scrapes: Scrapes, restart: Callable[[], None], seconds: float = 60.0
) -> None:
    """Restart a collector behind a gateway: it gets no more exports, is scraped, is restarted and gets exports again.

    Nothing is lost: what it took was scraped; what comes meanwhile goes to another one, or waits in the senders.
    """
    gateway.drain(name)
    time.sleep(BATCH_SECONDS)
    try:
        scrapes.wait_for_next(seconds)
        restart()
    finally:
        gateway.admit(name)
