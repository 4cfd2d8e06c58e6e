"""What every Python process of the tested fleet runs before anything else."""

import os
from pathlib import Path

if os.environ.get("CHAOS_CLOCK"):
    from tests.fleet.chaos import clock

    clock.install(Path(os.environ["CHAOS_CLOCK"]))

if os.environ.get("CHAOS_TRUTH_DIR") and os.environ.get("OTEL_METRICS_EXPORTER") == "otlp":
    from tests.fleet.chaos import truth

    truth.install(Path(os.environ["CHAOS_TRUTH_DIR"]))
