"""Every way in which the examples are started, without a line of telemetry in them and with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GUNICORN = ("gunicorn", "{program}:app", "-b", "127.0.0.1:{port}", "-w", "3", "-k", "uvicorn_worker.UvicornWorker")
WORKER = ("celery", "-A", "{program}", "worker", "-l", "info", "-n", "{name}@test", "-P")

_ADDRESS = {"-b", "127.0.0.1:{port}", "--host", "127.0.0.1", "--port", "{port}"}
_LEFT_OUT = _ADDRESS | {"-l", "info", "-n", "{name}@test", "--pidfile=", "-s", "schedule"}


@dataclass(frozen=True)
class Launcher:
    """A command that starts an example.

    Attributes:
        command: Its words; ``{program}`` is the module that is started.
        example: The folder of `examples/`.
        program: The module without a line of telemetry.
        lines: The same with lines.
        variables: What the command needs beside the words.
        reloads: Whether it starts the program again when a file of it changes.
    """

    command: tuple[str, ...]
    example: str = "plain"
    program: str = "own"
    lines: str = "lines"
    variables: Mapping[str, str] = field(default_factory=dict)
    reloads: bool = False

    @property
    def title(self) -> str:
        """As a user writes it."""
        return " ".join(word for word in self.command if word not in _LEFT_OUT).format(program=self.program)


SERVERS = {
    "uvicorn": Launcher(("uvicorn", "{program}:app", "--port", "{port}")),
    "workers": Launcher(("uvicorn", "{program}:app", "--port", "{port}", "--workers", "3")),
    "reload": Launcher(("uvicorn", "{program}:app", "--port", "{port}", "--reload"), reloads=True),
    "gunicorn": Launcher(GUNICORN),
    "gunicorn-preload": Launcher((*GUNICORN, "--preload")),
    "fastapi-run": Launcher(("fastapi", "run", "{program}.py", "--host", "127.0.0.1", "--port", "{port}")),
    "python": Launcher(("python", "{program}.py"), variables={"PORT": "{port}"}),
}
CONFIGURED = Launcher(("gunicorn", "{program}:app", "-b", "127.0.0.1:{port}"), example="preload")
SHOP = Launcher(("uvicorn", "{program}:app", "--port", "{port}"), example="shop")
WORKERS = {
    pool: Launcher((*WORKER, pool, "-c", "2"), example="shop", program="billing", lines="billing_lines")
    for pool in ("prefork", "threads", "solo", "gevent")
}
BEAT = Launcher(
    ("celery", "-A", "{program}", "beat", "-l", "info", "--pidfile=", "-s", "schedule"),
    example="shop",
    program="billing",
    lines="billing_lines",
)
FORMS = ("variables only", "lines")
