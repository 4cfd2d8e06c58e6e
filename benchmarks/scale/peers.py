"""What takes deltas of a fleet and shows its totals: ours, and what others have; each as its documentation says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import yaml

from benchmarks.scale.programs import Program, Prometheus, cpu_of, memory_of, vmagent
from support.collector import DURABLE, Collector
from support.ports import free_port

COUNTED = ("http_requests_total", "http_request_duration_seconds_count")
_SERIES = '{__name__=~"http_request.*"}'


class Peer(ABC):
    """One of them, running; every process it needs is part of its cost.

    Attributes:
        name: For the table.
        numbered: Whether it knows what the numbers of exports are for.
        temporality: What senders report to it.

    Args:
        directory: For what it keeps.
    """

    name: ClassVar[str]
    numbered: ClassVar[bool] = False
    temporality: ClassVar[str] = "delta"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    @property
    @abstractmethod
    def takes(self) -> str:
        """Where it takes OTLP over HTTP."""

    @property
    @abstractmethod
    def prometheus(self) -> Prometheus:
        """Where its totals are asked for."""

    @property
    def programs(self) -> Iterable[Program]:
        """All that runs."""
        return (self.prometheus,)

    @abstractmethod
    def kill_aggregator(self) -> None:
        """SIGKILL what adds up, and start it again."""

    def counted(self) -> float:
        """Events that Prometheus can tell of: every increment of every series, from 0."""
        return sum(_increments(values) for metric in COUNTED for values in self.prometheus.samples(metric))

    def series(self) -> float:
        """That Prometheus has of them."""
        return self.prometheus.value(f"count({_SERIES})")

    def cpu(self) -> float:
        """Seconds so far."""
        return sum(program.cpu() for program in self.programs)

    def memory(self) -> float:
        """MiB now."""
        return sum(program.memory() for program in self.programs)

    def close(self) -> None:
        """End all."""
        for program in self.programs:
            program.kill()


def _increments(values: list[float]) -> float:
    return values[0] + sum(new - old if new >= old else new for old, new in pairwise(values))


class Durable(Peer):
    """Ours, scraped every second."""

    name, numbered = "ours, durable collector", True

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._collector = Collector(DURABLE, state=directory / "state")
        self._collector.start()
        self._spent = 0.0
        self._prometheus = Prometheus.scraping(directory / "prometheus", f"127.0.0.1:{self._collector.ports['TOTALS']}")

    @property
    def takes(self) -> str:
        """Its receiver."""
        return f"{self._collector.endpoint}/v1/metrics"

    @property
    def prometheus(self) -> Prometheus:
        """It scrapes."""
        return self._prometheus

    def kill_aggregator(self) -> None:
        """The collector."""
        self._spent = self._collectors_cpu()
        self._collector.kill()
        self._collector.start()

    def _collectors_cpu(self) -> float:
        return self._spent + cpu_of(self._collector.pid)

    def cpu(self) -> float:
        """The collector's, too."""
        return super().cpu() + self._collectors_cpu()

    def memory(self) -> float:
        """The collector's, too."""
        return super().memory() + memory_of(self._collector.pid)

    def close(self) -> None:
        """End both."""
        super().close()
        self._collector.close()


class PrometheusDeltas(Peer):
    """Prometheus makes cumulative series of deltas, one for each sender."""

    name = "Prometheus, otlp-deltatocumulative"
    feature: ClassVar[str] = "otlp-deltatocumulative"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        flags = ("--web.enable-otlp-receiver", f"--enable-feature={self.feature}")
        settings = {"storage": {"tsdb": {"out_of_order_time_window": "30m"}}}
        self._prometheus = Prometheus(directory / "prometheus", flags, settings)

    @property
    def takes(self) -> str:
        """Its receiver."""
        return f"{self._prometheus.url}/api/v1/otlp/v1/metrics"

    @property
    def prometheus(self) -> Prometheus:
        """Itself."""
        return self._prometheus

    def kill_aggregator(self) -> None:
        """Prometheus."""
        self._prometheus.kill()
        self._prometheus.start()


class PrometheusNative(PrometheusDeltas):
    """Prometheus keeps deltas as they come; queries add them up."""

    name = "Prometheus, otlp-native-delta-ingestion"
    feature = "otlp-native-delta-ingestion"

    def counted(self) -> float:
        """Every sample is an increment."""
        return sum(sum(values) for metric in COUNTED for values in self.prometheus.samples(metric))


class VmAgent(Peer):
    """VictoriaMetrics' stream aggregation adds up the deltas of each second, and writes the sums to a Prometheus."""

    name = "vmagent, deltas, `sum_samples`"
    output: ClassVar[str] = "sum_samples"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        program = vmagent()
        self._prometheus = Prometheus(directory / "prometheus", ("--web.enable-remote-write-receiver",))
        rule = {"match": _SERIES, "interval": "1s", "by": list(_KEPT), "outputs": [self.output]}
        config = directory / "aggregation.yaml"
        config.write_text(yaml.safe_dump([rule]))
        address = f"127.0.0.1:{free_port()}"
        self._address = f"http://{address}"
        command = [program, f"-httpListenAddr={address}", f"-remoteWrite.url={self._prometheus.url}/api/v1/write"]
        command += [f"-streamAggr.config={config}", f"-remoteWrite.tmpDataPath={directory / 'queue'}"]
        self._agent = Program(command, f"{self._address}/health", directory / "log")
        self._agent.start()

    @property
    def takes(self) -> str:
        """Its receiver."""
        return f"{self._address}/opentelemetry/v1/metrics"

    @property
    def prometheus(self) -> Prometheus:
        """It is written to."""
        return self._prometheus

    @property
    def programs(self) -> Iterable[Program]:
        """Both."""
        return (self._agent, self._prometheus)

    def kill_aggregator(self) -> None:
        """The agent."""
        self._agent.kill()
        self._agent.start()

    def counted(self) -> float:
        """Every sample is the sum of a second."""
        return sum(sum(values) for metric in COUNTED for values in self.prometheus.samples(self._named(metric)))

    def _named(self, metric: str) -> str:
        return f'{{__name__="{metric}:1s_by_{"_".join(_KEPT)}_{self.output}"}}'


_KEPT = ("endpoint", "le", "method", "status_code")


class VmAgentTotal(VmAgent):
    """The same for senders that report cumulatively, with the output that its documentation names for counters."""

    name = "vmagent, cumulative, `total`"
    output, temporality = "total", "cumulative"

    def counted(self) -> float:
        """It shows a running total, as ours does."""
        return sum(_increments(values) for metric in COUNTED for values in self.prometheus.samples(self._named(metric)))


ALL: tuple[type[Peer], ...] = (Durable, VmAgent, VmAgentTotal, PrometheusDeltas, PrometheusNative)
