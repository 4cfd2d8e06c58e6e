"""A container without an engine: a root, a network, processes and a host name of its own; it knows no service."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CONFINED = "setpriv --reuid {user} --regid {group} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"


@dataclass
class Box:
    """One container's surroundings, and the process in them.

    Attributes:
        name: Its host name, and that of its network namespace.
        folder: Where its root is put together.
        user: `uid:gid`.
        environment: All that its processes get.
        directory: Where they start.
        mounts: Lines of shell that mount what it has below `$R`, its root.
        read_only: Whether its root is.
    """

    name: str
    folder: Path
    user: str
    environment: Mapping[str, str]
    directory: str = "/"
    mounts: Sequence[str] = ()
    read_only: bool = True
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "log"

    def start(self, command: Sequence[str]) -> None:
        """Start its first process; it has been connected before."""
        with self.log.open("ab") as log:
            # Engines give what a container writes to its user: some programs open /dev/stdout.
            os.fchown(log.fileno(), int(self.user.partition(":")[0]), -1)
            self.process = subprocess.Popen(
                [*self._isolated(), "bash", "-ec", self._script(command)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def run(self, command: Sequence[str]) -> bool:
        """Whether a command in it succeeds."""
        pid = self.first()
        if not pid:
            return False
        inside = ["nsenter", "-t", str(pid), "-m", "-n", "-u", "-p", "-r"]
        done = subprocess.run(
            [*inside, *self._confined(), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
        return done.returncode == 0

    def first(self) -> int:
        """The id of its first process, 0 if there is none."""
        if self.process is None or self.process.poll() is not None:
            return 0
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = children.read_text().split() if children.exists() else []
        return int(found[0]) if found else 0

    def ended(self, seconds: float) -> int | None:
        """The status with which its first process ended, nothing if it has not in time."""
        if self.process is None:
            return None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, name: str, seconds: float) -> bool:
        """Signal its first process and wait; whether it ended in time. One that did not is killed."""
        if self.process is None or self.process.poll() is not None:
            return True
        pid = self.first()
        if pid:
            subprocess.run(["kill", f"-{name.removeprefix('SIG')}", str(pid)], check=False)
        if self.ended(seconds) is not None:
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """End all of its processes at once, as the kernel does when memory is short."""
        pid = self.first()
        if pid:
            subprocess.run(["kill", f"-{signal.SIGKILL.value}", str(pid)], check=False)
        if self.process is not None:
            self.process.wait()

    def _isolated(self) -> list[str]:
        return ["ip", "netns", "exec", self.name, "unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child"]

    def _script(self, command: Sequence[str]) -> str:
        root, layer = self.folder / "root", self.folder / "layer"
        for folder in (root, layer / "upper", layer / "work"):
            folder.mkdir(parents=True, exist_ok=True)
        lines = [
            f"R={root}",
            f"mount -t overlay overlay -o lowerdir=/,upperdir={layer}/upper,workdir={layer}/work $R",
            "mount -t proc proc $R/proc",
            "mount --rbind /dev $R/dev",
            "mount -t tmpfs -o mode=1777 tmpfs $R/dev/shm",
            f"hostname {self.name}",
            *self.mounts,
            "mount -o remount,ro $R" if self.read_only else "true",
            f"exec chroot $R {shlex.join([*self._confined(), *command])}",
        ]
        return "\n".join(lines)

    def _confined(self) -> list[str]:
        user, _, group = self.user.partition(":")
        given = [f"{name}={value}" for name, value in self.environment.items()]
        return [*_CONFINED.format(user=user, group=group or user).split(), "env", "-i", "-C", self.directory, *given]


def mounted(source: Path, target: str, *, read_only: bool) -> list[str]:
    """Lines of shell that put a file or a folder of this machine into a root."""
    make = "mkdir -p $T" if source.is_dir() else "mkdir -p $(dirname $T) && touch $T"
    lines = [_inside(target), make, f"mount --bind {source} $T"]
    return [*lines, "mount -o remount,bind,ro $T"] if read_only else lines


def in_memory(target: str, options: str) -> list[str]:
    """Lines of shell that put an empty folder in memory into a root."""
    return [_inside(target), "mkdir -p $T", f"mount -t tmpfs -o {options or 'mode=1777'} tmpfs $T"]


def _inside(target: str) -> str:
    """A line of shell: `$T` is a path of a root, whose links lead inside it."""
    return f"T=$R$(chroot $R readlink -m {target})"


def ip(*words: str) -> None:
    """Run a command of iproute2."""
    subprocess.run(["ip", *words], check=True)


def bridge(name: str, gateway: str) -> None:
    """A network that this machine is in, too."""
    ip("link", "add", name, "type", "bridge")
    ip("address", "add", f"{gateway}/24", "dev", name)
    ip("link", "set", name, "up")


def connect(container: str, links: Mapping[str, tuple[str, str]], number: int) -> None:
    """A network namespace with an interface for each network.

    Args:
        container: Its name.
        links: Bridge and address by the name of the interface.
        number: The container's, which no other has.
    """
    ip("netns", "add", container)
    ip("-n", container, "link", "set", "lo", "up")
    for index, (interface, (to, address)) in enumerate(links.items()):
        outside = f"v{number}-{index}"
        ip("link", "add", outside, "type", "veth", "peer", "name", interface, "netns", container)
        ip("link", "set", outside, "master", to, "up")
        ip("-n", container, "address", "add", f"{address}/24", "dev", interface)
        ip("-n", container, "link", "set", interface, "up")
