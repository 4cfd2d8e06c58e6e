"""A real Prometheus for one test, scraping what the test says; its sums are those of a reader with no extrapolation."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import yaml

from support import prometheus_program, web
from support.ports import free_port
from support.waiting import eventually


class Prometheus:
    """The process and its questions.

    Args:
        targets: ``host:port`` of every page to scrape.
        directory: For its data and configuration.
        scrape_seconds: Between scrapes.
        jobs: Its ``scrape_configs``, instead of one job for all targets.
    """

    def __init__(
        self,
        targets: Sequence[str],
        directory: Path,
        scrape_seconds: float = 1,
        jobs: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._targets = list(targets)
        config = {
            "global": {"scrape_interval": f"{scrape_seconds * 1000:.0f}ms"},
            "scrape_configs": list(jobs or [{"job_name": "totals", "static_configs": [{"targets": self._targets}]}]),
        }
        file = directory / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        program = os.environ.get("PROMETHEUS") or str(Path(sys.executable).parent / "prometheus")
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={file}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                *prometheus_program.flags(program),
                "--enable-feature=promql-extended-range-selectors",  # `increase(… anchored)`: not extrapolated
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def scrapes_all(self) -> bool:
        """Whether every target has been scraped successfully."""
        try:
            answer = web.get(f"{self.url}/api/v1/targets", params={"state": "active"})
            return [t["health"] for t in answer.json()["data"]["activeTargets"]] == ["up"] * len(self._targets)
        except (httpx.HTTPError, ValueError):
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        body = web.get(f"{self.url}/api/v1/query", params={"query": expression}).json()
        assert body["status"] == "success", body
        result: list[dict[str, Any]] = body["data"]["result"]
        return result

    def increments(self, selector: str) -> float:
        """Every increment it has seen, over restarts of what it scrapes, the first of a series only if that began at 0."""
        seen = 0.0
        for series in self.query(f"{selector}[1h]"):
            values = [float(value) for _, value in series["values"]]
            seen += sum(new - old if new >= old else new for old, new in pairwise(values))
        return seen

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@contextmanager
def running(
    targets: Sequence[str], scrape_seconds: float = 1, jobs: Sequence[Mapping[str, Any]] | None = None
) -> Iterator[Prometheus]:
    """A Prometheus that has scraped every target once and is ended with the block."""
    with tempfile.TemporaryDirectory() as directory:
        prometheus = Prometheus(targets, Path(directory), scrape_seconds, jobs)
        try:
            assert eventually(prometheus.scrapes_all), "Prometheus does not scrape every target"
            yield prometheus
        finally:
            prometheus.stop()
