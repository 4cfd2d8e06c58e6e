"""Which brokers processes of this host read for a fleet; the files that say so are in the state directory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from telemetry.box import locks
from telemetry.box.directory import NOTE, make_usable
from telemetry.instrumentation.celery.broker import KNOWN_FOR
from telemetry.pipeline.transport import target_of
from telemetry.settings.settings import Settings


class Readers:
    """The brokers that are read for one fleet and reported to one place, as far as this host knows.

    Args:
        settings: Of the process: where the files are, which fleet it is, and where it reports.

    Raises:
        UnusableError: If the state directory is not this user's alone.
    """

    def __init__(self, settings: Settings) -> None:
        self._directory = settings.box_directory
        make_usable(self._directory)
        fleet = sha256(f"{target_of(settings)}\0{settings.fleet}".encode()).hexdigest()[:16]
        self._prefix = f"celery-{fleet}-"
        self._fingerprint: str | None = None
        self._since = time.time()
        self._lock: int | None = None

    def others(self, fingerprint: str) -> set[str]:
        """Say that this process reads a broker; which other ones have been read since it began to.

        Args:
            fingerprint: The broker's.
        """
        if fingerprint != self._fingerprint:
            self.leave()
            self._fingerprint, self._since = fingerprint, time.time()
        with suppress(OSError):
            self._say(self._file(fingerprint))
        return {other for other, at in self._read() if other != fingerprint and at > self._since}

    def leave(self) -> None:
        """This process reads no broker any more."""
        fingerprint, self._fingerprint = self._fingerprint, None
        if fingerprint is not None:
            self._file(fingerprint).unlink(missing_ok=True)
        if self._lock is not None:
            locks.unlock(self._lock)
            self._lock = None

    def _say(self, note: Path) -> None:
        """Hold the lock of the note, unless another process of the fleet does: one that nobody holds is swept."""
        note.touch(0o600)
        if self._lock is None:
            with suppress(OSError):
                self._lock = locks.open_locked(note)

    def _file(self, fingerprint: str) -> Path:
        return self._directory / f"{self._prefix}{fingerprint}{NOTE}"

    def _read(self) -> Iterator[tuple[str, float]]:
        """Fingerprints and when they were last said; those that nobody says any more are removed."""
        with suppress(OSError), os.scandir(self._directory) as entries:
            for entry in entries:
                if not entry.name.startswith(self._prefix) or not entry.name.endswith(NOTE):
                    continue
                at = entry.stat().st_mtime
                if time.time() - at > KNOWN_FOR:
                    Path(entry.path).unlink(missing_ok=True)
                yield entry.name[len(self._prefix) : -len(NOTE)], at
