"""A PostgreSQL server of the tests' own, on a free port, gone when they end."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.ports import free_port

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_SECONDS = 60


def program(name: str) -> str | None:
    """Where a program of PostgreSQL is; Debian keeps most of them off the path."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, _PROGRAMS)]))


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL of a server with a database of its own."""
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    assert initdb is not None
    assert pg_ctl is not None
    # It refuses to run as root, and another user cannot enter pytest's own folder.
    user: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="telemetry-postgres-") as data:
        if user:
            shutil.chown(data, **user)

        def run(*command: str) -> None:
            # Not captured: the server would keep the pipe open for as long as it lives.
            quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run(command, check=True, timeout=_SECONDS, cwd=data, **quiet, **user)

        run(initdb, "-D", data, "-U", "test", "-A", "trust", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        run(pg_ctl, "-D", data, "-w", "-o", options, "-l", f"{data}/log", "start")
        try:
            yield f"postgresql+psycopg://test@127.0.0.1:{port}/postgres"
        finally:
            run(pg_ctl, "-D", data, "-w", "-m", "immediate", "stop")
