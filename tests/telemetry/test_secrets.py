"""No secret is said: each setting that may hold one has a word that nothing else has, and nothing that is printed has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.ports import free_port

WORD = "cAnArY"
SERVICE = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
import telemetry
from tests.support import chat
t = telemetry.configure("service", catalogue=chat)
chat.of(t).message_sent(plan="free")
t.force_flush(5)
print(t.settings, repr(t.settings), vars(t.settings), t.settings.destination, file=sys.stderr)
print(open("/proc/self/cmdline").read().replace(chr(0), " "))
for problem in (*t.settings.problems, *t.settings.ignored): print(problem)
telemetry.configure("another", telemetry.Settings())
raise RuntimeError("a crash")
"""


def _settings(directory: Path, *, protocol: str, url: str) -> dict[str, str]:
    """A service that reaches nobody, with a secret wherever one can be."""
    sender, readers = directory / "token", directory / "readers"
    sender.write_text(f"{WORD}-token")
    readers.write_text(f"{WORD}-reader\n")
    return {
        "OTEL_METRICS_EXPORTER": "otlp,prometheus",
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{WORD}-header,x-key={WORD}-key,{WORD}-broken",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_port()),
        "TELEMETRY_OTLP_TOKEN_FILE": str(sender),
        "TELEMETRY_PROMETHEUS_TOKEN_FILE": str(readers),
        "TELEMETRY_STATE_DIR": str(directory / "boxes"),
        "TELEMETRY_EXIT_DEADLINE": "1",
        "OPENAI_API_KEY": f"sk-{WORD}",
        "TELEMETRY_STRICT": "false",
    }


def _said(directory: Path, env: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **env},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return f"{arguments[:3]}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    ("protocol", "scheme"), [("http/protobuf", "https"), pytest.param("grpc", "http", marks=pytest.mark.slow)]
)
def test_no_secret_is_said(tmp_path: Path, protocol: str, scheme: str) -> None:
    """Neither a service that reaches nobody and crashes, with the log at its most talkative, nor a command, says a secret."""
    url = f"{scheme}://user:{WORD}-password@127.0.0.1:{free_port()}/path?key={WORD}-query"
    env = _settings(tmp_path, protocol=protocol, url=url)
    env["PYTHONPATH"] = str(Path(__file__).parents[2])
    said = [
        _said(tmp_path, env, "-c", SERVICE),
        _said(tmp_path, env, "-m", "telemetry", "doctor", "--collector", url, "--prometheus", url),
        _said(tmp_path, env, "-m", "telemetry", "watch", "--once"),
        _said(
            tmp_path,
            {k: v.replace(f",{WORD}-broken", "") for k, v in env.items()},
            "-m",
            "telemetry",
            "deliver",
            "--timeout",
            "1",
        ),
    ]
    assert "a crash" in said[0]
    assert "metrics cannot be delivered" in said[0]
    assert "HEADERS" in said[0]
    for text in said:
        assert not re.findall(f".*{WORD}.*", text)


def test_token_file_shows_in_no_error(tmp_path: Path) -> None:
    """A file that holds no token, maybe another secret, is named and not quoted."""
    env = _settings(tmp_path, protocol="http/protobuf", url="http://127.0.0.1:1")
    env["PYTHONPATH"] = str(Path(__file__).parents[2])
    (tmp_path / "token").write_text(f"two words {WORD}\nand lines")
    said = _said(tmp_path, env, "-c", SERVICE)
    assert f"TELEMETRY_OTLP_TOKEN_FILE={tmp_path / 'token'} has no token" in said
    assert WORD not in said
