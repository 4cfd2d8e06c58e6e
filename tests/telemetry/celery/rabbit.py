"""A RabbitMQ of its own, from Debian's package; nothing of it is left running or on disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.ports import free_ports, is_open
from support.waiting import eventually

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class Rabbit:
    """A broker that listens when it is made.

    Attributes:
        url: Where it listens, with the user every fresh RabbitMQ has.
    """

    def __init__(self) -> None:
        if not PROGRAM.exists():
            raise FileNotFoundError(f"{PROGRAM} is missing: install Debian's package rabbitmq-server")
        self._directory = tempfile.mkdtemp(prefix="rabbit")
        self._port, distribution, names = free_ports(3)
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"
        epmd = shutil.which("epmd")
        assert epmd, "erlang comes with rabbitmq-server"
        self._processes = [subprocess.Popen([epmd, "-port", str(names), "-address", "127.0.0.1"])]
        env = {
            "HOME": self._directory,
            "ERL_EPMD_PORT": str(names),
            "RABBITMQ_NODENAME": f"test{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": self._directory,
            "RABBITMQ_LOG_BASE": self._directory,
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self._directory}/plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
        }
        with Path(self._directory, "output").open("wb") as log:
            server = subprocess.Popen([PROGRAM], env={**os.environ, **env}, stdout=log, stderr=log)
        self._processes.append(server)
        assert eventually(lambda: is_open(self._port), 60), Path(self._directory, "output").read_text()

    def stop(self) -> None:
        """End it."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
