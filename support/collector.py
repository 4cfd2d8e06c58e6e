"""A real collector for one test, with one of the product's configurations, on free ports; nothing here sends to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from support import exposition, processes, web
from support.exposition import Labels, Samples
from support.ports import free_ports
from support.waiting import eventually

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "otel-collector.yaml"
DURABLE = ROOT / "otel-collector.durable.yaml"
SECURE = ROOT / "otel-collector.secure.yaml"
DURABLE_SECURE = ROOT / "otel-collector.durable.secure.yaml"
PORTS = ("GRPC", "HTTP", "TOTALS", "LEVELS", "METRICS", "HEALTH", "OWN_METRICS")


def find_otelcol() -> str:
    """The collector to test with: `OTELCOL`, the installed one, the newest built one, or one on the PATH.

    Raises:
        FileNotFoundError: If there is none.
    """
    built = sorted(
        (Path.home() / ".cache" / "fleet-telemetry").glob("otelcol-*/otelcol"), key=lambda p: p.stat().st_mtime
    )
    installed = Path(sys.executable).parent / "otelcol"
    for program in (os.environ.get("OTELCOL"), installed, *reversed(built), shutil.which("otelcol-contrib")):
        if program and Path(program).exists():
            return str(program)
    raise FileNotFoundError("no collector: run deploy/install.sh, or set OTELCOL to the path of one")


class Collector:
    """The process; `start`, `stop` and `kill` may be called in turn, the ports and the store stay.

    Args:
        config: Its configuration.
        variables: More environment variables for it.
        state: Where a durable one keeps its store; by default a directory that is gone with the block of `running`.
        over: A configuration that is laid over it, one with TLS.
    """

    def __init__(
        self,
        config: Path = CONFIG,
        variables: Mapping[str, str] | None = None,
        state: Path | None = None,
        over: Path | None = None,
    ) -> None:
        self._over = over
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self._config = config
        self._own_state = tempfile.TemporaryDirectory()
        self.state = state or Path(self._own_state.name)
        self._variables = {"OTELCOL_STATE_DIR": str(self.state), **(variables or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the collector

    @property
    def endpoint(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return self._address("HTTP")

    def url(self, port: str) -> str:
        """The metrics page of `TOTALS`, `LEVELS` or `METRICS` (its own)."""
        return f"{self._address(port)}/metrics"

    def _address(self, port: str) -> str:
        return f"{'https' if self._over else 'http'}://127.0.0.1:{self.ports[port]}"

    @property
    def pid(self) -> int:
        """Of its process, which runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def store(self) -> Path:
        """The file of a durable one's totals."""
        return self.state / "processor_fleet_totals__totals"

    def start(self) -> None:
        """Start it and wait until it is healthy.

        Raises:
            TimeoutError: If it is not after 20 s, with the end of its log.
        """
        self.begin()
        if not eventually(self._is_healthy):
            log = self.log()
            self.kill()
            raise TimeoutError(f"the collector is not healthy after 20 s: {log[-2000:]}")

    def begin(self) -> None:
        """Start it and do not wait."""
        variables = {f"OTELCOL_{name}_PORT": str(port) for name, port in self.ports.items()}
        self._process = subprocess.Popen(
            [find_otelcol(), *(f"--config={path}" for path in (self._config, self._over) if path)],
            env={**os.environ, **variables, **self._variables},
            stdout=self._log,
            stderr=self._log,
        )

    def ended(self, seconds: float = 20.0) -> int | None:
        """The status with which it ended by itself, or nothing if it has not."""
        process = self._process
        assert process is not None
        return process.poll() if eventually(lambda: process.poll() is not None, seconds) else None

    def peak_memory(self) -> float:
        """MiB that it used at most since its start."""
        return processes.peak_memory(self.pid)

    def _is_healthy(self) -> bool:
        return web.is_ok(f"{self._address('HEALTH')}/")

    def log(self) -> str:
        """What it has logged so far."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def stop(self) -> None:
        """SIGTERM, as a planned restart does, and wait for its end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def samples(self, port: str = "TOTALS") -> Samples:
        """Everything one of its metrics pages shows."""
        return exposition.scrape(self.url(port))

    def series(self, metric: str) -> dict[Labels, float]:
        """Every series of a metric at either endpoint; of a histogram, its counts."""
        return {
            **exposition.series(self.samples("TOTALS"), metric),
            **exposition.series(self.samples("LEVELS"), metric),
        }

    def total(self, metric: str, /, **labels: str) -> float:
        """Sum over the series that have at least these labels."""
        wanted = set(labels.items())
        return sum(value for key, value in self.series(metric).items() if wanted <= set(key))

    def settles_at(self, metric: str, expected: float, seconds: float = 15.0, /, **labels: str) -> float:
        """The total once it is what is expected, or what it is when the time is over."""
        eventually(lambda: self.total(metric, **labels) == expected, seconds)
        return self.total(metric, **labels)

    def dropped_points(self) -> float:
        """Points it refused or dropped inside, by its own metrics."""
        own = self.samples("METRICS")
        return sum(
            value
            for (name, labels), value in own.items()
            if (name.startswith("otelcol_deltatocumulative_datapoints") and "error" in dict(labels))
            or name == "fleet_totals_dropped_points_total"
        )

    def own(self, name: str, /, **labels: str) -> float:
        """A metric of its own, summed over the series that have at least these labels."""
        return exposition.total(self.samples("METRICS"), name, labels)

    def close(self) -> None:
        """Kill it and forget its store."""
        self.kill()
        self._own_state.cleanup()


@contextmanager
def running(
    config: Path = CONFIG,
    variables: Mapping[str, str] | None = None,
    state: Path | None = None,
    over: Path | None = None,
) -> Iterator[Collector]:
    """A collector that is ended with the block."""
    collector = Collector(config, variables, state, over)
    try:
        collector.start()
        yield collector
    finally:
        collector.close()
