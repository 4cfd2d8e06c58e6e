"""Names our distro and configurator where the user names none: OpenTelemetry takes the first it finds, in no order.

``opentelemetry-instrument`` imports this module before it reads its own arguments and starts the program.
"""

from __future__ import annotations

import os

NAME = "fleet_telemetry"
"""Of the distro and of the configurator, as ``OTEL_PYTHON_DISTRO`` and ``OTEL_PYTHON_CONFIGURATOR`` know them."""

os.environ.setdefault("OTEL_PYTHON_DISTRO", NAME)
if os.environ["OTEL_PYTHON_DISTRO"] == NAME:
    os.environ.setdefault("OTEL_PYTHON_CONFIGURATOR", NAME)
