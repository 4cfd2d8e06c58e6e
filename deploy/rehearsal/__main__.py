"""Runs a command where networks, mounts and processes are its own, and end with it.

``python -m deploy.rehearsal COMMAND…`` as root; `REHEARSAL_DIR` names a folder in memory for the command's files.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

DIRECTORY = "REHEARSAL_DIR"
_INSIDE = "REHEARSAL_INSIDE"


def main(command: list[str]) -> int:
    """Run the command; its status."""
    if not command:
        print("Say what to run: `make rehearse`, or python -m deploy.rehearsal COMMAND…", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("Namespaces need root: run it as root, or on a machine with a container engine.", file=sys.stderr)
        return 2
    return _inside(command) if _INSIDE in os.environ else _isolated(command)


def _isolated(command: list[str]) -> int:
    isolated = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    again = [sys.executable, "-m", "deploy.rehearsal", *command]
    return subprocess.run([*isolated, *again], env={**os.environ, _INSIDE: "1"}, check=False).returncode


def _inside(command: list[str]) -> int:
    # Names of network namespaces are files.
    Path("/run/netns").mkdir(exist_ok=True)
    _in_memory("/run/netns")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        _in_memory(folder)
        try:
            return subprocess.run(command, env={**os.environ, DIRECTORY: folder}, check=False).returncode
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _in_memory(folder: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
