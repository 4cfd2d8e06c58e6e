"""Settings from the standard variables, and what is said about wrong ones."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from telemetry import Settings, SettingsError, process, setup
from telemetry.catalogue import BUILT_IN

WRONG = {
    "OTEL_METRICS_EXPORTER": "carrier-pigeon",
    "OTEL_METRIC_EXPORT_INTERVAL": "0",
    "OTEL_EXPORTER_PROMETHEUS_PORT": "99999",
    "TELEMETRY_EXIT_DEADLINE": "soon",
    "TELEMETRY_EXCLUDED_PATHS": "health",
    "OTEL_RESOURCE_ATTRIBUTES": "deployment",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "-3",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "smoke",
    "TELEMETRY_PASS_UNCATALOGUED": "maybe",
    "TELEMETRY_STATE_DIR": "not/absolute",
    "TELEMETRY_STATE_MAX_AGE": "a day",
    "TELEMETRY_CATALOGUE": "own metrics",
    "TELEMETRY_PROMETHEUS_CLIENT": "perhaps",
    "TELEMETRY_PROMETHEUS_CONNECTIONS": "many",
    "TELEMETRY_PROMETHEUS_YIELD_AFTER": "-2",
    "TELEMETRY_PROMETHEUS_IDLE_TIMEOUT": "never",
}
NUMBERS = (
    "OTEL_METRIC_EXPORT_INTERVAL",
    "TELEMETRY_EXIT_DEADLINE",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "TELEMETRY_STATE_MAX_AGE",
    "TELEMETRY_PROMETHEUS_CONNECTIONS",
    "TELEMETRY_PROMETHEUS_YIELD_AFTER",
    "TELEMETRY_PROMETHEUS_IDLE_TIMEOUT",
)


STRICT = {"TELEMETRY_STRICT": "true"}


def test_defaults_are_the_specifications() -> None:
    """Without any variable exports go to a collector on this host, and the environment is `dev`."""
    settings = Settings.from_environment("api", {})
    assert (settings.exporters, settings.environment, settings.service_name) == (("otlp",), "dev", "api")
    assert settings.destination.url == "http://localhost:4318/v1/metrics"
    assert Settings().exporters == ()


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
    assert (settings.service_name, settings.exporters, settings.environment) == ("chat", ("otlp",), "stage")
    assert settings.export_interval == 1.5


def test_every_error_at_once() -> None:
    """One message names every wrong setting with its value and what to set instead."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(None, WRONG | STRICT)
    errors = str(caught.value).split("; ")
    assert len(errors) == len(WRONG)
    for name, value in WRONG.items():
        found = [error for error in errors if name in error and repr(value) in error]
        assert len(found) == 1
        assert "set it to" in found[0] or "write it as" in found[0]


def test_module_that_is_no_name_takes_no_other_with_it() -> None:
    """Of the modules in `TELEMETRY_CATALOGUE` those that are names stay; the others are named."""
    settings = Settings.from_environment(None, {"TELEMETRY_CATALOGUE": "own.metrics, x y,other"})
    assert settings.catalogue == ("own.metrics", "other")
    (problem,) = settings.problems
    assert "has 'x y': write it as dotted names" in str(problem)


def test_wrong_settings_are_data() -> None:
    """Without `TELEMETRY_STRICT` what is wrong holds its default, and is told with setting, value and remedy."""
    settings = Settings.from_environment("api", WRONG)
    assert settings == Settings.from_environment("api", {})
    assert {(problem.setting, problem.value) for problem in settings.problems} == set(WRONG.items())
    assert all(problem.remedy and problem.effect for problem in settings.problems)


@pytest.mark.parametrize("strict", ["", "false", "0"])
def test_wrong_settings_stop_no_service(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, strict: str
) -> None:
    """`configure()` says each wrong setting once, as an error with its value and the remedy, and the service starts."""
    monkeypatch.setattr(process.current, "configured", None)
    for name, value in {**WRONG, "OTEL_METRICS_EXPORTER": "none,smoke", "TELEMETRY_STRICT": strict}.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment("api").exporters == ()
    made = setup._configured(Settings.from_environment("api"), (), BUILT_IN)
    made.shutdown()
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == len(WRONG)
    for name, value in {**WRONG, "OTEL_METRICS_EXPORTER": "none,smoke"}.items():
        assert len([line for line in said if f"{name}={value!r}" in line]) == 1


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0", "1e999", "five", "0x10", "1_0 0"])
def test_odd_numbers_are_refused(name: str, value: str) -> None:
    """A number that would make an export thread spin or wait for ever is an error, not a surprise."""
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment(None, {name: value} | STRICT)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80.5", "http"])
def test_odd_ports_are_refused(port: str) -> None:
    """A port is a whole number that exists."""
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_PROMETHEUS_PORT"):
        Settings.from_environment(None, {"OTEL_EXPORTER_PROMETHEUS_PORT": port} | STRICT)


def test_blank_values_are_unset() -> None:
    """An empty or blank variable is one that is not set, as the specification says."""
    assert Settings.from_environment("api", dict.fromkeys(WRONG, " ")) == Settings.from_environment("api", {})


def test_variables_for_metrics_win() -> None:
    """`OTEL_EXPORTER_OTLP_METRICS_*` wins over the variable for all signals."""
    env = {
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "3",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "7",
    }
    settings = Settings.from_environment(None, env)
    assert (settings.destination.protocol, settings.destination.timeout) == ("http/protobuf", 3.0)


@pytest.mark.parametrize(("value", "seconds"), [("10", 10.0), ("999", 999.0), ("1000", 1.0), ("10000", 10.0)])
def test_timeout_is_read_both_ways(value: str, seconds: float) -> None:
    """The Python SDK reads the timeout in seconds, the specification in milliseconds: both mean what was meant."""
    assert Settings.from_environment(None, {"OTEL_EXPORTER_OTLP_TIMEOUT": value}).destination.timeout == seconds


def test_resource_attributes_are_decoded() -> None:
    """Values are percent-decoded as the SDK does, or two processes of one environment would be two series."""
    env = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=chat%20app,deployment.environment=eu%2Cwest"}
    settings = Settings.from_environment("api", env)
    assert (settings.service_name, settings.environment) == ("chat app", "eu,west")


def test_levels_outlive_the_default_interval() -> None:
    """The default interval reports levels and facts several times within the minute the collector keeps them."""
    assert Settings.from_environment(None, {}).export_interval <= 20


def test_state_directory_is_the_users_own() -> None:
    """Without a setting counts are kept in memory, in a directory for each user; a setting names another one."""
    settings = Settings.from_environment(None, {})
    assert settings.box_directory == Path(f"/dev/shm/telemetry-{os.geteuid()}")
    assert Settings.from_environment(None, {"TELEMETRY_STATE_DIR": "/var/lib/x"}).box_directory == Path("/var/lib/x")


def test_strict_settings_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `TELEMETRY_STRICT` `configure()` raises on wrong settings and leaves nothing half configured."""
    monkeypatch.setattr(process.current, "configured", None)
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "carrier-pigeon")
    monkeypatch.setenv("TELEMETRY_STRICT", "true")
    with pytest.raises(SettingsError, match="carrier-pigeon"):
        setup.configure("api")
    assert process.current.configured is None


def test_namespace_tells_fleets_apart() -> None:
    """`service.namespace` is read, decoded, and makes a fleet of its own; without one the fleet is the environment's."""
    env = {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod,service.namespace=my%20shop"}
    settings = Settings.from_environment("api", env)
    assert (settings.service_namespace, settings.fleet) == ("my shop", "prod/my shop")
    without = Settings.from_environment("api", {})
    assert (without.service_namespace, without.fleet) == ("", "dev")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEMETRY_STATE_DIR", "~nobody-has-this-name/state"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "~nobody-has-this-name/ca.pem"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/" + "a" * 300),
    ],
)
def test_path_that_cannot_be_looked_at_is_a_problem(name: str, value: str) -> None:
    """A home that nobody has, a name that is too long, a directory that is closed: the default holds, nothing is raised."""
    settings = Settings.from_environment(env={name: value})
    assert [problem.setting for problem in settings.problems] == [name]
    assert (settings.state_dir, settings.destination.certificate) == (None, "")


def test_secrets_are_not_shown() -> None:
    """Settings in a log or a traceback have no credentials, key of an address, or headers."""
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:secret@collector:4318?key=secret",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=secret",
    }
    settings = Settings.from_environment(env=env)
    assert settings.destination.url == "http://me:secret@collector:4318/v1/metrics?key=secret"
    assert "http://collector:4318/v1/metrics?…" in repr(settings)
    assert "secret" not in repr(settings)
