"""Where blocks of the documentation run: a user's environment with the built wheel, on a network of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from email import message_from_bytes
from importlib.metadata import entry_points
from pathlib import Path

from support.collector import find_otelcol

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Ports of the documentation are free, nothing outlives the block, and nothing of the machine's processes is seen.
APART = ("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_LOOPBACK = (
    "import fcntl, socket, struct; "
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x1 | 0x40))"  # SIOCSIFFLAGS: up, running
)


def is_possible() -> bool:
    """Whether this machine lets us have a network of our own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Sandbox:
    """A Python environment, and what else is on PATH.

    Attributes:
        home: Of what it is made of.
        wheel: Of this repository.
    """

    home: Path
    wheel: Path

    def make(self) -> None:
        """Programs of the tests' environment run by whichever Python is the active one; that has the wheel."""
        programs = self.home / "programs"
        programs.mkdir()
        for point in entry_points(group="console_scripts"):
            script = programs / point.name
            script.write_text(
                "#!/usr/bin/env python\n"
                f"import sys\nfrom {point.module} import {point.attr.partition('.')[0]}\n"
                f"if __name__ == '__main__':\n    sys.exit({point.attr}())\n"
            )
            script.chmod(0o755)
        for name in ("prometheus", "promtool"):
            (programs / name).symlink_to(Path(sys.executable).parent / name)
        stand_in = self.home / "collector" / "fleet_telemetry_collector.py"
        stand_in.parent.mkdir()
        stand_in.write_text(
            f"from pathlib import Path\n\ndef program() -> Path:\n    return Path({find_otelcol()!r})\n"
        )
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.home / "venv"], check=True)
        self.run("pip install fleet-telemetry", self.home)

    def variables(self, *, checkout: bool = False, patience: int = 60) -> dict[str, str]:
        """The environment of a block, with nothing of this process."""
        path = [self.home / "venv" / "bin", self.home / "programs", "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"]
        found = [self.home / "collector", sysconfig.get_paths()["purelib"], *([ROOT] if checkout else [])]
        return {
            "PATH": os.pathsep.join(map(str, path)),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(map(str, found)),
            "TELEMETRY_STATE_DIR": str(self.home / "state"),
            "DOCUMENTATION_WHEEL": str(self.wheel),
            "DOCUMENTATION_EXTRAS": " ".join(_extras(self.wheel)),
            "DOCUMENTATION_TESTS": str(HERE),
            "DOCUMENTATION_PATIENCE": str(patience),
        }

    def run(self, script: str, directory: Path, *, checkout: bool = False, patience: int = 60) -> str:
        """What a script printed, to its end.

        Raises:
            AssertionError: If it failed, with what it printed.
        """
        file = directory / "block.bash"
        file.write_text(f"source {HERE / 'prelude.sh'}\n{script}")
        inside = f'{sys.executable} -c "$0" && exec bash "$1"'
        done = subprocess.run(
            [*APART, "bash", "-c", inside, _LOOPBACK, str(file)],
            cwd=directory,
            env=self.variables(checkout=checkout, patience=patience),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        assert done.returncode == 0, f"{script}\nprinted:\n{done.stdout}"
        return done.stdout


def _extras(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as content:
        metadata = next(name for name in content.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(content.read(metadata)).get_all("Provides-Extra", [])
