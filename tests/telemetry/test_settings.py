"""Settings from the standard variables, and what is said about wrong ones."""

from __future__ import annotations

import pytest

from telemetry import Settings, SettingsError

WRONG = {
    "OTEL_METRICS_EXPORTER": "carrier-pigeon",
    "OTEL_METRIC_EXPORT_INTERVAL": "0",
    "OTEL_EXPORTER_PROMETHEUS_PORT": "99999",
    "TELEMETRY_EXIT_DEADLINE": "soon",
    "TELEMETRY_EXCLUDED_PATHS": "health",
    "OTEL_RESOURCE_ATTRIBUTES": "deployment",
}


def test_defaults_export_nothing() -> None:
    """Without any variable nothing is exported and the environment is `dev`."""
    settings = Settings.from_environment("api", {})
    assert (settings.sink, settings.environment, settings.service_name) == ("none", "dev", "api")


def test_standard_variables_are_read() -> None:
    """`OTEL_*` variables decide; the service name in code is only a default."""
    settings = Settings.from_environment(
        "api",
        {
            "OTEL_SERVICE_NAME": "chat",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_METRIC_EXPORT_INTERVAL": "1500",
            "OTEL_RESOURCE_ATTRIBUTES": "a=b,deployment.environment.name=stage",
        },
    )
    assert (settings.service_name, settings.sink, settings.environment) == ("chat", "otlp", "stage")
    assert settings.export_interval == 1.5


def test_every_error_at_once() -> None:
    """One message names every wrong setting with its value and what to set instead."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(None, WRONG)
    for name, value in WRONG.items():
        assert name in str(caught.value)
        assert value in str(caught.value)


def test_disabled_sdk_exports_nothing() -> None:
    """`OTEL_SDK_DISABLED=true` wins over an exporter."""
    env = {"OTEL_SDK_DISABLED": "true", "OTEL_METRICS_EXPORTER": "otlp"}
    assert Settings.from_environment(None, env).sink == "none"
