"""What zero code relies on in OpenTelemetry and in Python beyond their documentation."""

from __future__ import annotations

import platform
from importlib.metadata import version

from telemetry.instrumentation.assumptions import Assumption, check

SPAWNING = (Assumption("multiprocessing.util", "spawnv_passfds"),)
CONFIGURATOR = (Assumption("opentelemetry.sdk._configuration", "_OTelSDKConfigurator"),)
GLOBAL_PROVIDER = (
    Assumption("opentelemetry.metrics._internal", "_METER_PROVIDER"),
    Assumption("opentelemetry.metrics._internal", "_METER_PROVIDER_SET_ONCE"),
)


def spawning_is_seen() -> bool:
    """Whether the processes that multiprocessing spawns can be reached."""
    return check(f"Python {platform.python_version()}", SPAWNING, "processes that it spawns may not be measured")


def sdk_can_be_configured() -> bool:
    """Whether OpenTelemetry's own configurator can be asked to set up traces and logs."""
    sdk = f"opentelemetry-sdk {version('opentelemetry-sdk')}"
    return check(sdk, CONFIGURATOR, "traces and logs are not set up; metrics are")


def global_provider_can_be_replaced() -> bool:
    """Whether a meter provider that another configurator has set can give way to ours."""
    api = f"opentelemetry-api {version('opentelemetry-api')}"
    return check(api, GLOBAL_PROVIDER, "metrics of other instrumentors leave the process beside ours")
