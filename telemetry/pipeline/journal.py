"""Lines that children write and their parent reads: what is written survives a SIGKILL of the writer."""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path

ROTATE_AT = 1_000_000


class JournalWriter:
    """The journal of one process: appends whole lines to its own files, a new one when the last got long.

    Args:
        directory: A directory that exists and only this user can read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._number = 0
        self._written = 0
        self._file = self._open()

    def write(self, line: bytes) -> None:
        """Append one line, in one system call.

        Raises:
            OSError: If it cannot be written, or not in full.
        """
        with self._lock:
            if self._written > ROTATE_AT:
                os.close(self._file)
                self._number += 1
                self._written = 0
                self._file = self._open()
            if os.write(self._file, line + b"\n") != len(line) + 1:
                raise OSError("a line of the journal could not be written in full")
            self._written += len(line) + 1

    def _open(self) -> int:
        path = self._directory / f"{self._owner}-{self._number}.lines"
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


class JournalReader:
    """Reads the journals of all writers in a directory, each line once, and removes what is no longer written to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read_up_to: dict[Path, int] = {}

    def read(self) -> list[bytes]:
        """The lines written since the last call."""
        lines: list[bytes] = []
        for path in sorted(self._directory.glob("*.lines")):
            done = _is_done(path)  # before reading: a writer that is alive now may write until then
            lines += self._lines(path)
            if done:
                self._read_up_to.pop(path, None)
                with suppress(OSError):
                    path.unlink()
        return lines

    def _lines(self, path: Path) -> list[bytes]:
        start = self._read_up_to.get(path, 0)
        with path.open("rb") as file:
            file.seek(start)
            content = file.read()
        end = content.rfind(b"\n") + 1  # a line that is being written is read the next time
        self._read_up_to[path] = start + end
        return content[:end].splitlines()


def _is_done(path: Path) -> bool:
    pid, token, number = path.stem.split("-")
    if path.with_name(f"{pid}-{token}-{int(number) + 1}.lines").exists():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
