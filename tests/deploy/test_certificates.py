"""Certificates and tokens of a secure fleet: made once, private, for its environment; what cannot be made is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from deploy import certificates, collector_program, processes, render
from deploy.certificates import CertificatesError
from deploy.settings import FleetSettings, SettingsError
from tests.support.compose_secrets import NAMES

SECRETS = {**dict.fromkeys(NAMES, "a-secret"), "FLOWER_USER": "admin"}


def _settings(directory: Path, **others: object) -> FleetSettings:
    return FleetSettings.isolated(directory, secure=True, **others)


def _jobs(settings: FleetSettings) -> dict[str, dict[str, object]]:
    """What its Prometheus scrapes, by the name of the job."""
    files = render.render(settings, processes.all_processes(settings, SECRETS))
    found = yaml.safe_load(files[settings.conf / "prometheus.yml"])["scrape_configs"]
    return {job["job_name"]: job for job in found}


def test_made_once(tmp_path: Path) -> None:
    """The first start makes them for nobody else to read; the next ones leave them alone, renewed ones as well."""
    settings = _settings(tmp_path)
    certificates.make(settings)
    folder = tmp_path / "secrets"
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*"))} == {0}
    token = settings.secrets_of("sender") / "token"
    token.write_text("renewed")
    certificates.make(settings)
    assert token.read_text() == "renewed"


def test_every_variable_names_a_file(tmp_path: Path) -> None:
    """Who is told of a file has it, in the folder of its role; without SECURE nobody is told of any."""
    settings = _settings(tmp_path)
    certificates.make(settings)
    access = certificates.of_readers(settings)
    told = [*certificates.of_collector(settings).values(), *certificates.of_senders(settings).values()]
    assert all(
        map(Path.is_file, map(Path, [*told, access.authority, access.certificate, access.key, access.token_file]))
    )
    open_ = replace(settings, secure=False)
    assert not certificates.of_collector(open_)
    assert not certificates.of_senders(open_)
    assert certificates.of_readers(open_) == certificates.NO_ACCESS


@pytest.mark.parametrize("host", ["10.1.2.3", "telemetry"])
def test_certificate_is_for_where_it_listens(host: str, tmp_path: Path) -> None:
    """The collector's certificate has the address that senders of this fleet call."""
    settings = _settings(tmp_path, otelcol_host=host)
    certificates.make(settings)
    shown = x509.load_pem_x509_certificate((settings.secrets_of("collector") / "collector.crt").read_bytes())
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {host, "127.0.0.1"} <= {str(name.value) for name in names}


def test_token_is_for_the_environment(tmp_path: Path) -> None:
    """Another ENVIRONMENT, which the token may not write, is said at the start, and not by 403 for every export."""
    certificates.make(_settings(tmp_path, environment="stage"))
    with pytest.raises(CertificatesError, match=r"No token of .* is for ENVIRONMENT=prod: add it .* or delete"):
        certificates.make(_settings(tmp_path))
    tokens = _settings(tmp_path).secrets_of("collector") / "tokens"
    tokens.write_text(tokens.read_text().replace("stage", "stage,prod"))
    certificates.make(_settings(tmp_path))


def test_nothing_is_left_without_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where openssl is missing, that is said, and there is no half of a folder."""
    (tmp_path / "bin").mkdir()
    for name in ("sh", "dirname", "readlink", "mkdir"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(CertificatesError, match=r"SECURE=1 needs openssl, which says: .*openssl: not found"):
        certificates.make(_settings(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


@pytest.mark.parametrize("durable", [True, False], ids=["durable", "official"])
def test_prometheus_scrapes_as_the_collector_shows(
    durable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page is scraped with TLS and a token; the official distribution shows its own metrics without."""
    monkeypatch.setattr(collector_program, "is_ours", lambda path: durable)
    jobs = _jobs(_settings(tmp_path))
    assert {name for name, job in jobs.items() if job.get("scheme") == "https" and "authorization" in job} == {
        "fastapi-queue-system",
        "fastapi-queue-system-now",
        *(["otel-collector"] if durable else []),
    }
    assert not [job for job in _jobs(FleetSettings.isolated(tmp_path)).values() if "scheme" in job]


def test_neither_on_nor_off_is_refused() -> None:
    """SECURE is 1 or 0."""
    assert FleetSettings.from_environ({"SECURE": "1"}).secure
    assert not FleetSettings.from_environ({"SECURE": "0"}).secure
    with pytest.raises(SettingsError, match="SECURE=perhaps is neither on nor off: set it to 1 or to 0"):
        FleetSettings.from_environ({"SECURE": "perhaps"})
