"""What a process pays for being measured before it has counted anything: CPU and memory of imports and configuration.

Usage: ``python -m benchmarks.start [--rounds 15]``
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping

from benchmarks.measure import medians, store, turns
from support.memory import MEMORY

PACKAGES = ("opentelemetry-sdk", "prometheus-client")
SDK = "OpenTelemetry SDK"
_PROVIDER = "from opentelemetry.sdk.metrics import MeterProvider\n"
_OTLP = (
    "from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter\n"
    "from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader\n"
)
_OURS = "import telemetry\ntelemetry.configure('start')\n"
VARIANTS: dict[str, tuple[str, dict[str, str]]] = {
    "prometheus_client": ("import prometheus_client\n", {}),
    SDK: (f"{_PROVIDER}MeterProvider()\n", {}),
    "OpenTelemetry SDK, OTLP": (
        f"{_PROVIDER}{_OTLP}MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])\n",
        {},
    ),
    "ours, `none`": (_OURS, {"OTEL_METRICS_EXPORTER": "none"}),
    "ours, `otlp`": (_OURS, {"OTEL_METRICS_EXPORTER": "otlp"}),
    "ours, `prometheus`": (_OURS, {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "39464"}),
}
_MEASURED = """
import json, os, sys, time
began = time.process_time()
{code}
spent = time.process_time() - began
with open("/proc/self/statm") as file:
    pages = int(file.read().split()[1])
json.dump({{"cpu_ms": spent * 1e3, "rss_mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20}}, sys.stdout)
sys.stdout.flush()
os._exit(0)  # nothing is delivered, and nobody waits
"""


def start(name: str, state: str) -> dict[str, float]:
    """CPU (ms) of a process of its own until it could count, and what it weighs then (MiB)."""
    code, variables = VARIANTS[name]
    command = [sys.executable, "-c", _MEASURED.format(code=code)]
    environment = {**os.environ, **variables, "TELEMETRY_STATE_DIR": f"{state}/state", "PYTHONPYCACHEPREFIX": state}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled already
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    measured: dict[str, float] = json.loads(output)
    return measured


def starts(rounds: int) -> Mapping[str, Mapping[str, float]]:
    """Medians of every variant, which take turns."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory(dir=MEMORY) as state:
        for name, counts in turns(VARIANTS, rounds):
            run = start(name, state)
            if counts:
                runs[name].append(run)
    return medians(runs)


def main() -> None:
    """Measure, and store the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    store("start", {"rounds": rounds, "variants": dict(starts(rounds))}, PACKAGES)


if __name__ == "__main__":
    main()
