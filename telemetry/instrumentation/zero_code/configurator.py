"""Our configurator: metrics are ours, traces and logs are set up as without us."""

from __future__ import annotations

from typing import Any

from telemetry.instrumentation.zero_code import others
from telemetry.instrumentation.zero_code.begin import begin


class Configurator:
    """What OpenTelemetry calls once the distro is configured."""

    def configure(self, **options: Any) -> None:
        """Configure the process.

        Args:
            options: Handed on to who sets up traces and logs.
        """
        begin()
        others.configure_traces_and_logs(**options)
