"""The private directory that boxes are kept in: which one, and whether it can be trusted with them."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

SUFFIX = ".box"
DAMAGED = ".damaged"
NOTE = ".broker"  # what a process says to others of the host; it holds the file's lock as long as it lives

LARGEST = 256 * 1024 * 1024
"""More than every series that a process may have takes."""

# Locks and mapped pages of these are not those of one machine.
_SHARED_OVER_NETWORKS = frozenset(
    "nfs nfs4 cifs smb3 smbfs 9p virtiofs fuse ceph glusterfs afs lustre gpfs beegfs ocfs2 gfs2".split()
)
# A page that is written may need new space on these, whatever was reserved: a full disk would end the process (SIGBUS).
_COPY_ON_WRITE = frozenset(["btrfs", "zfs", "bcachefs", "nilfs2"])


class UnusableError(Exception):
    """No box can be kept there; the message says why."""


def default_directory() -> Path:
    """Where boxes are kept unless a setting says so: one directory for each user, in memory where Linux has a place."""
    memory = Path("/dev/shm")  # noqa: S108 - what is made there is private and checked
    base = memory if os.access(memory, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    return base / f"telemetry-{os.geteuid() if hasattr(os, 'geteuid') else 0}"


def make_usable(directory: Path) -> None:
    """Make the directory where it does not exist.

    Raises:
        UnusableError: If it is not this user's alone, or on a file system that cannot be trusted with a box.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise UnusableError(error.strerror or str(error)) from error
    if not stat.S_ISDIR(found.st_mode):
        raise UnusableError("it is not a directory")
    if found.st_uid != os.geteuid():
        raise UnusableError("it belongs to another user")
    if found.st_mode & 0o077:
        raise UnusableError("others can read it: chmod 700")
    kind = file_system(directory)
    if kind.partition(".")[0] in _SHARED_OVER_NETWORKS:
        raise UnusableError(f"it is on a file system shared over a network ({kind})")
    if kind in _COPY_ON_WRITE:
        raise UnusableError(f"its file system ({kind}) cannot reserve space")


def why_not_believed(directory: Path) -> str:
    """Why what lies in a directory is not delivered: others could have put it there. Empty where it is believed.

    Args:
        directory: Where boxes are kept; nothing is wrong with one that is not there.
    """
    try:
        found = directory.lstat()
    except OSError:
        return ""
    if not stat.S_ISDIR(found.st_mode):
        return "it is not a directory"
    if not _is_mine(found):
        return "it belongs to another user"
    return "others can write in it: chmod 700" if found.st_mode & 0o022 else ""


def why_no_box(found: os.stat_result) -> str:
    """Why a file of such a directory is none of ours; it may be there from when others could write in it."""
    if not _is_mine(found):
        return "it belongs to another user"
    if found.st_nlink > 1:
        return "it is a link to a file elsewhere"
    return "it is larger than any box" if found.st_size > LARGEST else ""


def _is_mine(found: os.stat_result) -> bool:
    """Whether this user made it; root, which delivers for others, believes them."""
    return not hasattr(os, "geteuid") or os.geteuid() in {found.st_uid, 0}


def file_system(path: Path) -> str:
    """The kind of file system a path lies on, as Linux names it; empty where that cannot be told."""
    longest, kind = 0, ""
    with suppress(OSError, ValueError, IndexError):
        real = os.path.realpath(path) + "/"
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            fields = line.split()
            mount = fields[4].encode().decode("unicode_escape").rstrip("/") + "/"
            if real.startswith(mount) and len(mount) >= longest:
                longest, kind = len(mount), fields[fields.index("-") + 1]
    return kind
